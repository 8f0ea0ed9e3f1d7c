"use strict";
// The list of entries: only the rows in view exist, so a hundred thousand scroll as easily as ten.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { rows, pool } = data;
  const column = Object.fromEntries(data.columns.map((name, place) => [name, place]));
  const pooled = new Set(data.pooled);
  const HEIGHT = 30, MARGIN = 8;
  const element = (id) => document.getElementById(id);
  const view = element("window"), spacer = element("spacer"), body = element("rows"), search = element("search");
  const value = (row, name) => (pooled.has(name) ? pool[row[column[name]]] : row[column[name]]);
  const texts = new Array(rows.length);
  const textOf = (place) => (texts[place] ??= data.columns.map((name) => value(rows[place], name) ?? "").join("\n").toLowerCase());

  let shown = rows.map((_, place) => place);
  let order = { name: "index", way: 1 };

  const on = (kind) => new Set([...document.querySelectorAll(`button[data-${kind}][aria-pressed=true]`)].map((b) => b.dataset[kind]));

  function select() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const statuses = on("status"), verdicts = on("verdict");
    shown = [];
    for (let place = 0; place < rows.length; place++) {
      const row = rows[place];
      if (statuses.size && !statuses.has(value(row, "status"))) continue;
      if (verdicts.size && !verdicts.has(value(row, "verdict"))) continue;
      if (words.length && !words.every((word) => textOf(place).includes(word))) continue;
      shown.push(place);
    }
    sort();
  }

  function sort() {
    const { name, way } = order;
    const keys = new Map(shown.map((place) => [place, value(rows[place], name)]));
    shown.sort((a, b) => {
      const x = keys.get(a), y = keys.get(b);
      if (x === y) return a - b;
      if (x == null) return 1;
      if (y == null) return -1;
      return (x < y ? -1 : 1) * way;
    });
    for (const button of document.querySelectorAll(".head button")) {
      const sorted = button.dataset.sort === name;
      button.dataset.order = sorted ? way : "";
      button.parentElement.setAttribute("aria-sort", sorted ? (way > 0 ? "ascending" : "descending") : "none");
    }
    view.scrollTop = 0;
    spacer.style.height = `${shown.length * HEIGHT}px`;
    element("shown").textContent = `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} entries`;
    draw();
  }

  const cell = (text, tone) => {
    const span = document.createElement("span");
    span.textContent = text ?? "";
    if (tone) span.className = `tone ${tone}`;
    span.title = text ?? "";
    return span;
  };

  function draw() {
    const first = Math.max(0, Math.floor(view.scrollTop / HEIGHT) - MARGIN);
    const last = Math.min(shown.length, Math.ceil((view.scrollTop + view.clientHeight) / HEIGHT) + MARGIN);
    body.style.top = `${first * HEIGHT}px`;
    body.replaceChildren(...shown.slice(first, last).map((place) => {
      const row = rows[place], line = document.createElement("div");
      const status = value(row, "status"), verdict = value(row, "verdict");
      line.className = "row";
      line.tabIndex = 0;
      line.dataset.place = place;
      line.setAttribute("role", "row");
      const trouble = [value(row, "error_code"), value(row, "reason") ?? value(row, "error_msg")].filter(Boolean).join(" · ");
      line.append(
        cell(value(row, "index") + 1), cell(value(row, "key")), cell(value(row, "job_id")),
        cell(status, data.tones[status]), cell(verdict, data.tones[verdict]),
        cell(value(row, "attempts") + (value(row, "recovered") ? " ↺" : "")),
        cell(value(row, "took_s") == null ? "" : `${value(row, "took_s").toFixed(1)} s`), cell(trouble));
      for (const span of line.children) span.setAttribute("role", "cell");
      return line;
    }));
  }

  function open(place) {
    const row = rows[place], list = element("facts");
    element("which").textContent = value(row, "key");
    list.replaceChildren();
    const add = (name, text) => {
      if (text == null || text === "") return;
      const term = document.createElement("dt"), said = document.createElement("dd");
      term.textContent = name;
      said.textContent = text;
      list.append(term, said);
    };
    for (const name of data.columns) {
      if (name === "index") add("place in the manifest", value(row, name) + 1);
      else if (name === "took_s") add("took", value(row, name) == null ? null : `${value(row, name).toFixed(3)} s`);
      else if (name === "recovered") add(name, value(row, name) ? "yes: the task id was learnt by reconciling" : null);
      else add(name, value(row, name));
    }
    add("every attempt", `batcher explain ${data.quoted} --key=${quote(value(row, "key"))}`);
    element("entry").showModal();
  }
  const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(select, 120); });
  for (const button of document.querySelectorAll("#controls button")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      select();
    });
  }
  for (const button of document.querySelectorAll(".head button")) {
    button.addEventListener("click", () => {
      order = { name: button.dataset.sort, way: order.name === button.dataset.sort ? -order.way : 1 };
      sort();
    });
  }
  let frame = 0;
  view.addEventListener("scroll", () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(draw); });
  addEventListener("resize", draw);
  body.addEventListener("click", (event) => { const line = event.target.closest(".row"); if (line) open(Number(line.dataset.place)); });
  body.addEventListener("keydown", (event) => { if (event.key === "Enter") open(Number(event.target.dataset.place)); });
  element("close").addEventListener("click", () => element("entry").close());
  select();
})();
