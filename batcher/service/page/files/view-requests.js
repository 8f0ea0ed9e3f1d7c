// The create requests exactly as they are sent, before anything is.
import { t, number } from "./text.js";
import { changed } from "./address.js";
import { failure, loading } from "./bits.js";

const { make, copyButton } = Parts;

export const request = (one) => {
  const body = JSON.stringify(one.body, null, 2);
  return make("li", { class: "request", "data-key": String(one.index) },
    make("p", {}, make("b", {}, `# ${number(one.index + 1)}`), " ", make("span", { class: "mono" }, one.key), " ", make("span", { class: "soft small" }, t("request.line", { line: number(one.line) }))),
    make("p", { class: "mono soft small" }, `POST ${one.endpoint}/v3/${one.project_id ?? "{project_id}"}/jobs/create-compare-task`),
    make("div", { class: "command" }, make("pre", { tabindex: "0", "aria-label": t("request.body", { key: one.key }) }, make("code", {}, body)), copyButton(body, t("request.copy"))));
};

export const requestList = (requests) => make("ol", { class: "requests" }, ...requests.map(request));

export function requestsView(state) {
  const { view, requests } = state, intro = make("p", { class: "soft" }, t("requests.intro"));
  if (requests === null) return make("section", {}, intro, state.failed ? failure(state.failed) : loading());
  return make("section", { "aria-label": t("tab.requests") }, intro, requestList(requests.requests),
    make("nav", { id: "pager", "aria-label": t("pages") },
      view.query.from ? make("a", { href: changed(view, { from: null }), "data-top": "" }, t("pages.first")) : null,
      requests.next !== null ? make("a", { href: changed(view, { from: requests.next }), "data-top": "" }, t("pages.next")) : null));
}
