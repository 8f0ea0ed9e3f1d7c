"""What a scope has to do, in order: entries that may be worked on now, those due later, those behind their job.

What holds here:

- Entries of one job never run together: an entry holds its job from the moment it is handed out until it is released,
  and the others of that job wait behind it in manifest order. Other waves are kept off by `channel.job_claims`.
- An entry is in one place: due now, due later, behind another of its job, or in the hands of the one who was given it,
  who releases it or gives it back by `again`; `size` counts all of them.
- Look-ups that are due go before all else, what was begun before anything new; nobody who is idle sleeps on while
  something is due that is for them.
- Once stopped it hands out nothing but doubts that were never looked up, each once more.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import count

from msgspec import Struct

from batcher.clock import Clock
from batcher.drs.outcome import Comparison
from batcher.life.decide import Action, LookUp, Send, Settle
from batcher.life.entry import PlannedEntry
from batcher.life.state import EntryState


class HeldEntry(Struct):
    """An entry in memory: what the journal has of it, and what only this process knows.

    *action* is what is to be done next, and *due_at* when; *sent_at* is when this process last sent it, *first_at* when
    it first did, and *listed_at* when its job's comparisons were last listed, which are *listed*, all monotonic;
    *listed_on* is the timebase of that.
    *waited_s* is how long it waited for its scope since then, although it was due.
    """

    entry: PlannedEntry
    state: EntryState
    action: Action = Send(0.0, "planned")
    sent_at: float | None = None
    first_at: float | None = None
    listed_at: float | None = None
    listed_on: str = ""
    listed: frozenset[str] = frozenset()
    due_at: float = 0.0
    waited_s: float = 0.0
    failed_looks: int = 0  # before it was first sent
    probed: bool = False  # it was looked up before it was sent, and is not there
    lease: int | None = None  # by which its lane is run
    intended_at: float = 0.0  # when its intent was made, by the boot clock
    size: int = 0  # bytes of memory that it takes, about: from when it is added to an agenda

    def saw(self, comparisons: Iterable[Comparison], began: float, timebase: str) -> None:
        """All of the job's comparisons, as they were listed: not before *began*, monotonic, when the clock had that
        *timebase*."""
        self.listed = frozenset(comparison.compare_task_id for comparison in comparisons)
        self.listed_at, self.listed_on = began, timebase

    def was_listed_since(self, moment: float) -> bool:
        """Whether a list of its job was begun after *moment*."""
        return self.listed_at is not None and self.listed_at >= moment

    def began(self, now: float) -> None:
        """What was due is being done: until now the entry waited for its scope, which had to pause or to be slow."""
        if self.first_at is not None:
            self.waited_s += max(0.0, now - self.due_at)


class Agenda:
    """Hands entries to the workers of one scope: each to one at a time, one of a job at a time.

    Workers take look-ups that are due before all else. Lookers take nothing but look-ups: those go on while every
    worker waits for its turn to send, which may take minutes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looks: deque[HeldEntry] = deque()  # look-ups that are due
        self._ready: deque[HeldEntry] = deque()  # everything else that is
        self._later: list[tuple[float, int, HeldEntry]] = []
        self._order = count()
        # By the job of each entry that is in hand: those that wait for it; None: no other names the job, so far.
        self._behind: dict[str, deque[HeldEntry] | None] = {}
        self._idle: deque[asyncio.Future[None]] = deque()  # workers
        self._idle_lookers: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._complete = False  # no more entries will be added
        self._stopping = False
        self.size = 0  # entries added and not released
        self.bytes = 0  # that they take, about

    def add(self, held: HeldEntry) -> None:
        """Add an entry; it waits if its job is busy."""
        held.size = held.entry.size
        self.size += 1
        self.bytes += held.size
        job = held.entry.job_id
        if job not in self._behind:
            self._behind[job] = None
            self.again(held, 0.0 if isinstance(held.action, Settle) else held.action.after_s)
        elif (behind := self._behind[job]) is None:
            self._behind[job] = deque([held])
        else:
            behind.append(held)

    def again(self, held: HeldEntry, after_s: float) -> None:
        """Hand *held*, which keeps its job, out again in *after_s* seconds; when stopping, a fresh doubt at once."""
        held.due_at = self._clock.monotonic() + after_s
        if after_s > 0 and not (self._stopping and _first_look(held)):
            heappush(self._later, (held.due_at, next(self._order), held))
            self._set_alarm()
        else:
            (self._looks if isinstance(held.action, LookUp) else self._ready).append(held)
        self._wake()

    def doubt_first(self, held: HeldEntry) -> bool:
        """Hand out a doubt that waits behind *held*, which has its job and waits behind it instead. False: there is
        none."""
        behind = self._behind[held.entry.job_id]
        for place, other in enumerate(behind or ()):
            if behind is not None and other.state.in_doubt:
                del behind[place]
                behind.appendleft(held)
                (self._looks if isinstance(other.action, LookUp) else self._ready).append(other)
                self._wake()
                return True
        return False

    def release(self, held: HeldEntry) -> None:
        """*held* is done with: its job is free for the next."""
        self.size -= 1
        self.bytes -= held.size
        behind = self._behind.pop(held.entry.job_id)
        if behind:
            self._behind[held.entry.job_id] = behind
            first = behind.popleft()
            (self._looks if isinstance(first.action, LookUp) else self._ready).append(first)
        if self._complete and self.size == 0:
            self._wake_all()
        else:
            self._wake()

    def complete(self) -> None:
        """No more entries will be added: workers leave once the last is released."""
        self._complete = True
        self._wake_all()

    def stop(self) -> None:
        """Hand out only doubts that were never looked up, each once more; then let the workers leave."""
        self._stopping = True
        doubts = [held for held in self._everything() if _first_look(held)]
        self._later.clear()
        self._looks, self._ready = deque(doubts), deque()
        self._wake_all()

    def may_send(self, but: int) -> bool:
        """Whether entries are left, or to come, other than so many."""
        return not self._complete or self.size > but

    @property
    def waiting(self) -> int:
        """Entries due later."""
        return len(self._later)

    @property
    def due_in_s(self) -> float:
        """Seconds until the first of the entries due later is due; 0 where none is."""
        return max(0.0, self._later[0][0] - self._clock.monotonic()) if self._later else 0.0

    @property
    def ready(self) -> int:
        """Entries that could be handed out now."""
        return len(self._ready)

    def doubts(self) -> Iterator[HeldEntry]:
        """The entries in doubt whose next look-up is due later, in no order."""
        return (held for _, _, held in self._later if held.state.in_doubt)

    async def next(self, *, looks: bool = False) -> HeldEntry | None:
        """The next entry to work on, when it is due; for a looker with *looks*. None: there will be none."""
        while True:
            self._collect_due()
            if self._looks or (self._ready and not looks):
                held = (self._looks or self._ready).popleft()
                if self._stopping and not _first_look(held):
                    continue
                self._wake()
                if self._later and self._alarm is None:
                    self._set_alarm()  # for whoever is idle: this worker may be long
                return held
            if self._stopping or (self._complete and self.size == 0):
                return None
            await self._wait(self._idle_lookers if looks else self._idle)

    def _collect_due(self) -> None:
        if not self._later:
            return
        now = self._clock.monotonic()
        begun: list[HeldEntry] = []
        while self._later and self._later[0][0] <= now:
            held = heappop(self._later)[2]
            (self._looks if isinstance(held.action, LookUp) else begun).append(held)
        self._ready.extendleft(reversed(begun))  # what was begun goes on before anything new

    def _everything(self) -> Iterator[HeldEntry]:
        yield from self._looks
        yield from self._ready
        for _, _, held in sorted(self._later, key=lambda item: item[:2]):
            yield held

    async def _wait(self, among: deque[asyncio.Future[None]]) -> None:
        self._set_alarm()
        turn = asyncio.get_running_loop().create_future()
        among.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake()  # it was meant for someone who can take it
            raise

    def _set_alarm(self) -> None:
        """Wake one worker when the earliest entry falls due."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._later:
            seconds = max(0.0, self._later[0][0] - self._clock.monotonic())
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._collect_due()
        self._set_alarm()  # for the next; or for this one, where the loop's timer came a trifle early
        self._wake()

    def _wake(self) -> None:
        """Wake whoever can take what is due."""
        if self._looks and _rouse(self._idle_lookers) and len(self._looks) == 1 and not self._ready:
            return
        if self._idle and (self._looks or self._ready):
            _rouse(self._idle)

    def _wake_all(self) -> None:
        for idle in (self._idle, self._idle_lookers):
            while _rouse(idle):
                pass


def _first_look(held: HeldEntry) -> bool:
    return isinstance(held.action, LookUp) and held.state.looks + held.state.failed_looks == 0


def _rouse(idle: "deque[asyncio.Future[None]]") -> bool:
    """Wake the one that has been idle longest; False: there is none."""
    while idle:
        turn = idle.popleft()
        if not turn.done():
            turn.set_result(None)
            return True
    return False
