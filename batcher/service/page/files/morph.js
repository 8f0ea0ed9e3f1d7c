// Make what is shown like a freshly made tree, and touch only what differs: focus, scrolling and whatever a reader has
// opened stay where they are. Elements with a data-key are known again by it.
const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.key ?? (node.id || null) : null);
const isAlike = (old, fresh) => old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh);

export function morph(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  attributes(old, fresh);
  children(old, fresh);
  if (old.matches("input, select, textarea")) field(old, fresh);
}

function attributes(old, fresh) {
  const stays = (name) => name === "style" || (name === "open" && old.matches("details")) || (name === "tabindex" && old.matches(".wide"));
  for (const { name } of [...old.attributes]) if (!stays(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (!stays(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  // The policy forbids the attribute, not the property.
  if (old.style && old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
}

function children(old, fresh) {
  const known = new Map();
  for (const child of old.childNodes) if (keyOf(child) !== null) known.set(keyOf(child), child);
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = keyOf(wanted);
    let found = key === null ? at : known.get(key);
    if (key === null) while (found && keyOf(found) !== null) found = found.nextSibling;
    if (!found || !isAlike(found, wanted)) {
      old.insertBefore(wanted, at);
      continue;
    }
    if (found === at) at = at.nextSibling;
    else old.insertBefore(found, at);
    morph(found, wanted);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function field(old, fresh) {
  if (old.type === "checkbox") old.checked = fresh.checked;
  else if (old.type !== "file" && old.value !== fresh.value && document.activeElement !== old) old.value = fresh.value;
}
