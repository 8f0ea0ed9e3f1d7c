// Who did what, when and from where: the newest first, for those who may read it.
import { t, time } from "./text.js";
import { changed, ofWave } from "./address.js";
import { failure, loading } from "./bits.js";

const { make } = Parts;
export const AUDIT_PAGE = 100;
const TONES = { done: "good", begun: "idle", refused: "warn", failed: "bad" };
const ACTIONS = ["submit", "approve", "start", "pause", "resume", "stop", "retry-failed", "recheck", "change", "settle", "check", "audit"];

export function auditQuery(query) {
  const asked = new URLSearchParams({ limit: String(AUDIT_PAGE), before: query.before ?? "0" });
  for (const name of ["wave", "who"]) if (query[name]) asked.set(name, query[name]);
  return asked;
}

const action = (line) => (ACTIONS.includes(line.action) ? t(`action.${line.action}`) : make("span", { class: "mono" }, line.action));

function detail(line) {
  const parts = Object.entries(line.detail ?? {}).map(([name, value]) => make("span", { class: "label" }, make("span", { class: "soft" }, `${name} `), typeof value === "string" ? value : JSON.stringify(value)));
  return make("div", { class: "labels", lang: "en" }, ...parts);
}

function row(line, view) {
  const cell = (name, ...children) => make("td", { role: "cell", "data-label": t(`column.${name}`) }, ...children);
  const only = (name, value) => changed(view, { [name]: value, before: null });
  return make("tr", { role: "row", "data-key": String(line.seq) },
    cell("when", time(line.at)),
    cell("who", make("a", { class: "key", href: only("who", line.who) }, line.who), make("div", { class: "soft small" }, t(`role.${line.role}`), " · ", make("span", { class: "mono" }, line.address))),
    cell("action", action(line), line.wave ? make("div", { class: "small" }, make("a", { class: "mono", href: ofWave(line.wave) }, line.wave), " ", make("a", { class: "soft", href: only("wave", line.wave) }, t("audit.only"))) : null),
    cell("came", make("span", { class: `pill ${TONES[line.outcome] ?? "idle"}` }, t(`outcome.${line.outcome}`))),
    cell("detail", detail(line)));
}

export function auditView(state) {
  const { view, audit } = state;
  const head = make("div", { class: "title" }, make("h1", { tabindex: "-1" }, t("audit.title")));
  const intro = make("p", { class: "soft" }, t("audit.intro"));
  const tokens = ["who", "wave"].filter((name) => view.query[name]).map((name) => make("button", { type: "button", class: "token", "data-go": changed(view, { [name]: null, before: null }), "aria-label": t("filter.remove", { what: `${t(`column.${name}`)} ${view.query[name]}` }) }, `${t(`column.${name}`)}: ${view.query[name]} ×`));
  const top = make("div", {}, head, intro, make("div", { id: "active" }, ...tokens));
  if (audit === null) return make("div", {}, top, state.failed ? failure(state.failed) : loading());
  const columns = ["when", "who", "action", "came", "detail"];
  const table = make("table", { id: "audit", role: "table", "aria-label": t("audit.title") },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...columns.map((name) => make("th", { role: "columnheader", scope: "col" }, t(`column.${name}`))))),
    make("tbody", { role: "rowgroup" }, ...audit.lines.map((line) => row(line, view))));
  const pager = make("nav", { id: "pager", "aria-label": t("pages") },
    view.query.before ? make("a", { href: changed(view, { before: null }), "data-top": "" }, t("audit.newest")) : null,
    audit.next ? make("a", { href: changed(view, { before: audit.next }), "data-top": "" }, t("audit.older")) : null);
  return make("div", {}, top, audit.lines.length ? table : make("div", { class: "empty" }, make("p", {}, t("audit.empty"))), pager, state.failed ? failure(state.failed) : null);
}
