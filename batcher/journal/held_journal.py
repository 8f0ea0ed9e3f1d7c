"""A wave that lies in a file, held by this process: its lock, and the sign of life that the lock's file has of it."""

from pathlib import Path
from typing import Protocol

from batcher.journal.port import Keeper
from batcher.journal.sign_of_life import SignOfLife
from batcher.journal.wave_lock import WaveLock


class SignKeeper(Protocol):
    """Keeps a journal's sign of life outside of it: the wave's `WaveLock`."""

    def sign(self) -> SignOfLife | None:
        """The sign as it is."""
        ...

    def write(self, wave: str, generation: int) -> None:
        """Make a new one durable. Raises OSError."""
        ...


class HasGeneration(Protocol):
    """A journal in a file, which may be an older copy of what it once was."""

    def identity(self) -> tuple[str | None, int]:
        """The name of the wave, None where it was begun by a version without names, and the journal's generation.
        Raises `JournalFailed`."""
        ...


class FileKeeper(Keeper, HasGeneration, Protocol):
    """A `Keeper` whose wave lies in a file."""

    def keep_sign(self, keeper: SignKeeper) -> None:
        """From now on *keeper* has the journal's sign of life: see `batcher.journal.sign_of_life`.

        Raises `JournalFailed`.
        """
        ...


class HeldJournal:
    """The *journal*'s file as *keeper* has it, under *lock*."""

    def __init__(self, journal: Path, keeper: FileKeeper, lock: WaveLock) -> None:
        self.journal = journal
        self.keeper = keeper
        self.lock = lock

    def keep_sign(self) -> None:
        """From now on the lock has the journal's sign of life. Raises `JournalFailed`."""
        self.keeper.keep_sign(self.lock)
