"""What keeps several machines apart, taken out: each is a mistake that the worlds of a fleet must find."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from unittest import mock

from batcher.machines import wave_part
from batcher.machines.held_scope import HeldScope
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


@_mutation("once", "fence", "crash", "lost", first=275)
def no_fence() -> Iterator[None]:
    """The database takes what a lease records that is somebody else's by now."""
    with mock.patch.object(SharedDatabase, "is_current", return_value=True):
        yield


@_mutation("once", "fence", first=0)
def no_check_before_the_send() -> Iterator[None]:
    """Nobody asks whether the lease still runs when the bytes are about to leave."""
    with mock.patch.object(HeldScope, "check", return_value=None):
        yield


@_mutation("late", first=140)
def late_answers_are_not_consulted() -> Iterator[None]:
    """What the cloud told a machine that had lost its scope is forgotten."""
    with mock.patch.object(SharedRecord, "late_answers", return_value=[]):
        yield


@_mutation("once", "cancel", where=lambda spec: spec.wakes_late)
def landing_is_counted_from_the_new_owners_start() -> Iterator[None]:
    """Whoever takes a scope over reckons that nothing of an earlier owner left after that."""
    with mock.patch.object(wave_part, "LEAVE_S", 0.0):
        yield
