"""What has been seen before, in a few bytes a thing, so that a million entries fit in little memory."""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable
from hashlib import blake2b

_BUCKETS = 1024
_DIGEST = 16  # bytes
_LINE = 5


class Glimpses:
    """Remembers things by 64 bits of their hash, in some nine bytes each.

    Two things can look alike: somewhere among a million with a chance of one in 37 million.
    """

    def __init__(self) -> None:
        self._buckets: defaultdict[int, array[int]] = defaultdict(_signed)

    def may_be_known(self, thing: Hashable) -> bool:
        """Whether something that looks like *thing* was here before; from now on it was."""
        look = hash(thing)
        bucket = self._buckets[look % _BUCKETS]
        place = bisect_left(bucket, look)
        if place < len(bucket) and bucket[place] == look:
            return True
        bucket.insert(place, look)
        return False


def _signed() -> "array[int]":
    return array("q")


class Places:
    """Remembers texts by 128 bits of a digest, and the line each was first seen in, in some 25 bytes each.

    That two texts of a million are taken for one has a chance of one in 10^26, which is the certainty of the
    manifest's own digest.
    """

    def __init__(self) -> None:
        self._buckets: defaultdict[int, bytearray] = defaultdict(bytearray)

    def first_line(self, text: str, line: int) -> int | None:
        """The line *text* was first seen in; None where this is the first time."""
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
        bucket = self._buckets[int.from_bytes(digest[:2]) % _BUCKETS]
        place = bucket.find(digest)
        while place % (_DIGEST + _LINE) and place >= 0:  # not where a record begins
            place = bucket.find(digest, place + 1)
        if place < 0:
            bucket += digest + line.to_bytes(_LINE)
            return None
        return int.from_bytes(bucket[place + _DIGEST : place + _DIGEST + _LINE])
