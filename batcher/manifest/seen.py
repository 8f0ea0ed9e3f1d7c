"""What has been seen before, in a few bytes a thing, so that a million entries fit in little memory.

Records of one length lie one behind the other in buckets, which are searched from their beginning: some hundreds of
records are gone through faster than a step of Python takes, and adding one moves none.
"""

from collections import defaultdict
from collections.abc import Hashable
from hashlib import blake2b

_BUCKETS = 4096
_LOOK, _DIGEST, _LINE = 8, 16, 5  # bytes


class Glimpses:
    """Remembers things by 64 bits of their hash, in some nine bytes each.

    Two things can look alike: somewhere among a million with a chance of one in 37 million.
    """

    def __init__(self) -> None:
        self._buckets: defaultdict[int, bytearray] = defaultdict(bytearray)

    def may_be_known(self, thing: Hashable) -> bool:
        """Whether something that looks like *thing* was here before; from now on it was."""
        number = hash(thing)
        bucket = self._buckets[number % _BUCKETS]
        look = number.to_bytes(_LOOK, signed=True)
        place = bucket.find(look)
        while place >= 0:
            if place % _LOOK == 0:
                return True
            place = bucket.find(look, place + 1)
        bucket += look
        return False


class Places:
    """Remembers texts by 128 bits of a digest, and the line each was first seen in, in some 25 bytes each.

    That two texts of a million are taken for one has a chance of one in 10^26, far less than that of
    broken memory.
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
