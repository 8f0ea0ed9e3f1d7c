"""The wave over time: how many requests left in each stretch of it. Pure, and small however long the wave was."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

# Widths a person reads at a glance, in seconds: one of them is the width of every bar.
_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
_BARS = 120  # at most
_UNITS_S = (60, 3600)  # every width beyond one of them is a multiple of it, and begins where one of it does


class RequestKind(StrEnum):
    """What a create request was."""

    FIRST = "first"  # the first one of its entry
    RETRY = "retry"  # a further one
    THROTTLED = "throttled"  # one that the cloud turned away


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A create request: when it left (Unix seconds), and what it was."""

    at: float
    kind: RequestKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One stretch: when it begins (Unix seconds), and how many requests of each kind left in it."""

    at: float
    counts: dict[RequestKind, int]

    @property
    def total(self) -> int:
        """How many requests of any kind left in this stretch."""
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
    def totals(self) -> dict[RequestKind, int]:
        """Requests of each kind over the whole wave."""
        return {kind: sum(bar.counts[kind] for bar in self.bars) for kind in RequestKind}

    def per_s(self, bar: Bar) -> float:
        """Requests a second in *bar*."""
        return bar.total / self.width_s


class Stretches:
    """Requests counted by the second; where the wave is so long that no bar is narrower, by the minute or the hour."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, RequestKind]] = Counter()  # by the beginning of the stretch
        self._unit = 1
        self._first: int | None = None
        self._last = 0

    def add(self, at: float, kind: RequestKind) -> None:
        """Count a request of *kind* that left *at* (Unix seconds)."""
        second = int(at)
        self._first = second if self._first is None else min(self._first, second)
        self._last = max(self._last, second)
        self._counts[second - second % self._unit, kind] += 1
        for unit in _UNITS_S:
            if unit > self._unit and (self._last - self._first) // unit >= _BARS:
                self._widen(unit)

    def _widen(self, unit: int) -> None:
        counts, self._counts, self._unit = self._counts, Counter(), unit
        for (second, kind), count in counts.items():
            self._counts[second - second % unit, kind] += count

    def timeline(self, *, whole: bool) -> Timeline | None:
        """The timeline of them; None where nothing was sent."""
        if self._first is None:
            return None
        span = self._last - self._first
        width = next((width for width in _WIDTHS_S if span // width < _BARS), None)
        if width is None:
            width = _WIDTHS_S[-1] * (span // (_WIDTHS_S[-1] * _BARS) + 1)
        begin = self._first - self._first % width
        bars: list[dict[RequestKind, int]] = [
            dict.fromkeys(RequestKind, 0) for _ in range((self._last - begin) // width + 1)
        ]
        for (second, kind), count in self._counts.items():
            bars[(second - begin) // width][kind] += count
        return Timeline(
            width_s=width,
            bars=tuple(Bar(at=begin + place * width, counts=counts) for place, counts in enumerate(bars)),
            whole=whole,
        )


def timeline(sent: Iterable[SentRequest], *, whole: bool) -> Timeline | None:
    """The timeline of *sent*, in any order; None where nothing was sent. Reads *sent* once."""
    stretches = Stretches()
    for request in sent:
        stretches.add(request.at, request.kind)
    return stretches.timeline(whole=whole)
