// What changes anything asks first, and names the consequence. What the service refuses stands in the question.
import { t } from "./text.js";
import { ask, Refused } from "./ask.js";
import { open, told, VERDICTS } from "./bits.js";

const { make, tell } = Parts;
const dialog = document.getElementById("question");

const inFlight = (wave) => wave.scopes.reduce((all, scope) => all + scope.in_flight, 0);
const failed = (wave) => wave.counts.failed + wave.counts.partial;
const differing = (wave) => VERDICTS.filter((verdict) => verdict !== "consistent").reduce((all, verdict) => all + wave.verdicts[verdict], 0);
const scopes = (wave) => make("ul", {}, ...wave.scopes.map((scope) => make("li", {}, t("ask.scope", { count: scope.entries }), " ", make("span", { class: "mono" }, scope.project_id ?? t("scope.unnamed")), " ", make("span", { class: "soft" }, scope.endpoint))));
const digest = (wave) => make("p", {}, t("fact.digest"), " ", make("span", { class: "mono" }, wave.digest));
const verb = (wave, name, body) => ask(`/v1/waves/${wave.id}/${name}`, { method: "POST", body });

const field = (name, label, hint, attributes = {}) => make("p", { class: "field" }, make("label", { for: `field-${name}` }, label), make("input", { id: `field-${name}`, name, "aria-describedby": hint ? `hint-${name}` : null, ...attributes }), hint ? make("span", { class: "soft small", id: `hint-${name}` }, hint) : null);

// Each: what the question says, in paragraphs; what is done when it is answered with yes.
const QUESTIONS = {
  approve: (wave) => ({ said: [t("ask.approve", { count: wave.entries, who: wave.submitted_by }), scopes(wave), digest(wave), t("ask.approve.final")], act: () => verb(wave, "approve", { digest: wave.digest }) }),
  start: (wave) => ({ said: [t(wave.state === "held" ? "ask.start" : "ask.goon", { count: open(wave) + wave.counts.not_submitted + wave.counts.unsettled }), scopes(wave)], act: () => verb(wave, "start") }),
  pause: (wave) => ({ said: [t("ask.pause", { count: inFlight(wave) })], act: () => verb(wave, "pause") }),
  resume: (wave) => ({ said: [t("ask.resume", { count: open(wave) })], act: () => verb(wave, "resume") }),
  stop: (wave) => ({ said: [t("ask.stop", { flight: inFlight(wave), count: open(wave) }), t("ask.stop.kept", { count: wave.counts.created })], act: () => verb(wave, "stop"), tone: "bad" }),
  "retry-failed": (wave) => ({ said: [t("ask.retry", { count: failed(wave) }), t("ask.retry.kept", { count: wave.counts.created })], act: () => verb(wave, "retry-failed") }),
  recheck: (wave) => ({ said: [t("ask.recheck", { count: differing(wave) })], act: () => verb(wave, "recheck") }),
  change: (wave) => ({
    said: [t("ask.change", { rate: wave.scopes.map((scope) => scope.rate).filter(Boolean).join(", ") || "–" }),
      field("rate", t("field.rate"), t("field.rate.hint"), { placeholder: "10/s", autocomplete: "off" }),
      field("concurrency", t("field.concurrency"), null, { type: "number", min: "1", max: "1000" }),
      field("priority", t("field.priority"), t("field.priority.hint"), { type: "number", min: "-100", max: "100", value: String(wave.priority) })],
    act: (form) => ask(`/v1/waves/${wave.id}`, { method: "PATCH", body: changes(form, wave) }),
  }),
  settle: (wave, entry) => ({
    said: [t("ask.settle"), make("p", {}, make("span", { class: "mono" }, entry.key)), field("as", t("field.as"), t("field.as.hint"), { placeholder: "created=TASK_ID", required: true, autocomplete: "off" })],
    act: (form) => ask(`/v1/waves/${wave.id}/entries/${entry.index}/settle`, { method: "POST", body: { as: form.get("as") } }),
  }),
  submit: (checked, act) => ({ said: [t(checked.held ? "ask.submit.held" : "ask.submit", { count: checked.entries, rate: checked.rate }), scopes(checked), digest(checked)], act }),
};

function changes(form, wave) {
  const found = {};
  if (form.get("rate")) found.rate = form.get("rate");
  if (form.get("concurrency")) found.concurrency = Number(form.get("concurrency"));
  if (form.get("priority") !== "" && Number(form.get("priority")) !== wave.priority) found.priority = Number(form.get("priority"));
  return found;
}

// Ask about *what*; the answer of the service, or null where it was not done.
export function question(what, subject, more) {
  const { said, act, tone = "primary" } = QUESTIONS[what](subject, more);
  const trouble = make("div", { role: "alert" });
  const yes = make("button", { type: "submit", class: `button ${tone}` }, t(`do.${what}`)), no = make("button", { type: "button", class: "button" }, t("cancel"));
  const form = make("form", {}, make("h2", { id: "question-title" }, t(`ask.${what}.title`, { name: subject.name ?? "" })),
    ...said.map((one) => (typeof one === "string" ? make("p", {}, one) : one)), trouble, make("div", { class: "answers" }, no, yes));
  dialog.replaceChildren(form);
  return new Promise((resolve) => {
    let answer = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      yes.disabled = true;
      trouble.replaceChildren();
      try {
        answer = await act(new FormData(form));
        tell(t(`done.${what}`));
        dialog.close();
      } catch (error) {
        const findings = error instanceof Refused ? error.problem.findings ?? [] : [];
        trouble.replaceChildren(make("p", { class: "problem" }, t(error instanceof Refused ? "refused" : "failed.send"), " ", told(error.message)),
          ...(findings.length > 1 ? [make("ul", {}, ...findings.map((one) => make("li", {}, told([one.field, one.problem, one.mend].filter(Boolean).join(": ")))))] : []));
        yes.disabled = false;
      }
    });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
    (form.querySelector("input") ?? no).focus();
  });
}
