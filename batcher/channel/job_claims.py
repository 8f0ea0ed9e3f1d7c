"""Who has which job in hand, over all waves of a process; and what they made of it, or may have made.

What holds here:

- One unsettled intent per job: an entry is sent only while it has its job in hand, and no other entry, of whichever
  wave, has it. Whoever waits for a job gets it first come first served, so none starves.
- An entry has its job from before its intent until it is known what became of that. One that is left `unsettled`, or
  in doubt by a wave that stopped, has it until its request can land no more; then it holds up nobody.
- What it may have made all the same counts for as long as this process knows of it: see `doubts`. So does what was
  made: two waves on one job never take each other's comparison for their own.
- Looking up needs no job in hand: entries of several waves may be in doubt about one job, each knowing of the others.
- What is remembered is bounded: `MOST` jobs with what was made of them, and as many doubts that hold up nobody.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Protocol

from batcher.clock import Clock
from batcher.drs.outcome import Half
from batcher.life.entry import PlannedEntry
from batcher.life.state import EntryState

MOST = 20_000


_MadeId = tuple[str, str, bool]  # a task id, whose it is, and whether it is surely


class ClaimedEntry(Protocol):
    """An entry in the hands of a wave; its *state* moves on meanwhile."""

    entry: PlannedEntry
    state: EntryState


Who = tuple[str, int]
"""A wave, by a name that it keeps when it is opened again, and the place of its entry."""


class _JobClaim:
    """*until*: when it holds up nobody any more, monotonic; None: not yet known."""

    __slots__ = ("until", "work")

    def __init__(self, work: ClaimedEntry) -> None:
        self.work = work
        self.until: float | None = None


class _WaitingEntry:
    __slots__ = ("again", "who", "work")

    def __init__(self, who: Who, work: ClaimedEntry, again: Callable[[], None]) -> None:
        self.who, self.work, self.again = who, work, again


class JobClaims:
    """The jobs of one scope; see the module. *remembers* is False where there is but one wave, which knows its own."""

    def __init__(self, clock: Clock, *, remembers: bool = True) -> None:
        self._clock = clock
        self._remembers = remembers
        self._claims: dict[str, dict[Who, _JobClaim]] = {}
        self._waiting: dict[str, deque[_WaitingEntry]] = {}
        self._left: OrderedDict[tuple[str, Who], None] = OrderedDict()  # doubts that hold up nobody, oldest first
        self._made: OrderedDict[str, tuple[_MadeId, ...]] = OrderedDict()  # by job; many are kept, so they are small
        self._alarms: dict[str, asyncio.TimerHandle] = {}

    def take(self, who: Who, work: ClaimedEntry, again: Callable[[], None]) -> bool:
        """Have the job of *work* in hand. False: another entry has it; *again* is called once *who* has it instead."""
        job_id = work.entry.job_id
        claims = self._claims.get(job_id)
        if claims is None:
            self._claims[job_id] = {who: _JobClaim(work)}
            return True
        if self._is_busy(claims, who) or (job_id in self._waiting and who not in claims):
            self._waiting.setdefault(job_id, deque()).append(_WaitingEntry(who, work, again))
            self._set_alarm(job_id)
            return False
        self._claim(job_id, who, work)
        return True

    def doubt(self, who: Who, work: ClaimedEntry) -> None:
        """*work* was sent by an earlier run, and nobody knows what became of it."""
        self._claim(work.entry.job_id, who, work)

    def after(self, who: Who, work: ClaimedEntry) -> None:
        """A step of *work* has ended: its job is free, unless it is in doubt."""
        job_id = work.entry.job_id
        claims = self._claims.get(job_id)
        if claims is None:
            return
        claim = claims.get(who)
        if claim is not None and claim.until is None and not work.state.in_doubt:
            self._note_made(who, work)
            self._drop(job_id, who)

    def leave_in_doubt(self, who: Who, work: ClaimedEntry, lands_within_s: float) -> None:
        """Nobody will find out what became of *work*, for now: its job is free when that can land no more."""
        job_id = work.entry.job_id
        self._note_made(who, work)
        claim = self._claims.get(job_id, {}).get(who)
        if claim is None:
            return
        claim.until = self._clock.monotonic() + max(0.0, lands_within_s)
        self._left[job_id, who] = None
        while len(self._left) > MOST:
            self._drop(*next(iter(self._left)))
        self._set_alarm(job_id)

    def was_left(self, who: Who, work: ClaimedEntry, lands_within_s: float) -> None:
        """An earlier process left *work* in doubt: its job is free when that can land no more, unless its own wave,
        once it is opened here, knows better."""
        if who not in self._claims.get(work.entry.job_id, {}):
            self._claim(work.entry.job_id, who, work)
            self.leave_in_doubt(who, work, lands_within_s)

    def leave(self, wave: str, lands_within_s: Callable[[ClaimedEntry], float]) -> None:
        """*wave* stops: it waits for nothing any more, and what it leaves in doubt is left."""
        for job_id in [job_id for job_id, waiting in self._waiting.items() if any(w.who[0] == wave for w in waiting)]:
            self._waiting[job_id] = deque(w for w in self._waiting[job_id] if w.who[0] != wave)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
        for claims in list(self._claims.values()):
            for who, claim in list(claims.items()):
                if who[0] != wave or claim.until is not None:
                    continue
                if claim.work.state.in_doubt:
                    self.leave_in_doubt(who, claim.work, lands_within_s(claim.work))
                else:
                    self.after(who, claim.work)

    def forget(self, wave: str) -> None:
        """Another process may go on with *wave* from now on, and knows better what is in doubt there: it has no job in
        hand here any more."""
        for job_id, claims in list(self._claims.items()):
            for who in [who for who in claims if who[0] == wave]:
                self._drop(job_id, who)

    def made(self, job_id: str, besides: str) -> frozenset[str]:
        """The task ids that other waves than *besides* got of the job."""
        claims = self._claims.get(job_id, {})
        if job_id not in self._made and all(wave == besides for wave, _ in claims):
            return frozenset()  # as ever, but for jobs of several waves
        ids = {task_id for task_id, whose, _ in self._made.get(job_id, ()) if whose != besides}
        for who, claim in claims.items():
            if who[0] != besides:
                ids |= _made_of(claim.work).keys()
        return frozenset(ids)

    def unsure(self, job_id: str, besides: str) -> frozenset[str]:
        """Those of `made` that may have been there already: see `batcher.life.reconcile.Others`."""
        made = self._made.get(job_id, ())
        ids = {task_id for task_id, whose, is_sure in made if whose != besides and not is_sure}
        for who, claim in self._claims.get(job_id, {}).items():
            if who[0] != besides:
                ids |= {task_id for task_id, is_sure in _made_of(claim.work).items() if not is_sure}
        return frozenset(ids)

    def doubts(self, job_id: str, besides: str) -> Iterator[ClaimedEntry]:
        """What other waves than *besides* sent for the job, and do not know what became of."""
        for who, claim in self._claims.get(job_id, {}).items():
            if who[0] != besides and claim.work.state.in_doubt:
                yield claim.work

    def close(self) -> None:
        """Wake nobody any more."""
        for alarm in self._alarms.values():
            alarm.cancel()

    def _is_busy(self, claims: dict[Who, _JobClaim], who: Who) -> bool:
        now = self._clock.monotonic()
        return any(other != who and (claim.until is None or claim.until > now) for other, claim in claims.items())

    def _claim(self, job_id: str, who: Who, work: ClaimedEntry) -> None:
        self._left.pop((job_id, who), None)
        self._claims.setdefault(job_id, {})[who] = _JobClaim(work)

    def _note_made(self, who: Who, work: ClaimedEntry) -> None:
        if self._remembers and (ids := _made_of(work)):
            known = tuple(one for one in self._made.get(work.entry.job_id, ()) if one[0] not in ids)
            self._made[work.entry.job_id] = known + tuple((id, who[0], is_sure) for id, is_sure in ids.items())
            self._made.move_to_end(work.entry.job_id)
            if len(self._made) > MOST:
                self._made.popitem(last=False)

    def _drop(self, job_id: str, who: Who) -> None:
        self._left.pop((job_id, who), None)
        claims = self._claims[job_id]
        del claims[who]
        if not claims:
            del self._claims[job_id]
        if job_id in self._waiting:
            self._hand_on(job_id)

    def _hand_on(self, job_id: str) -> None:
        """Give the job to who has waited longest, if it is free."""
        waiting = self._waiting.get(job_id)
        if not waiting:
            return
        first = waiting[0]
        if self._is_busy(self._claims.get(job_id, {}), first.who):
            self._set_alarm(job_id)
            return
        waiting.popleft()
        if not waiting:
            del self._waiting[job_id]
        self._claim(job_id, first.who, first.work)
        first.again()

    def _set_alarm(self, job_id: str) -> None:
        """Where the job is held up by nothing but what can land, look again when it can land no more."""
        if (alarm := self._alarms.pop(job_id, None)) is not None:
            alarm.cancel()
        until = [claim.until for claim in self._claims.get(job_id, {}).values()]
        if job_id not in self._waiting or not until or None in until:
            return
        latest = max(moment for moment in until if moment is not None)
        seconds = max(0.0, latest - self._clock.monotonic()) + _LATER_S
        self._alarms[job_id] = asyncio.get_running_loop().call_later(seconds, self._ring, job_id)

    def _ring(self, job_id: str) -> None:
        self._alarms.pop(job_id, None)
        self._hand_on(job_id)


_LATER_S = 0.001  # so that the loop's timer, which may fire a trifle early, finds it free


def _made_of(work: ClaimedEntry) -> dict[str, bool]:
    """What it made, and whether that is sure: what `keep` gets may have been there."""
    intent = work.state.intent
    kept = intent is not None and intent.conflict_policy == "keep"
    return {
        half.made: half.recovered or name is not Half.DATA or not kept
        for name, half in work.state.halves.items()
        if half.made is not None
    }
