"""What holds the entries of a run back, one after the other: their jobs' readiness, then how many comparisons run.

A run on a file (`follow/admitting_follower.py`) and the part of a wave that a machine has (`machines/part_follower.py`)
admit by it alike.
"""

import random
from collections.abc import Callable
from typing import Protocol

from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs.outcome import Trouble
from batcher.holding.admission import Admittance, Admitted
from batcher.holding.readiness_admission import ReadinessAdmission
from batcher.holding.running_limit import RunningLimit
from batcher.life.entry import PlannedEntry
from batcher.settings import RunSettings

_READY_POLLS = 6  # a job that is not ready is looked at so many times less often than a comparison


class KnowsReadiness(Protocol):
    """Tells whether jobs are ready: of one scope, or of all."""

    def ask(self, entry: PlannedEntry, again: Callable[[], None]) -> Admittance:
        """Whether the job of *entry* is ready; after `Waits`, *again* is called once that is known."""
        ...


class EntryHolding:
    """Lets an entry go once its job is ready, where *ready* is set, and few enough comparisons are *running*."""

    def __init__(self, settings: RunSettings) -> None:
        self.running = RunningLimit(settings.max_running, settings.max_running_per)
        self.ready: KnowsReadiness | None = None
        self._plans: dict[int, PlannedEntry] = {}  # of entries that were let go and have no result yet

    def ask(self, entry: PlannedEntry, again: Callable[[], None], *, is_followed: bool) -> Admittance:
        """Whether *entry* may be sent now; after `Waits`, *again* is called. *is_followed*: `plan_of` will be asked."""
        if self.ready is not None:
            admittance = self.ready.ask(entry, again)
            if not isinstance(admittance, Admitted):
                return admittance
        if is_followed:
            self._plans[entry.index] = entry
        return self.running.ask(entry, again)

    def plan_of(self, index: int) -> PlannedEntry | None:
        """The entry at *index* as it was let go, once: it has its result. None: it was not let go here."""
        return self._plans.pop(index, None)


def readiness_of(reader: ScopeReader, settings: RunSettings, clock: Clock, rng: random.Random) -> ReadinessAdmission:
    """The admission by the state of their jobs of the entries in a scope, which is looked at through *reader*."""
    poll_s = _READY_POLLS * settings.poll
    return ReadinessAdmission(reader, clock, rng, wait_s=settings.wait_ready, poll_s=poll_s)


def why_not_counted(trouble: Trouble) -> str:
    """That nobody may wait for a place any more, as *trouble* keeps everybody from seeing what has ended."""
    return f"how many comparisons are running cannot be told any more: {trouble.error_msg}"
