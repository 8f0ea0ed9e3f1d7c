"""Where entries are by the hash of a text, such as their key: groups of (hash, index) pairs, some hundreds a group.

A group has all pairs from its own first hash to that of the next one. Hashes are of 32 bits, so that of a million
entries a few are found that have another text: whoever looks one up compares.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from zlib import crc32

from batcher.journal.sqlite.packing import in_order

_FEW = 1000  # pairs of a group, or more: of these, little of a page is left empty
_FEW_BUCKETS, _BUCKETS = 256, 4096  # where all pairs are put in at once, and where there are more
_MANY = 512  # pairs of a bucket at the most, on the average
_TOGETHER = 1 << 14  # pairs that are put into buckets at once: the processor's cache has these then, and nothing else
_FINER = 16  # times as many buckets, where there would be more in each
_UPPER = 1 if sys.byteorder == "little" else 0  # the half of a pair that has the hash
_INDEX = (1 << 32) - 1
_ODD = 0x9E3779B1


def hash_of(text: str) -> int:
    """The hash of *text*. Raises UnicodeEncodeError."""
    return crc32(text.encode())


def hashes_of(texts: Sequence[str]) -> list[int]:
    """The hash of each of *texts*. Raises UnicodeEncodeError."""
    encoded = "\n".join(texts).encode().split(b"\n")  # one call for all of them
    return [*map(crc32, encoded)] if len(encoded) == len(texts) else [*map(hash_of, texts)]


class HashGroups:
    """Gathers pairs, whatever their order, in four bytes each and in those of their indexes: those belong to whoever
    adds them, and may be a range."""

    def __init__(self) -> None:
        self._hashes, self._indexes = array("I"), list[Sequence[int]]()
        self._buckets: list[array[int]] = []  # by the first bits of a hash; none before the first look
        self._shift = 32  # of a hash, which leaves these bits

    def add(self, hashes: Iterable[int], indexes: Sequence[int]) -> None:
        """Take in *indexes* of 32 bits, each under the hash that has its place in *hashes*; before the first look."""
        self._hashes.extend(hashes)
        self._indexes.append(indexes)

    def _distribute(self) -> None:
        """Put what was gathered into buckets: into so many that groups are of one size, and to look into one costs the
        same in any wave."""
        if self._buckets:
            return
        hashes, indexes = self._hashes, chain.from_iterable(self._indexes)
        number = _FEW_BUCKETS if len(hashes) < _TOGETHER else _BUCKETS
        while len(hashes) > _MANY * number:
            number *= _FINER
        self._buckets = buckets = [array("Q") for _ in range(number)]
        self._shift = 33 - number.bit_length()
        shift = self._shift + 32
        for start in range(0, len(hashes), _TOGETHER):
            some = hashes[start : start + _TOGETHER]
            halves = array("I", bytes(8 * len(some)))  # a pair is made of two numbers where they are in memory
            halves[_UPPER::2], halves[1 - _UPPER :: 2] = some, array("I", islice(indexes, len(some)))
            for pair in memoryview(halves).cast("B").cast("Q").tolist():
                buckets[pair >> shift].append(pair)
        self._hashes, self._indexes = array("I"), []

    def groups(self) -> Iterator[tuple[int, bytes]]:
        """Each group, with the hash that it begins with. The pairs in it have no order."""
        self._distribute()
        first, gathered, last = 0, array("Q"), len(self._buckets) - 1
        for number, bucket in enumerate(self._buckets):
            if not gathered:
                first = number
            gathered += bucket
            if len(gathered) >= _FEW or (gathered and number == last):
                yield first << self._shift, in_order(gathered).tobytes()
                gathered = array("Q")

    def repeated(self) -> list[int]:
        """The indexes whose hash another one has as well, in order."""
        self._distribute()
        found: list[int] = []
        for bucket in self._buckets:
            hashes = memoryview(bucket).cast("B").cast("I")[_UPPER::2].tolist()  # sooner than to shift each pair
            if len(set(hashes)) < len(hashes):
                once: set[int] = set()
                twice = {each for each in hashes if each in once or once.add(each)}  # type: ignore[func-returns-value]
                found += [pair & _INDEX for pair in bucket if pair >> 32 in twice]
        return sorted(found)


def indexes_in(group: bytes, hash_: int) -> list[int]:
    """The indexes that *group* has under that hash, in order."""
    found, sought = [], hash_.to_bytes(4, "little")
    place = group.find(sought)
    while place >= 0:
        if place % 8 == 4:  # the upper half of a pair, whose lowest byte is the first
            found.append(int.from_bytes(group[place - 4 : place], "little"))
        place = group.find(sought, place + 1)
    return sorted(found)


def job_hash(job_id: str, scope: int) -> int:
    """The hash of a job of the scope with that number. Raises UnicodeEncodeError."""
    return hash_of(job_id) ^ of_scope(scope)


def of_scope(scope: int) -> int:
    """What sets the hashes of the jobs of one scope apart from those of another; 0 for the first."""
    return scope * _ODD & _INDEX
