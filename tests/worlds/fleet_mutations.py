"""What keeps several machines apart, taken out: each is a mistake that the worlds of a fleet must find."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from unittest import mock

from batcher.channel.job_claims import JobClaims
from batcher.channel.scope_reader import ScopeReader
from batcher.journal.errors import IntentRefused, LaneLost
from batcher.journal.ops import Op, Receipt
from batcher.machines import wave_part
from batcher.machines.held_scope import HeldScope
from batcher.machines.lane_journal import LaneJournal
from batcher.machines.scope_run import _ScopeRun
from batcher.rates import Rate
from tests.worlds.fleet_machine import MachineProcess
from tests.worlds.fleet_spec import FleetSpec, draw_fleet
from tests.worlds.shared_database import SharedDatabase, SharedRecord

Where = Callable[[FleetSpec], bool]


@dataclass(frozen=True, slots=True)
class FleetMutation:
    """*make* makes it, and one of the promises *broken* is to be seen broken, in the worlds from the *first* on that
    are such as *where* says."""

    make: Callable[[], AbstractContextManager[None]]
    broken: frozenset[str]
    first: int
    where: Where

    @property
    def name(self) -> str:
        """What it does wrong."""
        return self.make.__name__

    def seeds(self, enough: int) -> Iterator[int]:
        """So many worlds to look for it in."""
        return islice((seed for seed in count(self.first) if self.where(draw_fleet(seed))), enough)


FLEET_MUTATIONS: list[FleetMutation] = []


def _mutation(
    *broken: str, first: int = 0, where: Where = lambda spec: True
) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Iterator[None]]]:
    """Register one: *broken* are the promises of which the worlds must see one broken."""

    def register(make: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
        FLEET_MUTATIONS.append(FleetMutation(contextmanager(make), frozenset(broken), first, where))
        return make

    return register


@_mutation("fence")
def no_fence() -> Iterator[None]:
    """The database takes what a lease records that is somebody else's by now."""
    with mock.patch.object(SharedDatabase, "is_current", return_value=True):
        yield


@_mutation("once", "fence", first=0)
def no_check_before_the_send() -> Iterator[None]:
    """Nobody asks whether the lease still runs when the bytes are about to leave."""
    with mock.patch.object(HeldScope, "check", return_value=None):
        yield


@_mutation("late", first=115)
def late_answers_are_not_consulted() -> Iterator[None]:
    """What the cloud told a machine that had lost its scope is forgotten."""
    with mock.patch.object(SharedRecord, "late_answers", return_value=[]):
        yield


@_mutation("once", "cancel", where=lambda spec: spec.wakes_late)
def landing_is_counted_from_the_new_owners_start() -> Iterator[None]:
    """Whoever takes a scope over reckons that nothing of an earlier owner left after that."""
    with mock.patch.object(wave_part, "LEAVE_S", 0.0):
        yield


@_mutation("limit", first=5395, where=lambda spec: spec.base.rate == Rate(3, 10.0))
def nobody_is_silent_after_a_take_over() -> Iterator[None]:
    """What an earlier owner sent a moment ago does not count for the limit."""

    async def be_silent(self: _ScopeRun, period_s: float) -> None:
        pass

    with mock.patch.object(_ScopeRun, "_be_silent", be_silent):
        yield


@_mutation("limit", first=1993, where=lambda spec: spec.base.read_rate is not None)
def look_ups_leave_without_a_lease() -> Iterator[None]:
    """A machine that was frozen goes on looking up in a scope that another has."""
    with mock.patch.object(ScopeReader, "_let_go", lambda self, turn: turn.sent()):
        yield


@_mutation("fence", "once", "unintended", first=414, where=lambda spec: spec.suffers("suspend"))
def leases_go_by_a_clock_that_stands_still() -> Iterator[None]:
    """A machine that was suspended takes its lease for running."""
    with mock.patch.object(MachineProcess, "boot", MachineProcess.monotonic):
        yield


@_mutation("lost", "once", first=1102, where=lambda spec: spec.suffers("suspend"))
def what_was_before_a_suspension_is_timed_by_what_came_after() -> Iterator[None]:
    """The cloud's time is reckoned with a monotonic clock as if it had never stood still."""
    with mock.patch.object(MachineProcess, "_tell_sleep"):
        yield


@_mutation("together", where=lambda spec: len(spec.waves) > 1)
def jobs_are_in_nobodys_hand() -> Iterator[None]:
    """What another wave has in doubt about a job does not hold it."""
    with mock.patch.object(JobClaims, "take", return_value=True):
        yield


@_mutation("together", first=63, where=lambda spec: len(spec.waves) > 1)
def doubts_of_earlier_owners_are_not_told() -> Iterator[None]:
    """Whoever takes a scope over learns of a wave's doubts only when it comes to them."""
    with mock.patch.object(JobClaims, "doubt"), mock.patch.object(JobClaims, "was_left"):
        yield


# --- orders -----------------------------------------------------------------------------------------------------


@_mutation("orders", first=29, where=lambda spec: spec.is_told("paused", "stop", "deadline_in_s", "max_failures"))
def the_statement_does_not_look_at_orders() -> Iterator[None]:
    """What an order forbids is kept to once its lane has read it, and no sooner."""
    with mock.patch.object(SharedDatabase, "forbids", return_value=None):
        yield


@_mutation(
    "unintended", "crash", first=29, where=lambda spec: spec.is_told("paused", "stop", "deadline_in_s", "max_failures")
)
def an_intent_that_was_refused_is_taken_for_recorded() -> Iterator[None]:
    """A lane does not hear that an order keeps its request from leaving."""
    whole = LaneJournal.record

    async def record(self: LaneJournal, *ops: Op) -> Receipt | None:
        try:
            return await whole(self, *ops)
        except IntentRefused:
            return None

    with mock.patch.object(LaneJournal, "record", record):
        yield


@_mutation("pace", first=201, where=lambda spec: spec.is_told("rate"))
def lanes_do_not_read_their_orders_before_they_send() -> Iterator[None]:
    """A new pace is read at the next look around, some requests later."""

    async def record(self: LaneJournal, *ops: Op) -> Receipt | None:
        try:
            return await self._journal.record(*ops)
        except LaneLost:
            self._held.lose()
            raise

    with mock.patch.object(LaneJournal, "record", record):
        yield


# --- commits ----------------------------------------------------------------------------------------------------


@_mutation("commits", where=lambda spec: spec.fails > 0.0)
def a_commit_that_is_repeated_is_written_again() -> Iterator[None]:
    """The server does not know which of a writer's commits it has."""
    with mock.patch.object(SharedDatabase, "_is_there", return_value=False):
        yield


@_mutation("commits", first=82, where=lambda spec: spec.fails > 0.0 and len(spec.waves) > 1)
def a_commit_that_broke_off_is_there_in_part() -> Iterator[None]:
    """Of a statement with the groups of several lanes some are written, and all of them anew."""
    with mock.patch.object(SharedDatabase, "_roll_back"):
        yield
