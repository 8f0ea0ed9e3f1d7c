"""The timeline as a drawing: bars of requests against the limit. Its colours are the page's, in light and in dark."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from batcher import zone
from batcher.clock import utc
from batcher.durations import duration_text
from batcher.report.timeline import Bar, RequestKind, Timeline

WIDTH, HEIGHT = 1000, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 14, 28
_LABELS = 6  # moments named along the axis


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of one colour, with the text that shows when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    said: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A text on an axis."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything the template draws, in the coordinates of a WIDTH by HEIGHT box."""

    blocks: tuple[Block, ...]
    rates: tuple[Mark, ...]
    moments: tuple[Mark, ...]
    limit_y: float | None
    limit_text: str | None
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    base: float = HEIGHT - _BOTTOM


def chart(timeline: Timeline, *, limit_per_s: float | None, limit_text: str | None) -> Chart:
    """*timeline* drawn; *limit_per_s* is the limit of all scopes together, None where there was none."""
    peak = max(timeline.per_s(bar) for bar in timeline.bars)
    shows_limit = limit_per_s is not None and limit_per_s <= 4 * peak
    top = max(peak, limit_per_s if shows_limit and limit_per_s is not None else 0.0) * 1.08 or 1.0

    def height_of(per_s: float) -> float:
        return per_s / top * (HEIGHT - _TOP - _BOTTOM)

    return Chart(
        blocks=tuple(_blocks(timeline, height_of(1.0 / timeline.width_s))),
        rates=tuple(
            Mark(_LEFT - 8, HEIGHT - _BOTTOM - height_of(rate), f"{rate:g}/s") for rate in _steps(top) if rate > 0
        ),
        moments=tuple(_moments(timeline)),
        limit_y=HEIGHT - _BOTTOM - height_of(limit_per_s) if shows_limit and limit_per_s is not None else None,
        limit_text=limit_text,
    )


def _blocks(timeline: Timeline, height_of_one: float) -> Iterator[Block]:
    step = (WIDTH - _LEFT - _RIGHT) / len(timeline.bars)
    width = max(step - (1.0 if step > 3 else 0.0), 0.5)
    for place, bar in enumerate(timeline.bars):
        base = float(HEIGHT - _BOTTOM)
        for kind in RequestKind:
            if count := bar.counts[kind]:
                height = count * height_of_one
                base -= height
                yield Block(_LEFT + place * step, base, width, height, kind.value, _said(timeline, bar))


def _said(timeline: Timeline, bar: Bar) -> str:
    counts = ", ".join(f"{count:,} {kind.value}" for kind, count in bar.counts.items() if count)
    when = f"{_clock(bar.at)} {zone.zone_text(_moment(bar.at))}"
    return f"{when}, {duration_text(timeline.width_s)}: {timeline.per_s(bar):.3g}/s ({counts})"


def _moments(timeline: Timeline) -> Iterator[Mark]:
    step = (WIDTH - _LEFT - _RIGHT) / len(timeline.bars)
    every = max(1, -(-len(timeline.bars) // _LABELS))
    several_days = timeline.bars[-1].at - timeline.bars[0].at >= 86400
    for place in range(0, len(timeline.bars), every):
        at = timeline.bars[place].at
        text = f"{_moment(at):%m-%d %H:%M}" if several_days else _clock(at)
        yield Mark(_LEFT + place * step, HEIGHT - 8, text)


def _clock(at: float) -> str:
    return f"{_moment(at):%H:%M:%S}"


def _moment(at: float) -> datetime:
    return zone.on_a_page(utc(at))


def _steps(top: float) -> Iterator[float]:
    """Three to five round numbers up to *top*."""
    size = 1e-6
    while top / size > 5:
        size *= 2.5 if f"{size:e}".startswith("2") else 2
    number = 0
    while number * size <= top:
        yield float(f"{number * size:.6g}")
        number += 1
