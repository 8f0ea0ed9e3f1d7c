// The page's address says what is shown: every view can be passed on as a link, and the back button works.
const Address = (() => {
  const FIRST = "state"; // the order of the list where none is asked for: trouble first

  const parse = (hash) => {
    const view = { q: "", filters: new Map(), sort: FIRST, page: 1, entry: null };
    for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
      if (name === "q") view.q = text;
      else if (name === "sort") view.sort = Entries.canSort(text) ? text : FIRST;
      else if (name === "page") view.page = Math.max(1, Number.parseInt(text, 10) || 1);
      else if (name === "entry") view.entry = text;
      else if (Entries.facet(name)) view.filters.set(name, new Set(view.filters.get(name)).add(text));
    }
    return view;
  };

  const text = (view) => {
    const params = new URLSearchParams();
    if (view.q) params.set("q", view.q);
    for (const [name, values] of view.filters) for (const value of values) params.append(name, value);
    if (view.sort !== FIRST) params.set("sort", view.sort);
    if (view.page > 1) params.set("page", view.page);
    if (view.entry !== null) params.set("entry", view.entry);
    return `#${params}`;
  };

  let current = ""; // also where a viewer forbids to change the address
  let changed = () => {};
  const tell = (hash) => { current = hash; changed(parse(hash)); };

  // Show *view*: as a step that the back button undoes, or, with *instead*, in the place of the present one.
  const go = (view, instead = false) => {
    const hash = text(view);
    if (hash === current) return;
    try {
      if (instead) history.replaceState(null, "", hash);
      else history.pushState(null, "", hash);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // some viewers show the page in a sandbox
    }
    tell(hash);
  };

  const listen = (whenChanged) => {
    changed = whenChanged;
    const read = () => { if (location.hash !== current) tell(location.hash); };
    addEventListener("hashchange", read);
    addEventListener("popstate", read);
    tell(location.hash);
  };

  return { parse, text, go, listen, now: () => parse(current), FIRST };
})();
