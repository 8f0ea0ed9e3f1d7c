"""The plan of a wave as the database has it: what every format of it answers."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from batcher.journal.sqlite.database import damaged
from batcher.life.entry import PlannedEntry, Scope

Placed = tuple[int, PlannedEntry]
"""An entry with its place in the database."""


class StoredPlan(Protocol):
    """What can be asked about a plan; see `Record` for what is meant. Every method raises `JournalFailed`."""

    def entry_count(self) -> int:
        """How many entries the manifest has."""
        ...

    def scope_sizes(self) -> dict[int, int]:
        """How many entries each scope has, by its number."""
        ...

    def settled_counts(self) -> dict[int, int]:
        """How many entries of each scope have a result, by the scope's number."""
        ...

    def planned(self, scope: int, after: int, limit: int, most_bytes: int) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that nothing has happened to."""
        ...

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that something has happened to, and that have no result."""
        ...

    def unfinished(self, after: int, limit: int, most_bytes: int) -> list[PlannedEntry]:
        """The next entries of any scope behind index *after* that have no result."""
        ...

    def entry(self, index: int) -> PlannedEntry | None:
        """The entry at *index*; None: there is none, or it is an invalid one."""
        ...

    def line_of(self, index: int) -> int | None:
        """The manifest's line of the entry at *index*, be it valid or not; None: there is none."""
        ...

    def indexes_of_key(self, key: str) -> list[int]:
        """The indexes of the entries with that key."""
        ...

    def of_job(self, scope: Scope, job_id: str) -> list[Placed]:
        """All entries that name that job of that project, in whichever wave of the database."""
        ...

    def among(self, indexes: Iterable[int], scope: int) -> Iterator[int]:
        """Those of *indexes* whose entries are of *scope*."""
        ...

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """The index, the key, the job and the scope of every entry, in manifest order; an invalid one has no scope."""
        ...


class PlanHead:
    """What the entries of a plan have in common. It is there once the plan is."""

    def __init__(self, scopes: Iterable[Scope], wave_entries: int, name: str) -> None:
        """Of the journal with that *name*."""
        self.scopes = {scope.number: scope for scope in scopes}
        self.wave_entries = wave_entries
        self._name = name

    def scope(self, number: int) -> Scope:
        """The scope with that *number*. Raises `JournalFailed`."""
        try:
            return self.scopes[number]
        except KeyError as error:
            raise damaged(f"it has entries of a scope {number}, which it does not name", self._name) from error
