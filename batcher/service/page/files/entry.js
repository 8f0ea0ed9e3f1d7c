// One entry, at the side: its result, every attempt with the reason for what came next, and the request itself.
import { t, number, time } from "./text.js";
import { changed, go, now } from "./address.js";
import { failure, loading, may, statusPill, told, UNDER_WAY, verdictPill } from "./bits.js";
import { morph } from "./morph.js";

const { make, copyButton } = Parts;
const dialog = document.getElementById("entry");
const HALVES = { object_level_compare_create_result: "fact.object", data_level_compare_create_result: "fact.data" };

function facts(entry, among) {
  const list = make("dl"), result = entry.result ?? {};
  const add = (key, ...said) => { if (said.some((one) => one !== null && one !== undefined && one !== "")) list.append(make("dt", {}, t(key)), make("dd", {}, ...said)); };
  const whole = (key, text) => { if (text) add(key, make("span", { class: "mono" }, text), copyButton(text, t(key))); };
  add("column.outcome", statusPill(result.status ?? null), among?.verdict ? " " : null, among?.verdict ? verdictPill(among.verdict) : null);
  if (result.error_msg) add("fact.said", told(result.error_msg));
  add("fact.trouble", [result.error_kind ? t(`kind.${result.error_kind}`) : null, result.error_code, result.http_status && result.error_kind ? `HTTP ${result.http_status}` : null].filter(Boolean).join(" · "));
  whole("fact.key", entry.key ?? result.key);
  whole("fact.job", entry.job_id ?? result.job_id);
  for (const [half, key] of Object.entries(HALVES)) {
    whole(key, result[half]?.compare_task_id);
    if (result[half]?.error_code) add(key, make("code", {}, result[half].error_code), " ", told(result[half].error_msg ?? ""));
  }
  whole("fact.request", result.request_id);
  const labels = Object.entries(result.labels ?? among?.labels ?? {});
  if (labels.length) add("column.labels", make("div", { class: "labels" }, ...labels.map(([name, text]) => make("span", { class: "label" }, make("span", { class: "soft" }, `${name} `), text))));
  whole("fact.project", entry.project_id ?? result.project_id);
  whole("fact.endpoint", entry.endpoint ?? result.endpoint);
  if (result.submitted_at) add("fact.sent", time(result.submitted_at, { both: true }));
  if (result.finished_at) add("fact.ended", time(result.finished_at, { both: true }));
  if (result.recovered) add("fact.recovered", t("fact.recovered.yes"));
  if (entry.line) add("fact.place", t("fact.place.said", { place: number(entry.index + 1), line: number(entry.line) }));
  return list;
}

// What was done, in a closed set of words; any other stands as the service has it.
const WHATS = ["request", "withdrawn", "answer", "no answer", "look-up", "taken up again", "not sent", "decision taken back", "settled by the operator"];
const whatOf = (step) => (WHATS.includes(step.what) ? t(`step.what.${step.what.replaceAll(" ", "-")}`) : told(step.what));
const headOf = (step) => (step.attempt === null ? [whatOf(step)] : [t("step.attempt", { attempt: step.attempt }), ...(step.what === "request" ? [] : [" · ", whatOf(step)])]);

const steps = (found) => make("ol", { class: "attempts" }, ...found.map((step) => make("li", {},
  make("p", {}, make("b", {}, ...headOf(step)), " ", make("span", { class: "soft small" }, time(step.at))),
  [step.http_status, step.error_code, step.request_id].some(Boolean) ? make("p", { class: "mono small soft" }, [step.http_status && `HTTP ${step.http_status}`, step.error_code, step.request_id].filter(Boolean).join(" · ")) : null,
  step.told ? told(step.told, "p") : null,
  step.decided ? make("p", { class: "decided" }, told(step.decided)) : null)));

function settling(state, entry) {
  if (entry.result?.status !== "unsettled") return null;
  if (UNDER_WAY.includes(state.wave.state)) return make("p", { class: "soft" }, t("settle.later"));
  if (!may(state.who, "submit")) return make("p", { class: "soft" }, t("role.needs", { role: t("role.submit") }));
  return make("div", { class: "verdict doubt" }, make("p", {}, t("settle.what")), make("button", { type: "button", class: "button", "data-do": "settle" }, t("do.settle")));
}

function drawn(state) {
  const { entry, view } = state, index = Number(view.query.entry);
  const list = state.entries?.entries ?? [], at = list.findIndex((one) => one.index === index);
  const turn = (to, id, sign, key) => make("button", { type: "button", id, "aria-label": t(key), disabled: at < 0 || !list[to], "data-go": list[to] ? changed(view, { entry: list[to].index }) : null, "data-instead": "" }, sign);
  const head = make("div", { class: "dialog-bar" }, turn(at - 1, "before", "‹", "entry.before"), turn(at + 1, "after", "›", "entry.after"), make("button", { type: "button", id: "close", "data-close": "" }, t("close")));
  const title = make("h2", { id: "which", class: "mono" }, entry?.key ?? entry?.result?.key ?? `# ${number(index + 1)}`);
  if (entry === null) return [head, title, state.entryFailed ? failure(state.entryFailed) : loading()];
  return [head, title, settling(state, entry), facts(entry, list[at]),
    make("h3", {}, t("entry.attempts")), entry.steps.length ? steps(entry.steps) : make("p", { class: "soft" }, t("entry.nothing")),
    entry.request ? make("details", { "data-key": "request" }, make("summary", {}, t("entry.request")), make("div", { class: "command" }, make("pre", { tabindex: "0", "aria-label": t("entry.request") }, make("code", {}, JSON.stringify(entry.request, null, 2))), copyButton(JSON.stringify(entry.request), t("request.copy")))) : null];
}

export function drawEntry(state) {
  const wanted = state.wave !== null && state.view.query.entry !== undefined;
  if (!wanted) {
    if (dialog.open) dialog.close();
    return;
  }
  const fresh = make("dialog", { id: "entry", "aria-labelledby": "which", open: dialog.open }, ...drawn(state));
  morph(dialog, fresh);
  if (!dialog.open) {
    dialog.showModal();
    dialog.querySelector("#close").focus();
  }
}

dialog.addEventListener("close", () => { if (now().query.entry !== undefined) go(changed(now(), { entry: null })); });
dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.closest("[data-close]")) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  if (event.target.closest("pre, input, textarea")) return;
  if (event.key === "ArrowLeft") dialog.querySelector("#before")?.click();
  if (event.key === "ArrowRight") dialog.querySelector("#after")?.click();
});
