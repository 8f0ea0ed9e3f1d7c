// What the list can be filtered by: buttons for statuses and verdicts, lists for all else, and what is on.
const Facets = (() => {
  const { make, number } = Parts;
  const box = document.getElementById("facets"), active = document.getElementById("active");
  const BUTTONS = new Set(["show", "status", "verdict"]);
  const SAID = { show: { trouble: "needs attention" }, status: { "": "no result yet" }, verdict: { "": "none yet" } };
  const said = (name, text) => SAID[name]?.[text] ?? (text === "" ? "(none)" : text.replaceAll("_", " "));
  const shownAs = (facet, text) => (BUTTONS.has(facet.name) || facet.name === "state" ? said(facet.name, text) : text === "" ? "(none)" : text);

  // *view* with only *values* of *name*; none takes the filter away.
  const filtered = (view, name, values) => {
    const filters = new Map(view.filters);
    if (values.size) filters.set(name, values);
    else filters.delete(name);
    return { ...view, filters, page: 1, entry: null };
  };
  const toggled = (view, name, text) => {
    const values = new Set(view.filters.get(name));
    if (!values.delete(text)) values.add(text);
    return filtered(view, name, values);
  };

  // The values that each facet has at all: they stay where they are while the counts change.
  const all = Entries.select({ q: "", filters: new Map(), sort: Address.FIRST }).counts;
  const worth = (facet) => {
    const values = all.get(facet.name);
    return facet.name === "show" ? values.has("trouble") : facet.name !== "state" && (values.size > 1 || (BUTTONS.has(facet.name) && [...values.keys()].some(Boolean)));
  };

  const drawn = Entries.facets.filter(worth).map((facet) => {
    const values = [...all.get(facet.name)].sort((a, b) => (BUTTONS.has(facet.name) ? b[1] - a[1] : String(a[0]).localeCompare(String(b[0]), "en", { numeric: true }))).map(([text]) => text);
    return BUTTONS.has(facet.name) ? buttons(facet, values) : list(facet, values);
  });

  function buttons(facet, values) {
    const group = make("span", { role: "group", class: "chips", "aria-label": facet.title });
    if (facet.name !== "show") group.append(make("span", { class: "soft" }, facet.title));
    const made = values.filter((text) => facet.name !== "show" || text).map((text) => {
      const count = make("b");
      const button = make("button", { type: "button", class: `chip ${Entries.tones[facet.name]?.[text || "no_result"] ?? "idle"}`, "data-facet": facet.name, "data-value": text }, count, ` ${said(facet.name, text)}`);
      button.addEventListener("click", () => Address.go(toggled(Address.now(), facet.name, text)));
      group.append(button);
      return { text, button, count };
    });
    box.append(group);
    return (view, counts) => {
      for (const { text, button, count } of made) {
        const met = counts.get(facet.name).get(text) ?? 0, on = view.filters.get(facet.name)?.has(text) ?? false;
        count.textContent = number(met);
        button.setAttribute("aria-pressed", on);
        button.classList.toggle("none", !met && !on);
      }
    };
  }

  function list(facet, values) {
    const select = make("select", { "data-facet": facet.name });
    const options = values.map((text) => ({ text, option: make("option", { value: `=${text}` }) }));
    select.append(make("option", { value: "" }, "all"), ...options.map(({ option }) => option), make("option", { value: "several", hidden: true }, "several"));
    select.addEventListener("change", () => {
      if (select.value !== "several") Address.go(filtered(Address.now(), facet.name, new Set(select.value ? [select.value.slice(1)] : [])));
    });
    box.append(make("label", { class: "pick" }, make("span", { class: "soft" }, facet.title), select));
    return (view, counts) => {
      for (const { text, option } of options) option.textContent = `${shownAs(facet, text)} (${number(counts.get(facet.name).get(text) ?? 0)})`;
      const on = view.filters.get(facet.name);
      select.value = !on ? "" : on.size > 1 ? "several" : `=${[...on][0]}`;
      select.classList.toggle("on", Boolean(on));
    };
  }

  const draw = (view, counts) => {
    for (const one of drawn) one(view, counts);
    const tokens = [...view.filters].flatMap(([name, values]) => [...values].map((text) => {
      const facet = Entries.facet(name);
      const token = make("button", { type: "button", class: "token", "aria-label": `Remove the filter ${facet.title}: ${shownAs(facet, text)}` },
        make("span", { class: "soft" }, `${facet.title}: `), shownAs(facet, text), " ✕");
      token.addEventListener("click", () => Address.go(toggled(Address.now(), name, text)));
      return token;
    }));
    if (view.q) {
      const token = make("button", { type: "button", class: "token", "aria-label": "Empty the search field" }, make("span", { class: "soft" }, "Text: "), view.q, " ✕");
      token.addEventListener("click", () => Address.go({ ...Address.now(), q: "", page: 1 }));
      tokens.push(token);
    }
    if (tokens.length) {
      const clear = make("a", { href: "#", id: "clear" }, "Show all");
      clear.addEventListener("click", (event) => { event.preventDefault(); Address.go({ ...Address.parse(""), sort: Address.now().sort }); });
      tokens.push(clear);
    }
    active.replaceChildren(...tokens);
  };

  return { draw, filtered };
})();
