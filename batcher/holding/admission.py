"""Whether an entry may be sent now, where that is not for the engine to say: its job is not ready yet, or enough
comparisons are running. A lane asks before every attempt and sets an entry that has to wait aside, so that none
of the others waits for it.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from batcher.drs.outcome import Trouble
from batcher.life.entry import PlannedEntry, Scope


class Admitted(Struct, frozen=True):
    """The entry may be sent."""


class WaitsFor(StrEnum):
    """What an entry waits for that is held back."""

    READINESS = "readiness"  # of its job: nobody can tell when
    PLACE = "place"  # among the comparisons that may run at once
    JOB = "job"  # which an entry of another wave has in hand


class Waits(Struct, frozen=True):
    """Not now. Whoever was asked says when to ask again."""

    what: WaitsFor


class Refused(Struct, frozen=True):
    """The entry cannot be sent at all: it fails with *trouble*."""

    trouble: Trouble


Admittance = Admitted | Waits | Refused


class Admission(Protocol):
    """Holds entries back. Asked on the event loop, so it answers at once, from what it knows."""

    def ask(self, entry: PlannedEntry, again: Callable[[], None]) -> Admittance:
        """Whether *entry* may be sent now. After `Waits`, *again* is called once, when it is worth asking again."""
        ...

    def halted(self, scope: Scope, trouble: Trouble) -> None:
        """*scope* stopped for good: what it has begun is not settled in this run any more."""
        ...


_ADMITTED = Admitted()


class AdmitAll:
    """The admission of a wave that holds nothing back."""

    def ask(self, entry: PlannedEntry, again: Callable[[], None]) -> Admittance:
        """Every entry may be sent at any time."""
        return _ADMITTED

    def halted(self, scope: Scope, trouble: Trouble) -> None:
        """Nobody waits for the end of anything, so nothing has to be done."""
