// Brings the page to life: the address leads, everything else follows it.
(() => {
  const search = document.getElementById("search"), list = document.getElementById("entries"), sort = document.getElementById("sort");
  const noEntry = (view) => Address.text({ ...view, entry: null });
  const noPage = (view) => Address.text({ ...view, entry: null, page: 1 });
  let drawn = null, chosen = null, found = null, scrolls = false;

  function show(view) {
    if (noEntry(view) !== drawn) {
      drawn = noEntry(view);
      if (noPage(view) !== chosen) { // turning a page looks for nothing
        chosen = noPage(view);
        found = Entries.select(view);
      }
      const { shown, counts } = found;
      List.draw(shown, view);
      Facets.draw(view, counts);
      if (search.value.trim() !== view.q) search.value = view.q;
      followDifferences(view, shown);
    }
    Entry.draw(view.entry);
    if (scrolls) list.scrollIntoView({ block: "start" });
    scrolls = false;
  }

  // The differences follow the list: only those of entries that it shows.
  const differences = [...document.querySelectorAll("#differences > [data-entry]")];
  function followDifferences(view, shown) {
    const all = !view.q && !view.filters.size;
    const among = all ? null : new Set(shown.map(Entries.anchor));
    let left = 0;
    for (const one of differences) {
      one.hidden = !all && !among.has(one.dataset.entry);
      left += !one.hidden;
    }
    const said = document.getElementById("differences-said");
    if (said) said.textContent = all ? "" : `Of the entries that are filtered: ${Parts.number(left)} of ${Parts.number(differences.length)}.`;
  }

  // A link outside the list leads to the list; one to an entry opens it where the reader is.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const view = Address.parse(link.getAttribute("href"));
    scrolls = view.entry === null && (!link.closest("#entries") || link.hasAttribute("data-page"));
    Address.go(view);
    if (scrolls) list.scrollIntoView({ block: "start" }); // where nothing changed
    scrolls = false;
  });

  // What is typed is looked for when the typing rests; whatever else is clicked comes after it.
  let waiting = 0;
  const look = () => {
    if (!waiting) return;
    clearTimeout(waiting);
    waiting = 0;
    Address.go({ ...Address.now(), q: search.value.trim(), page: 1, entry: null }, true);
  };
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(look, 120); });
  const lookFirst = (event) => { if (event.target !== search) look(); };
  for (const kind of ["click", "change"]) document.addEventListener(kind, lookFirst, { capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea, dialog")) return;
    event.preventDefault();
    search.focus();
  });
  sort.addEventListener("change", () => Address.go({ ...Address.now(), sort: sort.value, page: 1 }));
  for (const button of document.querySelectorAll("th [data-sort]")) {
    button.addEventListener("click", () => {
      const view = Address.now(), name = button.dataset.sort;
      Address.go({ ...view, sort: view.sort === name ? `-${name}` : name, page: 1 });
    });
  }

  Parts.dress(document);
  const first = Address.parse(location.hash);
  scrolls = first.entry === null && (first.q !== "" || first.filters.size > 0);
  Address.listen(show);
})();
