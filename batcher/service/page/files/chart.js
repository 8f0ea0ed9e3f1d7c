// The pace over time: bars of create requests against the limit, as the report draws them.
import { t, pace, clock } from "./text.js";
import { svg } from "./bits.js";

const { make } = Parts;
const WIDTH = 1000, HEIGHT = 200, LEFT = 56, RIGHT = 12, TOP = 12, BOTTOM = 26, LABELS = 6;
const KINDS = ["first", "retry", "throttled"];

function steps(top) {
  let size = 1e-6;
  while (top / size > 5) size *= /^2/.test(size.toExponential(3)) ? 2.5 : 2;
  const found = [];
  for (let number = 1; number * size <= top; number++) found.push(Number((number * size).toPrecision(6)));
  return found;
}

export function chart({ width_s: width, bars }, limit) {
  if (!bars.length) return make("p", { class: "soft" }, t("chart.none"));
  const rates = bars.map((bar) => KINDS.reduce((all, kind) => all + bar[kind], 0) / width);
  const peak = Math.max(...rates), shows = limit !== null && limit <= 4 * peak;
  const top = Math.max(peak, shows ? limit : 0) * 1.08 || 1;
  const base = HEIGHT - BOTTOM, step = (WIDTH - LEFT - RIGHT) / bars.length;
  const y = (perS) => base - (perS / top) * (base - TOP);
  const said = t("chart.said", { peak: pace(peak), limit: limit === null ? "–" : pace(limit), from: clock(new Date(bars[0].at)), to: clock(new Date(bars.at(-1).at)) });
  const drawing = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": said });
  for (const rate of [0, ...steps(top)]) {
    drawing.append(svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(rate).toFixed(1), y2: y(rate).toFixed(1) }));
    if (rate) drawing.append(svg("text", { x: LEFT - 8, y: (y(rate) + 4).toFixed(1), "text-anchor": "end" }, `${rate}/s`));
  }
  bars.forEach((bar, place) => {
    let at = base;
    for (const kind of KINDS) {
      if (!bar[kind]) continue;
      const height = base - y(bar[kind] / width);
      at -= height;
      drawing.append(svg("rect", { class: kind, x: (LEFT + place * step).toFixed(2), y: at.toFixed(2), width: Math.max(step - (step > 3 ? 1 : 0), 0.5).toFixed(2), height: height.toFixed(2) },
        svg("title", {}, `${clock(new Date(bar.at))}: ${pace(rates[place])}, ${t(`chart.${kind}`)}: ${bar[kind]}`)));
    }
  });
  const every = Math.max(1, Math.ceil(bars.length / LABELS));
  for (let place = 0; place < bars.length; place += every) {
    if (LEFT + place * step < WIDTH - 60) drawing.append(svg("text", { x: (LEFT + place * step).toFixed(1), y: HEIGHT - 7 }, clock(new Date(bars[place].at))));
  }
  if (shows) drawing.append(svg("line", { class: "limit", x1: LEFT, x2: WIDTH - RIGHT, y1: y(limit).toFixed(1), y2: y(limit).toFixed(1) }));
  const total = (kind) => bars.reduce((all, bar) => all + bar[kind], 0);
  return make("div", {}, make("div", { class: "wide" }, drawing),
    make("ul", { class: "legend" },
      ...KINDS.filter((kind) => total(kind)).map((kind) => make("li", { class: kind }, make("i"), t("chart.count", { what: t(`chart.${kind}`), count: total(kind) }))),
      limit === null ? null : make("li", { class: shows ? "limit" : "" }, shows ? make("i") : null, t("chart.limit", { limit: pace(limit) }))));
}
