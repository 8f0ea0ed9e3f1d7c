"""A chunk of the plan: some hundred entries of one scope in one value, as they are written and read back.

Its first line is JSON, a column for each field of an entry; a column whose values are all alike is that value. The
bodies follow, a line each, as they will be sent. These are compressed where that halves them: where entries resemble
each other. Keys and jobs are not: they would take as much time as the bodies, and hardly shrink.
"""

import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any

import orjson
from msgspec import Meta, MsgspecError, Struct
from msgspec.json import Decoder

from batcher.journal.sqlite.packing import checksum
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.entry_columns import EntryColumns

MOST_ENTRIES = 256  # of a chunk
MOST_BYTES = 1024 * 1024  # of a chunk before it is compressed, where it has more than one entry
_QUICKEST = 1  # level of zlib
_BARE = -15  # without a header and a checksum, which the whole chunk has
_OVERHEAD = 200  # bytes of memory for the values of an entry, besides what is in them
_SMALL = 512  # bytes: what is not worth compressing
_TRIED_AGAIN = 16  # chunks after one that did not shrink

_Number = Annotated[int, Meta(ge=0)]
_Head = tuple[
    _Number | list[_Number],  # indexes
    _Number | list[_Number],  # lines
    list[str],  # keys
    str | list[str],  # jobs
    str | list[str | None] | None,  # languages
    dict[str, str] | list[dict[str, str] | None] | None,  # labels
    list[_Number] | None,  # how long the bodies are; None: there is a line for each
    bool,  # whether they are compressed
]
_head_of = Decoder(_Head).decode


class Chunk(Struct, frozen=True, kw_only=True):
    """The columns of some entries of one scope, in manifest order. *size*: about how many bytes of memory it takes."""

    indexes: Sequence[int]
    lines: Sequence[int]
    keys: Sequence[str]
    job_ids: Sequence[str]
    languages: Sequence[str | None]
    labels: Sequence[dict[str, str] | None]
    bodies: Sequence[bytes]
    size: int

    def entries(
        self, places: Sequence[int], scope: Scope, shared: frozenset[int], wave_entries: int | None
    ) -> Iterator[PlannedEntry]:
        """The entries at these *places* of it, of *scope*; those with *shared* indexes share their job with others."""
        for place in places:
            index = self.indexes[place]
            yield PlannedEntry(
                index=index,
                line=self.lines[place],
                key=self.keys[place],
                scope=scope,
                job_id=self.job_ids[place],
                body=self.bodies[place],
                x_language=self.languages[place],
                labels=self.labels[place] or {},
                shares_job=index in shared,
                wave_entries=wave_entries,
            )

    def size_at(self, place: int) -> int:
        """How many bytes the body and the labels of the entry at *place* take."""
        labels = self.labels[place]
        return len(self.bodies[place]) + (len(orjson.dumps(labels)) if labels else 0)


class Packer:
    """Packs chunks, and compresses them for as long as that helps."""

    def __init__(self) -> None:
        self._plain = 0  # how many are left as they are before the next try

    def packed(self, columns: EntryColumns) -> Iterator[tuple[Sequence[int], bytes]]:
        """*columns* as a chunk, or where they are large as several; each with its indexes."""
        bodies = columns.bodies
        joined, tagged = b"\n".join(bodies), _column(columns.labels)
        tagged = [one or None for one in tagged] if isinstance(tagged, list) else tagged or None
        named = tagged if isinstance(tagged, list) else []
        if len(bodies) > 1 and len(joined) + len(orjson.dumps(named)) > MOST_BYTES:
            half = len(bodies) // 2
            for part in (slice(half), slice(half, None)):
                yield from self.packed(columns.part(part))
            return
        compressed = self._compressed(joined)
        lengths = [len(body) for body in bodies] if b"\n" in b"".join(bodies) else None
        head = orjson.dumps(
            (
                _steps(columns.indexes),
                _steps(columns.lines),
                columns.keys,
                _column(columns.job_ids),
                _column(columns.languages),
                tagged,
                lengths,
                compressed is not None,
            )
        )
        yield columns.indexes, head + b"\n" + (compressed or joined)

    def _compressed(self, joined: bytes) -> bytes | None:
        """*joined* in half the room at most; None where it takes more."""
        if len(joined) < _SMALL:
            return None
        if self._plain:
            self._plain -= 1
            return None
        deflate = zlib.compressobj(_QUICKEST, zlib.DEFLATED, _BARE)
        compressed = deflate.compress(joined) + deflate.flush()
        if len(compressed) <= len(joined) // 2:
            return compressed
        self._plain = _TRIED_AGAIN
        return None


def _column(values: list[Any]) -> Any:
    """The column of *values*: a list of them, or the one that all are."""
    first = values[0]
    return first if values.count(first) == len(values) else values


def _steps(numbers: list[int] | range) -> int | list[int]:
    """The column of *numbers*: where each is one more than that before it, the first alone."""
    if isinstance(numbers, range):
        return numbers.start
    first, count = numbers[0], len(numbers)
    follow = numbers[-1] - first == count - 1 and numbers == [*range(first, first + count)]
    return first if follow else numbers


def unpacked(content: object, crc: object, *where: int) -> Chunk:
    """The chunk that *content* is, whose row has the checksum *crc* and the numbers *where*.

    Raises ValueError where it is none: what comes of damage is told, never taken for other entries.
    """
    if not isinstance(content, bytes):
        raise ValueError("it is no bytes")
    if checksum(content, *where) != crc:
        raise ValueError("it does not have its checksum")
    head, _, joined = content.partition(b"\n")
    try:
        indexes, lines, keys, job_ids, languages, labels, lengths, is_compressed = _head_of(head)
        if is_compressed:
            joined = zlib.decompress(joined, _BARE)
    except (zlib.error, MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    bodies = joined.split(b"\n") if lengths is None else _cut(joined, lengths)
    count = len(keys)
    chunk = Chunk(
        indexes=_numbers(indexes, count),
        lines=_numbers(lines, count),
        keys=keys,
        job_ids=_values(job_ids, count),
        languages=_values(languages, count),
        labels=_values(labels, count),
        bodies=bodies,
        size=len(head) + len(joined) + _OVERHEAD * count,
    )
    columns: tuple[Sequence[object], ...] = (
        chunk.indexes, chunk.lines, chunk.job_ids, chunk.languages, chunk.labels, bodies,
    )  # fmt: skip
    if not count or any(len(column) != count for column in columns):
        raise ValueError("its columns are not equally long")
    if isinstance(indexes, list) and any(one >= next_ for one, next_ in pairwise(indexes)):
        raise ValueError("its entries are not in order")
    return chunk


def _numbers(column: int | list[int], count: int) -> Sequence[int]:
    return range(column, column + count) if isinstance(column, int) else column


def _values(column: Any, count: int) -> Sequence[Any]:
    return column if isinstance(column, list) else [column] * count


def _cut(joined: bytes, lengths: list[int]) -> list[bytes]:
    """Raises ValueError where that is not how long they are."""
    bodies, start = [], 0
    for length in lengths:
        bodies.append(joined[start : start + length])
        start += length + 1
    if start != len(joined) + 1:
        raise ValueError("its bodies are not as long as it says")
    return bodies
