"""Invitations to scopes that have work, with the real engine on a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from batcher.clock import SystemClock
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.inviting import beside
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.machines.invitations import Invitations
from batcher.machines.look import invite
from tests.journal.made import plan
from tests.journal.postgres.cluster import Cluster, needed, prepared


@dataclass
class Hears:
    """What somebody hears who listens."""

    address: Address
    heard: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.invitations = Invitations(
            self.address, program="batcher/tested", clock=SystemClock(), heard=self.heard.append
        )

    async def until(self, is_so: Callable[[list[int]], bool]) -> None:
        async with asyncio.timeout(90):
            while not is_so(self.heard):  # noqa: ASYNC110 - another process tells
                await asyncio.sleep(0.01)


@pytest.fixture
def cluster() -> Cluster:
    return needed()


@pytest.fixture
def keeper(cluster: Cluster) -> PostgresKeeper:
    return PostgresKeeper(prepared(cluster))


@pytest.fixture
async def hears(keeper: PostgresKeeper) -> AsyncIterator[Hears]:
    hears = Hears(keeper.link.address)
    task = asyncio.create_task(hears.invitations.listen())
    yield hears
    task.cancel()
    await asyncio.wait({task})
    keeper.close()


def waiting(keeper: PostgresKeeper) -> list[int]:
    """The scopes to which an invitation waits."""
    jobs = f'"{beside(keeper.link.address.schema)}".procrastinate_jobs'
    rows = keeper.link.rows(f"SELECT args ->> 'scope' FROM {jobs} WHERE status = 'todo' ORDER BY id")  # noqa: S608
    return [int(scope) for (scope,) in rows]


def test_a_plan_invites_once_it_is_there(keeper: PostgresKeeper) -> None:
    record = keeper.new_wave("tested")
    with record.planning():
        pass  # it was given up
    assert waiting(keeper) == []
    plan(record, 3)
    assert waiting(keeper) == [1]
    plan(keeper.new_wave("another"), 3)
    assert waiting(keeper) == [1]
    keeper.close()


async def test_an_invitation_is_heard_and_leaves_nothing(keeper: PostgresKeeper, hears: Hears) -> None:
    hears.invitations.want(True)
    invite(keeper.link, [7, 8, 7])
    await hears.until(lambda heard: heard == [7, 8])
    invite(keeper.link, [7])
    await hears.until(lambda heard: heard == [7, 8, 7])
    assert waiting(keeper) == []


async def test_who_has_no_room_hears_nothing_and_leaves_it_to_others(keeper: PostgresKeeper, hears: Hears) -> None:
    hears.invitations.want(True)
    invite(keeper.link, [1])
    await hears.until(lambda heard: heard == [1])
    hears.invitations.want(False)
    await hears.until(lambda _: hears.invitations._worker is None)
    other = Hears(keeper.link.address)
    task = asyncio.create_task(other.invitations.listen())
    other.invitations.want(True)
    for number in (2, 3, 4):
        invite(keeper.link, [number])
    await other.until(lambda heard: len(heard) == 3)
    hears.invitations.want(True)
    task.cancel()
    await asyncio.wait({task})
    invite(keeper.link, [5])
    await hears.until(lambda heard: heard == [1, 5])


def test_whoever_invites_does_not_wait_for_a_transaction_that_does(keeper: PostgresKeeper) -> None:
    """A plan of a million entries may commit late."""
    other = PostgresKeeper(keeper.link.address)
    with other.link.connection.transaction():
        other.link.connection.execute("SELECT invite(ARRAY[1])")
        assert keeper.link.row("SELECT invite(ARRAY[1, 2])") == (1,)
    assert waiting(keeper) == [1, 2] or waiting(keeper) == [2, 1]
    other.close()
    keeper.close()


@pytest.mark.slow
async def test_it_is_heard_again_after_the_server_was_restarted(cluster: Cluster) -> None:
    own = Cluster.make()
    keeper = PostgresKeeper(prepared(own))
    hears = Hears(keeper.link.address)
    task = asyncio.create_task(hears.invitations.listen())
    hears.invitations.want(True)
    await asyncio.to_thread(invite, keeper.link, [1])
    await hears.until(lambda heard: heard == [1])
    await asyncio.to_thread(own.stop)
    await asyncio.to_thread(own.start)
    await asyncio.to_thread(invite, keeper.link, [2])
    await hears.until(lambda heard: heard == [1, 2])
    task.cancel()
    await asyncio.wait({task})
    keeper.close()
    own.remove()
