// The scopes in use: one place for all waves in which the cloud's limit holds.
import { t, number, duration } from "./text.js";
import { ofWave } from "./address.js";
import { failure, loading, perS, told } from "./bits.js";

const { make } = Parts;

export function scopeTable(scopes, more) {
  const names = ["scope", "rate", "flight", "standing", ...more.map(([name]) => name)];
  return make("div", { class: "wide" }, make("table", { class: "scopes" },
    make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, t(`column.${name}`))))),
    make("tbody", {}, ...scopes.map((scope) => make("tr", { "data-key": `${scope.endpoint} ${scope.project_id}` },
      make("td", {}, make("div", { class: "mono" }, scope.project_id ?? t("scope.unnamed")), make("div", { class: "soft small" }, scope.endpoint)),
      make("td", { class: "nowrap" }, scope.rate ? told(scope.rate) : "–", scope.limit && perS(scope.limit) !== perS(scope.rate) ? make("div", { class: "soft small" }, t("scope.limit", { limit: scope.limit })) : null),
      make("td", { class: "number" }, number(scope.in_flight)),
      make("td", {}, scope.paused_until_s !== null ? make("span", { class: "pill warn" }, t("scope.paused", { time: duration(scope.paused_until_s) })) : scope.reason ? make("span", { class: "pill bad" }, t("scope.halted")) : scope.rate ? make("span", { class: "pill good" }, t("scope.sends")) : make("span", { class: "pill idle" }, t("scope.idle")),
        scope.reason ? told(scope.reason, "div", { class: "small" }) : null),
      ...more.map(([, drawn]) => make("td", {}, ...[drawn(scope)].flat())))))));
}

// Who runs waves: what each worker has, and what it cannot take.
function workersTable(workers) {
  if (workers === null) return [];
  const head = [make("h2", {}, t("workers.title"))];
  if (!workers.length) return [...head, make("p", { class: "soft" }, t("workers.none"))];
  const lines = (scopes, more) => scopes.map((scope) => make("div", {}, make("span", { class: "mono" }, scope.project_id ?? t("scope.unnamed")), " ", make("span", { class: "soft small" }, scope.endpoint), more(scope)));
  const names = ["worker", "lanes", "has", "refuses"];
  return [...head, make("div", { class: "wide" }, make("table", { class: "workers" },
    make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, t(`column.${name}`))))),
    make("tbody", {}, ...workers.map((worker) => make("tr", { "data-key": worker.id },
      make("td", {}, make("div", { class: "mono small" }, worker.id), make("div", { class: "soft small" }, worker.host)),
      make("td", { class: "number" }, worker.lanes === null ? "–" : number(worker.lanes)),
      make("td", {}, ...lines(worker.scopes, () => null)),
      make("td", {}, ...lines(worker.refuses, (scope) => told(scope.why, "div", { class: "small" }))))))))];
}

export function scopesView(state) {
  const head = make("div", { class: "title" }, make("h1", { tabindex: "-1" }, t("scopes.title")));
  const intro = make("p", { class: "soft" }, t("scopes.intro"));
  if (state.scopes === null) return make("div", {}, head, intro, state.failed ? failure(state.failed) : loading());
  if (!state.scopes.length) return make("div", {}, head, intro, make("div", { class: "empty" }, make("p", {}, t("scopes.empty"))), ...workersTable(state.workers));
  const name = (id) => state.waves?.list.find((wave) => wave.id === id)?.name ?? id;
  const waves = (scope) => scope.waves.flatMap((id, place) => [place ? ", " : "", make("a", { href: ofWave(id) }, name(id))]);
  return make("div", {}, head, intro, scopeTable(state.scopes, [["waves", waves], ["worker", (scope) => scope.worker === null ? t("scope.nobody") : make("span", { class: "mono small" }, scope.worker)]]), ...workersTable(state.workers));
}
