"""A keeper that keeps everything in memory, and nothing after it: for tests and simulated worlds.

It answers as the others do, which `tests/journal/test_contract.py` sees to, without SQL, files or threads: what is
recorded in one turn of the event loop is committed together at its end. Facts and events go through the same encoding,
so that what comes back is what a later process would read.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar, assert_never

import orjson
from msgspec import Struct, field
from msgspec.structs import replace

from batcher.journal.errors import JournalAbsent, JournalFailed, NotAJournal, WaveRefused
from batcher.journal.group_commit import Handed, Outcome, each_alone, resolve
from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Receipt, Settled
from batcher.journal.port import MOST_BYTES, EntryWithEvents, Plan, Record
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Event, Reopened, decode, encode, kind_of
from batcher.life.result import Status

P = ParamSpec("P")
T = TypeVar("T")

_NEAR = 2000  # events around an entry's first one, among which answers are looked for
_FEW = 8  # of them, on either side
_EARLY = 10_000  # results among which the first created ones are looked for


_Writable = tuple[Op, bytes]


class _Happening(Struct, frozen=True):
    index: int
    kind: str
    body: bytes

    @property
    def event(self) -> Event:
        return decode(self.kind, self.body)


class _Place(Struct, frozen=True):
    """An entry's place in the plan; an invalid one has no *entry*."""

    line: int
    key: str
    job_id: str | None
    entry: PlannedEntry | None


class _Wave(Struct):
    """All that is kept of a wave. Its values are never changed, so a copy of its tables is a copy of it."""

    is_planned: bool = False
    facts: dict[str, bytes] = field(default_factory=dict)
    scopes: dict[int, Scope] = field(default_factory=dict)
    offsets: dict[int, float] = field(default_factory=dict)
    places: dict[int, _Place] = field(default_factory=dict)
    happened: list[_Happening] = field(default_factory=list)
    events: dict[int, list[int]] = field(default_factory=dict)  # by index: places in `happened`
    results: dict[int, tuple[int, Status, bytes]] = field(default_factory=dict)  # by index: number, status, line

    def copy(self) -> "_Wave":
        return _Wave(
            self.is_planned,
            dict(self.facts),
            dict(self.scopes),
            dict(self.offsets),
            dict(self.places),
            list(self.happened),
            {index: list(places) for index, places in self.events.items()},
            dict(self.results),
        )


class MemoryRecord:
    """See `MutableRecord`."""

    def __init__(self, name: str = "memory", beside: "Iterable[MemoryRecord] | None" = None) -> None:
        """*beside* are the records of all waves of the database; None: there is only this one."""
        self.name = name
        self._wave = _Wave()
        self._beside = beside

    def copy(self) -> object:
        """What `restore` takes: all that is kept, as it is now."""
        return self._wave.copy()

    def restore(self, copy: object) -> None:
        """Put back what `copy` gave."""
        assert isinstance(copy, _Wave)  # noqa: S101 - of `copy`
        self._wave = copy.copy()

    # --- the wave -----------------------------------------------------------------------------------------

    def is_planned(self) -> bool:
        """See `Record.is_planned`."""
        return self._wave.is_planned

    def facts(self) -> dict[str, Any]:
        """See `Record.facts`."""
        return {name: orjson.loads(value) for name, value in self._wave.facts.items()}

    def scopes(self) -> list[Scope]:
        """See `Record.scopes`."""
        return [scope for _, scope in sorted(self._wave.scopes.items())]

    def entry_count(self) -> int:
        """See `Record.entry_count`."""
        return len(self._wave.places)

    def scope_sizes(self) -> dict[int, int]:
        """See `Record.scope_sizes`."""
        return dict(Counter(entry.scope.number for entry in self._entries()))

    def is_settled(self) -> bool:
        """See `Record.is_settled`."""
        return len(self._wave.results) == len(self._wave.places)

    def status_counts(self) -> dict[Status, int]:
        """See `Record.status_counts`."""
        return dict(Counter(status for _, status, _ in self._wave.results.values()))

    def settled_counts(self) -> dict[int, int]:
        """See `Record.settled_counts`."""
        settled = (entry.scope.number for entry in self._entries() if entry.index in self._wave.results)
        return dict(Counter(settled))

    def last_event_at(self) -> float | None:
        """See `Record.last_event_at`."""
        return self._wave.happened[-1].event.at if self._wave.happened else None

    # --- entries, a batch at a time -----------------------------------------------------------------------

    def planned(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[PlannedEntry]:
        """See `Record.planned`."""
        return self._batch(lambda entry: not self._has_begun(entry), scope, after, limit, most_bytes)

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[EntryWithEvents]:
        """See `Record.open_entries`."""
        return self._with_events(self._batch(self._has_begun, scope, after, limit, most_bytes))

    def unfinished(self, after: int, limit: int) -> list[EntryWithEvents]:
        """See `Record.unfinished`."""
        return self._with_events(self._batch(lambda _: True, None, after, limit, MOST_BYTES))

    def with_status(self, statuses: Iterable[Status]) -> list[int]:
        """See `Record.with_status`."""
        wanted = frozenset(statuses)
        return sorted(index for index, (_, status, _) in self._wave.results.items() if status in wanted)

    def _has_begun(self, entry: PlannedEntry) -> bool:
        return entry.index in self._wave.events

    def _batch(
        self, wanted: Callable[[PlannedEntry], bool], scope: int | None, after: int, limit: int, most_bytes: int
    ) -> list[PlannedEntry]:
        """The next entries that are *wanted* and have no result."""
        found: list[PlannedEntry] = []
        for entry in self._entries(after):
            if len(found) >= limit or (found and most_bytes <= 0):
                break
            if scope in (None, entry.scope.number) and entry.index not in self._wave.results and wanted(entry):
                found.append(self._told(entry))
                most_bytes -= len(entry.body) + (len(orjson.dumps(entry.labels)) if entry.labels else 0)
        return found

    # --- one entry ----------------------------------------------------------------------------------------

    def entry(self, index: int) -> PlannedEntry | None:
        """See `Record.entry`."""
        place = self._wave.places.get(index)
        return None if place is None or place.entry is None else self._told(place.entry)

    def events(self, index: int) -> list[Event]:
        """See `Record.events`."""
        return [self._wave.happened[place].event for place in self._wave.events.get(index, ())]

    def result_of(self, index: int) -> tuple[int, Status, bytes] | None:
        """See `Record.result_of`."""
        return self._wave.results.get(index)

    def line_of(self, index: int) -> int | None:
        """See `Record.line_of`."""
        place = self._wave.places.get(index)
        return None if place is None else place.line

    def indexes_of_key(self, key: str) -> list[int]:
        """See `Record.indexes_of_key`."""
        return sorted(index for index, place in self._wave.places.items() if place.key == key)

    def others_of_job(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """See `Record.others_of_job`."""
        own = [self._told(other) for other in self._of_job(entry) if other.index != entry.index]
        found = self._with_events(own)
        for record in self._beside or ():
            if record is not self:
                others = [replace(other, scope=entry.scope, shares_job=True) for other in record._of_job(entry)]
                found += record._with_events(others)
        return found

    def answered_around(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """See `Record.answered_around`."""
        own = self._wave.events.get(entry.index)
        if not own:
            return []
        first, happened = own[0], self._wave.happened
        near = (
            range(first - 1, max(first - _NEAR, -1), -1),
            range(first + 1, min(first + _NEAR, len(happened))),
        )
        found: dict[int, PlannedEntry] = {}
        for places in near:
            answered = [self.entry(happened[place].index) for place in places if happened[place].kind == "answered"]
            of_scope = [one for one in answered if one is not None and one.scope.number == entry.scope.number]
            found |= {one.index: one for one in of_scope[:_FEW]}
        return self._with_events(found.values())

    # --- results ------------------------------------------------------------------------------------------

    def next_seq(self) -> int:
        """See `Record.next_seq`."""
        return max((seq for seq, _, _ in self._wave.results.values()), default=-1) + 1

    def lines(self) -> Iterator[bytes]:
        """See `Record.lines`."""
        return iter(self.lines_from(0))

    def lines_from(self, seq: int) -> list[bytes]:
        """See `Record.lines_from`."""
        return [line for number, _, line in sorted(self._wave.results.values()) if number >= seq]

    def first_created(self, scope: int, limit: int) -> list[EntryWithEvents]:
        """See `Record.first_created`."""
        created = sorted(
            (seq, index)
            for index, (seq, status, _) in self._wave.results.items()
            if status is Status.CREATED and seq < _EARLY
        )
        entries = [entry for _, index in created if (entry := self.entry(index)) is not None]
        return self._with_events([entry for entry in entries if entry.scope.number == scope][:limit])

    # --- all of it, one after the other -------------------------------------------------------------------

    def answers(self) -> Iterator[tuple[int, Answered]]:
        """See `Record.answers`."""
        for one in list(self._wave.happened):
            if isinstance(event := one.event, Answered):
                yield one.index, event

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """See `Record.outline`."""
        for index, place in sorted(self._wave.places.items()):
            yield index, place.key, place.job_id, None if place.entry is None else place.entry.scope

    def holds(self, ops: Iterable[Op]) -> bool:
        """See `Record.holds`."""
        for op in ops:
            if isinstance(op, Happened) and op.event not in self.events(op.index):
                return False
            if isinstance(op, Settled) and op.index not in self._wave.results:
                return False
        return True

    # --- writing ------------------------------------------------------------------------------------------

    @contextmanager
    def planning(self) -> Iterator[Plan]:
        """See `MutableRecord.planning`."""
        before = self._wave.copy()
        try:
            yield _MemoryPlan(self._wave)
        finally:
            if not self._wave.is_planned:
                self._wave = before

    def commit(self, *groups: Sequence[Op]) -> list[Receipt | None]:
        """See `MutableRecord.commit`."""
        writable = [[_writable(op) for op in ops] for ops in groups]
        self._check(one for group in writable for one in group)
        seqs: list[int | None] = []
        for group in writable:
            seq: int | None = None
            for op, written in group:
                if isinstance(op, Settled):
                    seq = self.next_seq()
                _apply(self._wave, op, written, seq or 0)
            seqs.append(seq)
        counts = Counter(self.status_counts())
        return [None if seq is None else Receipt(seq, counts) for seq in seqs]

    def _check(self, ops: Iterable[_Writable]) -> None:
        """See that no entry gets a second result, before anything is written."""
        settled: dict[int, bool] = {}
        for op, _ in ops:
            if isinstance(op, Happened) and isinstance(op.event, Reopened):
                settled[op.index] = False
            elif isinstance(op, Settled):
                if settled.get(op.index, op.index in self._wave.results):
                    raise JournalFailed(f"cannot write the journal {self.name}: entry {op.index} has a result")
                settled[op.index] = True

    # --- values -------------------------------------------------------------------------------------------

    def _entries(self, after: int = -1) -> Iterator[PlannedEntry]:
        for index, place in sorted(self._wave.places.items()):
            if index > after and place.entry is not None:
                yield place.entry

    def _of_job(self, entry: PlannedEntry) -> Iterator[PlannedEntry]:
        for other in self._entries():
            theirs, ours = other.scope, entry.scope
            if (theirs.endpoint, theirs.project_id, other.job_id) == (ours.endpoint, ours.project_id, entry.job_id):
                yield other

    def _told(self, entry: PlannedEntry) -> PlannedEntry:
        """*entry* with what follows from the whole plan."""
        shares = self._beside is not None or any(other.index != entry.index for other in self._of_job(entry))
        return replace(entry, shares_job=shares, wave_entries=self.entry_count())

    def _with_events(self, entries: Iterable[PlannedEntry]) -> list[EntryWithEvents]:
        return [(entry, self.events(entry.index)) for entry in entries]


class _MemoryPlan:
    """See `Plan`."""

    def __init__(self, wave: _Wave) -> None:
        self._wave = wave

    def add_scope(self, scope: Scope) -> None:
        """See `Plan.add_scope`."""
        self._wave.scopes[scope.number] = scope

    def add_entries(self, entries: Iterable[PlannedEntry]) -> None:
        """See `Plan.add_entries`."""
        for entry in entries:
            self._wave.places[entry.index] = _Place(entry.line, entry.key, entry.job_id, entry)

    def add_invalid(self, index: int, line: int, key: str, job_id: str | None, result: bytes) -> None:
        """See `Plan.add_invalid`."""
        self._wave.places[index] = _Place(line, key, job_id, None)
        self._wave.results[index] = (len(self._wave.results), Status.INVALID, result)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """See `Plan.finish`."""
        wave = self._wave
        wave.facts |= {name: orjson.dumps(value) for name, value in {**facts, "entries": len(wave.places)}.items()}
        counted = b'"wave_entries":%d}' % len(wave.places)
        for index, (seq, status, line) in wave.results.items():
            wave.results[index] = (seq, status, line.replace(b'"wave_entries":null}', counted))
        wave.is_planned = True


def _writable(op: Op) -> _Writable:
    """*op* with what is written of it. Raises what its encoding does."""
    match op:
        case Happened():
            return op, encode(op.event)
        case Noted():
            return op, orjson.dumps(op.value)
        case Settled() | ClockNoted():
            return op, b""
        case _:
            assert_never(op)


def _apply(wave: _Wave, op: Op, written: bytes, seq: int) -> None:
    match op:
        case Happened():
            if isinstance(op.event, Reopened):
                wave.results.pop(op.index, None)
            wave.events.setdefault(op.index, []).append(len(wave.happened))
            wave.happened.append(_Happening(op.index, kind_of(op.event), written))
        case Settled():
            wave.results[op.index] = (seq, op.status, op.line)
        case Noted():
            wave.facts[op.name] = written
        case ClockNoted():
            wave.offsets[op.scope] = op.offset_s
        case _:
            assert_never(op)


class MemoryJournal:
    """See `Journal`."""

    def __init__(self, record: MemoryRecord) -> None:
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._gathered: list[Handed[MemoryRecord]] = []  # in this turn of the event loop
        self._closed = False

    async def record(self, *ops: Op) -> Receipt | None:
        """See `Journal.record`."""
        self._refuse_closed()
        if not self._gathered:
            self._loop.call_soon(self.flush)
        done: asyncio.Future[Receipt | None] = self._loop.create_future()
        self._gathered.append((self._record, ops, done))
        return await done  # cancelling it takes nothing back

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """See `Journal.ask`."""
        self._refuse_closed()
        self.flush()
        answer: T = getattr(self._record, question.__name__)(*args, **more)
        return answer

    def flush(self) -> None:
        """Commit what was gathered."""
        gathered, self._gathered = self._gathered, []
        resolve(gathered, each_alone(self._commit, gathered))

    def _commit(self, batch: list[Handed[MemoryRecord]]) -> list[Outcome]:
        return [*self._record.commit(*(ops for _, ops, _ in batch))]

    def close(self) -> None:
        """Commit what was gathered, and take no more."""
        self.flush()
        self._closed = True

    def _refuse_closed(self) -> None:
        if self._closed:
            raise JournalFailed(f"{self._record.name} is closed")


class MemoryKeeper:
    """Keeps one wave, or with *many* all those that are made in it; see `Keeper`."""

    def __init__(self, name: str = "memory", *, many: bool = False) -> None:
        self._name = name
        self._many: dict[str, MemoryRecord] | None = {} if many else None
        self._one = MemoryRecord(name)
        self._journals: dict[str | None, MemoryJournal] = {}

    def waves(self) -> list[str]:
        """See `Keeper.waves`."""
        waves = {self._id_of_one: self._one} if self._many is None else self._many
        return [wave for wave, record in waves.items() if record.is_planned()]

    def wave(self, wave: str | None = None) -> MemoryRecord:
        """See `Keeper.wave`."""
        if self._many is None and wave in (None, self._id_of_one):
            return self._one
        if wave is None:
            raise NotAJournal(f"{self._name} has many waves, and none of them is named")
        if self._many is None or wave not in self._many:
            raise JournalAbsent(f"there is no wave {wave} in {self._name}.")
        return self._many[wave]

    def new_wave(self, wave: str) -> MemoryRecord:
        """See `Keeper.new_wave`."""
        if self._many is None:
            raise WaveRefused(f"{self._name} is the journal of one wave: a second one cannot be put in it")
        if wave in self._many:
            raise WaveRefused(f"{self._name} has a wave {wave} already")
        self._many[wave] = MemoryRecord(f"{self._name}, wave {wave}", self._many.values())
        return self._many[wave]

    def journal(self, wave: str | None = None) -> MemoryJournal:
        """See `Keeper.journal`."""
        if wave not in self._journals:
            self._journals[wave] = MemoryJournal(self.wave(wave))
        return self._journals[wave]

    def close(self) -> None:
        """See `Keeper.close`."""

    async def aclose(self) -> None:
        """See `Keeper.aclose`."""
        for journal in self._journals.values():
            journal.close()
        self._journals = {}

    @property
    def _id_of_one(self) -> str:
        return str(self._one.facts().get("wave", "0"))
