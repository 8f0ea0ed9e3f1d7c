// The table of entries, a hundred at a time: a hundred thousand are as quick as ten.
const List = (() => {
  const { make, number, pill, copyButton } = Parts;
  const { value } = Entries;
  const SIZE = 100, PRINTED = 2000;
  const body = document.getElementById("rows"), pager = document.getElementById("pager"), said = document.getElementById("shown");
  const several = Entries.files.length > 1;
  let current = { shown: [], view: null };

  const whole = (text, what) => (text === null ? null : make("span", { class: "whole" }, make("span", { class: "mono" }, text), copyButton(text, what)));

  const cell = (label, ...children) => make("td", { role: "cell", "data-label": label }, ...children);

  function drawn(row, view) {
    const status = value(row, "status"), verdict = value(row, "verdict"), key = value(row, "key");
    const link = make("a", { class: "mono key", href: Address.text({ ...view, entry: Entries.anchor(row) }) }, key);
    const took = value(row, "took_s"), attempts = value(row, "attempts");
    const text = Entries.why(row), code = value(row, "code");
    const wrong = make("div", { class: "clamp" });
    if (code) wrong.append(make("code", {}, code), " ");
    if (text && (Entries.isGrave(row) || value(row, "state") === "accepted")) wrong.append(text);
    if (value(row, "accepted")) wrong.append(make("span", { class: "soft" }, ` accepted: ${value(row, "accepted")}`));
    const earlier = value(row, "earlier");
    if (earlier) wrong.append(make("span", { class: "soft" }, `${wrong.childNodes.length ? " · " : ""}replaces ${earlier.map(([file, status, verdict]) => `${file}: ${verdict ?? status ?? "no result"}`).join(", ")}`));
    const labels = [...Entries.labels(row)].slice(0, 6).map(([name, text]) =>
      make("a", { class: "label", href: Address.text(Facets.filtered(view, `label.${name}`, new Set([text]))), title: `Only entries with ${name}=${text}` }, make("span", { class: "soft" }, `${name} `), text));
    const line = make("tr", { role: "row", "data-entry": Entries.anchor(row) },
      cell("#", number(value(row, "index") + 1), several ? make("div", { class: "soft small" }, Entries.files[value(row, "wave")].split("/").pop()) : null),
      cell("Entry", make("span", { class: "whole" }, link, copyButton(key, "key")), make("br"), whole(value(row, "job_id"), "job id")),
      cell("Outcome", pill((status ?? "no result").replaceAll("_", " "), Entries.tones.status[status ?? "no_result"]), verdict ? " " : null, verdict ? pill(verdict, Entries.tones.verdict[verdict]) : null),
      cell("What is wrong", wrong),
      cell("Labels", make("div", { class: "labels" }, ...labels)),
      cell("Requests", attempts === null || attempts === undefined ? "" : `${number(attempts)}${value(row, "recovered") ? " ↺" : ""}`),
      cell("Took", took === null || took === undefined || took === "" ? "" : `${took.toFixed(1)} s`));
    return line;
  }

  const pages = () => Math.max(1, Math.ceil(current.shown.length / SIZE));

  function draw(shown, view) {
    current = { shown, view };
    const page = Math.min(view.page, pages()), first = (page - 1) * SIZE;
    body.replaceChildren(...shown.slice(first, first + SIZE).map((row) => drawn(row, view)));
    if (!shown.length) body.append(make("tr", { role: "row" }, make("td", { role: "cell", colspan: "7", class: "soft" }, Entries.rows.length ? "No entry is like that. Take a filter away." : "No entry has ended yet.")));
    said.textContent = `${number(shown.length)} of ${number(Entries.rows.length)} entries`;
    for (const button of document.querySelectorAll("th [data-sort]")) {
      const name = button.dataset.sort;
      button.parentElement.setAttribute("aria-sort", view.sort === name ? "ascending" : view.sort === `-${name}` ? "descending" : "none");
    }
    document.getElementById("sort").value = view.sort;
    drawPager(page);
  }

  function drawPager(page) {
    const { view, shown } = current, last = pages();
    pager.hidden = last === 1;
    if (last === 1) return;
    const to = (text, label, target) => {
      const on = target >= 1 && target <= last && target !== page;
      return on ? make("a", { href: Address.text({ ...view, page: target, entry: null }), "aria-label": label, "data-page": target }, text) : make("span", { class: "soft", "aria-hidden": "true" }, text);
    };
    pager.replaceChildren(
      to("« First", "First page", 1), to("‹ Previous", "Previous page", page - 1),
      make("span", {}, `${number((page - 1) * SIZE + 1)}–${number(Math.min(page * SIZE, shown.length))} of ${number(shown.length)}`),
      to("Next ›", "Next page", page + 1), to("Last »", "Last page", last));
  }

  // On paper there is nothing to turn or to unfold: what is filtered is printed, as far as paper bears it.
  const unfolded = [];
  const printed = (on) => {
    const { shown, view } = current;
    if (!view) return;
    if (!on) {
      for (const details of unfolded.splice(0)) details.open = false;
      draw(shown, view);
      return;
    }
    for (const details of document.querySelectorAll("#first details:not([open]), #differences details:not([open], [hidden])")) {
      details.open = true;
      unfolded.push(details);
    }
    const grave = view.filters.size || view.q ? shown : shown.filter(Entries.isGrave);
    body.replaceChildren(...grave.slice(0, PRINTED).map((row) => drawn(row, view)));
    said.textContent = grave === shown ? `${number(shown.length)} of ${number(Entries.rows.length)} entries` : `the ${number(grave.length)} of ${number(Entries.rows.length)} entries that need attention`;
    if (grave.length > PRINTED) said.textContent += `, the first ${number(PRINTED)} of them printed`;
  };
  matchMedia("print").addEventListener("change", (event) => printed(event.matches));

  return { draw, shown: () => current.shown };
})();
