// What the page says, in the reader's language, and how numbers, moments and durations are written in it.
export const LANGUAGES = { en: "English", "zh-CN": "简体中文" };
const CHOICES = { language: "batcher.language", zone: "batcher.zone" };

let table = {}, plural = null, numbers = null;
let choice = { language: "en", zone: "local" };

function kept(name) {
  try {
    return localStorage.getItem(CHOICES[name]);
  } catch { // some browsers forbid it: the choice then holds for as long as the page is open
    return null;
  }
}

export function keep(name, value) {
  choice = { ...choice, [name]: value };
  try {
    localStorage.setItem(CHOICES[name], value);
  } catch { // see above
  }
}

const spoken = (tag) => (/^zh\b/i.test(tag) ? "zh-CN" : /^en\b/i.test(tag) ? "en" : null);

// The language that was chosen here before; else the first of the browser's that there is.
function wanted() {
  const before = kept("language");
  return before in LANGUAGES ? before : navigator.languages.map(spoken).find(Boolean) ?? "en";
}

export const language = () => choice.language;
export const zone = () => choice.zone;

export async function speak(tag = wanted()) {
  const answer = await fetch(`/page/${tag}.json`);
  if (!answer.ok) throw new Error(`${tag}.json: ${answer.status}`);
  table = await answer.json();
  choice = { language: tag, zone: kept("zone") === "utc" ? "utc" : "local" };
  plural = new Intl.PluralRules(tag);
  numbers = new Intl.NumberFormat(tag);
  document.documentElement.lang = tag;
  Object.assign(Parts.words, { copied: t("copy.done"), refused: t("copy.refused"), copy: (what) => t("copy.what", { what }) });
}

// The text with that key. *values* fill its {places}; a text with forms takes the one for values.count.
export function t(key, values = {}) {
  const found = table[key];
  if (found === undefined) return key;
  const text = typeof found === "string" ? found : found[plural.select(values.count)] ?? found.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : values[name] ?? ""));
}

export const number = (count) => numbers.format(count);
export const share = (part, whole) => (whole ? Math.floor((100 * part) / whole) : 0);
export const pace = (perS) => `${perS >= 100 ? number(Math.round(perS)) : number(Math.round(perS * 10) / 10)}/s`;

// "3 min 20 s": two units are as much as anybody reads.
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => s >= size);
  if (first < 0) return t("duration.s", { n: 0 });
  const [name, size] = units[first], next = units[first + 1];
  const said = [t(`duration.${name}`, { n: Math.floor(s / size) })];
  if (next && Math.floor((s % size) / next[1])) said.push(t(`duration.${next[0]}`, { n: Math.floor((s % size) / next[1]) }));
  return said.join(" ");
}

const written = (moment, utc) => {
  const told = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", ...(utc ? { timeZone: "UTC" } : {}) }).format(moment);
  return utc ? `${told} UTC` : told;
};
export const zoneName = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

// A moment in the zone that was chosen; the other one stands in its title.
export function time(text, { both = false } = {}) {
  const moment = new Date(text), utc = choice.zone === "utc";
  const local = `${written(moment, false)} (${zoneName()})`;
  const element = Parts.make("time", { datetime: text, title: utc ? local : written(moment, true) }, written(moment, utc));
  return both ? Parts.make("span", {}, element, Parts.make("span", { class: "soft" }, ` · ${utc ? local : written(moment, true)}`)) : element;
}
export const clock = (moment) => written(moment, choice.zone === "utc").slice(11);
