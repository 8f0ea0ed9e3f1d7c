"""The sign of life of a journal: how far it was, on record outside of it.

A journal that was put back from a backup, or whose write-ahead log (`-wal`) got lost, is a sound database that has
forgotten what was sent since. So each journal has a *generation*, a number in it that grows with each run and each time
that its log is folded into the database; and the lock file beside it says which one the journal has reached, durable
before anything of that generation is sent. A journal of a lower generation than its sign is older than what happened.

The number grows right *after* the log was folded in. So the database without its log is always older than the sign,
until the journal is closed in order; and with its log it never is.
"""

from pathlib import Path

import orjson
from msgspec import Struct

from batcher.journal.files import lock_file_of

SIZE = 200  # bytes of the record, well within one sector: it is there whole, or not at all


class SignOfLife(Struct, frozen=True, kw_only=True):
    """*wave* names the wave (it is drawn when the wave is planned), *generation* is the least its journal has reached;
    *inode* is the number of the file that holds the sign, where that is a lasting one."""

    wave: str
    generation: int
    inode: int | None

    @classmethod
    def of(cls, record: bytes) -> "SignOfLife | None":
        """The sign in *record*; None where there is none."""
        try:
            told = orjson.loads(record)
            return cls(wave=str(told["wave"]), generation=int(told["generation"]), inode=told["inode"])
        except (ValueError, TypeError, KeyError):
            return None

    def line(self) -> bytes:
        """The record, as long as every other."""
        told = {"wave": self.wave, "generation": self.generation, "inode": self.inode}
        return orjson.dumps(told).ljust(SIZE - 1) + b"\n"


def sign_beside(journal: Path) -> SignOfLife | None:
    """The sign beside *journal*; None where there is none that can be read."""
    try:
        with lock_file_of(journal).open("rb") as file:
            return SignOfLife.of(file.read(SIZE))
    except OSError:
        return None
