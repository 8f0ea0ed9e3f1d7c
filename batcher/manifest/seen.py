"""What has been seen before, in a few bytes a thing, so that a million entries fit in little memory."""

from array import array
from collections import defaultdict
from collections.abc import Hashable
from hashlib import blake2b

_BUCKETS = 4096
_DIGEST, _LINE = 16, 5  # bytes
_SMALL, _LARGE = 1 << 15, 1 << 21  # places


class Glimpses:
    """Remembers things by 64 bits of their hash, in a table of them that is at most two thirds full.

    Two things can look alike: somewhere among a million with a chance of one in 37 million. A million need 16 MB.
    """

    def __init__(self) -> None:
        self._use_table(_SMALL)

    def may_be_known(self, thing: Hashable) -> bool:
        """Whether something that looks like *thing* was here before; from now on it was."""
        number = hash(thing) or 1  # 0 is an empty place
        table, mask = self._table, self._mask
        place = number & mask
        while there := table[place]:
            if there == number:
                return True
            place = (place + 1) & mask
        table[place] = number
        self._room -= 1
        if not self._room:
            self._grow()
        return False

    def _grow(self) -> None:
        """Move to a larger table: one of eight times the size while that is small, as moving takes its time."""
        numbers = self._table
        self._use_table(len(numbers) * (8 if len(numbers) < _LARGE else 2))
        table, mask = self._table, self._mask
        for number in filter(None, numbers):
            place = number & mask
            while table[place]:
                place = (place + 1) & mask
            table[place] = number
            self._room -= 1

    def _use_table(self, size: int) -> None:
        """*size* is a power of two."""
        self._table = array("q", bytes(8 * size))
        self._mask = size - 1
        self._room = size * 2 // 3


class Places:
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
