// A manifest handed in: checked first, with every finding at its line; then shown as it would be sent; then let go.
import { t, number } from "./text.js";
import { Refused, upload } from "./ask.js";
import { button, told } from "./bits.js";
import { question } from "./question.js";
import { requestList } from "./view-requests.js";

const { make } = Parts;
const TYPES = { csv: "text/csv", tsv: "text/csv", json: "application/json", jsonl: "application/x-ndjson", ndjson: "application/x-ndjson" };
const LONGEST = 20 * 1024 * 1024; // bytes of a file of which lines are shown beside their findings
const MOST = 200; // findings that are shown

const fresh = () => ({ file: null, lines: null, checked: null, refused: null, failed: null, busy: null, share: 0, form: { name: "", region: "", rate: "", priority: "0", settings: "", start: true } });
let made = fresh(), draw = () => {}, key = null, turn = 0;
export const whenChanged = (drawn) => { draw = drawn; };
export const begin = () => { made = fresh(); };

const typeOf = (file) => TYPES[file.name.toLowerCase().split(".").pop()] ?? null;

// Lines such as "max_failures = 10", as a config file has them.
function settings() {
  const { form } = made, found = {};
  for (const line of form.settings.split("\n")) {
    const [, name, value] = /^\s*([\w.]+)\s*[=:]\s*"?(.*?)"?\s*$/.exec(line) ?? [];
    if (name) found[name] = value;
  }
  for (const name of ["region", "rate"]) if (form[name].trim()) found[name] = form[name].trim();
  return found;
}

export function choose(file) {
  const nameOf = (one) => one.name.replace(/\.\w+$/, "").slice(0, 200);
  const isOwn = made.form.name !== "" && (!made.file || made.form.name !== nameOf(made.file)); // somebody has typed it
  made = { ...made, file, lines: null, checked: null, refused: null, failed: null };
  if (!typeOf(file)) {
    made.failed = t("new.type", { name: file.name });
    draw();
    return;
  }
  if (!isOwn) made.form.name = nameOf(file);
  check();
}

const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function check() {
  const mine = ++turn, { file } = made;
  made = { ...made, busy: "check", share: 0, checked: null, refused: null, failed: null };
  draw();
  const progress = (share) => { if (mine === turn) { made.share = share; draw(); } };
  try {
    const checked = await upload(`/v1/check?${new URLSearchParams({ limit: "20", ...settings() })}`, file, typeOf(file), {}, progress);
    if (mine !== turn) return;
    key = newKey(); // of what was checked: handed in twice it is one wave
    made = { ...made, busy: null, checked };
  } catch (error) {
    if (mine !== turn) return;
    const refused = error instanceof Refused ? error.problem : null;
    if (refused?.findings && file.size <= LONGEST) made.lines = (await file.text()).split(/\r\n|\r|\n/);
    made = { ...made, busy: null, refused, failed: refused ? null : `${t("failed.send")} ${error.message}` };
  }
  draw();
}

async function handIn() {
  const { checked, form, file } = made;
  const wave = { name: form.name, entries: checked.entries, rate: checked.rate, digest: checked.digest, held: !form.start, scopes: checked.scopes };
  const params = new URLSearchParams({ ...(form.name.trim() ? { name: form.name.trim() } : {}), priority: form.priority || "0", start: String(form.start), ...settings(), digest: checked.digest });
  return question("submit", wave, () => upload(`/v1/waves?${params}`, file, typeOf(file), { "Idempotency-Key": key }, () => {}));
}

export const actions = { check, "hand-in": handIn, "new-again": () => { made = { ...fresh(), form: made.form }; draw(); } };
export function typed(name, value) {
  made.form[name] = value;
  if (["region", "rate", "settings"].includes(name) && (made.checked || made.refused)) { // what was checked was something else
    made = { ...made, checked: null, refused: null };
    draw();
  }
}

function source(finding) {
  const text = made.lines?.[finding.line - 1];
  if (finding.line === null || text === undefined) return null;
  const at = finding.value ? text.indexOf(finding.value) : -1, cut = (piece) => piece.slice(0, 400);
  const marked = at < 0 ? [cut(text)] : [cut(text.slice(0, at)), make("mark", {}, finding.value), cut(text.slice(at + finding.value.length))];
  return make("pre", { class: "source", tabindex: "0", "aria-label": t("finding.line", { line: finding.line }) }, make("code", {}, make("span", { class: "soft" }, `${finding.line} │ `), ...marked));
}

function findings() {
  const found = made.refused.findings ?? [];
  const shown = found.slice(0, MOST);
  return make("section", { "aria-labelledby": "findings" }, make("h2", { id: "findings" }, found.length ? t("findings.title", { count: made.refused.count ?? found.length }) : t("refused")),
    made.refused.sound === undefined ? make("p", { class: "problem" }, told(made.refused.detail)) : make("p", { class: "soft" }, t("findings.sound", { count: made.refused.sound })),
    make("ol", { class: "steps findings" }, ...shown.map((finding) => make("li", { class: "step bad" },
      make("span", { class: "count" }, finding.line === null ? "–" : number(finding.line), make("span", { class: "off" }, finding.line === null ? "" : t("finding.line", { line: finding.line }))),
      make("div", {}, make("p", {}, finding.field ? make("b", { class: "mono" }, finding.field) : null, finding.field ? " " : null, finding.value !== null ? make("code", {}, finding.value) : null, " ", told(finding.problem)),
        source(finding), finding.mend ? make("p", {}, told(finding.mend)) : null)))),
    found.length > MOST ? make("p", { class: "soft" }, t("findings.more", { count: found.length - MOST })) : null);
}

function sound() {
  const { checked } = made;
  return make("section", {}, make("div", { class: "verdict good" }, make("h2", { class: "ruling" }, t("checked.title", { count: checked.entries })),
    make("p", {}, t("checked.pace", { rate: checked.rate })),
    make("ul", {}, ...checked.scopes.map((scope) => make("li", {}, t("ask.scope", { count: scope.entries }), " ", make("span", { class: "mono" }, scope.project_id ?? t("scope.unnamed")), " ", make("span", { class: "soft" }, scope.endpoint)))),
    make("p", { class: "soft small" }, t("fact.digest"), " ", make("span", { class: "mono" }, checked.digest)),
    make("p", {}, button("hand-in", t("do.submit"), { tone: "primary" }))),
    make("h2", {}, t("checked.requests", { count: checked.requests.length })), requestList(checked.requests));
}

export function newView() {
  const { form, file, busy } = made;
  const field = (name, attributes = {}) => make("p", { class: "field" }, make("label", { for: `new-${name}` }, t(`field.${name}`)),
    make("input", { id: `new-${name}`, "data-input": `new.${name}`, value: form[name], autocomplete: "off", "aria-describedby": `new-${name}-hint`, ...attributes }), make("span", { class: "soft small", id: `new-${name}-hint` }, t(`field.${name}.hint`)));
  const notes = make("textarea", { id: "new-settings", rows: "3", "data-input": "new.settings", class: "mono", "aria-describedby": "new-settings-hint", placeholder: "max_failures = 20\nwait = true" });
  notes.value = form.settings;
  return make("div", {}, make("p", { class: "back" }, make("a", { href: "#/" }, t("waves.back"))), make("div", { class: "title" }, make("h1", { tabindex: "-1" }, t("new.title"))),
    make("label", { class: "drop", id: "drop" }, make("input", { type: "file", id: "file", class: "off", accept: Object.keys(TYPES).map((ending) => `.${ending}`).join(","), "data-change": "file" }),
      make("b", {}, file ? file.name : t("new.drop")), make("span", { class: "soft" }, file ? t("new.other") : t("new.kinds"))),
    make("div", { class: "fields" }, field("name", { maxlength: "200" }), field("region", { placeholder: "eu-west-101" }), field("rate", { placeholder: "10/s" }), field("priority", { type: "number", min: "-100", max: "100" })),
    make("details", { class: "more", open: form.settings !== "" }, make("summary", {}, t("new.more")), make("p", { class: "field" }, make("label", { for: "new-settings" }, t("field.settings")), notes, make("span", { class: "soft small", id: "new-settings-hint" }, t("field.settings.hint"), " ", make("a", { href: "/v1/openapi.json", target: "_blank", rel: "noopener" }, "openapi.json")))),
    make("p", {}, make("label", {}, make("input", { type: "checkbox", "data-input": "new.start", checked: form.start }), " ", t("field.start"))),
    file && typeOf(file) && !busy && !made.checked ? make("p", {}, button("check", t("do.check"), { tone: "primary" })) : null,
    busy ? make("p", { role: "status", "aria-busy": "true" }, t(made.share < 1 && file.size > 1e6 ? "new.uploading" : "new.checking", { percent: Math.floor(100 * made.share) })) : null,
    made.failed ? make("p", { class: "problem", role: "alert" }, made.failed) : null,
    made.refused ? findings() : null, made.checked ? sound() : null);
}
