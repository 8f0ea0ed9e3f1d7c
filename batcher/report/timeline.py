"""The wave over time: how many requests left in each stretch of it. Pure, and small however long the wave was."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

# Widths a person reads at a glance, in seconds: one of them is the width of every bar.
_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
_BARS = 120  # at most


class Kind(StrEnum):
    """What a create request was."""

    FIRST = "first"  # the first one of its entry
    RETRY = "retry"  # a further one
    THROTTLED = "throttled"  # one that the cloud turned away


@dataclass(frozen=True, slots=True)
class Sent:
    """A create request: when it left (Unix seconds), and what it was."""

    at: float
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One stretch: when it begins (Unix seconds), and how many requests of each kind left in it."""

    at: float
    counts: dict[Kind, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Bars of *width_s* seconds without gaps, oldest first; never empty.

    *whole* is False where only the first request of each entry is known (there was no journal to look into).
    """

    width_s: int
    bars: tuple[Bar, ...]
    whole: bool

    @property
    def totals(self) -> dict[Kind, int]:
        """Requests of each kind over the whole wave."""
        return {kind: sum(bar.counts[kind] for bar in self.bars) for kind in Kind}

    def per_s(self, bar: Bar) -> float:
        """Requests a second in *bar*."""
        return bar.total / self.width_s


def timeline(sent: Iterable[Sent], *, whole: bool) -> Timeline | None:
    """The timeline of *sent*, in any order; None where nothing was sent. Reads *sent* once."""
    seconds: Counter[tuple[int, Kind]] = Counter((int(request.at), request.kind) for request in sent)
    if not seconds:
        return None
    first = min(second for second, _ in seconds)
    last = max(second for second, _ in seconds)
    width = next((width for width in _WIDTHS_S if (last - first) // width < _BARS), None)
    if width is None:
        width = _WIDTHS_S[-1] * ((last - first) // (_WIDTHS_S[-1] * _BARS) + 1)
    begin = first - first % width
    bars: list[dict[Kind, int]] = [dict.fromkeys(Kind, 0) for _ in range((last - begin) // width + 1)]
    for (second, kind), count in seconds.items():
        bars[(second - begin) // width][kind] += count
    return Timeline(
        width_s=width,
        bars=tuple(Bar(at=begin + place * width, counts=counts) for place, counts in enumerate(bars)),
        whole=whole,
    )
