"""What packed values have in common: numbers whose bytes have one order on every machine, and a checksum of each."""

import sys
from array import array
from zlib import crc32


def in_order(numbers: "array[int]") -> "array[int]":
    """*numbers* with the lowest byte first, or such numbers as this machine has them."""
    if sys.byteorder == "big":  # pragma: no cover
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return numbers


def checksum(content: object, *where: int) -> int:
    """The checksum of packed *content*, whose row has the numbers of *where* beside it: one flipped bit changes it.

    SQLite has none of its own, and takes a page for whole whose structure is. Of what is no bytes it is -1.
    """
    return crc32(content, crc32(repr(where).encode())) if isinstance(content, bytes) else -1
