"""Draws a simulated wave as one page: its pace, the cloud's limit, what was let in and what was turned away."""

from html import escape
from math import inf

from tests.pace.simulated import Cloud, Course

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 920, 320, 52, 34, 14
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #566174; --line: #d5dae2; --back: #ffffff;
  --pace: #1559b3; --limit: #7a5a00; --in: #2c7a4b; --refused: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --dim: #a3adbb; --line: #3a4350; --back: #14181e;
  --pace: #7db4ff; --limit: #e5c15a; --in: #6fcf97; --refused: #ff8a80; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
svg { width: 100%; height: auto; } text { fill: var(--dim); font-size: 13px; }
.grid { stroke: var(--line); } .pace { fill: none; stroke: var(--pace); stroke-width: 2; }
.limit { fill: none; stroke: var(--limit); stroke-width: 2; stroke-dasharray: 7 5; }
.in { fill: none; stroke: var(--in); stroke-width: 1.5; } .refused { stroke: var(--refused); stroke-width: 1.5; }
li::marker { content: "\\25A0  "; } .k-pace::marker { color: var(--pace); } .k-limit::marker { color: var(--limit); }
.k-in::marker { color: var(--in); } .k-refused::marker { color: var(--refused); }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top; }
"""


def page(course: Course, cloud: Cloud, *, start: str, seed: int) -> str:
    """The page, complete in itself."""
    said = _in_words(course, cloud, start=start, seed=seed)
    rows = "".join(f"<tr><td>{at:.1f} s</td><td>{_pace(per_s)}</td></tr>" for at, per_s in course.paces)
    key = "".join(
        f'<li class="k-{name}">{text}</li>'
        for name, text in (
            ("pace", "the pace that is kept to"),
            ("limit", "the cloud's limit"),
            ("in", "let in, each second, smoothed over five"),
            ("refused", "turned away: a stroke each, at the foot"),
        )
        if name != "limit" or cloud.limit is not None
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The pace of a wave</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head><body><h1>The pace of a wave</h1>"
        + "".join(f"<p>{escape(text)}</p>" for text in said)
        + f"{_drawing(course, cloud)}<ul>{key}</ul><details><summary>Each pace, and since when</summary>"
        f"<table><tr><th>from</th><th>pace</th></tr>{rows}</table></details></body></html>\n"
    )


def _pace(per_s: float) -> str:
    return "no limit" if per_s == inf else f"{per_s:.2f}/s"


def _in_words(course: Course, cloud: Cloud, *, start: str, seed: int) -> list[str]:
    entries, refused = len(course.let_in), len(course.refused)
    kind = "that fills up bit by bit" if cloud.bucket else "in a window that slides"
    has = "The cloud has no limit" if cloud.limit is None else f"The cloud has a limit of {cloud.limit}, {kind}"
    has += "".join(f"; from {at:g} s on it is {rate}" for at, rate in cloud.changes)
    if cloud.strays:
        told = "" if cloud.stray_says_s is None else f", with Retry-After: {cloud.stray_says_s:g}"
        has += f"; it turns {cloud.strays:.0%} of all requests away for no reason of ours{told}"
    paces = [per_s for _, per_s in course.paces if per_s < inf]
    lowest = f" The lowest pace was {min(paces):.2f}/s." if paces else ""
    return [
        f"{has}. The wave knows nothing of that, and runs with --rate {start} (seed {seed}).",
        f"{entries:,} entries took {course.seconds:.0f} s, which is {entries / course.seconds:.2f} a second. "
        f"{refused:,} requests were turned away, {refused / (entries + refused):.1%} of all, and sent again. The pace "
        f"was changed {len(course.paces) - 1:,} times.{lowest}",
    ]


def _drawing(course: Course, cloud: Cloud) -> str:
    end = max(course.seconds, 1.0)
    let_in = _each_second(course.let_in, end)
    limits = (
        [] if cloud.limit is None else [(0.0, cloud.limit.per_s), *((at, rate.per_s) for at, rate in cloud.changes)]
    )
    high = 1.15 * max([per_s for _, per_s in (*course.paces, *limits) if per_s < inf] + let_in)

    def x(at: float) -> float:
        return LEFT + min(at, end) / end * (WIDTH - LEFT - 10)

    def y(per_s: float) -> float:
        return HEIGHT - BOTTOM - min(per_s, high) / high * (HEIGHT - BOTTOM - TOP)

    def steps(changes: list[tuple[float, float]]) -> str:
        points = []
        for (at, per_s), until in zip(changes, [at for at, _ in changes[1:]] + [end], strict=True):
            points += [f"{x(at):.1f},{y(per_s):.1f}", f"{x(until):.1f},{y(per_s):.1f}"]
        return " ".join(points)

    foot = HEIGHT - BOTTOM
    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}/s</text>'
        for mark in _marks(high)
    ]
    lines += [
        f'<text x="{x(mark):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{mark:g} s</text>' for mark in _marks(end)
    ]
    lines.append(
        f'<polyline class="in" points="{" ".join(f"{x(at + 0.5):.1f},{y(n):.1f}" for at, n in enumerate(let_in))}"/>'
    )
    if limits:
        lines.append(f'<polyline class="limit" points="{steps(limits)}"/>')
    lines.append(f'<polyline class="pace" points="{steps(list(course.paces))}"/>')
    lines += [
        f'<line class="refused" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{foot - 12}" y2="{foot}"/>'
        for at in course.refused
    ]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Pace and refusals over time">'
        + "".join(lines)
        + "</svg>"
    )


def _each_second(moments: tuple[float, ...], end: float) -> list[float]:
    counts = [0] * (int(end) + 1)
    for moment in moments:
        counts[min(int(moment), len(counts) - 1)] += 1
    return [sum(near) / len(near) for at in range(len(counts)) if (near := counts[max(0, at - 2) : at + 3])]


def _marks(high: float) -> list[float]:
    """Round numbers up to *high*, five or so."""
    step = 10.0 ** len(str(int(high)))
    while high / step < 4:
        step /= 2 if str(step).strip("0.").startswith(("1", "2")) else 2.5
    return [step * nth for nth in range(int(high / step) + 1)]
