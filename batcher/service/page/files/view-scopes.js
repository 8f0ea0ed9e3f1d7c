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

export function scopesView(state) {
  const head = make("div", { class: "title" }, make("h1", { tabindex: "-1" }, t("scopes.title")));
  const intro = make("p", { class: "soft" }, t("scopes.intro"));
  if (state.scopes === null) return make("div", {}, head, intro, state.failed ? failure(state.failed) : loading());
  if (!state.scopes.length) return make("div", {}, head, intro, make("div", { class: "empty" }, make("p", {}, t("scopes.empty"))));
  const name = (id) => state.waves?.list.find((wave) => wave.id === id)?.name ?? id;
  const waves = (scope) => scope.waves.flatMap((id, place) => [place ? ", " : "", make("a", { href: ofWave(id) }, name(id))]);
  return make("div", {}, head, intro, scopeTable(state.scopes, [["waves", waves], ["worker", (scope) => make("span", { class: "mono small" }, scope.worker)]]));
}
