// The entries of a wave: filtered, searched, sorted and paged by the service, however many there are.
import { t, number, time } from "./text.js";
import { changed } from "./address.js";
import { causeName, failure, loading, open, statusPill, STATUSES, sum, told, TONES, verdictPill, VERDICTS } from "./bits.js";

const { make, copyButton } = Parts;
const SORTS = ["index", "-index", "key", "-key", "job_id", "-job_id", "status", "-status", "verdict", "-verdict", "error_code", "-error_code", "attempts", "-attempts", "finished_at", "-finished_at"];
const COLUMNS = [["index", "index"], ["entry", "key"], ["outcome", "status"], ["wrong", "error_code"], ["labels", null], ["requests", "attempts"], ["finished", "finished_at"]];
const FILTERS = ["status", "verdict", "error_kind", "error_code"];

// What the service is asked for, of the address.
export function asked(query) {
  const params = new URLSearchParams({ limit: "100", sort: SORTS.includes(query.sort) ? query.sort : "index" });
  for (const [name, value] of Object.entries(query)) {
    if ([...FILTERS, "q", "after"].includes(name) || name.startsWith("label.")) params.set(name, value);
  }
  return params.toString();
}

// Another set of entries begins with its first page.
const other = (view, query) => changed(view, { after: null, entry: null, ...query });

function chips(view, facet, counts) {
  const chosen = new Set((view.query[facet] ?? "").split(",").filter(Boolean));
  const without = (name) => [...chosen].filter((one) => one !== name);
  return make("div", { class: "chips", role: "group", "aria-label": t(`filter.${facet}`) }, make("span", { class: "soft" }, t(`filter.${facet}`)),
    ...counts.filter(([name, count]) => count || chosen.has(name)).map(([name, count]) => make("button", {
      type: "button", class: `chip ${TONES[facet][name]}`, "aria-pressed": String(chosen.has(name)),
      "data-go": other(view, { [facet]: (chosen.has(name) ? without(name) : [...chosen, name]).join(",") || null }),
    }, make("b", {}, number(count)), ` ${t(`${facet}.${name}`)}`)));
}

function facets({ wave, view, causes }) {
  const statuses = [...STATUSES.map((status) => [status, wave.counts[status]]), ["open", open(wave)]];
  const verdicts = [...VERDICTS.map((verdict) => [verdict, wave.verdicts[verdict]]), ["none", sum(wave.verdicts) ? wave.entries - sum(wave.verdicts) : 0]];
  const found = causes[wave.id]?.list ?? [], value = `${view.query.error_kind ?? ""}|${view.query.error_code ?? ""}`;
  const options = new Map(found.map((cause) => [`${cause.error_kind ?? "none"}|${cause.error_code ?? "none"}`, causeName(cause)]));
  const pick = options.size ? make("label", { class: "pick" }, make("span", { class: "soft" }, t("filter.cause")),
    make("select", { "data-change": "cause", class: value === "|" ? "" : "on" }, make("option", { value: "|" }, t("filter.any")),
      ...[...options].map(([key, name]) => make("option", { value: key, selected: key === value }, name)))) : null;
  return make("div", { id: "facets" }, chips(view, "status", statuses), sum(wave.verdicts) ? chips(view, "verdict", verdicts) : null, pick);
}

function active(view) {
  const tokens = Object.entries(view.query).filter(([name]) => name.startsWith("label.") || ["error_kind", "error_code"].includes(name));
  if (!tokens.length && !["q", "status", "verdict"].some((name) => view.query[name])) return make("div", { id: "active" });
  const all = Object.fromEntries(Object.keys(view.query).filter((name) => name !== "sort").map((name) => [name, null]));
  return make("div", { id: "active" }, ...tokens.map(([name, value]) => make("button", { type: "button", class: "token", "data-go": other(view, { [name]: null }), "aria-label": t("filter.remove", { what: `${name} ${value}` }) }, `${name.replace("label.", "")}: ${value} ×`)),
    make("button", { type: "button", class: "token", "data-go": changed(view, all) }, t("filter.clear")));
}

function row(entry, view) {
  const cell = (label, ...children) => make("td", { role: "cell", "data-label": label }, ...children);
  const wrong = make("div", { class: "clamp" });
  if (entry.error_code) wrong.append(make("code", {}, entry.error_code), " ");
  if (entry.error_msg) wrong.append(told(entry.error_msg));
  const labels = Object.entries(entry.labels).slice(0, 6).map(([name, text]) => make("a", { class: "label", href: other(view, { [`label.${name}`]: text }), title: t("filter.label", { name, text }) }, make("span", { class: "soft" }, `${name} `), text));
  return make("tr", { role: "row", "data-key": String(entry.index) },
    cell(t("column.index"), number(entry.index + 1)),
    cell(t("column.entry"), make("span", { class: "whole" }, make("a", { class: "mono key", href: changed(view, { entry: entry.index }) }, entry.key), copyButton(entry.key, t("fact.key"))), make("br"), entry.job_id ? make("span", { class: "whole" }, make("span", { class: "mono" }, entry.job_id), copyButton(entry.job_id, t("fact.job"))) : null),
    cell(t("column.outcome"), statusPill(entry.status), entry.verdict ? " " : null, entry.verdict ? verdictPill(entry.verdict) : null),
    cell(t("column.wrong"), wrong),
    cell(t("column.labels"), make("div", { class: "labels" }, ...labels)),
    cell(t("column.requests"), entry.attempts ? number(entry.attempts) : ""),
    cell(t("column.finished"), entry.finished_at ? time(entry.finished_at) : ""));
}

export function entriesView(state) {
  const { view, entries } = state, sort = SORTS.includes(view.query.sort) ? view.query.sort : "index";
  const tools = make("div", { id: "tools" },
    make("input", { type: "search", id: "search", "data-input": "search", value: view.query.q ?? "", placeholder: t("search"), "aria-label": t("search.label"), maxlength: "200" }),
    make("label", { class: "pick" }, make("span", { class: "soft" }, t("sort")), make("select", { "data-change": "sort" }, ...SORTS.map((name) => make("option", { value: name, selected: name === sort }, t(`sort.${name}`))))));
  const head = make("tr", { role: "row" }, ...COLUMNS.map(([name, by]) => make("th", { role: "columnheader", scope: "col", "aria-sort": by === null ? null : sort === by ? "ascending" : sort === `-${by}` ? "descending" : "none" },
    by === null ? t(`column.${name}`) : make("button", { type: "button", "data-go": other(view, { sort: sort === by ? `-${by}` : by }) }, t(`column.${name}`)))));
  const shown = entries?.entries ?? [];
  const body = make("tbody", { id: "rows", role: "rowgroup" }, ...shown.map((entry) => row(entry, view)));
  if (entries && !shown.length) body.append(make("tr", { role: "row" }, make("td", { role: "cell", colspan: "7", class: "soft" }, t("entries.none"))));
  const pager = make("nav", { id: "pager", "aria-label": t("pages") },
    view.query.after ? make("a", { href: changed(view, { after: null }), "data-top": "" }, t("pages.first")) : null,
    entries?.next ? make("a", { href: changed(view, { after: entries.next }), "data-top": "" }, t("pages.next")) : null);
  return make("section", { "aria-label": t("tab.entries") }, tools, facets(state), active(view),
    make("div", { id: "bar" }, make("span", { id: "shown", role: "status" }, entries ? t("entries.shown", { count: entries.total, all: state.wave.entries }) : t("loading"))),
    state.failed ? failure(state.failed) : null,
    entries === null ? loading() : make("table", { id: "list", role: "table", "aria-label": t("tab.entries") }, make("thead", { role: "rowgroup" }, head), body), pager);
}
