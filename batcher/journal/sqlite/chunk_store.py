"""Where the chunks of a plan are, and what is in them: the way from an index or a scope to a chunk, unpacked.

What holds here:
- What is asked for one entry or one batch never walks over all chunks.
- A plan does not change, so what was unpacked of it is kept while it is in use. That there is none may change, and is
  asked anew.
"""

import zlib
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from batcher.journal.sqlite.chunk import Chunk, unpacked
from batcher.journal.sqlite.database import JournalDatabase, damaged
from batcher.journal.sqlite.packing import checksum, in_order

BLOCK = 4096  # indexes whose scopes stand together, where a plan has several
NO_SCOPE = (1 << 32) - 1  # of an invalid entry
_PAGE = 64  # chunks looked for at a time by whoever goes through all of them
_KEPT = 8  # chunks that are kept unpacked, and two more for each scope that is gone through
_KEPT_BYTES = 16 * 1024 * 1024  # of them at most, which is enough for a hundred scopes

_PLACE = "SELECT id, scope, first, last, entries FROM plan_chunks"
_NEXT = f"{_PLACE.replace('id', 'first, id', 1)} WHERE first > ? AND scope = ? ORDER BY first LIMIT ?"
_AT = f"{_PLACE} WHERE scope = ? AND first <= ? ORDER BY first DESC LIMIT 1"


class ChunkPlace(NamedTuple):
    """Where a chunk is: its number, its scope, the first and the last index in it, how many entries it has."""

    id: int
    scope: int
    first: int
    last: int
    entries: int

    @property
    def is_whole(self) -> bool:
        """Whether no index is left out between the first and the last one."""
        return self.last - self.first == self.entries - 1


class SharedChunk(NamedTuple):
    """A chunk, and the indexes in it of entries whose job others name as well."""

    chunk: Chunk
    shared: frozenset[int]


class ChunkStore:
    """The chunks in *database*. Its methods raise `JournalFailed`."""

    def __init__(self, database: JournalDatabase) -> None:
        self._db = database
        self._kept: OrderedDict[int, SharedChunk] = OrderedDict()
        self._kept_bytes = 0
        self._gone_through: set[int] = set()  # scopes
        self._found: dict[int, ChunkPlace] = {}  # by scope: what was asked for last
        self._only_scope: int | None = None
        self._block: tuple[int, array[int]] | None = None  # the one that was read last

    def places(self, scope: int, after: int = -1) -> Iterator[ChunkPlace]:
        """Where the chunks of *scope* are that have something behind index *after*, in order."""
        self._gone_through.add(scope)
        yield from (place for place in self._at(scope, after) if place.last > after)
        for rows in self._db.pages(_NEXT, after, (scope, _PAGE)):
            yield from (ChunkPlace(*place) for _, *place in rows)

    def place_of(self, index: int) -> tuple[int, ChunkPlace] | None:
        """The scope and the place of the chunk that has the entry at *index*, if any has."""
        scope = self.scope_of(index)
        place = self._found.get(scope)
        if place is None or not place.first <= index <= place.last:
            place = next((place for place in self._at(scope, index) if place.last >= index), None)
            if place is None:
                return None
            self._found[scope] = place
        return scope, place

    def _at(self, scope: int, index: int) -> list[ChunkPlace]:
        return [ChunkPlace(*row) for row in self._db.rows(_AT, (scope, index))]

    # --- what is in them ----------------------------------------------------------------------------------

    def read(self, place: ChunkPlace) -> SharedChunk:
        """The chunk at *place*."""
        with self._db.lock:
            if (kept := self._kept.get(place.id)) is not None:
                self._kept.move_to_end(place.id)
                return kept
            found = self._unpacked(place)
            self._kept[place.id] = found
            self._kept_bytes += found.chunk.size
            most = _KEPT + 2 * len(self._gone_through)
            while len(self._kept) > most or (self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1):
                _, dropped = self._kept.popitem(last=False)
                self._kept_bytes -= dropped.chunk.size
            return found

    def _unpacked(self, place: ChunkPlace) -> SharedChunk:
        row = self._db.row("SELECT content, crc FROM plan_chunks WHERE id = ?", (place.id,))
        try:
            if row is None:
                raise ValueError("it is missing")
            chunk = unpacked(*row, *place[1:])
        except ValueError as error:
            raise damaged(f"the entries {place.first} to {place.last} of its plan: {error}", self._db.name) from error
        shared = self._db.rows("SELECT idx FROM plan_shared WHERE idx BETWEEN ? AND ?", (place.first, place.last))
        return SharedChunk(chunk, frozenset(index for (index,) in shared))

    # --- scopes -------------------------------------------------------------------------------------------

    def scope_of(self, index: int) -> int:
        """The number of the scope of the entry at *index*; in a plan of one scope that one, whatever the index."""
        if self._only_scope is not None:
            return self._only_scope
        block, place = divmod(index, BLOCK)
        kept = self._block
        if kept is None or kept[0] != block:
            row = self._db.row("SELECT block, crc, numbers FROM plan_scopes WHERE block = ?", (block,))
            if row is None:
                return self._scope_of_all()
            self._block = kept = (block, self._numbers(*row))
        return kept[1][place] if place < len(kept[1]) else NO_SCOPE

    def blocks(self) -> Iterator[tuple[int, "array[int]"]]:
        """The first index of each block, with the numbers of the scopes of its entries; none in a plan of one scope."""
        for (row,) in self._db.pages(
            "SELECT block, crc, numbers FROM plan_scopes WHERE block > ? ORDER BY block LIMIT 1", -1
        ):
            yield row[0] * BLOCK, self._numbers(*row)

    def _scope_of_all(self) -> int:
        if self._db.row("SELECT 1 FROM plan_scopes WHERE block = 0") is not None:
            return NO_SCOPE  # it has several, and none of its entries is here
        row = self._db.row("SELECT scope FROM plan_chunks WHERE scope >= 0 ORDER BY scope LIMIT 1")
        if row is None:
            return NO_SCOPE
        self._only_scope = int(row[0])
        return self._only_scope

    def _numbers(self, block: int, crc: int, packed: bytes) -> "array[int]":
        try:
            if checksum(packed, block) != crc:
                raise ValueError("they do not have their checksum")
            return unpacked_numbers(packed)
        except (zlib.error, ValueError) as error:
            raise damaged(f"the scopes of the entries from {block * BLOCK} on: {error}", self._db.name) from error


def packed_numbers(numbers: "array[int]") -> bytes:
    """A block of scopes, as it is written."""
    return zlib.compress(in_order(numbers).tobytes(), 1)


def unpacked_numbers(packed: bytes) -> "array[int]":
    """The inverse. Raises `zlib.error`, ValueError."""
    numbers = array("I")
    numbers.frombytes(zlib.decompress(packed))
    return in_order(numbers)
