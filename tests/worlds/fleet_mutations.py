"""What keeps several machines apart, taken out: each is a mistake that the worlds of a fleet must find."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from unittest import mock

from batcher.machines.held_scope import HeldScope
from tests.worlds.shared_database import SharedDatabase, SharedRecord

FleetMutation = tuple[Callable[[], AbstractContextManager[None]], frozenset[str], int]
"""What makes it, the promises of which one is to be broken, and the first world to look in: these take their time."""

FLEET_MUTATIONS: list[FleetMutation] = []


def _mutation(*broken: str, first: int) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Iterator[None]]]:
    """Register one: *broken* are the promises of which the worlds must see one broken."""

    def register(make: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
        FLEET_MUTATIONS.append((contextmanager(make), frozenset(broken), first))
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
