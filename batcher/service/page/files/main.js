// Brings the page to life: the address leads, what the service tells follows, and each change is drawn anew.
import * as Text from "./text.js";
import { ask, logIn, logOut, Lost, Refused, session, whenLoggedOut } from "./ask.js";
import { changed, go, now, ofWave } from "./address.js";
import { follow } from "./live.js";
import { morph } from "./morph.js";
import { failure, may, told as words, trouble, UNDER_WAY } from "./bits.js";
import { wavesView } from "./view-waves.js";
import { waveView } from "./view-wave.js";
import { asked } from "./view-entries.js";
import { scopesView } from "./view-scopes.js";
import { auditQuery, auditView } from "./view-audit.js";
import * as New from "./view-new.js";
import { drawEntry } from "./entry.js";
import { question } from "./question.js";

const { make, tell } = Parts;
const { t } = Text;
const app = document.getElementById("app");
const POLL_MS = 2000, CAUSES_MS = 4000, OLD_MS = 8000, MOST_CAUSES = 12;

const nothing = () => ({ wave: null, waves: null, scopes: null, workers: null, audit: null, entries: null, entry: null, gate: null, requests: null, pace: null, causes: {}, failed: null, entryFailed: null, gateFailed: null });
let state = { view: now(), who: null, out: false, loginFailed: null, lostAt: null, lostWhy: null, heardAt: Date.now(), ...nothing() };
const idle = { end: () => {}, again: () => {} };
let listening = idle, turn = 0, due = false, focuses = false, moves = false;

// --- drawing ---------------------------------------------------------------------------------------------
function draw() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => { due = false; show(); });
}

const VIEWS = { waves: (state) => (state.view.id === null ? wavesView(state) : waveView(state)), new: () => New.newView(), scopes: scopesView, audit: auditView };

function show() {
  const view = state.who ? (VIEWS[state.view.place] ?? VIEWS.waves)(state) : state.out ? loginView() : make("p", { class: "soft" }, t("loading"));
  const fresh = make("div", { id: "app" }, make("a", { class: "skip", href: "#main", "data-skip": "" }, t("skip")), header(), connection(),
    make("main", { id: "main", tabindex: "-1", "data-key": `main-${state.view.place}-${state.view.id ?? ""}-${state.who ? "in" : "out"}` }, view));
  const had = document.activeElement;
  morph(app, fresh);
  if (had !== document.body && !had.isConnected) focuses = true; // what had the focus is gone: nobody is sent back to the top
  drawEntry(state);
  for (const wide of document.querySelectorAll(".wide")) { // what has to be scrolled can be by keyboard
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    else wide.removeAttribute("tabindex");
  }
  document.title = `${[...app.querySelectorAll("h1")].map((one) => one.textContent)[0] ?? ""} · batcher`;
  if (focuses) {
    focuses = false;
    app.querySelector("h1")?.focus({ preventScroll: true });
    if (moves) scrollTo(0, 0);
    moves = false;
    app.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }
}

function header() {
  const { who, view } = state, here = (place) => (view.place === place ? "page" : null);
  return make("header", { class: "top" }, make("a", { class: "brand", href: "#/" }, "batcher"),
    who ? make("nav", { "aria-label": t("nav") }, make("a", { href: "#/", "aria-current": here("waves") }, t("nav.waves")), make("a", { href: "#/scopes", "aria-current": here("scopes") }, t("nav.scopes")),
      may(who, "submit") ? make("a", { href: "#/new", "aria-current": here("new") }, t("nav.new")) : null,
      may(who, "admin") ? make("a", { href: "#/audit", "aria-current": here("audit") }, t("nav.audit")) : null) : null,
    make("div", { class: "own" },
      make("label", { class: "pick" }, make("span", { class: "off" }, t("language")), make("select", { "data-change": "language" }, ...Object.entries(Text.LANGUAGES).map(([tag, name]) => make("option", { value: tag, lang: tag, selected: tag === Text.language() }, name)))),
      make("label", { class: "pick" }, make("span", { class: "off" }, t("zone")), make("select", { "data-change": "zone" }, make("option", { value: "local", selected: Text.zone() === "local" }, Text.zoneName()), Text.zoneName() === "UTC" ? null : make("option", { value: "utc", selected: Text.zone() === "utc" }, "UTC"))),
      who ? make("span", { class: "who" }, who.name, " ", make("span", { class: "soft small" }, t(`role.${who.role}`))) : null,
      who?.csrf ? make("button", { type: "button", class: "button", "data-do": "log-out" }, t("logout")) : null));
}

// What is shown may be old: it says so, and since when.
function connection() {
  if (!state.who) return null;
  const age = Date.now() - state.heardAt, live = UNDER_WAY.includes(state.wave?.state) || state.view.id === null;
  if (state.lostAt === null || age < OLD_MS / 4) return make("p", { class: "freshness soft small", "data-key": "fresh" }, make("i", { class: live ? "dot on" : "dot" }), t("fresh"));
  return make("p", { class: "freshness old", role: "alert", "data-key": "old" }, t("old", { at: Text.clock(new Date(state.heardAt)) }), " ", make("span", { "aria-hidden": "true" }, t("old.age", { age: Text.duration(age / 1000) })), " ", make("button", { type: "button", class: "button", "data-do": "again" }, t("again")), state.lostWhy ? words(state.lostWhy, "div", { class: "small" }) : null);
}

function loginView() {
  return make("form", { class: "login", "data-form": "login" }, make("h1", { tabindex: "-1" }, t("login.title")), make("p", { class: "soft" }, t("login.what")),
    make("p", { class: "field" }, make("label", { for: "token" }, t("login.token")), make("input", { id: "token", type: "password", autocomplete: "current-password", required: true, maxlength: "512", spellcheck: "false" })),
    state.loginFailed ? failure(state.loginFailed) : null, make("p", {}, make("button", { type: "submit", class: "button primary" }, t("login"))));
}

// --- what the service tells --------------------------------------------------------------------------------
const heard = () => { state.heardAt = Date.now(); state.lostAt = null; state.lostWhy = null; };
const lost = (why = null) => { state.lostAt ??= Date.now(); state.lostWhy = why; };

// What *path* answers, for the view that is shown; null where that changed meanwhile, or it failed: *into* is told why.
async function load(path, into = "failed") {
  const mine = turn;
  try {
    const found = await ask(path);
    if (mine !== turn) return null;
    heard();
    state[into] = null;
    return found;
  } catch (error) {
    if (mine !== turn) return null;
    if (error instanceof Lost) lost();
    else if (error instanceof Refused && error.status === 503) { lost(error.message); state[into] ??= error.message; } // what it keeps is out of its reach: what is shown stays, and is old
    else if (error instanceof Refused) { if (error.status !== 401) state[into] = error.message; }
    else throw error;
    return null;
  } finally {
    draw();
  }
}
const put = async (name, path, into) => {
  const found = await load(path, into);
  if (found === null) return;
  state[name] = found;
  draw();
};

// Causes change while entries fail: looked at anew when their number has, and not more often than every few seconds.
async function causesOf(wave) {
  const known = state.causes[wave.id], count = trouble(wave) + wave.counts.not_submitted;
  if (known && (known.count === count || known.busy || Date.now() - known.at < Math.max(CAUSES_MS, 20 * known.took))) return;
  state.causes[wave.id] = { list: known?.list, count: known?.count, at: Date.now(), took: 0, busy: true };
  const began = Date.now();
  const found = await load(`/v1/waves/${wave.id}/causes`);
  state.causes[wave.id] = found === null ? { list: known?.list, count: known?.count, at: 0, took: 0 } : { list: found.causes, count, at: Date.now(), took: Date.now() - began };
  draw();
}

// --- all waves, and the scopes: asked every two seconds while somebody looks --------------------------------
// The service streams events of one wave each. A stream a wave would take more connections than a browser has for one
// service, and its open streams are counted; one page of waves is one short answer.
function poll(look) {
  let timer = 0, over = false;
  const again = async () => {
    await look();
    if (!over) timer = setTimeout(again, POLL_MS);
  };
  again();
  return { end: () => { over = true; clearTimeout(timer); }, again: look };
}

async function overview() {
  const { query } = state.view;
  const params = new URLSearchParams({ limit: "50", ...(query.state ? { state: query.state } : {}), ...(query.after ? { after: query.after } : {}) });
  const asked = [`/v1/waves?${params}`, "/v1/scopes", ...(state.view.place === "scopes" ? ["/v1/workers"] : [])];
  const [waves, scopes, workers] = await Promise.all(asked.map((path) => load(path)));
  if (waves === null || scopes === null || workers === null) return;
  state.waves = { list: waves.waves, next: waves.next };
  state.scopes = scopes.scopes;
  if (workers) state.workers = workers.workers;
  draw();
  for (const wave of waves.waves.filter(trouble).slice(0, MOST_CAUSES)) causesOf(wave);
}

async function audit() {
  const found = await load(`/v1/audit?${auditQuery(state.view.query)}`);
  if (found === null) return;
  state.audit = found;
  draw();
}

// --- one wave: told by its events ------------------------------------------------------------------------
function wave(id) {
  const base = `/v1/waves/${id}`;
  let timer = 0, grew = true, drawnFor = 0, costs = {}, busy = false, hurry = false, over = false;
  const take = (told) => {
    const before = state.wave;
    state.wave = told;
    if (before && before.state !== told.state) {
      tell(t("told.state", { name: told.name, state: t(`state.${told.state}`) }));
      grew = true;
      costs = {};
    }
    draw();
  };
  // What takes the service long is asked for less often: a twentieth of the time at most.
  const due = async (name, path, { into, isNew = false } = {}) => {
    const known = costs[name] ?? { at: 0, took: 0 }, began = Date.now();
    if (!isNew && state[name] !== null && began - known.at < Math.max(1000, 20 * known.took)) { grew = true; return; }
    await put(name, path, into);
    costs[name] = { at: Date.now(), took: Date.now() - began };
  };
  // What follows from result lines is asked for when some came, in turn and never more than one at once.
  const rest = async () => {
    if (busy) { hurry = true; return; }
    busy = true;
    hurry = false;
    clearTimeout(timer);
    const { tab, query } = state.view;
    if (state.wave && (grew || drawnFor !== turn)) {
      const isNew = drawnFor !== turn;
      grew = false;
      drawnFor = turn;
      if (tab === "requests" && isNew) await put("requests", `${base}/requests?${new URLSearchParams({ limit: "10", after: query.from ?? "0" })}`);
      if (trouble(state.wave) || state.wave.counts.not_submitted || tab === "trouble") await causesOf(state.wave);
      else state.causes[id] ??= { list: [], count: 0, at: 0, took: 0 };
      if (tab === "entries") await due("entries", `${base}/entries?${asked(query)}`, { isNew });
      if (tab === "verdicts") await due("gate", `${base}/gate?limit=500`, { into: "gateFailed" });
      if (query.entry !== undefined) await put("entry", `${base}/entries/${encodeURIComponent(query.entry)}`, "entryFailed");
      if (tab === "overview") await due("pace", `${base}/pace`);
    }
    busy = false;
    if (!over) timer = setTimeout(rest, hurry ? 0 : 1000);
  };
  const on = (event, told) => {
    heard();
    if (event === "wave") take(told);
    else grew = true;
    if (event === "reset") put("wave", base).then(draw);
  };
  const end = follow(`${base}/events`, on, (is) => {
    if (is) heard();
    else lost();
    draw();
  });
  if (state.wave === null) put("wave", base).then(rest);
  else rest();
  return { end: () => { over = true; end(); clearTimeout(timer); }, again: rest };
}

// While the connection stands, what is shown is as new as it can be.
setInterval(() => { if (state.lostAt !== null) draw(); }, 1000);

// --- the address leads -------------------------------------------------------------------------------------
function route() {
  const before = state.view, view = now();
  const moved = before.place !== view.place || before.id !== view.id || before.tab !== view.tab;
  const same = before.place === view.place && before.id === view.id;
  state.view = view;
  if (moved) focuses = moves = true;
  if (!same) state = { ...state, ...nothing(), waves: view.place === "scopes" || before.place === "scopes" ? state.waves : null };
  if (before.query.entry !== view.query.entry) { state.entry = null; state.entryFailed = null; }
  if (moved || asked(before.query) !== asked(view.query)) state.failed = null;
  turn++; // answers to what was asked for another view come too late
  if (same) listening.again();
  else listen();
  draw();
}

function listen() {
  listening.end();
  listening = idle;
  turn++;
  if (!state.who || document.hidden) return;
  if (state.view.place === "waves" && state.view.id !== null) listening = wave(state.view.id);
  else if (state.view.place === "audit") listening = poll(audit);
  else if (state.view.place !== "new") listening = poll(overview);
}

addEventListener("popstate", route);
addEventListener("hashchange", () => { if (now().place !== state.view.place || JSON.stringify(now()) !== JSON.stringify(state.view)) route(); });
// A page that nobody sees asks for nothing: browsers have few connections for each service.
document.addEventListener("visibilitychange", listen);
addEventListener("online", listen);
addEventListener("resize", draw);

// --- what people do ----------------------------------------------------------------------------------------
const DEEDS = {
  "log-out": async () => { await logOut(); await enter(); },
  again: () => listen(),
  settle: async () => { if (await question("settle", state.wave, state.entry)) listen(); },
  ...New.actions,
  "hand-in": async () => { const made = await New.actions["hand-in"](); if (made) { New.begin(); go(ofWave(made.id)); } },
};
async function deed(what) {
  if (what in DEEDS) return DEEDS[what]();
  const answer = await question(what, state.wave);
  if (answer === null) return undefined;
  if (what === "recheck") return go(ofWave(answer.id));
  state.wave = answer;
  return draw();
}

document.addEventListener("click", (event) => {
  const found = event.target.closest("[data-do], [data-go], [data-skip]");
  if (!found || found.getAttribute("aria-disabled") === "true") return;
  if ("skip" in found.dataset) { event.preventDefault(); document.getElementById("main").focus(); return; }
  if (found.dataset.go) go(found.dataset.go, "instead" in found.dataset);
  else deed(found.dataset.do);
});

let typing = 0;
document.addEventListener("input", ({ target }) => {
  const what = target.dataset.input;
  if (what === "search") {
    clearTimeout(typing);
    typing = setTimeout(() => go(changed(now(), { q: target.value.trim() || null, after: null, entry: null }), true), 250);
  } else if (what?.startsWith("new.")) New.typed(what.slice(4), target.type === "checkbox" ? target.checked : target.value);
});
document.addEventListener("change", async ({ target }) => {
  const { change } = target.dataset;
  if (change === "language") { Text.keep("language", target.value); await Text.speak(target.value); draw(); }
  if (change === "zone") { Text.keep("zone", target.value); draw(); }
  if (change === "sort") go(changed(now(), { sort: target.value, after: null }));
  if (change === "cause") {
    const [kind, code] = target.value.split("|");
    go(changed(now(), { error_kind: kind || null, error_code: code || null, after: null, entry: null }));
  }
  if (change === "file" && target.files[0]) New.choose(target.files[0]);
});
document.addEventListener("submit", async (event) => {
  if (event.target.dataset.form !== "login") return;
  event.preventDefault();
  const token = document.getElementById("token");
  try {
    await logIn(token.value);
    token.value = "";
    state.loginFailed = null;
    await enter();
  } catch (error) {
    state.loginFailed = error.message;
    draw();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea, dialog")) return;
  const search = document.getElementById("search");
  if (!search) return;
  event.preventDefault();
  search.focus();
});

// A manifest may be dropped anywhere.
const holdsFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
document.addEventListener("dragover", (event) => {
  if (!holdsFile(event)) return;
  event.preventDefault();
  document.body.classList.add("dragged");
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragged"); });
document.addEventListener("drop", (event) => {
  if (!holdsFile(event)) return;
  event.preventDefault();
  document.body.classList.remove("dragged");
  if (!state.who || !may(state.who, "submit")) return;
  go("#/new");
  New.choose(event.dataTransfer.files[0]);
});

async function enter() {
  try {
    const who = await session();
    state = { ...state, ...nothing(), who, out: false };
  } catch (error) {
    if (error instanceof Refused && error.status === 401) state = { ...state, ...nothing(), who: null, out: true };
    else {
      state.out = false;
      setTimeout(enter, 2000); // it is not there: once more
    }
  }
  focuses = moves = true;
  listen();
  draw();
}
whenLoggedOut(() => { state = { ...state, ...nothing(), who: null, out: true }; listening.end(); draw(); });
New.whenChanged(draw);
await Text.speak();
draw();
await enter();
