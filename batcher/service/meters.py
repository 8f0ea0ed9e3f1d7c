"""What the waves of this process do, counted where it becomes durable. Counters only grow, also past a wave's end."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Concatenate, ParamSpec, TypeVar

from batcher.buckets import ANSWERS_S, WRITES_S, Buckets
from batcher.clock import Clock
from batcher.drs.outcome import Fate, Half, HalfOutcome, Made, Trouble
from batcher.journal.ops import Happened, Op, Receipt, Settled
from batcher.journal.port import Journal, Record
from batcher.life.events import Answered, Intended, LookedUp, Suspected
from batcher.service.tracing import NoTraces, Tracer
from batcher.wave.status import WaveStatus

P = ParamSpec("P")
T = TypeVar("T")

MOST_SCOPES = 100  # with names of their own; what comes later is "other"
OTHER = ("other", "other")
Scope = tuple[str, str]  # endpoint and project

# What an attempt came to, in the words of the label `outcome`; of two halves the one that matters more.
OUTCOMES = {
    Fate.MAYBE: "unknown",
    Fate.NOT_LET_IN: "not_let_in",
    Fate.TURNED_AWAY: "turned_away",
    Fate.NOT_RECEIVED: "not_received",
    Fate.BUSY: "busy",
    Fate.NOT_YET: "not_ready",
    Fate.REFUSED: "refused",
}
CREATED, PARTIAL = "created", "partial"


def outcome_of(halves: Mapping[Half, HalfOutcome]) -> str:
    """The `outcome` of an attempt whose halves came to this."""
    open_ = (half for half in halves.values() if not isinstance(half, Made))
    fates = {half.fate if isinstance(half, Trouble) else Fate.MAYBE for half in open_}  # accepted: not known yet
    if not fates:
        return CREATED
    if Fate.MAYBE not in fates and any(isinstance(half, Made) for half in halves.values()):
        return PARTIAL
    return next(word for fate, word in OUTCOMES.items() if fate in fates)


class Meters:
    """The counters of all waves. Scopes are told by endpoint and project; their number is bounded."""

    def __init__(self, clock: Clock, tracer: Tracer | None = None) -> None:
        self._clock = clock
        self.tracer = tracer or NoTraces()
        self.attempts: Counter[str] = Counter()  # by outcome
        self.settled: Counter[str] = Counter()  # by status
        self.latency = Buckets(ANSWERS_S)
        self.writes = Buckets(WRITES_S)
        self.verdicts: Counter[str] = Counter()
        self.requests: Counter[Scope] = Counter()  # sent, by scope
        self.pauses: Counter[Scope] = Counter()
        self._doubts: dict[str, dict[int, float]] = {}  # by wave and entry: since when, monotonic
        self._seen: dict[str, tuple[Counter[Scope], Counter[str] | None, set[Scope]]] = {}
        self._scopes: set[Scope] = set()

    def journal_of(self, id: str, journal: Journal) -> Journal:
        """The *journal* of wave *id*, whose run begins, so that what it is told is counted."""
        self._doubts[id] = {}
        self.tracer.wave_begins(id)
        self._seen[id] = Counter(), None, set()
        return _Metered(journal, self, id, self._clock)

    def look(self, id: str, status: WaveStatus, verdicts: Mapping[str, int] | None = None) -> None:
        """Count what came to wave *id* since the last look, of what no journal is told.

        *verdicts* are those of all its runs: what was there at the first look was counted before.
        """
        if id not in self._seen:
            return
        sent_before, decided_before, paused_before = self._seen[id]
        sent: Counter[Scope] = Counter()
        paused = set()
        for each in status.scopes:
            scope = self.scope(each.endpoint, each.project_id)
            sent[scope] += each.sent
            if each.is_paused:
                paused.add(scope)
        decided = decided_before
        if verdicts is not None:
            decided = Counter({str(verdict): count for verdict, count in verdicts.items()})
            self.verdicts += decided - (decided if decided_before is None else decided_before)
        self.requests += sent - sent_before
        self.pauses += Counter(paused - paused_before)
        self._seen[id] = sent, decided, paused

    def end(self, id: str) -> None:
        """The run of wave *id* is over; it was looked at for the last time."""
        self._doubts.pop(id, None)
        self._seen.pop(id, None)
        self.tracer.wave_ends(id)

    def scope(self, endpoint: str, project_id: str) -> Scope:
        """The labels of a scope."""
        scope = (endpoint, project_id)
        if scope not in self._scopes and len(self._scopes) < MOST_SCOPES:
            self._scopes.add(scope)
        return scope if scope in self._scopes else OTHER

    @property
    def oldest_doubt_s(self) -> float:
        """How long the entry has been in doubt that has been so for longest, as far as this process saw; 0: none is."""
        since = min((at for doubts in self._doubts.values() for at in doubts.values()), default=None)
        return 0.0 if since is None else max(0.0, self._clock.monotonic() - since)

    def heard(self, id: str, ops: Iterable[Op]) -> None:
        """*ops* are durable in the journal of wave *id*."""
        doubts = self._doubts.get(id)
        if doubts is None:
            return
        for op in ops:
            match op:
                case Settled(index=index, status=status):
                    doubts.pop(index, None)
                    self.settled[status.value] += 1
                case Happened(index=index, event=event):
                    self._happened(id, doubts, index, event)

    def _happened(self, id: str, doubts: dict[int, float], index: int, event: object) -> None:
        match event:
            case Answered(halves=halves, took_s=took_s):
                outcome = outcome_of(halves)
                self.attempts[outcome] += 1
                self.tracer.attempt(id, index, event, outcome)
                if took_s is not None:
                    self.latency.add(took_s)
                if outcome == OUTCOMES[Fate.MAYBE]:
                    doubts.setdefault(index, self._clock.monotonic())
            case LookedUp() | Suspected():
                doubts.setdefault(index, self._clock.monotonic())  # where an earlier run left it so
            case Intended():
                doubts.pop(index, None)  # proven absent: it is sent again


class _Metered:
    """A `Journal` that tells the meters what it was told, once that is durable."""

    def __init__(self, journal: Journal, meters: Meters, id: str, clock: Clock) -> None:
        self._journal = journal
        self._meters = meters
        self._id = id
        self._clock = clock

    async def record(self, *ops: Op) -> Receipt | None:
        """Make *ops* durable as the journal does; how long that took and what was told goes into the meters."""
        began = self._clock.monotonic()
        receipt = await self._journal.record(*ops)
        self._meters.writes.add(self._clock.monotonic() - began)
        self._meters.heard(self._id, ops)
        return receipt

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """What the journal itself answers."""
        return await self._journal.ask(question, *args, **more)
