// What the comparisons came to, and what the gate says of it.
import { t, number } from "./text.js";
import { ofWave } from "./address.js";
import { failure, loading, statusPill, sum, told, UNDER_WAY, verdictPill } from "./bits.js";
import { verdictCounts } from "./view-wave.js";

const { make } = Parts;
const MOST = 200; // of those in the way that stand here; the list of entries has all

function difference(one) {
  const where = [one.database, one.table].filter(Boolean).join(".") || one.object_type;
  const counts = one.source_count === undefined || one.source_count === null ? "" : ` ${t("gate.rows", { source: one.source_count, target: one.target_count ?? "–" })}`;
  return make("li", {}, make("span", { class: "mono" }, where), make("span", { class: "soft" }, counts));
}

function blocker(state, one) {
  return make("tr", {},
    make("td", {}, make("a", { class: "mono key", href: ofWave(state.wave.id, "entries", { q: one.key }) }, one.key), make("div", { class: "mono soft small" }, one.job_id ?? "")),
    make("td", {}, one.verdict || one.status === "created" ? verdictPill(one.verdict) : statusPill(one.status)),
    make("td", {}, told(one.why), one.differences.length ? make("ul", { class: "differences" }, ...one.differences.slice(0, 5).map(difference), one.differences.length > 5 ? make("li", { class: "soft" }, t("gate.more", { count: one.differences.length - 5 })) : null) : null));
}

function ruling(state, gate) {
  const go = gate.verdict === "GO", tone = go ? "good" : gate.verdict === "NO-GO" ? "bad" : "doubt";
  const unproven = gate.unproven ?? [];
  return make("div", { class: `verdict ${tone}` }, make("h2", { class: "ruling" }, gate.verdict),
    make("p", {}, go ? t("gate.go", { count: gate.entries }) : gate.blockers.length ? t("gate.nogo", { count: gate.blockers.length + (gate.left_out?.blockers ?? 0), entries: gate.entries }) : t("gate.unproven")),
    UNDER_WAY.includes(state.wave.state) ? make("p", { class: "soft" }, t("gate.underway")) : null,
    unproven.length ? make("ul", {}, ...unproven.map((why) => make("li", {}, told(String(why))))) : null,
    gate.accepted.length ? make("p", { class: "soft" }, t("gate.accepted", { count: gate.accepted.length + (gate.left_out?.accepted ?? 0) })) : null,
    gate.expired_acceptances.length ? make("p", { class: "problem" }, t("gate.expired", { count: gate.expired_acceptances.length })) : null);
}

export function verdictsView(state) {
  const { gate } = state;
  const counts = verdictCounts(state.wave);
  if (gate === null) return make("div", {}, counts, state.gateFailed ? make("p", { class: "soft" }, told(state.gateFailed)) : loading());
  // While it is under way, what has no verdict yet is counted, and not told one by one.
  const isUnderWay = UNDER_WAY.includes(state.wave.state), undecided = Math.max(0, state.wave.entries - sum(state.wave.verdicts));
  const decided = gate.blockers.filter((one) => !isUnderWay || one.verdict || !["created", null].includes(one.status));
  const blockers = decided.slice(0, MOST), more = decided.length - blockers.length + (isUnderWay ? 0 : gate.left_out?.blockers ?? 0);
  return make("div", {}, ruling(state, gate), counts,
    blockers.length ? make("section", {}, make("h2", {}, t("gate.blockers")),
      make("div", { class: "wide" }, make("table", {}, make("thead", {}, make("tr", {}, ...["entry", "outcome", "why"].map((name) => make("th", { scope: "col" }, t(`column.${name}`))))), make("tbody", {}, ...blockers.map((one) => blocker(state, one))))),
      more ? make("p", { class: "soft" }, t("gate.more", { count: more }), " ", make("a", { href: ofWave(state.wave.id, "entries", { verdict: "inconsistent,failed,timeout,cancelled,unknown" }) }, t("gate.all"))) : null) : null,
    isUnderWay && undecided ? make("p", { class: "soft" }, t("gate.undecided", { count: undecided })) : null,
    state.gateFailed ? failure(state.gateFailed) : null, make("p", { class: "soft small" }, t("gate.same", { number: number(gate.entries) })));
}
