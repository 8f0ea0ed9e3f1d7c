"""What held a rehearsed wave back, as it was measured, and what to change about it. Pure."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from math import ceil, floor, log10

from msgspec import Struct

from batcher.channel.governor import TURNED_AWAY
from batcher.durations import rough_duration
from batcher.rates import Rate
from batcher.wave.status import ScopeStatus, WaveStatus

_MOST_CONCURRENT = 1000
_FULL = 0.9  # of the places: one is always just changing hands
_WORTH = 0.95  # advice that saves less than a twentieth is not given


class Brake(StrEnum):
    """What kept a scope from sending more, at one moment."""

    PLACES = "places"  # as many requests in flight as may be
    RATE = "rate"  # ours
    LIMIT = "limit"  # the cloud's: it turned requests away
    OUTAGE = "outage"
    RUNNING = "running"  # enough comparisons are running
    READINESS = "readiness"  # jobs that are not ready yet
    DOUBTS = "doubts"  # nothing is left but what may still land


class Measured(Struct, frozen=True, kw_only=True):
    """What a rehearsal showed. *entries* is of the scope with the most, *answer_s* how long a create request took.

    *brakes* counts the moments, evenly spread, at which each brake held.
    """

    entries: int
    took_s: float
    answer_s: float | None
    concurrency: int
    rate: Rate | None
    brakes: Mapping[Brake, int]


def brake_of(status: WaveStatus, concurrency: int) -> Brake | None:
    """What holds the wave back now: in its scope with most to do. None: there is nothing to do."""
    scope = max(status.scopes, key=lambda scope: scope.entries - scope.settled, default=None)
    if scope is None or scope.settled >= scope.entries:
        return None
    held = scope.held_for_place + scope.held_for_readiness
    if scope.in_flight >= concurrency * _FULL:
        return Brake.PLACES
    if scope.reason is not None:
        return Brake.LIMIT if scope.reason == TURNED_AWAY else Brake.OUTAGE
    if held and _unsent(scope, status) <= held:
        return Brake.RUNNING if scope.held_for_place >= scope.held_for_readiness else Brake.READINESS
    if _unsent(scope, status) <= 0:
        return Brake.DOUBTS if status.in_doubt else None
    return Brake.RATE


def _unsent(scope: ScopeStatus, status: WaveStatus) -> int:
    """Entries that have still to be sent; a doubt is not told by scope, which matters little."""
    return scope.entries - scope.settled - scope.in_flight - status.in_doubt


def advice(measured: Measured) -> str | None:
    """What held the wave back, and what would make it quicker; None where nothing to speak of did."""
    brakes = Counter(measured.brakes)
    if not brakes:
        return None
    ((brake, _),) = brakes.most_common(1)
    match brake:
        case Brake.PLACES:
            return _of_places(measured)
        case Brake.RATE:
            return _of_rate(measured)
        case Brake.LIMIT:
            return (
                "The cloud's limit holds it back: requests over it are turned away. A --rate at that limit wastes none."
            )
        case Brake.OUTAGE:
            return "Outages hold it back: it waits for the cloud to answer again."
        case Brake.RUNNING:
            return "The comparisons that may run at once hold it back (--max-running, --max-running-per)."
        case Brake.READINESS:
            return "Jobs that are not ready yet hold it back (--wait-ready)."
        case Brake.DOUBTS:
            return (
                "Lost answers hold its end back: only when nothing of them can land any more (--landing-time) "
                "is it known that they were not taken."
            )


def _of_places(measured: Measured) -> str | None:
    if not measured.answer_s:
        return None
    answer_s, places = measured.answer_s, measured.concurrency
    said = f"{places} in flight at {answer_s:.2g} s are {places / answer_s:.3g}/s"
    wanted = _round_up(measured.rate.per_s * answer_s * 1.1) if measured.rate else 2 * places
    more = min(max(wanted, places + 1), _MOST_CONCURRENT)
    pace = more / answer_s if measured.rate is None else min(more / answer_s, measured.rate.per_s)
    left_s = _at(pace, measured, places / answer_s)
    if left_s > measured.took_s * _WORTH:
        return f"{said}: that holds it back."
    return f"{said}: --concurrency {more} would make it {rough_duration(left_s)}."


def _of_rate(measured: Measured) -> str | None:
    rate = measured.rate
    if rate is None:
        return None
    twice = Rate(rate.count * 2, rate.period_s)
    pace = twice.per_s
    if measured.answer_s:
        pace = min(pace, measured.concurrency / measured.answer_s)
    left_s = _at(pace, measured, rate.per_s)
    if left_s > measured.took_s * _WORTH:
        return f"The rate of {rate} holds it back."
    return (
        f"The rate of {rate} holds it back: --rate {twice} would make it {rough_duration(left_s)}, "
        "if the cloud lets so many in."
    )


def _at(pace: float, measured: Measured, pace_now: float) -> float:
    """Seconds at another *pace*: only what the pace costs changes, not what beginning and end take."""
    rest_s = max(measured.took_s - measured.entries / pace_now, measured.answer_s or 0.0)
    return measured.entries / pace + rest_s


def _round_up(number: float) -> int:
    """To two digits, as a person would choose."""
    step = 10 ** max(0, floor(log10(max(number, 1.0))) - 1)
    return int(ceil(number / step) * step)
