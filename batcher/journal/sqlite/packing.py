"""What packed values have in common: numbers whose bytes have one order on every machine, and a checksum of each."""

import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final
from zlib import crc32

PLAIN_CHECKSUMS: Final = "plain_checksums"
"""The fact that has the checksums of `plain_checksums`, by table; journals of earlier versions have none."""
_PLAIN = {"scopes": "number, endpoint, project_id", "plan_invalid": "idx, line, key, job_id", "plan_shared": "idx"}
_AT_ONCE = 1000  # rows


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


def plain_checksums(ask: Callable[[str, tuple[int, int]], Sequence[tuple[Any, ...]]]) -> dict[str, int]:
    """The checksum of each table of a plan whose rows are not packed; *ask* gives all rows that answer a statement.

    They say to whom an entry is sent, and which entries wait for each other: a flipped bit would change it unnoticed.
    """
    return {table: _plain_checksum(ask, table, columns) for table, columns in _PLAIN.items()}


def _plain_checksum(ask: Callable[[str, tuple[int, int]], Sequence[tuple[Any, ...]]], table: str, columns: str) -> int:
    number, crc, after = columns.partition(",")[0], 0, -1
    statement = f"SELECT {columns} FROM {table} WHERE {number} > ? ORDER BY {number} LIMIT ?"  # noqa: S608 - ours
    while rows := ask(statement, (after, _AT_ONCE)):
        crc = crc32(ascii(rows).encode(), crc)  # not `repr`, which escapes by the Unicode that this Python knows
        if rows[-1][0] <= after:  # a page that lies where another should: nobody would ever come to the end
            break
        after = rows[-1][0]
    return crc
