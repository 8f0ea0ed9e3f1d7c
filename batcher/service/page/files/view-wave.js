// One wave: where it stands, what can be done with it, and its chapters.
import { t, number, duration, share, time } from "./text.js";
import { link, ofWave, TABS } from "./address.js";
import { button, bar, causeLink, causeName, failure, limitOf, loading, may, open, paceOf, STATUSES, statePill, sum, told, TONES, trouble, UNDER_WAY, VERDICTS } from "./bits.js";
import { chart } from "./chart.js";
import { scopeTable } from "./view-scopes.js";
import { entriesView } from "./view-entries.js";
import { troubleView } from "./view-trouble.js";
import { verdictsView } from "./view-verdicts.js";
import { requestsView } from "./view-requests.js";

const { make, copyButton } = Parts;

// What may be done now, and by whom. The service decides; this only spares people what it would refuse.
function actions({ wave, who }) {
  const found = [], { state, counts } = wave;
  const add = (what, role, tone = "", refused = null) => found.push({ what, tone, refused: may(who, role) ? refused : t("role.needs", { role: t(`role.${role}`) }) });
  if (state === "held" && wave.needs_approval) add("approve", "approve", "primary", wave.submitted_by === who.name ? t("approve.own") : null);
  if (state === "held" && !wave.needs_approval) add("start", "submit", "primary");
  if (state === "paused") add("resume", "submit", "primary");
  if (state === "stopped") add("start", "submit", "primary");
  if (["stopped", "ended"].includes(state)) {
    if (counts.failed + counts.partial) add("retry-failed", "submit");
    if (VERDICTS.some((verdict) => verdict !== "consistent" && wave.verdicts[verdict])) add("recheck", "submit");
  }
  if (["queued", "running"].includes(state)) add("pause", "submit");
  if (["held", "queued", "running", "paused", "stopped"].includes(state)) add("change", "submit");
  if (["held", "queued", "running", "paused"].includes(state)) add("stop", "submit", "bad");
  return found;
}

function actionBar(state) {
  const found = actions(state);
  if (!found.length) return null;
  return make("div", { class: "actions", role: "group", "aria-label": t("actions") },
    ...found.map(({ what, tone, refused }) => button(what, t(`do.${what}`), { tone, disabled: refused !== null, title: refused })),
    ...found.filter(({ refused }) => refused).slice(0, 1).map(({ refused }) => make("span", { class: "soft small" }, refused)));
}

function counts(wave) {
  const parts = [...STATUSES.map((status) => [status, wave.counts[status]]), ["open", open(wave)]].filter(([status, count]) => count || ["created", "failed", "unsettled", "open"].includes(status));
  return make("section", { "aria-labelledby": "counts" }, make("h2", { id: "counts" }, t("counts.title")),
    bar(parts.map(([status, count]) => ({ tone: status === "open" ? "rest" : TONES.status[status], count })), t("progress.of", { done: sum(wave.counts), entries: wave.entries, percent: share(sum(wave.counts), wave.entries) })),
    countList(wave, parts, "status"));
}

function countList(wave, parts, facet) {
  return make("ul", { class: "counts" }, ...parts.map(([name, count]) => make("li", { class: `${TONES[facet][name]}${count ? "" : " none"}` },
    count ? make("a", { href: ofWave(wave.id, "entries", { [facet]: name }) }, make("b", {}, number(count)), ` ${t(`${facet}.${name}`)}`) : make("span", {}, make("b", {}, "0"), ` ${t(`${facet}.${name}`)}`))));
}

export function verdictCounts(wave) {
  const parts = VERDICTS.map((verdict) => [verdict, wave.verdicts[verdict]]);
  const none = Math.max(0, wave.counts.created - sum(wave.verdicts));
  return make("section", { "aria-labelledby": "came-to" }, make("h2", { id: "came-to" }, t("verdicts.counts")),
    bar([...parts.map(([verdict, count]) => ({ tone: TONES.verdict[verdict], count })), { tone: "rest", count: none }], t("verdicts.said", { count: sum(wave.verdicts) })),
    countList(wave, parts, "verdict"));
}

function tiles({ wave }) {
  const tile = (what, ...said) => make("div", { class: "tile" }, make("span", { class: "soft small" }, what), ...said);
  const busy = UNDER_WAY.includes(wave.state);
  const isTold = wave.state === "running" && wave.eta_s !== null && open(wave) > 0;
  const inFlight = wave.scopes.reduce((all, scope) => all + scope.in_flight, 0);
  return make("div", { class: "tiles" },
    tile(t("tile.done"), make("b", {}, `${share(sum(wave.counts), wave.entries)} %`), make("span", { class: "soft small" }, t("progress.short", { done: sum(wave.counts), entries: wave.entries }))),
    busy ? tile(t("tile.pace"), make("b", {}, paceOf(wave.rate_per_s, limitOf(wave.scopes))), make("span", { class: "soft small" }, t("tile.flight", { count: inFlight }))) : null,
    busy ? tile(t("tile.togo"), make("b", {}, isTold ? duration(wave.eta_s) : "–"), make("span", { class: "soft small" }, wave.state === "running" && !open(wave) ? t("togo.comparing", { count: sum(wave.verdicts), all: wave.entries }) : isTold ? t("tile.until", { at: time(new Date(Date.now() + 1000 * wave.eta_s).toISOString()).textContent }) : t(`state.${wave.state}`))) : null,
    !busy && wave.started_at && wave.ended_at ? tile(t("tile.took"), make("b", {}, duration((new Date(wave.ended_at) - new Date(wave.started_at)) / 1000)), make("span", { class: "soft small" }, t("exit", { code: String(wave.exit_code ?? "–") }))) : null,
    tile(t("tile.trouble"), make("b", { class: trouble(wave) ? "tone bad" : "tone good" }, number(trouble(wave))), trouble(wave) ? make("a", { class: "small", href: ofWave(wave.id, "trouble") }, t("trouble.link")) : null));
}

function facts(wave) {
  const list = make("dl");
  const add = (key, ...said) => list.append(make("dt", {}, t(key)), make("dd", {}, ...said));
  add("fact.digest", make("span", { class: "mono" }, wave.digest), copyButton(wave.digest, t("fact.digest")));
  add("fact.id", make("span", { class: "mono" }, wave.id), copyButton(wave.id, t("fact.id")));
  add("fact.submitted", wave.submitted_by, ", ", time(wave.created_at, { both: true }));
  if (wave.approved_by) add("fact.approved", wave.approved_by);
  if (wave.started_at) add("fact.started", time(wave.started_at, { both: true }));
  if (wave.ended_at) add("fact.ended", time(wave.ended_at, { both: true }));
  add("fact.priority", String(wave.priority));
  return make("section", {}, make("h2", {}, t("facts.title")), list);
}

function worst(state) {
  const found = state.causes[state.wave.id]?.list ?? [];
  if (!found.length) return null;
  return make("section", {}, make("h2", {}, t("worst.title")),
    make("ul", { class: "steps" }, ...found.slice(0, 3).map((cause) => make("li", { class: `step ${TONES.status[cause.status]}` },
      make("a", { class: "count", href: causeLink(state.wave, cause) }, number(cause.count), make("span", { class: "off" }, ` ${t("trouble.show")}`)),
      make("div", {}, make("p", {}, make("b", {}, t(`status.${cause.status}`)), " ", make("span", { class: "mono" }, causeName(cause))), cause.error_msg ? told(cause.error_msg, "p", { class: "message" }) : null)))),
    make("p", {}, make("a", { href: ofWave(state.wave.id, "trouble") }, t("worst.all"))));
}

function overview(state) {
  const { wave } = state, share = (scope) => `${number(scope.settled)} / ${number(scope.entries)}`;
  return make("div", {}, tiles(state), make("div", { class: "shares" }, counts(wave), sum(wave.verdicts) ? verdictCounts(wave) : null),
    make("section", {}, make("h2", {}, t("chart.title")), state.pace === null ? loading() : chart(state.pace, limitOf(wave.scopes))),
    worst(state),
    make("section", {}, make("h2", {}, t("scopes.of")), scopeTable(wave.scopes, [["settled", share]])),
    facts(wave));
}

function filesView({ wave, who }) {
  const base = `/v1/waves/${wave.id}`, none = wave.started_at === null;
  const item = (href, key, download = null) => make("li", {}, make("a", { href, download, target: download === null ? "_blank" : null, rel: "noopener" }, t(`file.${key}`)), make("span", { class: "soft" }, ` ${t(`file.${key}.what`)}`));
  return make("section", {}, make("h2", {}, t("files.title")),
    none ? make("p", { class: "soft" }, t("files.none")) : null,
    make("ul", { class: "files" },
      ...(none ? [] : [item(`${base}/report?format=html`, "html"), item(`${base}/report?format=md`, "md", `${wave.id}.md`), item(`${base}/report?format=csv`, "csv", `${wave.id}.csv`), item(`${base}/report?format=json`, "json", `${wave.id}.json`),
        item(`${base}/results`, "results", `${wave.id}.results.jsonl`)]),
      ...(sum(wave.verdicts) ? [item(`${base}/verdicts`, "verdicts", `${wave.id}.verdicts.jsonl`)] : []),
      item(`${base}/manifest`, "manifest", "")),
    may(who, "admin") ? make("p", {}, make("a", { href: link("audit", { wave: wave.id }) }, t("audit.of"))) : null);
}

const CHAPTERS = { overview, entries: entriesView, trouble: troubleView, verdicts: verdictsView, requests: requestsView, files: filesView };

export function waveView(state) {
  const { wave, view } = state;
  const back = make("p", { class: "back" }, make("a", { href: "#/" }, t("waves.back")));
  if (wave === null) return make("div", {}, back, make("h1", { tabindex: "-1" }, state.failed ? t("wave.none") : t("loading")), state.failed ? failure(state.failed) : null);
  const tabs = make("nav", { class: "tabs wide", "aria-label": t("tabs") }, ...TABS.map((tab) => make("a", { href: ofWave(wave.id, tab), "aria-current": tab === view.tab ? "page" : null }, t(`tab.${tab}`), tab === "trouble" && trouble(wave) ? make("span", { class: "badge" }, number(trouble(wave))) : null)));
  return make("div", { "data-key": wave.id }, back,
    make("div", { class: "title" }, make("h1", { tabindex: "-1" }, wave.name), statePill(wave)),
    wave.state === "held" && wave.needs_approval ? make("p", { class: "problem" }, t("held.why", { who: wave.submitted_by })) : wave.reason ? told(wave.reason, "p", { class: "problem" }) : null,
    actionBar(state), tabs,
    make("div", { "data-key": `chapter-${view.tab}` }, (CHAPTERS[view.tab] ?? overview)(state)));
}
