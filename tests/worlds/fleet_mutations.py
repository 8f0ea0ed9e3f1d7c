"""What keeps several machines apart, taken out: each is a mistake that the worlds of a fleet must find."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count, islice
from typing import Any
from unittest import mock

from batcher.channel.job_claims import JobClaims
from batcher.channel.scope_reader import ScopeReader
from batcher.drs.outcome import Comparison, ResultsOutcome
from batcher.follow.followed_entry import FollowedComparison
from batcher.follow.follower import Follower
from batcher.journal.errors import IntentRefused, LaneLost
from batcher.journal.ops import Op, Receipt
from batcher.life.policy import Reconcile
from batcher.machines import wave_part
from batcher.machines.held_scope import HeldScope
from batcher.machines.lane_journal import LaneJournal
from batcher.machines.part_follower import PartFollower
from batcher.machines.scope_run import _ScopeRun
from batcher.pace.pacer import Turn
from tests.worlds.fleet_machine import MachineProcess
from tests.worlds.fleet_parts import FleetSpec
from tests.worlds.fleet_spec import draw_fleet
from tests.worlds.shared_database import SharedDatabase, SharedRecord
from tests.worlds.shared_verdicts import Verdicts

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
_FORBID = ("paused", "stop", "deadline_in_s", "max_failures")


def _mutation(
    *broken: str, first: int = 0, where: Where = lambda spec: True
) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Iterator[None]]]:
    """Register one: *broken* are the promises of which the worlds must see one broken."""

    def register(make: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
        FLEET_MUTATIONS.append(FleetMutation(contextmanager(make), frozenset(broken), first, where))
        return make

    return register


@_mutation("fence", where=lambda spec: spec.loses)
def no_fence() -> Iterator[None]:
    """The database takes what a lease records that is somebody else's by now."""
    with mock.patch.object(SharedDatabase, "is_current", return_value=True):
        yield


@_mutation("once", "fence", where=lambda spec: spec.loses)
def no_check_before_the_send() -> Iterator[None]:
    """Nobody asks whether the lease still runs when the bytes are about to leave."""
    with mock.patch.object(HeldScope, "check", return_value=None):
        yield


@_mutation("late", where=lambda spec: spec.loses and spec.settings.reconcile is Reconcile.OFF)
def late_answers_are_not_consulted() -> Iterator[None]:
    """What the cloud told a machine that had lost its scope is forgotten."""
    with mock.patch.object(SharedRecord, "late_answers", return_value=[]):
        yield


@_mutation("once", "cancel", where=lambda spec: spec.wakes_late)
def landing_is_counted_from_the_new_owners_start() -> Iterator[None]:
    """Whoever takes a scope over reckons that nothing of an earlier owner left after that."""
    with mock.patch.object(wave_part, "LEAVE_S", 0.0):
        yield


@_mutation("limit", where=lambda spec: spec.hands_on)
def nobody_is_silent_after_a_take_over() -> Iterator[None]:
    """What an earlier owner sent a moment ago does not count for the limit."""

    async def be_silent(self: _ScopeRun, period_s: float) -> None:
        pass

    with mock.patch.object(_ScopeRun, "_be_silent", be_silent):
        yield


@_mutation("leaseless", "limit", where=lambda spec: spec.wants_verdicts)
def look_ups_leave_without_a_lease() -> Iterator[None]:
    """A machine that was frozen goes on looking up in a scope that another has."""
    with mock.patch.object(ScopeReader, "_let_go", lambda self, turn: turn.sent()):
        yield


@_mutation(
    "fence", "once", "unintended", "leaseless", where=lambda spec: spec.suffers("suspend") and spec.wants_verdicts
)
def leases_go_by_a_clock_that_stands_still() -> Iterator[None]:
    """A machine that was suspended takes its lease for running."""
    with mock.patch.object(MachineProcess, "boot", MachineProcess.monotonic):
        yield


@_mutation("lost", "once", where=lambda spec: spec.dozes)
def what_was_before_a_suspension_is_timed_by_what_came_after() -> Iterator[None]:
    """The cloud's time is reckoned with a monotonic clock as if it had never stood still."""
    with mock.patch.object(MachineProcess, "_tell_sleep"):
        yield


@_mutation("together", where=lambda spec: spec.loses)
def jobs_are_in_nobodys_hand() -> Iterator[None]:
    """What another wave has in doubt about a job does not hold it."""
    with mock.patch.object(JobClaims, "take", return_value=True):
        yield


@_mutation("together", where=lambda spec: spec.loses)
def doubts_of_earlier_owners_are_not_told() -> Iterator[None]:
    """Whoever takes a scope over learns of a wave's doubts only when it comes to them."""
    with mock.patch.object(JobClaims, "doubt"), mock.patch.object(JobClaims, "was_left"):
        yield


# --- verdicts ---------------------------------------------------------------------------------------------------


@_mutation("verdict fence", where=lambda spec: spec.wants_verdicts)
def verdicts_are_taken_of_any_lease() -> Iterator[None]:
    """The database takes a verdict by a lease on a scope that is somebody else's by now."""
    with mock.patch.object(SharedDatabase, "may_decide", return_value=True):
        yield


@_mutation("verdicts", where=lambda spec: spec.wants_verdicts and spec.fails >= 0.1)
def a_verdict_is_written_though_there_is_one() -> Iterator[None]:
    """What was written, and its answer lost, is written again."""
    with mock.patch.object(Verdicts, "_is_there", return_value=False):
        yield


@_mutation("peace", "crash", where=lambda spec: spec.wants_verdicts)
def what_an_earlier_holder_left_undecided_is_left() -> Iterator[None]:
    """Whoever takes a scope over follows what it creates itself, and nothing else."""

    async def take_up(self: PartFollower, follower: Follower) -> None:
        pass

    with mock.patch.object(PartFollower, "_take_up", take_up):
        yield


@_mutation("verdicts", where=lambda spec: spec.wants_verdicts)
def everything_is_followed() -> Iterator[None]:
    """Nobody asks whether anybody wants to know."""
    whole = PartFollower.begin

    async def begin(self: PartFollower, *, wanted: bool) -> None:
        await whole(self, wanted=True)

    with mock.patch.object(PartFollower, "begin", begin), mock.patch.object(PartFollower, "want_no_more"):
        yield


@_mutation("early", where=lambda spec: spec.wants_verdicts)
def what_is_compared_is_taken_for_ended() -> Iterator[None]:
    """A comparison that runs has its verdict by what is known of it so far."""
    whole = FollowedComparison.listed

    def listed(self: FollowedComparison, told: Comparison) -> None:
        whole(self, told)
        self.status = "FAILED" if self.status == "RUNNING" else self.status

    with mock.patch.object(FollowedComparison, "listed", listed):
        yield


@_mutation("limit", where=lambda spec: spec.wants_verdicts and spec.base.read_rate is not None)
def who_follows_keeps_no_pace() -> Iterator[None]:
    """What is looked at for a verdict does not wait for the pace of look-ups."""
    query, due, follows = ScopeReader.query, Turn.due, ContextVar("follows", default=False)

    async def unpaced_query(self: ScopeReader, *args: Any, **more: Any) -> ResultsOutcome | None:
        before = follows.set(True)
        try:
            return await query(self, *args, **more)
        finally:
            follows.reset(before)

    async def due_unless_followed(self: Turn) -> None:
        if not follows.get():
            await due(self)

    with mock.patch.object(ScopeReader, "query", unpaced_query), mock.patch.object(Turn, "due", due_unless_followed):
        yield


# --- orders -----------------------------------------------------------------------------------------------------


@_mutation("orders", where=lambda spec: spec.is_busy and spec.is_told(*_FORBID))
def the_statement_does_not_look_at_orders() -> Iterator[None]:
    """What an order forbids is kept to once its lane has read it, and no sooner."""
    with mock.patch.object(SharedDatabase, "forbids", return_value=None):
        yield


@_mutation("unintended", "crash", where=lambda spec: spec.is_busy and spec.is_told(*_FORBID))
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


@_mutation("pace", where=lambda spec: spec.is_busy and spec.is_told("rate"))
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


@_mutation("commits", where=lambda spec: spec.is_busy and spec.fails > 0.0)
def a_commit_that_is_repeated_is_written_again() -> Iterator[None]:
    """The server does not know which of a writer's commits it has."""
    with mock.patch.object(SharedDatabase, "_is_there", return_value=False):
        yield


@_mutation("commits", where=lambda spec: spec.is_busy and spec.fails > 0.0)
def a_commit_that_broke_off_is_there_in_part() -> Iterator[None]:
    """Of a statement with the groups of several lanes some are written, and all of them anew."""
    with mock.patch.object(SharedDatabase, "_roll_back"):
        yield
