"""What has been seen before, in a few bytes a thing, so that a million entries fit in little memory."""

from array import array
from collections import defaultdict
from collections.abc import Collection, Hashable
from hashlib import blake2b

_BUCKETS = 4096
_DIGEST, _LINE = 16, 5  # bytes
_SMALL, _LARGE = 1 << 15, 1 << 21  # places


class HashSet:
    """Remembers things by 64 bits of their hash, in a table of them that is at most two thirds full.

    Two things can look alike: somewhere among a million with a chance of one in 37 million. A million need 16 MB.
    """

    def __init__(self) -> None:
        self._table = _table(_SMALL)
        self._room = _room(_SMALL)

    def may_be_known(self, thing: Hashable) -> bool:
        """Whether something that looks like *thing* was here before; from now on it was."""
        return self.any_may_be_known((thing,))

    def any_may_be_known(self, things: Collection[Hashable]) -> bool:
        """The same for each of *things*, up to the first that may be known."""
        self._room -= len(things)
        while self._room < 0:
            self._grow()
        table = self._table
        mask = len(table) - 1
        for hash_ in map(hash, things):
            number = hash_ or 1  # 0 is an empty place
            place = number & mask
            while there := table[place]:
                if there == number:
                    return True
                place = (place + 1) & mask
            table[place] = number
        return False

    def _grow(self) -> None:
        """Move to a larger table: one of eight times the size while that is small, as moving takes its time."""
        old, size = self._table, len(self._table)
        larger = size * 8 if size < _LARGE else size * 2
        self._table = table = _table(larger)
        self._room += _room(larger) - _room(size)
        mask = larger - 1
        for number in old:
            if number:
                place = number & mask
                while table[place]:
                    place = (place + 1) & mask
                table[place] = number


def _table(size: int) -> "array[int]":
    return array("q", [0]) * size


def _room(size: int) -> int:
    """How many a table of *size* takes in; size is a power of two."""
    return size * 2 // 3


class FirstLines:
    """Remembers texts by 128 bits of a digest, and the line each was first seen in, in some 25 bytes each.

    Records of one length lie one behind the other in buckets, which are searched from their beginning: some hundreds
    of records are gone through faster than a step of Python takes, and adding one moves none. That two texts of a
    million are taken for one has a chance of one in 10^26, far less than that of broken memory.
    """

    def __init__(self) -> None:
        self._buckets: defaultdict[int, bytearray] = defaultdict(bytearray)

    def first_line(self, text: str, line: int) -> int | None:
        """The line *text* was first seen in; None where this is the first time."""
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
        bucket = self._buckets[int.from_bytes(digest[:2]) % _BUCKETS]
        place = bucket.find(digest)
        while place >= 0:
            if place % (_DIGEST + _LINE) == 0:
                return int.from_bytes(bucket[place + _DIGEST : place + _DIGEST + _LINE])
            place = bucket.find(digest, place + 1)
        bucket += digest + line.to_bytes(_LINE)
        return None
