"""The record of a wave in memory: every question answered over plain dictionaries, to be read against `port.py`.

Facts and events go through the same encoding as elsewhere, so that what comes back is what a later process would read.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, assert_never

import orjson
from msgspec import Struct, field
from msgspec.structs import replace

from batcher.journal.errors import JournalFailed
from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Receipt, Settled
from batcher.journal.port import MOST_BYTES, EntryWithEvents, PlanWriter, is_recorded
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.entry_columns import EntryColumns
from batcher.life.events import Answered, Event, Intended, Reopened, decode, encode, kind_of
from batcher.life.result import Status

_NEAR = 2000  # events around an entry's first one, among which answers are looked for
_FEW = 8  # of them, on either side
_EARLY = 10_000  # results among which the first created ones are looked for


_Writable = tuple[Op, bytes]


class _RecordedEvent(Struct, frozen=True):
    index: int
    kind: str
    body: bytes

    @property
    def event(self) -> Event:
        return decode(self.kind, self.body)


class _PlannedPlace(Struct, frozen=True):
    """An entry's place in the plan; an invalid one has no *entry*."""

    line: int
    key: str
    job_id: str | None
    entry: PlannedEntry | None


class _WaveTables(Struct):
    """All that is kept of a wave. Its values are never changed, so a copy of its tables is a copy of it."""

    is_planned: bool = False
    facts: dict[str, bytes] = field(default_factory=dict)
    scopes: dict[int, Scope] = field(default_factory=dict)
    offsets: dict[int, float] = field(default_factory=dict)
    places: dict[int, _PlannedPlace] = field(default_factory=dict)
    happened: list[_RecordedEvent] = field(default_factory=list)
    events: dict[int, list[int]] = field(default_factory=dict)  # by index: places in `happened`
    results: dict[int, tuple[int, Status, bytes]] = field(default_factory=dict)  # by index: number, status, line

    def copy(self) -> "_WaveTables":
        return _WaveTables(
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
    """The record of one wave: a `MutableRecord`."""

    def __init__(self, name: str = "memory", beside: "Iterable[MemoryRecord] | None" = None) -> None:
        """*beside* are the records of all waves of the database; None: there is only this one."""
        self.name = name
        self._wave = _WaveTables()
        self._beside = beside

    def copy(self) -> object:
        """What `restore` takes: all that is kept, as it is now."""
        return self._wave.copy()

    def restore(self, copy: object) -> None:
        """Put back what `copy` gave."""
        assert isinstance(copy, _WaveTables)  # noqa: S101 - of `copy`
        self._wave = copy.copy()

    # --- the wave -----------------------------------------------------------------------------------------

    def is_planned(self) -> bool:
        """Whether a whole plan is there."""
        return self._wave.is_planned

    def facts(self) -> dict[str, Any]:
        """The wave's facts: its manifest's digest, its settings, …"""
        return {name: orjson.loads(value) for name, value in self._wave.facts.items()}

    def scopes(self) -> list[Scope]:
        """The wave's scopes."""
        return [scope for _, scope in sorted(self._wave.scopes.items())]

    def entry_count(self) -> int:
        """How many entries the manifest has."""
        return len(self._wave.places)

    def scope_sizes(self) -> dict[int, int]:
        """How many entries each scope has, by its number."""
        return dict(Counter(entry.scope.number for entry in self._entries()))

    def is_settled(self) -> bool:
        """Whether every entry has a result."""
        return len(self._wave.results) == len(self._wave.places)

    def status_counts(self) -> dict[Status, int]:
        """How many results there are of each status."""
        return dict(Counter(status for _, status, _ in self._wave.results.values()))

    def settled_counts(self) -> dict[int, int]:
        """How many entries of each scope have a result, by the scope's number."""
        settled = (entry.scope.number for entry in self._entries() if entry.index in self._wave.results)
        return dict(Counter(settled))

    def last_event_at(self) -> float | None:
        """When the last event happened, Unix seconds by our clock; None: none has yet."""
        return self._wave.happened[-1].event.at if self._wave.happened else None

    # --- entries, a batch at a time -----------------------------------------------------------------------

    def planned(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that nothing has happened to."""
        return self._batch(lambda entry: not self._has_begun(entry), scope, after, limit, most_bytes)

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[EntryWithEvents]:
        """The next open entries of *scope* behind index *after*, as many as `planned` gives."""
        return self._with_events(self._batch(self._has_begun, scope, after, limit, most_bytes))

    def unfinished(self, after: int, limit: int) -> list[EntryWithEvents]:
        """The next entries of any scope behind index *after* that have no result, open or not."""
        return self._with_events(self._batch(lambda _: True, None, after, limit, MOST_BYTES))

    def with_status(self, statuses: Iterable[Status]) -> list[int]:
        """The indexes of the entries whose result has one of *statuses*, in manifest order."""
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
        """The entry at *index*; None: there is none, or it is an invalid one."""
        place = self._wave.places.get(index)
        return None if place is None or place.entry is None else self._told(place.entry)

    def events(self, index: int) -> list[Event]:
        """What happened to an entry, oldest first."""
        return [self._wave.happened[place].event for place in self._wave.events.get(index, ())]

    def late_answers(self, index: int, lease: int) -> list[Answered]:
        """None: nobody shares this database."""
        return []

    def result_of(self, index: int) -> tuple[int, Status, bytes] | None:
        """The number, the status and the line of an entry's result; None: it has none."""
        return self._wave.results.get(index)

    def line_of(self, index: int) -> int | None:
        """The manifest's line of the entry at *index*, be it valid or not; None: there is none."""
        place = self._wave.places.get(index)
        return None if place is None else place.line

    def indexes_of_key(self, key: str) -> list[int]:
        """The indexes of the entries with that key: one, or none, or several where duplicates were allowed."""
        return sorted(index for index, place in self._wave.places.items() if place.key == key)

    def others_of_job(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """The other entries that name the same job of the same project, in whichever wave of the database."""
        own = [self._told(other) for other in self._of_job(entry.scope, entry.job_id) if other.index != entry.index]
        return self._with_events(own) + self._beside_of_job(entry.scope, entry.job_id)

    def of_job(self, scope: Scope, job_id: str) -> list[EntryWithEvents]:
        """All entries that name that job of that project, in whichever wave of the database."""
        own = [replace(self._told(one), scope=scope, shares_job=True) for one in self._of_job(scope, job_id)]
        return self._with_events(own) + self._beside_of_job(scope, job_id)

    def _beside_of_job(self, scope: Scope, job_id: str) -> list[EntryWithEvents]:
        found: list[EntryWithEvents] = []
        for record in self._beside or ():
            if record is not self:
                others = [replace(one, scope=scope, shares_job=True) for one in record._of_job(scope, job_id)]
                found += record._with_events(others)
        return found

    def sent_since(self, moment: float) -> list[EntryWithEvents]:
        """The open entries of which a request was intended at *moment* or later."""
        intended = [one for one in reversed(self._wave.happened) if isinstance(one.event, Intended)]
        indexes = dict.fromkeys(one.index for one in intended if one.event.at >= moment)
        entries = [self.entry(index) for index in indexes if index not in self._wave.results]
        return self._with_events(entry for entry in entries if entry is not None)

    def answered_around(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """Some entries of the same scope with an answer shortly before or after *entry*'s first event."""
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
        """The number of the next result."""
        return max((seq for seq, _, _ in self._wave.results.values()), default=-1) + 1

    def lines(self) -> Iterator[bytes]:
        """Every result line, by number."""
        return iter(self.lines_from(0))

    def lines_from(self, seq: int) -> list[bytes]:
        """The result lines from number *seq* on."""
        return [line for number, _, line in sorted(self._wave.results.values()) if number >= seq]

    def first_created(self, scope: int, limit: int) -> list[EntryWithEvents]:
        """Up to *limit* of the entries of *scope* that were created first, by the number of their result."""
        created = sorted(
            (seq, index)
            for index, (seq, status, _) in self._wave.results.items()
            if status is Status.CREATED and seq < _EARLY
        )
        entries = [entry for _, index in created if (entry := self.entry(index)) is not None]
        return self._with_events([entry for entry in entries if entry.scope.number == scope][:limit])

    # --- all of it, one after the other -------------------------------------------------------------------

    def answers(self) -> Iterator[tuple[int, Answered]]:
        """Every create request that ended, with its entry's index, in the order in which they did."""
        for one in list(self._wave.happened):
            if isinstance(event := one.event, Answered):
                yield one.index, event

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """The index, the key, the job and the scope of every entry, in manifest order; an invalid one has no scope."""
        for index, place in sorted(self._wave.places.items()):
            yield index, place.key, place.job_id, None if place.entry is None else place.entry.scope

    def holds(self, ops: Iterable[Op]) -> bool:
        """Whether all of *ops* were recorded."""
        return all(is_recorded(self, op) for op in ops)

    # --- writing ------------------------------------------------------------------------------------------

    @contextmanager
    def planning(self) -> Iterator[PlanWriter]:
        """Write the wave's plan while it lasts. Where it is left before `PlanWriter.finish`, nothing was planned."""
        before = self._wave.copy()
        try:
            yield _MemoryPlanWriter(self._wave)
        finally:
            if not self._wave.is_planned:
                self._wave = before

    def commit(self, *groups: Sequence[Op]) -> list[Receipt | None]:
        """Make the ops of all *groups* durable, in order, all or none."""
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

    def _of_job(self, scope: Scope, job_id: str) -> Iterator[PlannedEntry]:
        for one in self._entries():
            if (one.scope.endpoint, one.scope.project_id, one.job_id) == (scope.endpoint, scope.project_id, job_id):
                yield one

    def _told(self, entry: PlannedEntry) -> PlannedEntry:
        """*entry* with what follows from the whole plan."""
        shares = self._beside is not None or any(
            other.index != entry.index for other in self._of_job(entry.scope, entry.job_id)
        )
        return replace(entry, shares_job=shares, wave_entries=self.entry_count())

    def _with_events(self, entries: Iterable[PlannedEntry]) -> list[EntryWithEvents]:
        return [(entry, self.events(entry.index)) for entry in entries]


class _MemoryPlanWriter(PlanWriter):
    """A `PlanWriter` that is written into *wave* at once."""

    def __init__(self, wave: _WaveTables) -> None:
        self._wave = wave

    def add_scope(self, scope: Scope) -> None:
        """Add a scope, before its entries."""
        self._wave.scopes[scope.number] = scope

    def add_columns(self, columns: EntryColumns) -> None:
        """Add entries of a scope that has been added."""
        for entry in columns.entries():
            self._wave.places[entry.index] = _PlannedPlace(entry.line, entry.key, entry.job_id, entry)

    def add_invalid(self, index: int, line: int, key: str, job_id: str | None, result: bytes) -> None:
        """Add an entry that is not sent because it is not valid, with the line of its *result*."""
        self._wave.places[index] = _PlannedPlace(line, key, job_id, None)
        self._wave.results[index] = (len(self._wave.results), Status.INVALID, result)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Add the wave's facts: the plan is whole, and durable once `MutableRecord.planning` is left."""
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


def _apply(wave: _WaveTables, op: Op, written: bytes, seq: int) -> None:
    match op:
        case Happened():
            if isinstance(op.event, Reopened):
                wave.results.pop(op.index, None)
            wave.events.setdefault(op.index, []).append(len(wave.happened))
            wave.happened.append(_RecordedEvent(op.index, kind_of(op.event), written))
        case Settled():
            wave.results[op.index] = (seq, op.status, op.line)
        case Noted():
            wave.facts[op.name] = written
        case ClockNoted():
            wave.offsets[op.scope] = op.offset_s
        case _:
            assert_never(op)
