// All waves at a glance.
import { t, number, pace, duration, time } from "./text.js";
import { changed, link, ofWave } from "./address.js";
import { causeLink, causeName, failure, limitOf, loading, may, open, paceOf, progress, statePill, sum, told, trouble, troubleChips, UNDER_WAY } from "./bits.js";

const { make } = Parts;
const STATES = ["held", "queued", "running", "paused", "stopping", "stopped", "ended"];

const tile = (what, count, { href = null, tone = "", note = null } = {}) => make(href ? "a" : "div", { class: `tile ${tone}`, href },
  make("span", { class: "soft small" }, what), make("b", {}, count), note ? make("span", { class: "soft small" }, note) : null);

function tiles(state) {
  const waves = state.waves.list, running = waves.filter((wave) => wave.state === "running");
  const held = waves.filter((wave) => wave.state === "held"), paused = waves.filter((wave) => wave.state === "paused");
  const bad = waves.reduce((all, wave) => all + trouble(wave), 0);
  const scopes = state.scopes ?? [], limit = limitOf(scopes), resting = scopes.filter((scope) => scope.reason).length;
  const rate = waves.reduce((all, wave) => all + wave.rate_per_s, 0);
  return make("div", { class: "tiles" },
    tile(t("tile.running"), number(running.length), { href: link("", { state: "running" }), tone: running.length ? "live" : "", note: paused.length ? t("tile.paused", { count: paused.length }) : null }),
    tile(t("tile.pace"), pace(rate), { href: "#/scopes", note: [limit === null ? null : t("tile.limit", { limit: pace(limit) }), resting ? t("tile.resting", { count: resting }) : null].filter(Boolean).join(", ") }),
    tile(t("tile.held"), number(held.length), { href: link("", { state: "held" }), tone: held.length ? "warn" : "" }),
    tile(t("tile.trouble"), number(bad), { tone: bad ? "bad" : "good", note: t("tile.trouble.note", { count: waves.filter(trouble).length }) }));
}

function causes(state, wave) {
  const found = state.causes[wave.id]?.list ?? [];
  return found.slice(0, 2).map((cause) => make("a", { class: "cause small", href: causeLink(wave, cause) }, `${number(cause.count)} × `, make("span", { class: "mono" }, causeName(cause))));
}

function when(wave) {
  if (wave.state === "running" && !open(wave)) return make("div", { class: "small" }, t("togo.comparing", { count: sum(wave.verdicts), all: wave.entries }));
  if (wave.eta_s !== null && wave.state === "running") return make("div", {}, make("b", {}, duration(wave.eta_s)));
  if (wave.ended_at) return make("div", { class: "small" }, t("ended.at"), " ", time(wave.ended_at));
  return make("span", { class: "soft" }, "–");
}

function row(state, wave) {
  const cell = (label, ...children) => make("td", { role: "cell", "data-label": label === null ? null : t(label) }, ...children);
  const busy = UNDER_WAY.includes(wave.state);
  return make("tr", { role: "row", "data-key": wave.id },
    cell("column.wave", make("a", { class: "key", href: ofWave(wave.id) }, wave.name),
      make("div", { class: "soft small" }, t("by", { who: wave.submitted_by }), " · ", time(wave.created_at))),
    cell("column.state", statePill(wave), wave.reason ? told(wave.reason, "div", { class: "soft small clamp" }) : null),
    cell("column.progress", progress(wave)),
    cell(busy ? "column.pace" : null, busy ? paceOf(wave.rate_per_s, limitOf(wave.scopes)) : make("span", { class: "soft" }, "–")),
    cell("column.trouble", ...(trouble(wave) ? [make("div", { class: "chips" }, ...troubleChips(wave)), ...causes(state, wave)] : [make("span", { class: "soft" }, t("none"))])),
    cell("column.togo", when(wave)));
}

export function wavesView(state) {
  const { view, waves } = state, chosen = view.query.state ?? null;
  const chips = make("div", { class: "chips", role: "group", "aria-label": t("filter.state") },
    ...[null, ...STATES].map((one) => make("button", { type: "button", class: "chip", "data-go": changed(view, { state: one, after: null }), "aria-pressed": String(one === chosen) }, one === null ? t("filter.all") : t(`state.${one}`))));
  const head = make("div", { class: "title" }, make("h1", { tabindex: "-1" }, t("waves.title")),
    may(state.who, "submit") ? make("a", { class: "button primary", href: "#/new" }, t("new.link")) : null);
  if (waves === null) return make("div", {}, head, state.failed ? failure(state.failed) : loading());
  const columns = ["wave", "state", "progress", "pace", "trouble", "togo"];
  const table = make("table", { id: "waves", role: "table", "aria-label": t("waves.title") },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...columns.map((name) => make("th", { role: "columnheader", scope: "col" }, t(`column.${name}`))))),
    make("tbody", { role: "rowgroup" }, ...waves.list.map((wave) => row(state, wave))));
  const empty = make("div", { class: "empty" }, make("p", {}, t(chosen === null ? "waves.empty" : "waves.nosuch")),
    chosen === null && may(state.who, "submit") ? make("p", { class: "soft" }, t("waves.drop")) : null);
  const pager = make("nav", { id: "pager", "aria-label": t("pages") },
    view.query.after ? make("a", { href: changed(view, { after: null }) }, t("pages.first")) : null,
    waves.next ? make("a", { href: changed(view, { after: waves.next }) }, t("pages.next")) : null);
  return make("div", {}, head, tiles(state), chips, waves.list.length ? table : empty, pager);
}
