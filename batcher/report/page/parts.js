// Small things that the other scripts are made of. Text goes in as text, never as markup.
const Parts = (() => {
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, text] of Object.entries(attributes)) {
      if (text !== null && text !== undefined && text !== false) element.setAttribute(name, text === true ? "" : text);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  const number = (count) => count.toLocaleString("en");
  const pill = (text, tone) => make("span", { class: `pill ${tone ?? "idle"}` }, text);

  // --- copying ---
  const icon = () => {
    const NS = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(NS, "svg"), path = document.createElementNS(NS, "path");
    for (const [name, text] of [["viewBox", "0 0 16 16"], ["width", "14"], ["height", "14"], ["aria-hidden", "true"]]) svg.setAttribute(name, text);
    path.setAttribute("d", "M5 1h8a2 2 0 0 1 2 2v8h-1.5V3a.5.5 0 0 0-.5-.5H5zM3 4h7a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H3a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2m0 1.5a.5.5 0 0 0-.5.5v7c0 .3.2.5.5.5h7a.5.5 0 0 0 .5-.5V6a.5.5 0 0 0-.5-.5z");
    svg.append(path);
    return svg;
  };
  const words = { copied: "Copied.", refused: "Your browser does not allow copying.", copy: (what) => `Copy ${what}` }; // a page in another language has its own
  const copyButton = (text, what) => make("button", { type: "button", class: "copy", "data-copy": text, "aria-label": words.copy(what), title: words.copy(what) }, icon());

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // not allowed, or not there: the old way
      const area = make("textarea", { readonly: true, class: "off" });
      area.value = text;
      (document.querySelector("dialog[open]") ?? document.body).append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      if (!done) return false;
    }
    return true;
  };

  const tell = (text) => { document.getElementById("told").textContent = text; };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    event.preventDefault();
    const done = await copy(button.dataset.copy);
    tell(done ? words.copied : words.refused);
    button.classList.toggle("done", done);
    setTimeout(() => button.classList.remove("done"), 1200);
  });

  // --- times: in the page's zone (UTC, where none was named), the reader's own on hover ---
  const { zone } = document.documentElement.dataset;
  const format = zone && new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });
  const offset = zone && new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
  const shown = (text) => {
    if (!zone) return `${text.replace("T", " ").replace(/(\.\d+)?(Z|\+00:00)$/, "")} UTC`;
    const moment = new Date(text);
    const { value } = offset.formatToParts(moment).find((part) => part.type === "timeZoneName");
    return `${format.format(moment)} ${value === "GMT" ? "UTC" : value.replace("GMT", "")}`;
  };
  const local = (element) => {
    const moment = new Date(element.dateTime);
    if (!Number.isNaN(moment.getTime())) element.title = `${moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })} (${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
  };
  const time = (text) => {
    const element = make("time", { datetime: text }, shown(text));
    local(element);
    return element;
  };

  // An argument for a shell.
  const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

  // A table that is wider than its place can be scrolled by keyboard as well.
  const sized = new ResizeObserver((changes) => {
    for (const { target } of changes) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });

  // What stands in the page already gets its buttons and times.
  const dress = (root) => {
    for (const element of root.querySelectorAll("[data-whole]")) element.after(copyButton(element.textContent, element.dataset.whole));
    for (const element of root.querySelectorAll("time")) local(element);
    for (const element of root.querySelectorAll(".wide")) sized.observe(element);
  };

  return { make, words, number, pill, copyButton, copy, tell, time, quoted, dress };
})();
