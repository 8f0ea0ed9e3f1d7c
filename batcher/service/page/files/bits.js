// Small pieces that several views are made of.
import { t, number, pace, share } from "./text.js";
import { ofWave } from "./address.js";

const { make } = Parts;
const NS = "http://www.w3.org/2000/svg";

export const STATUSES = ["created", "partial", "failed", "unsettled", "invalid", "not_submitted"];
export const VERDICTS = ["inconsistent", "failed", "timeout", "cancelled", "unknown", "consistent"];
const TROUBLE = ["unsettled", "failed", "partial", "invalid"];
export const TONES = {
  status: { created: "good", partial: "warn", failed: "bad", unsettled: "doubt", invalid: "bad", not_submitted: "idle", open: "idle" },
  verdict: { consistent: "good", inconsistent: "bad", failed: "bad", timeout: "warn", cancelled: "warn", unknown: "doubt", none: "idle" },
  state: { held: "warn", queued: "idle", running: "live", paused: "warn", stopping: "warn", stopped: "bad", ended: "good" },
};
export const UNDER_WAY = ["queued", "running", "paused", "stopping"];

export const sum = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);
export const open = (wave) => Math.max(0, wave.entries - sum(wave.counts));
export const troubles = (wave) => TROUBLE.filter((status) => wave.counts[status]);
export const trouble = (wave) => TROUBLE.reduce((all, status) => all + wave.counts[status], 0);
export const may = (who, role) => ["read", "submit", "approve", "admin"].indexOf(who.role) >= ["read", "submit", "approve", "admin"].indexOf(role);

// "10/s", "600/min", "8.3/s, searching": requests a second; null for none that is known.
export function perS(text) {
  const [, count, times, unit] = /^([\d.]+)\/([\d.]*)(ms|s|min|m|h|d)/.exec(text ?? "") ?? [];
  return unit ? count / ((times || 1) * { ms: 0.001, s: 1, min: 60, m: 60, h: 3600, d: 86400 }[unit]) : null;
}
export function limitOf(scopes) {
  const known = scopes.map((scope) => perS(scope.rate)).filter((rate) => rate !== null);
  return known.length ? known.reduce((all, rate) => all + rate, 0) : null;
}

export const svg = (tag, attributes = {}, ...within) => {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...within);
  return element;
};

export const statePill = (wave) => make("span", { class: `pill ${TONES.state[wave.state]}` }, t(`state.${wave.state}`));
export const statusPill = (status) => make("span", { class: `pill ${TONES.status[status ?? "open"]}` }, t(`status.${status ?? "open"}`));
export const verdictPill = (verdict) => make("span", { class: `pill ${TONES.verdict[verdict ?? "none"]}` }, t(`verdict.${verdict ?? "none"}`));
export const button = (what, text, { tone = "", disabled = false, title = null, ...data } = {}) => {
  const element = make("button", { type: "button", class: `button ${tone}`, "data-do": what, title, "aria-disabled": disabled ? "true" : null }, text);
  Object.assign(element.dataset, data);
  return element;
};

// A bar of shares, with its meaning as text for those who do not see it.
export function bar(parts, said) {
  const element = make("div", { class: "share", role: "img", "aria-label": said });
  for (const { tone, count } of parts) {
    if (!count) continue;
    const part = make("span", { class: tone });
    part.style.flexGrow = count;
    element.append(part);
  }
  return element;
}

export function progress(wave) {
  const done = sum(wave.counts);
  const parts = [...STATUSES.map((status) => ({ tone: TONES.status[status], count: wave.counts[status] })), { tone: "rest", count: open(wave) }];
  return make("div", { class: "progress" },
    bar(parts, t("progress.of", { done, entries: wave.entries, percent: share(done, wave.entries) })),
    make("span", { class: "small" }, make("b", {}, `${share(done, wave.entries)} %`), " ", make("span", { class: "soft" }, t("progress.short", { done, entries: wave.entries }))));
}

// How fast, of how fast it may be.
export function paceOf(rate, limit) {
  const said = limit === null ? pace(rate) : t("pace.of", { pace: pace(rate), limit: pace(limit) });
  const element = make("div", { class: "pace" }, make("span", { class: "nowrap" }, said));
  if (limit) {
    const meter = make("div", { class: "meter", "aria-hidden": "true" }), fill = make("span");
    fill.style.width = `${Math.min(100, (100 * rate) / limit)}%`;
    meter.append(fill);
    element.append(meter);
  }
  return element;
}

export const troubleChips = (wave) => troubles(wave).map((status) =>
  make("a", { class: `chip ${TONES.status[status]}`, href: ofWave(wave.id, "entries", { status }) }, make("b", {}, number(wave.counts[status])), ` ${t(`status.${status}`)}`));

export const causeLink = (wave, cause) => ofWave(wave.id, "entries", {
  status: cause.status, error_kind: cause.error_kind ?? "none", error_code: cause.error_code ?? "none",
});
export const causeName = (cause) => [cause.error_kind ? t(`kind.${cause.error_kind}`) : null, cause.error_code].filter(Boolean).join(" · ") || t("kind.none");

// What the service says in English, in a page that may be in another language.
export const told = (text, tag = "span", attributes = {}) => make(tag, { lang: "en", ...attributes }, text);
export const failure = (error) => make("p", { class: "problem", role: "alert" }, t("failed.ask"), " ", told(error));
export const loading = () => make("p", { class: "soft", "aria-busy": "true" }, t("loading"));
