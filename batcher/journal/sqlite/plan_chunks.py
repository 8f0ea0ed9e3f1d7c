"""A plan in chunks: what the journal of one wave answers about it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from heapq import merge

import orjson
from msgspec.structs import replace

from batcher.journal.sqlite.chunk_store import NO_SCOPE, ChunkPlace, ChunkStore
from batcher.journal.sqlite.database import JournalDatabase, damaged
from batcher.journal.sqlite.event_rows import EventRows
from batcher.journal.sqlite.hash_groups import hash_of, indexes_in, job_hash
from batcher.journal.sqlite.packing import checksum
from batcher.journal.sqlite.stored_plan import Placed, PlanHead
from batcher.life.entry import PlannedEntry, Scope

_PAGE = 1000  # rows read at a time by whoever goes through all of them
_SPARSE = 8  # times as many places as entries: then each is asked for by itself

_Outlined = tuple[int, str, str | None, Scope | None]
_Sized = tuple[PlannedEntry, int]
_Choice = Callable[[set[int], set[int]], set[int]]


class ChunkPlan:
    """The plan of the one wave in *database*: a `StoredPlan`. *head* tells what its entries have in common."""

    def __init__(self, database: JournalDatabase, events: EventRows, head: Callable[[], PlanHead]) -> None:
        self._db = database
        self._events = events
        self._head = head
        self._store = ChunkStore(database)

    # --- the whole ----------------------------------------------------------------------------------------

    def entry_count(self) -> int:
        """How many entries the manifest has."""
        (valid,) = self._db.row("SELECT sum(entries) FROM plan_chunks") or (None,)
        (invalid,) = self._db.row("SELECT count(*) FROM plan_invalid") or (0,)
        return int(valid or 0) + int(invalid)

    def scope_sizes(self) -> dict[int, int]:
        """How many entries each scope has, by its number."""
        return dict(self._db.rows("SELECT scope, sum(entries) FROM plan_chunks GROUP BY scope"))

    def settled_counts(self) -> dict[int, int]:
        """How many entries of each scope have a result, by the scope's number."""
        counts: Counter[int] = Counter()
        for first, numbers in self._store.blocks():
            ends = (first, first + len(numbers))
            settled = self._db.rows("SELECT idx FROM results WHERE idx >= ? AND idx < ?", ends)
            counts.update(numbers[index - first] for (index,) in settled)
        if not counts:
            (settled_of_one,) = self._db.row(
                "SELECT count(*) FROM results WHERE idx NOT IN (SELECT idx FROM plan_invalid)"
            ) or (0,)
            counts[self._store.scope_of(0)] = settled_of_one
        return {scope: count for scope, count in counts.items() if count and scope != NO_SCOPE}

    # --- a batch at a time --------------------------------------------------------------------------------

    def planned(self, scope: int, after: int, limit: int, most_bytes: int) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that nothing has happened to."""
        return _batch(self._unsettled(scope, after, set.difference), limit, most_bytes)

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that something has happened to, and that have no result."""
        return _batch(self._unsettled(scope, after, set.intersection), limit, most_bytes)

    def unfinished(self, after: int, limit: int, most_bytes: int) -> list[PlannedEntry]:
        """The next entries of any scope behind index *after* that have no result."""
        found = [self._unsettled(scope, after, None) for scope in self._head().scopes]
        return _batch(merge(*found, key=lambda sized: sized[0].index), limit, most_bytes)

    def _unsettled(self, scope: int, after: int, choose: _Choice | None) -> Iterator[_Sized]:
        """The entries of *scope* behind *after* without a result, each with its size; of these what *choose* takes, to
        which it is told what something has happened to."""
        for place in self._store.places(scope, after):
            left = self._left(place, after)
            if choose is not None and left:
                left = choose(left, self._events.happened_to(place.first, place.last))
            if left:
                yield from self._entries(scope, place, left)

    def _left(self, place: ChunkPlace, after: int) -> set[int]:
        """The indexes in the chunk at *place*, behind *after*, of entries that have no result."""
        if place.is_whole:  # most chunks of a wave are settled, or not begun: to count takes a fifth of the time
            (settled,) = self._db.row("SELECT count(*) FROM results WHERE idx BETWEEN ? AND ?", place[2:4]) or (0,)
            if settled == place.entries:
                return set()
        indexes = range(place.first, place.last + 1) if place.is_whole else self._store.read(place).chunk.indexes
        left = set(indexes) if after < place.first else {index for index in indexes if index > after}
        if place.last - place.first < _SPARSE * place.entries:
            settled = self._db.rows("SELECT idx FROM results WHERE idx BETWEEN ? AND ?", (place.first, place.last))
        else:
            sought = orjson.dumps([*left]).decode()
            settled = self._db.rows("SELECT idx FROM results WHERE idx IN (SELECT value FROM json_each(?))", (sought,))
        left.difference_update(index for (index,) in settled)
        return left

    def _entries(self, scope: int, place: ChunkPlace, wanted: set[int]) -> Iterator[_Sized]:
        """The *wanted* entries of the chunk at *place*, in order."""
        chunk, shared = self._store.read(place)
        head = self._head()
        numbers = (
            range(len(chunk.keys))
            if len(wanted) == len(chunk.keys)
            else [number for number, index in enumerate(chunk.indexes) if index in wanted]
        )
        entries = chunk.entries(numbers, head.scope(scope), shared, head.wave_entries)
        return zip(entries, map(chunk.size_at, numbers), strict=True)

    # --- one entry ----------------------------------------------------------------------------------------

    def entry(self, index: int) -> PlannedEntry | None:
        """The entry at *index*; None: there is none, or it is an invalid one."""
        if (found := self._store.place_of(index)) is None:
            return None
        scope, place = found
        chunk, shared = self._store.read(place)
        number = bisect_left(chunk.indexes, index)
        if number == len(chunk.indexes) or chunk.indexes[number] != index:
            return None
        head = self._head()
        return next(chunk.entries((number,), head.scope(scope), shared, head.wave_entries))

    def line_of(self, index: int) -> int | None:
        """The manifest's line of the entry at *index*, be it valid or not; None: there is none."""
        if (entry := self.entry(index)) is not None:
            return entry.line
        row = self._db.row("SELECT line FROM plan_invalid WHERE idx = ?", (index,))
        return None if row is None else int(row[0])

    def indexes_of_key(self, key: str) -> list[int]:
        """The indexes of the entries with that key."""
        return [index for index in self._under("plan_keys", hash_of(key)) if self._key_of(index) == key]

    def of_job(self, scope: Scope, job_id: str) -> list[Placed]:
        """All entries that name that job of that project."""
        numbers = [
            own.number
            for own in self._head().scopes.values()
            if (own.endpoint, own.project_id) == (scope.endpoint, scope.project_id)
        ]
        indexes = sorted({index for one in numbers for index in self._under("plan_jobs", job_hash(job_id, one))})
        entries = [entry for index in indexes if (entry := self.entry(index)) is not None]
        return [
            (entry.index, replace(entry, scope=scope, shares_job=True))
            for entry in entries
            if entry.job_id == job_id and entry.scope.number in numbers
        ]

    def among(self, indexes: Iterable[int], scope: int) -> Iterator[int]:
        """Those of *indexes* whose entries are of *scope*."""
        return (index for index in indexes if self._store.scope_of(index) == scope)

    def _key_of(self, index: int) -> str | None:
        if (entry := self.entry(index)) is not None:
            return entry.key
        row = self._db.row("SELECT key FROM plan_invalid WHERE idx = ?", (index,))
        return None if row is None else str(row[0])

    def _under(self, table: str, hash_: int) -> list[int]:
        row = self._db.row(f"SELECT hash, crc, pairs FROM {table} WHERE hash <= ? ORDER BY hash DESC LIMIT 1", (hash_,))  # noqa: S608
        if row is None:
            return []
        first, crc, pairs = row
        if checksum(pairs, first) != crc:
            raise damaged(f"the index {table} of its plan does not have its checksum", self._db.name)
        return indexes_in(pairs, hash_)

    # --- all of it, one after the other -------------------------------------------------------------------

    def outline(self) -> Iterator[_Outlined]:
        """The index, the key, the job and the scope of every entry, in manifest order; an invalid one has no scope."""
        parts = [self._outline_of(scope) for scope in self._head().scopes.values()]
        return merge(*parts, self._outline_of_invalid(), key=lambda row: row[0])

    def _outline_of(self, scope: Scope) -> Iterator[_Outlined]:
        for place in self._store.places(scope.number):
            chunk = self._store.read(place).chunk
            named = [*zip(chunk.indexes, chunk.keys, chunk.job_ids, strict=True)]
            del chunk  # of many scopes, not all have a chunk in memory
            for index, key, job_id in named:
                yield index, key, job_id, scope

    def _outline_of_invalid(self) -> Iterator[_Outlined]:
        for rows in self._db.pages(
            "SELECT idx, key, job_id FROM plan_invalid WHERE idx > ? ORDER BY idx LIMIT ?", -1, (_PAGE,)
        ):
            for index, key, job_id in rows:
                yield index, key, job_id, None


def _batch(found: Iterator[_Sized], limit: int, most_bytes: int) -> list[PlannedEntry]:
    """The first *limit* that are *found*, one at least, until they come to *most_bytes*."""
    batch: list[PlannedEntry] = []
    if limit > 0:
        for entry, size in found:
            batch.append(entry)
            most_bytes -= size
            if len(batch) >= limit or most_bytes <= 0:
                break
    return batch
