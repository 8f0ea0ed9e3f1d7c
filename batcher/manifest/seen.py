"""What has been seen before, in about ten bytes a thing, so that a million entries fit in little memory."""

from array import array
from bisect import bisect_left
from collections.abc import Hashable

_BUCKET_BITS = 12
_LINE_BITS = 22
_LINE_MASK = (1 << _LINE_BITS) - 1
_WORD = (1 << 64) - 1


class Seen:
    """Remembers things by 54 bits of their hash, and the line each was first seen in.

    Somewhere in a manifest of a million entries two different things are taken for one with a chance of one in
    36,000; in one of ten thousand, of one in 360 million.
    """

    def __init__(self) -> None:
        self._buckets: list[array[int] | None] = [None] * (1 << _BUCKET_BITS)

    def first_line(self, thing: Hashable, line: int) -> int | None:
        """The line *thing* was first seen in, 0 if it is no longer known; None where this is the first time."""
        digest = hash(thing) & _WORD
        place = digest >> (64 - _BUCKET_BITS)
        prefix = (digest << _LINE_BITS) & _WORD
        bucket = self._buckets[place]
        if bucket is None:
            self._buckets[place] = array("Q", (prefix | (line if line <= _LINE_MASK else 0),))
            return None
        at = bisect_left(bucket, prefix)
        if at < len(bucket) and bucket[at] >> _LINE_BITS == prefix >> _LINE_BITS:
            return bucket[at] & _LINE_MASK
        bucket.insert(at, prefix | (line if line <= _LINE_MASK else 0))
        return None
