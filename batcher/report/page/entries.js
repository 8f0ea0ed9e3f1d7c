// The entries, and which of them a view shows. Columns whose texts repeat hold places in a pool of texts.
const Entries = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { rows, pool, files } = data;
  const column = Object.fromEntries(data.columns.map((name, place) => [name, place]));
  const pooled = new Set(data.pooled);
  const rank = new Map(data.states.map((name, place) => [name, place]));
  const grave = new Set(data.grave);

  const value = (row, name) => (pooled.has(name) ? pool[row[column[name]]] : row[column[name]]);
  const anchor = (row) => `${value(row, "wave")}.${value(row, "index")}`;
  const isGrave = (row) => grave.has(value(row, "state"));
  const why = (row) => value(row, "why") ?? value(row, "verdict_reason") ?? value(row, "error_msg");

  // Label objects by their place in the pool; most entries share theirs with others, or have few.
  const labelled = new Map();
  const labels = (row) => {
    const place = row[column.labels];
    let found = labelled.get(place);
    if (!found) labelled.set(place, found = new Map(pool[place]));
    return found;
  };

  // --- facets: what the list can be filtered by ---
  const plain = (name, title) => ({ name, title, of: (row) => value(row, name) ?? "" });
  const facets = [
    { name: "show", title: "Show", of: (row) => (isGrave(row) ? "trouble" : "") },
    plain("status", "Status"), plain("verdict", "Verdict"), plain("state", "Stands"),
    { name: "wave", title: "Results file", of: (row) => files[value(row, "wave")] },
    plain("project_id", "Project"), plain("endpoint", "Endpoint"), plain("error_kind", "Kind"), plain("code", "Code"),
  ];
  const MOST_VALUES = 500; // a label with more of them tells entries apart, and is for the search field
  const byName = new Map(facets.map((facet) => [facet.name, facet]));
  const labelValues = new Map();
  const pooledLabels = new Set(rows.map((row) => row[column.labels]));
  for (const place of pooledLabels) {
    for (const [name, text] of pool[place]) {
      if (!labelValues.has(name)) labelValues.set(name, new Set());
      labelValues.get(name).add(text);
    }
  }
  for (const [name, values] of labelValues) {
    const facet = { name: `label.${name}`, title: name, of: (row) => labels(row).get(name) ?? "", label: true };
    byName.set(facet.name, facet);
    if (values.size <= MOST_VALUES) facets.push(facet);
  }

  // --- search ---
  const SEARCHED = ["key", "job_id", "object_level_compare_task_id", "data_level_compare_task_id", "request_id"];
  const poolTexts = pool.map((text) => (Array.isArray(text) ? text.map(([n, t]) => `${n}=${t}`).join("\n") : String(text ?? "")).toLowerCase());
  const pooledColumns = data.pooled.filter((name) => name !== "wave").map((name) => column[name]);
  const plainColumns = SEARCHED.map((name) => column[name]);
  const searchFor = (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const inPool = words.map((word) => poolTexts.map((one) => one.includes(word)));
    return (row) => words.every((word, nth) =>
      pooledColumns.some((place) => inPool[nth][row[place]])
      || plainColumns.some((place) => row[place] !== null && row[place].toLowerCase().includes(word)));
  };

  // --- what a view shows ---
  const SORTS = {
    state: (row) => rank.get(value(row, "state")),
    index: (row) => value(row, "wave") * 2 ** 32 + value(row, "index"),
    key: (row) => value(row, "key"), job_id: (row) => value(row, "job_id"),
    status: (row) => value(row, "status"), verdict: (row) => value(row, "verdict"),
    attempts: (row) => value(row, "attempts"), took_s: (row) => value(row, "took_s"),
    submitted_at: (row) => value(row, "submitted_at"),
  };
  const canSort = (text) => Object.hasOwn(SORTS, text.replace(/^-/, ""));

  // The rows that *view* shows, in its order; and of every facet how often each value is met, as if it alone were off.
  const select = (view) => {
    const matches = view.q ? searchFor(view.q) : () => true;
    const active = [...view.filters].map(([name, values]) => ({ facet: byName.get(name), values }));
    const counts = new Map(facets.map((facet) => [facet.name, new Map()]));
    const shown = [];
    const count = (facet, row) => {
      const met = counts.get(facet.name);
      if (!met) return;
      const text = facet.of(row);
      met.set(text, (met.get(text) ?? 0) + 1);
    };
    for (const row of rows) {
      const failing = active.filter(({ facet, values }) => !values.has(facet.of(row)));
      if (failing.length > 1 || !matches(row)) continue;
      if (failing.length === 1) count(failing[0].facet, row);
      else {
        shown.push(row);
        for (const facet of facets) count(facet, row);
      }
    }
    return { shown: sorted(shown, view.sort), counts };
  };

  const sorted = (shown, sort) => {
    if (sort === Address.FIRST) return shown; // they come in this order
    const way = sort.startsWith("-") ? -1 : 1, keyOf = SORTS[sort.replace(/^-/, "")];
    const keys = new Map(shown.map((row) => [row, keyOf(row)]));
    return shown.sort((a, b) => {
      const x = keys.get(a), y = keys.get(b);
      if (x === y) return 0;
      if (x == null) return 1;
      if (y == null) return -1;
      return (x < y ? -1 : 1) * way;
    });
  };

  return {
    rows, files, facets, facet: (name) => byName.get(name), columns: data.columns, tones: data.tones, labelNames: [...labelValues.keys()].sort(),
    value, anchor, isGrave, why, labels, canSort, select, at: (name) => rows.find((row) => anchor(row) === name),
  };
})();
