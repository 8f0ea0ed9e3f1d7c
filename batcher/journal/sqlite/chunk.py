"""A chunk of the plan: some hundred entries of one scope in one value, as they are written and read back.

Its first line is JSON, a column for each field of an entry; a column whose values are all alike is that value. The
bodies follow, a line each, as they will be sent. All of it is compressed where that halves it, which it does where
entries resemble each other.
"""

import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

import orjson
from msgspec import Struct

from batcher.life.entry import PlannedEntry, Scope

MOST_ENTRIES = 256  # of a chunk
MOST_BYTES = 1024 * 1024  # of a chunk before it is compressed, where it has more than one entry
_QUICKEST = 1  # level of zlib
_SMALL = 512  # bytes: what is not worth compressing
_TRIED_AGAIN = 16  # chunks after one that did not shrink

T = TypeVar("T")


class Chunk(Struct, frozen=True, kw_only=True):
    """The columns of some entries of one scope, in manifest order. *size*: bytes of it, as it is unpacked."""

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

    def packed(self, entries: Sequence[PlannedEntry]) -> Iterator[tuple[Sequence[PlannedEntry], bytes]]:
        """*entries*, which are of one scope and in manifest order, as a chunk, or where they are large as several."""
        raw = _raw(entries)
        if len(raw) > MOST_BYTES and len(entries) > 1:
            half = len(entries) // 2
            yield from chain(self.packed(entries[:half]), self.packed(entries[half:]))
        else:
            yield entries, self._compressed(raw)

    def _compressed(self, raw: bytes) -> bytes:
        if len(raw) < _SMALL:
            return raw
        if self._plain:
            self._plain -= 1
            return raw
        compressed = zlib.compress(raw, _QUICKEST)
        if len(compressed) <= len(raw) // 2:
            return compressed
        self._plain = _TRIED_AGAIN
        return raw


def _raw(entries: Sequence[PlannedEntry]) -> bytes:
    bodies = [entry.body for entry in entries]
    joined = b"\n".join(bodies)
    columns = (
        _steps([entry.index for entry in entries]),
        _steps([entry.line for entry in entries]),
        [entry.key for entry in entries],
        _column([entry.job_id for entry in entries]),
        _column([entry.x_language for entry in entries]),
        _column([entry.labels or None for entry in entries]),
        # where bodies have line ends, each one's length
        None if joined.count(b"\n") == len(bodies) - 1 else [len(body) for body in bodies],
    )
    return orjson.dumps(columns) + b"\n" + joined


def _column(values: list[Any]) -> Any:
    """The column of *values*: a list of them, or the one that all are."""
    first = values[0]
    return first if values.count(first) == len(values) else values


def _steps(numbers: list[int]) -> int | list[int]:
    """The column of *numbers*: where each is one more than that before it, the first alone."""
    first = numbers[0]
    follow = numbers[-1] - first == len(numbers) - 1 and numbers == list(range(first, first + len(numbers)))
    return first if follow else numbers


def unpacked(content: bytes) -> Chunk:
    """The chunk that *content* is. Raises ValueError where it is none."""
    try:
        raw = content if content[:1] == b"[" else zlib.decompress(content)
        head, _, joined = raw.partition(b"\n")
        indexes, lines, keys, job_ids, languages, labels, lengths = orjson.loads(head)
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
            size=len(raw),
        )
    except (zlib.error, ValueError, TypeError) as error:
        raise ValueError(str(error)) from error
    columns: tuple[Sequence[object], ...] = (
        chunk.indexes, chunk.lines, chunk.job_ids, chunk.languages, chunk.labels, bodies,
    )  # fmt: skip
    if any(len(column) != count for column in columns):
        raise ValueError("its columns are not equally long")
    return chunk


def _numbers(column: int | list[int], count: int) -> Sequence[int]:
    return range(column, column + count) if isinstance(column, int) else column


def _values(column: Any, count: int) -> Sequence[Any]:
    return column if isinstance(column, list) else [column] * count


def _cut(joined: bytes, lengths: list[int]) -> list[bytes]:
    bodies, start = [], 0
    for length in lengths:
        bodies.append(joined[start : start + length])
        start += length + 1
    return bodies
