"""A plan into chunks: each of one scope, so that whoever runs that scope reads nothing of the others."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from sqlite3 import Connection
from typing import Any

from batcher.journal.port import PlanWriter
from batcher.journal.sqlite.chunk import MOST_ENTRIES, Packer
from batcher.journal.sqlite.chunk_store import BLOCK, NO_SCOPE, packed_numbers
from batcher.journal.sqlite.hash_groups import HashGroups, hash_of, hashes_of, of_scope
from batcher.journal.sqlite.packing import PLAIN_CHECKSUMS, checksum, plain_checksums
from batcher.journal.sqlite.places import Places
from batcher.journal.sqlite.writing import note, tell_count
from batcher.life.entry import Scope
from batcher.life.entry_columns import EntryColumns
from batcher.life.result import Status

Writing = Callable[[], AbstractContextManager[Connection]]
# Bytes of entries of all scopes together before they are written, however small the chunks become; and of each.
_GATHERED, _OVERHEAD = 4 * 1024 * 1024, 500


class ChunkPlanWriter(PlanWriter):
    """A `PlanWriter`, each of whose steps is made in *writing*. Entries come in manifest order."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._packer = Packer()
        self._gathered: dict[int, EntryColumns] = {}  # by scope
        self._sizes: dict[int, int] = {}  # of what is gathered, about, in bytes
        self._size = 0  # of it all
        self._written: list[tuple[int, Sequence[int]]] = []  # the scope of each chunk, and its indexes
        self._keys, self._jobs = HashGroups(), HashGroups()
        self._entries = 0
        self._invalid_keys, self._invalid = array("I"), array("I")  # the hash of each, and its index

    def add_scope(self, scope: Scope) -> None:
        """Add a scope, before its entries."""
        with self._writing() as db:
            db.execute("INSERT INTO scopes VALUES (?, ?, ?, NULL)", (scope.number, scope.endpoint, scope.project_id))

    def add_columns(self, columns: EntryColumns) -> None:
        """Add entries of a scope that has been added; *columns* may be changed."""
        self._entries += len(columns)
        number, size = columns.scope.number, columns.size + _OVERHEAD * len(columns)
        before = self._sizes.pop(number, 0)
        if (gathered := self._gathered.pop(number, None)) is not None:
            columns = gathered.with_more(columns)
        whole = len(columns) - len(columns) % MOST_ENTRIES
        for start in range(0, whole, MOST_ENTRIES):
            self._write(columns.part(slice(start, start + MOST_ENTRIES)))
        left = (before + size) * (len(columns) - whole) // len(columns)
        self._size += left - before
        if left:
            self._gathered[number] = columns.part(slice(whole, None)) if whole else columns
            self._sizes[number] = left
        if self._size >= _GATHERED:
            self._write_all()

    def add_invalid(self, index: int, line: int, key: str, job_id: str | None, result: bytes) -> None:
        """Add an entry that is not sent because it is not valid, with the line of its *result*."""
        self.add_place(index, line, key, job_id)
        with self._writing() as db:
            db.execute(
                "INSERT INTO results VALUES (?, ?, ?, ?)",
                (len(self._invalid) - 1, index, Status.INVALID.value, result),
            )

    def add_place(self, index: int, line: int, key: str, job_id: str | None) -> None:
        """Add an invalid entry, without a result."""
        with self._writing() as db:
            db.execute("INSERT INTO plan_invalid VALUES (?, ?, ?, ?)", (index, line, key, job_id))
        self._invalid_keys.append(hash_of(key))
        self._invalid.append(index)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Add the wave's facts: the plan is whole, and durable once `MutableRecord.planning` is left."""
        self._write_all()
        self._keys.add(self._invalid_keys, self._invalid)
        entries = self._entries + len(self._invalid)
        with self._writing() as db:
            for table, hashes in (("plan_keys", self._keys), ("plan_jobs", self._jobs)):
                rows = ((hash_, checksum(pairs, hash_), pairs) for hash_, pairs in hashes.groups())
                db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)  # noqa: S608 - ours
            db.executemany("INSERT INTO plan_shared VALUES (?)", ((index,) for index in self._jobs.repeated()))
            if len({scope for scope, _ in self._written}) > 1:
                blocks = enumerate(_blocks(self._written))
                rows = ((block, checksum(numbers, block), numbers) for block, numbers in blocks)
                db.executemany("INSERT INTO plan_scopes VALUES (?, ?, ?)", rows)
            for name, value in {"entries": entries, **facts}.items():
                note(db, name, value)
            note(db, PLAIN_CHECKSUMS, plain_checksums(lambda sql, values: db.execute(sql, values).fetchall()))
            tell_count(db, Places(), entries)
            db.execute("INSERT INTO meta VALUES ('planned', 1)")

    def _write_all(self) -> None:
        for columns in self._gathered.values():
            self._write(columns)
        self._gathered.clear()
        self._sizes.clear()
        self._size = 0

    def _write(self, columns: EntryColumns) -> None:
        """Write *columns*, which are a chunk at most."""
        scope, indexes = columns.scope.number, columns.indexes
        first, last = indexes[0], indexes[-1]
        kept = range(first, last + 1) if last - first == len(indexes) - 1 else array("I", indexes)
        self._written.append((scope, kept))
        self._keys.add(hashes_of(columns.keys), kept)
        jobs = hashes_of(columns.job_ids)
        if apart := of_scope(scope):
            jobs = [hash_ ^ apart for hash_ in jobs]
        self._jobs.add(jobs, kept)
        with self._writing() as db:
            for part, content in self._packer.packed(columns):
                where = (scope, part[0], part[-1], len(part))
                db.execute(
                    "INSERT INTO plan_chunks (scope, first, last, entries, crc, content) VALUES (?, ?, ?, ?, ?, ?)",
                    (*where, checksum(content, *where), content),
                )


def _blocks(written: Iterable[tuple[int, Sequence[int]]]) -> Iterator[bytes]:
    """The scopes of all entries by their indexes, by the block."""
    written = list(written)
    numbers = array("I", [NO_SCOPE]) * (max(indexes[-1] for _, indexes in written) + 1)
    for scope, indexes in written:
        for index in indexes:
            numbers[index] = scope
    for first in range(0, len(numbers), BLOCK):
        yield packed_numbers(numbers[first : first + BLOCK])
