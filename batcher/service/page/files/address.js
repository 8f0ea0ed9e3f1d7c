// The address says what is shown: every view can be passed on as a link, and the back button works.
//   #/            all waves         #/waves/ID/TAB?…   one wave
//   #/new         hand one in       #/scopes           the scopes      #/audit   who did what
export const TABS = ["overview", "entries", "trouble", "verdicts", "requests", "files"];

export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [place = "", id = null, tab = null] = path.split("/").filter(Boolean).map(decodeURIComponent);
  return { place: place || "waves", id, tab: TABS.includes(tab) ? tab : "overview", query: Object.fromEntries(new URLSearchParams(query)) };
}

export function link(place, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return `#/${place}${text ? `?${text}` : ""}`;
}

export const ofWave = (id, tab = "overview", query = {}) => link(`waves/${id}${tab === "overview" ? "" : `/${tab}`}`, query);

// This view with some of its parameters changed; null takes one away.
export function changed(view, query) {
  const place = view.id === null ? (view.place === "waves" ? "" : view.place) : `waves/${view.id}${view.tab === "overview" ? "" : `/${view.tab}`}`;
  return link(place, { ...view.query, ...query });
}

export const now = () => parse(location.hash);

export function go(hash, instead = false) {
  if (hash === location.hash) return;
  history[instead ? "replaceState" : "pushState"](null, "", hash);
  dispatchEvent(new PopStateEvent("popstate"));
}
