"""Strays or a limit: what the refusals of a scope look like, weighed against each other. No I/O and no clock.

A limit turns requests away where much has been sent shortly before; strays come whatever was sent. So for each request
the *traffic* before it is kept, a count that fades within the limit's period (or within a few gaps between requests,
where that is longer; and within a second as well, as the period is a guess), and beside it whether it was let in. The
two explanations foretell:

    strays       a share q, at any traffic
    a limit at T hardly any below T; above it either all of them (a window is full), or what exceeds it (a bucket that
                 fills up bit by bit, a window that starts afresh at moments we cannot see)

`Evidence.weigh` is the logarithm of how much likelier strays explain what was seen than the likeliest limit does (a
likelihood ratio, as in Wald's sequential test): above `CERTAIN` they are strays, below its negative a limit, and in
between nobody can tell yet. At one pace the two look alike. It is the requests after a pause and those at a slower pace
that tell: a limit lets them in, strays do not care.

A request that feels for room after a refusal tells the same way, and once more: after a stray it is turned away as
rarely as any other, while a full window turns away several in a row.

Limits change. Where the latest requests alone speak for a limit, thirty of them or sixty, what was seen before them is
forgotten (Page's test).
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from itertools import islice
from math import ceil, exp, inf, log, log2

from msgspec import Struct

from batcher.pace.limit_finding.history import PacedRequest

CERTAIN = 3.0
"""The logarithm of 20: one in twenty decisions may be wrong, which costs a few refusals and is found out."""

LIKELY = 1.0
"""Odds for strays with which a refusal is likely to be one, and a faster pace worth a try; as much against them, and a
limit is likely."""

_REMEMBERED = 400  # requests: a trial of a slower pace must be remembered until the next is due, and a change forgotten
# Requests: after three seconds of 10/s a limit that was halved has shown itself, after six one that is a fifth lower.
# Twice as many again took the paces at which strays come by chance for a change.
_LATEST = (30, 60)
_CHANGED = 4.0  # odds of the latest requests against strays: they are few, and are weighed at every refusal
_PROBES = 60  # that felt for room: they are few, so
_PROBES_FROM = 2  # times as many requests are gone back for them as are weighed beside them
# (a limit by the minute turned many of them away, and the thirty requests that follow look like strays without them)

_LEVEL = log(1.04)  # levels of traffic lie 4% apart: finer than paces are told from each other
_LOWEST = 30  # levels below the highest that a limit is looked for: down to 0.3 of it
_CHANCE = 0.01  # of a refusal that no explanation foretells, and of a request let in that none does
_MOST_STRAYS = 1 / 3  # of all: so many are no strays
# Odds for strays to begin with: of limits the one that fits best is taken out of many, of strays only the share.
# At 0 some waves take twice their time, at 1.5 a limit that is a little too low turns away 5%.
_FITTED = 0.5
_SOFT = 0.08  # how sharply a full window shows: arrivals are known to a request or so of ten


class Weighed(Struct, frozen=True, gc=False):
    """*odds*: the logarithm of how much likelier strays are than a limit. *share* of the requests was turned away."""

    odds: float
    share: float


_NOTHING = Weighed(0.0, 0.0)


class Evidence:
    """The last requests of a scope that say something about strays. Moments are monotonic seconds.

    Hardly any of them is ever weighed, so a request is only kept until then.
    """

    def __init__(self) -> None:
        self._new: deque[PacedRequest] = deque(maxlen=_REMEMBERED)  # not looked into yet
        self._weighed: Weighed | None = _NOTHING  # None: something was added since
        self._fades_s: tuple[float, ...] = ()
        self._traffic: tuple[_FadingTraffic, ...] = ()
        self._seen: deque[PacedRequest] = deque()
        self._levels: deque[tuple[int, ...]] = deque()  # of each traffic, before those of them that tell
        self._tallies: tuple[_TrafficTally, ...] = ()
        self._probes: deque[_Probe] = deque(maxlen=_PROBES)

    def add(self, one: PacedRequest) -> None:
        """An answer came to *one*."""
        self._new.append(one)
        self._weighed = None

    def probe(self, sent_at: float, *, refused: bool) -> None:
        """A request that left at *sent_at* to feel for room, after one was turned away, was *refused* as well, or let
        in."""
        self._probes.append(_Probe(sent_at, refused))
        self._weighed = None

    def weigh(self, *fades_s: float) -> Weighed:
        """What is likelier; older requests are forgotten where the latest alone speak for a limit.

        Traffic fades within *fades_s*: each period that the limit is likely to have, or longer where the pace is slow.
        """
        if self._weighed is None:
            self._measure_over(fades_s)
            self._look_into_new()
            self._weighed = self._weigh()
        return self._weighed

    def _weigh(self) -> Weighed:
        for latest in _LATEST:
            if len(self._levels) <= latest:
                break
            weighed = _weigh(self._latest(latest), self._latest_probes(latest))
            if weighed.odds < -_CHANGED:
                self._forget(latest)
                return weighed
        return _weigh(self._tallies, self._probes)

    def _measure_over(self, fades_s: Iterable[float]) -> None:
        """Traffic fades within other times from now on: what was seen is looked into afresh."""
        rounded = tuple(sorted({2.0 ** ceil(log2(each)) for each in fades_s}))
        if rounded == self._fades_s:
            return
        self._fades_s = rounded
        seen = list(self._seen)
        self._seen.clear()
        self._levels.clear()
        self._traffic = tuple(_FadingTraffic(each_s, only_let_in=only) for each_s in rounded for only in (False, True))
        self._tallies = self._no_tallies()
        self._look_into(seen)

    def _look_into_new(self) -> None:
        new = self._new
        if len(new) == _REMEMBERED:  # those before them are forgotten: it is taken that they came as these did
            for traffic in self._traffic:
                traffic.suppose(new[0].sent_at, new[-1].sent_at, len(new))
        self._look_into(new)
        new.clear()

    def _look_into(self, requests: Iterable[PacedRequest]) -> None:
        for one in requests:
            self._seen.append(one)
            if one.telling:
                levels = tuple([traffic.level(one.sent_at) for traffic in self._traffic])
                self._levels.append(levels)
                for tally, level in zip(self._tallies, levels, strict=True):
                    tally.add(level, not one.let_in)
            if len(self._seen) > _REMEMBERED:
                self._drop()
            for traffic in self._traffic:
                traffic.add(one)

    def _no_tallies(self) -> "tuple[_TrafficTally, ...]":
        return tuple([_TrafficTally() for _ in self._traffic])

    def _drop(self) -> None:
        one = self._seen.popleft()
        if one.telling:
            for tally, level in zip(self._tallies, self._levels.popleft(), strict=True):
                tally.drop(level, not one.let_in)

    def _forget(self, latest: int) -> None:
        """Keep only the *latest* requests."""
        self._probes = deque(self._latest_probes(latest), maxlen=_PROBES)
        while len(self._levels) > latest:
            self._drop()

    def _latest_probes(self, latest: int) -> "list[_Probe]":
        """Those that left with the *latest* requests, or with as many before those."""
        telling = (one.sent_at for one in reversed(self._seen) if one.telling)
        since = next(islice(telling, _PROBES_FROM * latest - 1, None), -inf)
        return [probe for probe in self._probes if probe.sent_at >= since]

    def _latest(self, latest: int) -> "tuple[_TrafficTally, ...]":
        tallies = self._no_tallies()
        telling = (one for one in reversed(self._seen) if one.telling)
        for one, levels in islice(zip(telling, reversed(self._levels), strict=True), latest):
            for tally, level in zip(tallies, levels, strict=True):
                tally.add(level, not one.let_in)
        return tallies


class _Probe(Struct, frozen=True, gc=False):
    """A request that felt for room."""

    sent_at: float
    refused: bool


class _FadingTraffic:
    """How many requests left of late: each counts for less and less within *fades_s*.

    *only_let_in*: of those that were let in, as refused requests count towards some limits, and not towards others.
    """

    __slots__ = ("_at", "_count", "_fades_s", "_only_let_in")

    def __init__(self, fades_s: float, *, only_let_in: bool) -> None:
        self._fades_s, self._only_let_in = fades_s, only_let_in
        self._count, self._at = 0.0, 0.0

    def level(self, sent_at: float) -> int:
        """On a scale of logarithms, with the request itself."""
        return round(log(1 + self._faded(sent_at)) / _LEVEL)

    def add(self, one: PacedRequest) -> None:
        if one.let_in or not self._only_let_in:
            self._count = 1 + self._faded(one.sent_at)
            self._at = max(one.sent_at, self._at)

    def suppose(self, since: float, until: float, count: int) -> None:
        """*count* left from *since* to *until*, and as many before: what is left of those."""
        self._count, self._at = min(count, count * self._fades_s / max(until - since, 1e-3)), since

    def _faded(self, sent_at: float) -> float:
        return self._count * exp(min(0.0, self._at - sent_at) / self._fades_s)


class _TrafficTally:
    """How many requests were let in and turned away, at each level of traffic."""

    __slots__ = ("let_in", "refused")

    def __init__(self) -> None:
        self.let_in: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()

    def add(self, level: int, refused: bool) -> None:
        (self.refused if refused else self.let_in)[level] += 1

    def drop(self, level: int, refused: bool) -> None:
        counter = self.refused if refused else self.let_in
        counter[level] -= 1
        if not counter[level]:
            del counter[level]

    def likeliest_limit(self) -> float:
        """The logarithm of how likely the limit that explains it best makes what was seen."""
        refused, let_in = list(self.refused.items()), list(self.let_in.items())
        highest = max((*self.let_in, *self.refused))
        return max(
            sum([n * form.refused[level - limit] for level, n in refused])
            + sum([n * form.let_in[level - limit] for level, n in let_in])
            for form in _forms()
            for limit in range(highest - _LOWEST, highest + 2)
        )


def _weigh(tallies: Sequence["_TrafficTally"], probes: Collection[_Probe]) -> Weighed:
    refused, let_in = tallies[0].refused.total(), tallies[0].let_in.total()
    if not refused:
        return _NOTHING
    share = refused / (refused + let_in)
    strays = min(max(share, _CHANCE), _MOST_STRAYS)
    likelihood = _likelihood(refused, let_in, strays)
    limit = max(tally.likeliest_limit() for tally in tallies)
    odds = _FITTED + likelihood + _probe_odds(probes, strays) - limit
    return Weighed(min(odds, _too_many_odds(refused, let_in)), share)


def _too_many_odds(refused: int, let_in: int) -> float:
    """Against strays, where more are turned away than strays ever are: a limit whose period nobody knows yet, as an
    empty bucket for a minute, may turn away any share of them at any traffic. Else infinite."""
    share = refused / (refused + let_in)
    if share <= _MOST_STRAYS:
        return inf
    return _likelihood(refused, let_in, _MOST_STRAYS) - _likelihood(refused, let_in, share)


def _probe_odds(probes: Collection[_Probe], strays: float) -> float:
    """What requests that felt for room say: 0 where no more of them were turned away than of the others."""
    refused = sum(probe.refused for probe in probes)
    let_in = len(probes) - refused
    if not probes or refused <= strays * len(probes):
        return 0.0
    return _likelihood(refused, let_in, strays) - _likelihood(refused, let_in, refused / len(probes))


def _likelihood(refused: int, let_in: int, share: float) -> float:
    """The logarithm of how likely a *share* that is turned away, at any traffic, makes what was seen."""
    share = min(max(share, _CHANCE), 1 - _CHANCE)
    return refused * log(share) + let_in * log(1 - share)


class _Form(Struct, frozen=True):
    """What a limit does to a request so many levels of traffic above it, or below for those less than 0: the
    logarithms of the likelihoods that it is turned away and let in."""

    refused: tuple[float, ...]
    let_in: tuple[float, ...]


_FARTHEST = 600  # levels above or below: more requests than ever leave


def _form(exceeding: Callable[[float], float]) -> _Form:
    distances = (*range(_FARTHEST), *range(-_FARTHEST, 0))  # so that an index below 0 is a distance below 0
    chances = [_CHANCE + (1 - 2 * _CHANCE) * exceeding(distance * _LEVEL) for distance in distances]
    return _Form(tuple(map(log, chances)), tuple(log(1 - chance) for chance in chances))


@cache  # most waves are never refused, and need none
def _forms() -> tuple[_Form, ...]:
    return (
        _form(lambda distance: 1 / (1 + exp(-distance / _SOFT))),  # a full window
        _form(lambda distance: max(0.0, 1 - exp(-distance))),  # only what exceeds it
    )
