"""What keeps several machines apart, taken out: each is a mistake that the worlds of a fleet must find."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from unittest import mock

from tests.worlds.shared_database import SharedDatabase

FleetMutation = tuple[Callable[[], AbstractContextManager[None]], frozenset[str]]
FLEET_MUTATIONS: list[FleetMutation] = []


def _mutation(*broken: str) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Iterator[None]]]:
    """Register one: *broken* are the promises of which the worlds must see one broken."""

    def register(make: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
        FLEET_MUTATIONS.append((contextmanager(make), frozenset(broken)))
        return make

    return register


@_mutation("once", "fence", "crash", "lost")
def no_fence() -> Iterator[None]:
    """The database takes what a lease records that is somebody else's by now."""
    with mock.patch.object(SharedDatabase, "is_current", return_value=True):
        yield
