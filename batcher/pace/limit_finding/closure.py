"""A scope that was turned away: how it was going until then, and for how long it is silent before it feels for room.

Where strays are likely it is not closed at once: those that are under way anyway feel for room.
"""

from math import inf

from msgspec import Struct

from batcher.drs.guesses import THROTTLE_WAIT_S
from batcher.rates import Rate

_GAPS = 3  # at the pace allowed, of the first silence, where the answer names none: a limit a little too low has room
# again by then; where hardly anything is sent, that would be next to nothing, and
_STRAY_GAPS = 1  # at the pace really kept is the least; where it may well be a stray, that is enough
_LONGER = 2.0  # than it took until there was room again the last time, the first silence is at most
_SHORTEST_S = 0.05  # a timer may fire as late anyway
_LONGEST_S = 600.0  # room that is there again is found so long after, at most: limits by the hour are the longest
_SHORT_S = 2.5  # two of them in turn, each with a `Retry-After` of a second, the least there is
_DOUBLED_BELOW_S = 1.0  # silences grow quickly up to a second, by half from then on
_AGREED = 0.9  # of what `Retry-After` says, as its seconds are rounded up


def arrived_at(sent_at: float, answered_at: float) -> float:
    """When a request reached the cloud, as far as anybody can tell: half way."""
    return (sent_at + answered_at) / 2


class StrayCheck(Struct, kw_only=True):
    """Turned away where that is likely to be a stray: the scope goes on, and those under way tell whether it is closed.

    Moments are monotonic seconds. *several* is how many must be turned away until it is closed.
    """

    at: float  # when the first left that was turned away
    answered_at: float  # when its answer came
    several: int
    refused: int = 1
    passed: int = 0  # were let in, and left after the first of them had arrived

    def is_over(self, sent_at: float) -> bool:
        """Whether one that left at *sent_at* and was let in shows that they were strays."""
        self.passed += sent_at > arrived_at(self.at, self.answered_at)
        return self.passed >= self.refused

    def is_too_much(self) -> bool:
        """One more was turned away: whether the scope is to be closed."""
        self.refused += 1
        return self.refused >= self.several


class Closure(Struct, kw_only=True):
    """Since the scope was turned away. Moments are monotonic seconds.

    *several* is how many must be turned away until a `Retry-After` holds for the whole scope, and not just for the
    entry that got it, where *each_waits* for its own.
    """

    at: float  # when the first left that was turned away
    answered_at: float  # when its answer came
    kept_s: float  # for how long the pace had been kept
    let_in: int  # since the scope was last opened
    rate: Rate | None  # in force then
    per_s: float  # the pace really kept
    last_s: float = inf  # how long it took until there was room again the last time
    several: int = 1
    each_waits: bool = True
    silence_s: float = 0.0
    until: float = -inf  # there was no room: when the last left that was turned away, or as its answer said
    says_when: bool = False
    refused: int = 1
    in_turn: int = 1  # of them, one after the other: the first, and those that felt for room
    passed: int = 0  # were let in, and left after the first of them had arrived
    named: Rate | None = None  # the limit that the answer named, and
    told: bool = False  # whether it was below the pace, and is kept from now on

    @property
    def may_be_stray(self) -> bool:
        """Whether what was turned away is likely to be a stray."""
        return self.several > 1

    @property
    def was_short(self) -> bool:
        """Whether there was room again soon, and not all that were under way were turned away too: strays may do that,
        one after the other, even where each says that a second be waited."""
        return self.until - self.at <= _SHORT_S and (self.passed > 0 or self.refused == self.in_turn)

    def begin(self, retry_after_s: float | None) -> None:
        """The first silence."""
        told_s = self._for_all(retry_after_s)
        if told_s is None:
            gaps_s = _STRAY_GAPS / self.per_s
            if not self.may_be_stray:
                allowed_s = _GAPS / (self.per_s if self.rate is None else self.rate.per_s)
                gaps_s = max(gaps_s, min(allowed_s, _LONGER * self.last_s))
            answer_s = 0.0 if self.may_be_stray else self.answered_at - self.at
            told_s = min(max(gaps_s + answer_s, _SHORTEST_S), THROTTLE_WAIT_S)
        self.silence_s = told_s
        self._note(self.at, self.answered_at, self._for_all(retry_after_s))

    def again(self, sent_at: float, now: float, retry_after_s: float | None) -> None:
        """One that felt for room was turned away as well: a longer silence, as refused requests may count too."""
        self.refused += 1
        self.in_turn += 1
        told_s = self._for_all(retry_after_s)
        longer = 2.0 if self.silence_s < _DOUBLED_BELOW_S else 1.5
        self.silence_s = max(min(self.silence_s * longer, _LONGEST_S), told_s or 0.0)
        self._note(sent_at, now, told_s)

    def also(self, now: float, since: float, retry_after_s: float | None) -> float | None:
        """One that was under way was turned away as well: the longer silence that it asks for, if it does, where the
        one in force began at *since*."""
        self.refused += 1
        told_s = self._for_all(retry_after_s)
        if told_s is None or now + told_s <= since + self.silence_s:
            return None
        self.silence_s, self.says_when = now + told_s - since, True
        self.until = now + _AGREED * told_s
        return told_s

    def shows_room(self, sent_at: float) -> bool:
        """Whether one that was under way, left at *sent_at* and was let in shows that there is room: what was turned
        away may be strays, had arrived by then, and as many were let in since."""
        self.passed += sent_at > arrived_at(self.at, self.answered_at)
        return self.may_be_stray and self.passed >= self.refused

    def _for_all(self, retry_after_s: float | None) -> float | None:
        return retry_after_s if self.refused >= self.several or not self.each_waits else None

    def _note(self, sent_at: float, now: float, told_s: float | None) -> None:
        self.says_when = told_s is not None
        self.until = sent_at if told_s is None else now + _AGREED * told_s
