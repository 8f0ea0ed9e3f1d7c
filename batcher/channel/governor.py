"""The governor of one scope: it steers the scope's two pacers by what the cloud answers and what the operator says.

Creates and look-ups have a pace each, but one fate: an outage holds both back. Everything it decides by is in
`limit_finding` (the limit), `outage_detector` (the outage) and the operator's word; here that only meets the clock and
the log.

What holds here:

- A pacer is never let go faster than our own limit, whatever was learnt from the cloud.
- An answer counts for the limit or for the outage, never for both: who is not there says nothing about a limit.
- In an outage one request at a time goes out to see, of whichever wave; the first sound answer ends it for all.
- It gives up once, by `on_give_up`: it stops nothing itself.
"""

import random
from collections.abc import Callable, Collection
from math import inf
from typing import Literal

from msgspec.structs import replace

from batcher import zone
from batcher.clock import Clock, utc
from batcher.drs import guesses
from batcher.drs.outcome import ErrorKind, Fate, Foreign, HalfOutcome, Trouble
from batcher.durations import duration_text
from batcher.logger import get_logger
from batcher.pace.limit_finding.finder import LimitFinder
from batcher.pace.outage_detector import OutageDetector
from batcher.pace.pacer import Pacer
from batcher.pace.per_job_throttling import PerJobThrottling
from batcher.rates import Pace, Rate

log = get_logger("batcher.wave")

Limit = Rate | Literal["auto"] | None
"""The limit of ours: a rate, `auto` to find the cloud's, None for none."""

TURNED_AWAY = "turned away by the cloud's limit"
_IDLE_S = 60.0  # nothing is sent for so much longer than it had to wait: there is nothing to send, or nobody may
_PATIENCE_S = 5.0  # feeling for room, that long for an answer: one that is lost must not hold up the scope
_LONG_PAUSE_S, _SAY_EVERY_S = 5.0, 60.0
_NEVER_WORKED_S, _NEVER_WORKED = 45.0, 3  # so long, and so many failures, is waited for a way that has never worked
_EMPTY_LIST = "DRS.M00002"  # how a cloud may say that a job has no comparisons: it is there, and answers
_SILENT_KINDS = frozenset({ErrorKind.NETWORK, ErrorKind.TIMEOUT, ErrorKind.SERVER})


def limit_of(pace: Pace) -> Limit:
    """The limit that a setting asks for."""
    return None if pace == "off" else pace


class LearningPacer:
    """One pacer and what it has learnt about the cloud's limit. *each_waits*: as `LimitFinder` has it."""

    def __init__(self, limit: Limit, clock: Clock, rng: random.Random, name: str, *, each_waits: bool = False) -> None:
        self._clock = clock
        self._each_waits = each_waits
        self._rng = rng
        self._name = name
        self._finder = _finder(limit, each_waits=self._each_waits)
        self.pacer = Pacer(self._finder.ceiling, clock)
        self._out = False
        self._said_at = -inf
        self._let_in_at = clock.monotonic()  # when that was answered; at first, when it began
        self._refused_at: float | None = None  # the last time; None: something has been let in since
        self._refused_s = 0.0  # for how long, without what was let in and without the time when nothing was sent
        self._waits_until = -inf  # after the last refusal: what is sent next leaves about then, if there is anything
        self._steered: tuple[object, ...] = ()
        self._steer()

    def set_limit(self, limit: Limit) -> None:
        """Our own limit is another one from now on; what was learnt about the cloud's is forgotten."""
        self._finder = _finder(limit, each_waits=self._each_waits)
        self._steer()

    def heard(self, sent_at: float, throttled: Trouble | None) -> None:
        """An answer came to a request that left at *sent_at*; *throttled* says that it was turned away."""
        finder, now = self._finder, self._clock.monotonic()
        if throttled is None:
            self.forgive()
            was_confirmed = finder.confirmed
            finder.accepted(sent_at, now)
            if finder.confirmed and not was_confirmed:
                log.info("limit.confirmed", calls=self._name, rate=str(finder.named))
        else:
            self._count_refusal(now)
            wait_s = finder.turned_away(sent_at, now, retry_after_s=throttled.retry_after_s, named=throttled.limit)
            if wait_s is not None:
                wait_s *= 1 + self._rng.random() / 10
                self.pacer.pause(wait_s, TURNED_AWAY)
                self._say(wait_s, throttled)
            gap_s = 0.0 if finder.rate is None else 1 / finder.rate.per_s
            self._waits_until = max(self._waits_until, now + max(wait_s or 0.0, throttled.retry_after_s or 0.0, gap_s))
        self._steer()

    def _count_refusal(self, now: float) -> None:
        """One more was turned away. While nothing was sent, as in a pause or between two waves, nothing was refused."""
        if self._refused_at is not None:
            idle_s = now - max(self._refused_at, self._waits_until)
            self._refused_s += now - self._refused_at - (idle_s if idle_s > _IDLE_S else 0.0)
        self._refused_at = now

    def _say(self, wait_s: float, throttled: Trouble) -> None:
        """Log that the cloud turned a request away: every long pause, and of short ones the first in a while."""
        now = self._clock.monotonic()
        if wait_s >= _LONG_PAUSE_S or now - self._said_at >= _SAY_EVERY_S:
            self._said_at = now
            log.warning("limit.exceeded", calls=self._name, wait_s=round(wait_s, 2), error_code=throttled.error_code)

    def let_in_within(self, seconds: float) -> bool:
        """Whether the cloud has let something in lately."""
        return self._clock.monotonic() - self._let_in_at < seconds

    def shut_out(self, bound_s: float, throttled: Trouble) -> bool:
        """Whether nothing but refusals, of which *throttled* is the last, has come for *bound_s*.

        A limit is known to let in again when its period, or the wait that the cloud asks for, is over: both are waited
        for twice.
        """
        rate = self._finder.rate
        known_s = max(throttled.retry_after_s or 0.0, 0.0 if rate is None else rate.period_s)
        return self._refused_at is not None and self._refused_s >= max(bound_s, 2 * known_s)

    def forgive(self) -> None:
        """What was refused up to now counts no more."""
        self._let_in_at, self._refused_at = self._clock.monotonic(), None
        self._refused_s, self._waits_until = 0.0, -inf

    def silence(self, seconds: float | None, reason: str = "") -> None:
        """In an outage: nothing leaves for *seconds*, then one request at a time. None: the outage is over."""
        self._out = seconds is not None
        if seconds is not None:
            self.pacer.pause(seconds, reason)
        self._steer()

    @property
    def rate_text(self) -> str:
        """The pace in force, for people."""
        finder = self._finder
        rate = finder.rate
        if rate is None:
            return "off"
        if finder.searching:
            return f"{_per_s(rate)}, searching"
        if rate in (finder.ceiling, finder.named):
            return str(rate)
        return f"{_per_s(rate)}, found" if rate.period_s < 2 else f"{rate}, found"

    @property
    def feeling(self) -> bool:
        """Whether the limit is being felt for room, one request at a time."""
        return self._finder.alone

    def _steer(self) -> None:
        finder, pacer = self._finder, self.pacer
        steered = (finder.ceiling, finder.rate, finder.strict, finder.alone, self._out)
        if steered == self._steered:  # as after nearly every answer
            return
        self._steered = steered
        pacer.set_rate(finder.ceiling)
        pacer.narrow(None if finder.rate == finder.ceiling else finder.rate, strict=finder.strict)
        pacer.alone(finder.alone or self._out, patience_s=inf if self._out else _PATIENCE_S)


class Governor:
    """Steers one scope's pacers. *on_give_up* is called when an outage has lasted for *give_up_after_s*, or the better
    part of a minute where the cloud has never answered this run; when it has turned all away for as long; and at once
    where something on the way does not let us through.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        *,
        limit: Limit,
        read_limit: Limit,
        give_up_after_s: float | None,
        on_give_up: Callable[[Trouble], None],
    ) -> None:
        self._clock = clock
        self.creates = LearningPacer(limit, clock, rng, "create", each_waits=True)
        self.reads = LearningPacer(read_limit, clock, rng, "look-up")
        self._outage = OutageDetector()
        self._per_job = PerJobThrottling()
        self.give_up_after_s = give_up_after_s
        self._on_give_up = on_give_up
        self.worked = False  # the cloud itself has answered
        self.sound_since = float("-inf")  # when the last outage ended

    @property
    def out(self) -> bool:
        """Whether the scope is in an outage: what fails now says nothing about its entry."""
        return self._outage.out

    def create_answered(self, job_id: str, sent_at: float, verdicts: Collection[HalfOutcome]) -> None:
        """A create request for *job_id* ended with *verdicts*; call it before they are decided upon."""
        troubles = [verdict for verdict in verdicts if isinstance(verdict, Trouble)]
        if not self._is_there(sent_at, troubles):
            return
        throttled = _throttled(troubles)
        if throttled is None or len(troubles) < len(verdicts):  # what made something was let in
            self._per_job.let_in()
            self.creates.heard(sent_at, None)
        elif throttled.error_code == guesses.TOO_FREQUENT:
            for moment in self._per_job.refused(job_id, sent_at, self._clock.monotonic()):
                self.creates.heard(moment, throttled)
        else:
            self.creates.heard(sent_at, throttled)
        if throttled is not None:
            self._see_shut_out(self.creates, throttled)

    def read_answered(self, sent_at: float, trouble: Trouble | None) -> None:
        """A look-up ended."""
        troubles = [] if trouble is None else [trouble]
        if self._is_there(sent_at, troubles):
            throttled = _throttled(troubles)
            self.reads.heard(sent_at, throttled)
            if throttled is not None:
                self._see_shut_out(self.reads, throttled)

    def set_limit(self, limit: Limit) -> None:
        """Our limit of create requests is another one from now on."""
        self.creates.set_limit(limit)

    def go_on(self) -> None:
        """Another try after a halt: an outage that led to it is over until the next failure."""
        self._outage, self.worked = OutageDetector(), False
        self.creates.forgive()
        self.reads.forgive()
        self.creates.silence(None)
        self.reads.silence(None)

    @property
    def paused_until_s(self) -> float | None:
        """Seconds until the scope sends again, 0 where that is not known; None: it is not paused."""
        paused_s = self.creates.pacer.paused_s
        return paused_s if paused_s is not None else 0.0 if self.reason is not None else None

    @property
    def reason(self) -> str | None:
        """Why less is sent than could be, for people."""
        if self.out:
            since = utc(self._clock.now() - self._outage.out_for(self._clock.monotonic()))
            when = zone.clock_text(since)
            return f"most attempts fail since {when} ({self._outage.said}): one at a time goes out to see"
        return self.creates.pacer.pause_reason or (TURNED_AWAY if self.creates.feeling else None)

    def _is_there(self, sent_at: float, troubles: list[Trouble]) -> bool:
        """Whether an answer with *troubles* shows that the cloud is there, and says something about its limit."""
        failed = next((t for t in troubles if _is_silence(t)), None) if troubles else None
        if failed is None or (failed.foreign is None and failed.kind is ErrorKind.SERVER):
            self.worked = True
        if failed is not None and failed.foreign is Foreign.BARRED:
            self._on_give_up(failed)
            return False
        if failed is not None:
            self._failed(sent_at, failed)
            return False
        if troubles and any(t.fate is Fate.NOT_LET_IN for t in troubles):
            return False
        if self._outage.sound(sent_at):
            self.sound_since = self._clock.monotonic()
            log.warning("scope.resumed")
            self.creates.silence(None)
            self.reads.silence(None)
        return True

    def _failed(self, sent_at: float, trouble: Trouble) -> None:
        now, was_out = self._clock.monotonic(), self.out
        said = trouble.error_msg or trouble.error_code or trouble.kind.value
        page = trouble.foreign is Foreign.PAGE
        silence_s = self._outage.failed(sent_at, now, said, page=page, worked=self.worked)
        if silence_s is None:
            return
        lasted_s, bound_s = self._outage.out_for(now), self.give_up_after_s
        if bound_s is not None and lasted_s >= bound_s:
            self._give_up(trouble, f"given no sound answer for {duration_text(bound_s)}", self._outage.said)
            return
        if not self.worked:
            if lasted_s >= _NEVER_WORKED_S and self._outage.probes >= _NEVER_WORKED:
                self._on_give_up(_never_worked(trouble, lasted_s))
                return
            bound_s = min(bound_s or inf, max(_NEVER_WORKED_S, lasted_s + 1.0))
        if bound_s is not None:
            silence_s = min(silence_s, bound_s - lasted_s)
        if not was_out:
            log.warning("scope.paused", reason=said, wait_s=round(silence_s, 1))
        self.creates.silence(silence_s, "most attempts fail")
        self.reads.silence(silence_s, "most attempts fail")

    def _see_shut_out(self, calls: LearningPacer, throttled: Trouble) -> None:
        """Give up where *calls*, of which *throttled* came last, have been turned away for too long.

        Look-ups alone stop nothing while create requests are let in.
        """
        bound_s = self.give_up_after_s
        if bound_s is None or not calls.shut_out(bound_s, throttled):
            return
        if calls is self.reads and self.creates.let_in_within(bound_s):
            return
        said = (throttled.error_msg or throttled.error_code or throttled.kind.value).rstrip(".")
        self._give_up(throttled, f"turned every request away for {duration_text(bound_s)}", said)

    def _give_up(self, trouble: Trouble, what: str, said: str) -> None:
        self._on_give_up(
            Trouble(
                fate=trouble.fate,
                kind=trouble.kind,
                error_code=trouble.error_code,
                error_msg=f"the cloud has {what}, which is what --give-up-after allows; the last was: {said}",
            )
        )


def _throttled(troubles: list[Trouble]) -> Trouble | None:
    return next((trouble for trouble in troubles if trouble.fate is Fate.TURNED_AWAY), None)


def _never_worked(trouble: Trouble, lasted_s: float) -> Trouble:
    """Why the scope stops although no outage has lasted that long: nothing says that waiting mends this."""
    said = trouble.error_msg or trouble.kind.value
    if trouble.foreign is not None:
        mend = "Check that the endpoint is that of DRS, and what stands before it: a proxy, a login page, an ingress"
    else:
        mend = "Check the endpoint, the network and the proxy"
    return replace(
        trouble,
        error_msg=f"the cloud itself has not answered once in {duration_text(round(lasted_s))}: {said}. {mend}; then "
        "run the same command again",
    )


def _is_silence(trouble: Trouble) -> bool:
    """Whether it says that the cloud is not there, rather than something about the entry."""
    if trouble.foreign is not None:
        return True
    if trouble.error_code == _EMPTY_LIST:
        return False
    return trouble.fate in (Fate.NOT_RECEIVED, Fate.MAYBE) and trouble.kind in _SILENT_KINDS


def _finder(limit: Limit, *, each_waits: bool) -> LimitFinder:
    if limit == "auto":
        return LimitFinder(None, search=True, each_waits=each_waits)
    return LimitFinder(limit, each_waits=each_waits)


def _per_s(rate: Rate) -> str:
    return f"{rate.per_s:.3g}/s"
