// What went wrong, grouped by cause, each with what to do about it.
import { t, number } from "./text.js";
import { changed, ofWave } from "./address.js";
import { causeLink, causeName, loading, told, TONES } from "./bits.js";

const { make, copyButton } = Parts;
// Codes whose cause is another than that of most of their kind.
const CODES = ["DRS.M01503", "DRS.M01504", "DRS.10000024", "DRS.M00307", "DRS.M05004"];

export function advice(cause) {
  if (cause.status === "unsettled") return t(cause.error_kind === "stopped" ? "advice.unsettled.stopped" : "advice.unsettled");
  if (cause.status === "invalid") return t("advice.invalid");
  if (cause.status === "not_submitted") return t("advice.stopped");
  if (CODES.includes(cause.error_code)) return t(`advice.${cause.error_code}`);
  return cause.error_kind ? t(`advice.${cause.error_kind}`) : t("advice.none");
}

export function troubleView(state) {
  const { wave, view } = state, found = state.causes[wave.id]?.list;
  if (!found) return loading();
  if (!found.length) return make("div", { class: "empty" }, make("p", {}, t("trouble.none")));
  const step = (cause) => make("li", { class: `step ${TONES.status[cause.status]}`, "data-key": `${cause.status} ${cause.error_kind} ${cause.error_code}` },
    make("a", { class: "count", href: causeLink(wave, cause), title: t("trouble.show") }, number(cause.count), make("span", { class: "off" }, ` ${t("trouble.show")}`)),
    make("div", {}, make("p", {}, make("b", {}, t(`status.${cause.status}`)), " ", make("span", { class: "mono" }, causeName(cause))),
      cause.error_msg ? told(cause.error_msg, "p", { class: "message" }) : null,
      make("p", { class: "soft small" }, t("trouble.example"), " ", make("a", { class: "mono", href: changed({ ...view, tab: "entries", query: {} }, { entry: cause.example }) }, cause.key), copyButton(cause.key, t("fact.key"))),
      make("p", {}, advice(cause))));
  return make("section", { "aria-label": t("tab.trouble") }, make("p", { class: "soft" }, t("trouble.intro")), make("ul", { class: "steps" }, ...found.map(step)),
    make("p", {}, make("a", { href: ofWave(wave.id, "entries", { status: "failed,partial,unsettled,invalid" }) }, t("trouble.all"))));
}
