"""The journal's port: what the rest of the program may ask of whoever keeps the record of waves, and tell them.

    Keeper          a database of waves; one a process and database
    ├── Record      the questions about one wave; blocks
    ├── MutableRecord   the same, and its plan and its facts; blocks; for whoever opens or settles a wave
    └── Journal     the same two for a wave that runs: awaited, and many that record share one sync

What holds for every keeper, and is tested for each in `tests/journal/test_contract.py`:

- Who may write: one process a wave. Who that is, is not decided here, but by the file's lock (`journal/wave_lock.py`)
  or, in a database that machines share, by a lease. Any number may read.
- What `record` and `commit` were given is durable when they return: it survives the process, and the machine.
- It is all there or none of it, in the order in which it was given, also after a kill in between.
- A result has a number in its wave, from 0 on without a gap, in the order in which results became durable. The keeper
  gives it; the answer tells it.
- A plan is there as a whole, or the wave is not planned. A wave that is not planned has sent nothing.
- A question sees all that was recorded before it was asked.
- Waves of one database do not see each other, but where the question is about the cloud: `others_of_job`, `of_job`.
- The only errors are those of `journal/errors.py`.

A database that machines share is kept behind this as well. Its journals are `SharedJournal`s, which are bound to a
scope and the epoch of the lease on it; `record` then has one more error, `LaneLost`: the scope is somebody else's by
now. What is written by no lease is refused the same way as long as there is one on a scope that it is about. And an
intent that an order forbids (stop, pause, deadline, most failures) is refused with `IntentRefused`. SQLite has no
epochs, since its lock is held for as long as the process lives, and its orders are that process's own.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, assert_never

from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Receipt, Settled
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.entry_columns import EntryColumns, in_columns
from batcher.life.events import Answered, Event
from batcher.life.result import Status

P = ParamSpec("P")
T = TypeVar("T")

MOST_BYTES = 4 * 1024 * 1024  # of entries read from the plan at a time, whose bodies and labels may be large

EntryWithEvents = tuple[PlannedEntry, list[Event]]
"""An entry with what happened to it, oldest first."""


class Record(Protocol):
    """What can be asked about one wave. Every method raises `JournalFailed`.

    Entries are known by their index, their place in the manifest from 0 on. An entry is open while something has
    happened to it and it has no result.
    """

    @property
    def name(self) -> str:
        """What people know it by: its file, or its place in a database."""
        ...

    # --- the wave -----------------------------------------------------------------------------------------

    def is_planned(self) -> bool:
        """Whether a whole plan is there."""
        ...

    def facts(self) -> dict[str, Any]:
        """The wave's facts: its manifest's digest, its settings, …"""
        ...

    def scopes(self) -> list[Scope]:
        """The wave's scopes."""
        ...

    def entry_count(self) -> int:
        """How many entries the manifest has."""
        ...

    def scope_sizes(self) -> dict[int, int]:
        """How many entries each scope has, by its number."""
        ...

    def is_settled(self) -> bool:
        """Whether every entry has a result."""
        ...

    def status_counts(self) -> dict[Status, int]:
        """How many results there are of each status."""
        ...

    def settled_counts(self) -> dict[int, int]:
        """How many entries of each scope have a result, by the scope's number."""
        ...

    def last_event_at(self) -> float | None:
        """When the last event happened, Unix seconds by our clock; None: none has yet."""
        ...

    # --- entries, a batch at a time -----------------------------------------------------------------------

    def planned(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that nothing has happened to: *limit* of them, or fewer that
        come to *most_bytes*. None: there are no more."""
        ...

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[EntryWithEvents]:
        """The next open entries of *scope* behind index *after*, as many as `planned` gives."""
        ...

    def unfinished(self, after: int, limit: int) -> list[EntryWithEvents]:
        """The next entries of any scope behind index *after* that have no result, open or not."""
        ...

    def with_status(self, statuses: Iterable[Status]) -> list[int]:
        """The indexes of the entries whose result has one of *statuses*, in manifest order."""
        ...

    # --- one entry ----------------------------------------------------------------------------------------

    def entry(self, index: int) -> PlannedEntry | None:
        """The entry at *index*; None: there is none, or it is an invalid one."""
        ...

    def events(self, index: int) -> list[Event]:
        """What happened to an entry, oldest first."""
        ...

    def late_answers(self, index: int, lease: int) -> list[Answered]:
        """What the cloud answered about an entry that was intended by the *lease* of that number, and came too late: by
        then another process had the scope. Oldest first; none where nobody shares the database."""
        ...

    def result_of(self, index: int) -> tuple[int, Status, bytes] | None:
        """The number, the status and the line of an entry's result; None: it has none."""
        ...

    def line_of(self, index: int) -> int | None:
        """The manifest's line of the entry at *index*, be it valid or not; None: there is none."""
        ...

    def indexes_of_key(self, key: str) -> list[int]:
        """The indexes of the entries with that key: one, or none, or several where duplicates were allowed."""
        ...

    def others_of_job(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """The other entries that name the same job of the same project, in whichever wave of the database.

        All are told as of *entry*'s scope, which is theirs, too; and those of other waves without `wave_entries`.
        """
        ...

    def of_job(self, scope: Scope, job_id: str) -> list[EntryWithEvents]:
        """All entries that name that job of that project, in whichever wave of the database, told as `others_of_job`
        tells them: for a wave that has its journal elsewhere."""
        ...

    def sent_since(self, moment: float) -> list[EntryWithEvents]:
        """The open entries of which a request was intended at *moment* or later, Unix seconds by our clock.

        Found from the newest event back, so it costs what has happened since then and not what the wave is.
        """
        ...

    def answered_around(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """Some entries of the same scope with an answer shortly before or after *entry*'s first event; of other waves
        of the database too, where it has them in one order."""
        ...

    # --- results ------------------------------------------------------------------------------------------

    def next_seq(self) -> int:
        """The number of the next result."""
        ...

    def lines(self) -> Iterator[bytes]:
        """Every result line, by number."""
        ...

    def lines_from(self, seq: int) -> list[bytes]:
        """The result lines from number *seq* on."""
        ...

    def first_created(self, scope: int, limit: int) -> list[EntryWithEvents]:
        """Up to *limit* of the entries of *scope* that were created first, by the number of their result."""
        ...

    # --- all of it, one after the other -------------------------------------------------------------------

    def answers(self) -> Iterator[tuple[int, Answered]]:
        """Every create request that ended, with its entry's index, in the order in which they did."""
        ...

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """The index, the key, the job and the scope of every entry, in manifest order; an invalid one has no scope."""
        ...

    def holds(self, ops: Iterable[Op]) -> bool:
        """Whether all of *ops* were recorded."""
        ...


def is_recorded(record: Record, op: Op) -> bool:
    """Whether *op* is in *record*, as far as that is asked: what happened, and results. Raises `JournalFailed`."""
    match op:
        case Happened():
            return op.event in record.events(op.index)
        case Settled():
            return record.result_of(op.index) is not None
        case Noted() | ClockNoted():
            return True
        case _:
            assert_never(op)


class PlanWriter(Protocol):
    """A plan while it is written. Every method raises `JournalFailed`."""

    def add_scope(self, scope: Scope) -> None:
        """Add a scope, before its entries."""
        ...

    def add_columns(self, columns: EntryColumns) -> None:
        """Add entries of a scope that has been added; *columns* may be changed."""
        ...

    def add_entries(self, entries: Iterable[PlannedEntry]) -> None:
        """Add *entries* that are made one by one, whose scopes have been added."""
        for columns in in_columns(entries):
            self.add_columns(columns)

    def add_invalid(self, index: int, line: int, key: str, job_id: str | None, result: bytes) -> None:
        """Add an entry that is not sent because it is not valid, with the line of its *result*."""
        ...

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Add the wave's facts: the plan is whole, and durable once `MutableRecord.planning` is left."""
        ...


class MutableRecord(Record, Protocol):
    """A wave's record, for whoever holds the wave and may change it. Every method raises `JournalFailed`."""

    def planning(self) -> AbstractContextManager[PlanWriter]:
        """Write the wave's plan while it lasts. Where it is left before `PlanWriter.finish`, nothing was planned."""
        ...

    def commit(self, *groups: Sequence[Op]) -> list[Receipt | None]:
        """Make the ops of all *groups* durable, in order, all or none.

        The receipt of each group: that of its last result, None where it settles nothing.
        """
        ...


class Journal(Protocol):
    """A wave's record while the wave runs."""

    def record(self, *ops: Op) -> Awaitable[Receipt | None]:
        """Make *ops* durable, in order, all or none. Raises `JournalFailed`.

        Gives the receipt of the last result among them; None: there is none. Once called they are written even if the
        caller is cancelled while it waits. What failed may be there all the same, or on its way: once something was
        recorded after it, be it nothing, it will not come any more.
        """
        ...

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """The answer to *question*, a method of `Record`: `await journal.ask(Record.events, 7)`.

        It sees everything that was recorded before. Raises `JournalFailed`.
        """
        ...


class SharedJournal(Journal, Protocol):
    """A wave's record in a database that machines share."""

    def of(self, scope: Scope, epoch: int) -> "SharedJournal":
        """The record for the lane of *scope*, by the lease with that *epoch*: `record` raises `LaneLost` once another
        process has taken the scope over, and has recorded nothing then; `IntentRefused` where an order for the wave or
        the scope forbids what is intended. Raises `JournalFailed`."""
        ...

    @property
    def place(self) -> int | None:
        """The number by which the database knows the scope that it is bound to; None: it is bound to none."""
        ...

    @property
    def orders_version(self) -> int:
        """Which version the orders for the wave and its scope had when something was last recorded here; 0: never."""
        ...


class Keeper(Protocol):
    """Keeps the records of waves, and owns what that takes. `close` or `aclose` lets go of it.

    A wave has an id, which whoever makes it draws. A keeper that was opened for one wave, in a file of its own, has it
    under None as well, planned or not.
    """

    def waves(self) -> list[str]:
        """The ids of the waves that are planned, oldest first. Raises `JournalFailed`."""
        ...

    def wave(self, wave: str | None = None) -> MutableRecord:
        """The record of the *wave* with that id; always the same object. Raises `JournalAbsent` where there is none,
        `NotAJournal` where none is named and there may be many, and `JournalFailed`."""
        ...

    def new_wave(self, wave: str) -> MutableRecord:
        """The record of a wave to be planned, with that id. Raises `WaveRefused` where there is one, or may be none
        beside another, and `JournalFailed`."""
        ...

    def journal(self, wave: str | None = None) -> Journal:
        """That wave's record for the running event loop; from now on `aclose` ends it. Raises as `wave` does."""
        ...

    def close(self) -> None:
        """Let go, where no journal was taken."""
        ...

    async def aclose(self) -> None:
        """Write what is pending, and let go."""
        ...
