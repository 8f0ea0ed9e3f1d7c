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
  const labelsAt = (place) => {
    let found = labelled.get(place);
    if (!found) labelled.set(place, found = new Map(pool[place]));
    return found;
  };
  const labels = (row) => labelsAt(row[column.labels]);

  // --- facets: what the list can be filtered by. Each reads one pooled column: its texts follow from places in the pool ---
  const facet = (name, title, from, textAt) => ({ name, title, at: column[from], of: (row) => textAt(row[column[from]]), textAt });
  const plain = (name, title) => facet(name, title, name, (place) => pool[place] ?? "");
  const facets = [
    facet("show", "Show", "state", (place) => (grave.has(pool[place]) ? "trouble" : "")),
    plain("status", "Status"), plain("verdict", "Verdict"), plain("state", "Stands"),
    facet("wave", "Results file", "wave", (place) => files[pool[place]]),
    plain("project_id", "Project"), plain("endpoint", "Endpoint"), plain("error_kind", "Kind"), plain("code", "Code"),
    plain("said", "Message"),
  ];
  const MOST_VALUES = 500; // a label with more of them tells entries apart, and is for the search field
  const byName = new Map(facets.map((one) => [one.name, one]));
  const labelValues = new Map();
  for (const place of new Set(rows.map((row) => row[column.labels]))) {
    for (const [name, text] of pool[place]) {
      if (!labelValues.has(name)) labelValues.set(name, new Set());
      labelValues.get(name).add(text);
    }
  }
  for (const [name, values] of labelValues) {
    const one = facet(`label.${name}`, name, "labels", (place) => labelsAt(place).get(name) ?? "");
    byName.set(one.name, one);
    if (values.size <= MOST_VALUES) facets.push(one);
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
  // A hundred thousand rows are gone through with every click, so the counting is by places in the pool.
  const select = (view) => {
    const matches = view.q ? searchFor(view.q) : null;
    const counters = facets.map((one) => ({ facet: one, at: one.at, met: new Uint32Array(pool.length) }));
    const active = [...view.filters].map(([name, values]) => ({ ...filterOf(byName.get(name), values), counter: counters.find((one) => one.facet.name === name) }));
    const shown = [];
    for (const row of rows) {
      let failing = null, several = false;
      for (const filter of active) {
        if (filter.holds(row[filter.at])) continue;
        several = failing !== null;
        failing = filter;
        if (several) break;
      }
      if (several || (matches && !matches(row))) continue;
      if (failing) {
        if (failing.counter) failing.counter.met[row[failing.at]] += 1;
        continue;
      }
      shown.push(row);
      for (const { at, met } of counters) met[row[at]] += 1;
    }
    return { shown: sorted(shown, view.sort), counts: new Map(counters.map((one) => [one.facet.name, byText(one)])) };
  };

  const filterOf = ({ at, textAt }, values) => {
    const known = new Map();
    const holds = (place) => {
      let found = known.get(place);
      if (found === undefined) known.set(place, found = values.has(textAt(place)));
      return found;
    };
    return { at, holds };
  };

  const byText = ({ facet: { textAt }, met }) => {
    const counts = new Map();
    for (let place = 0; place < met.length; place++) {
      if (!met[place]) continue;
      const text = textAt(place);
      counts.set(text, (counts.get(text) ?? 0) + met[place]);
    }
    return counts;
  };

  const sorted = (shown, sort) => {
    if (sort === Address.FIRST) return shown; // they come in this order
    const way = sort.startsWith("-") ? -1 : 1, keys = shown.map(SORTS[sort.replace(/^-/, "")]);
    const order = shown.map((_, place) => place).sort((a, b) => {
      const x = keys[a], y = keys[b];
      if (x === y) return a - b;
      if (x == null) return 1;
      if (y == null) return -1;
      return (x < y ? -1 : 1) * way;
    });
    return order.map((place) => shown[place]);
  };

  return {
    rows, files, facets, facet: (name) => byName.get(name), columns: data.columns, tones: data.tones, labelNames: [...labelValues.keys()].sort(),
    value, anchor, isGrave, why, labels, canSort, select, at: (name) => rows.find((row) => anchor(row) === name),
  };
})();
