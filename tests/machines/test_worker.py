"""`batcher worker` as a process: on a real database, with a simulated cloud."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.link import Patience
from batcher.life.result import Status
from batcher.machines import worker as worker_module
from batcher.machines.worker import WorkerEnding
from batcher.machines.working import WorkerOptions, work
from batcher.settings import load
from batcher.simulator.faults import FaultProfile
from batcher.simulator.iam import IamConfig
from batcher.simulator.ledger import doubles
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.machines.fleet.wire import FleetWire
from tests.machines.made import PROJECT, creates, planned
from tests.packaging.checkout import ROOT

PATIENCE_S = 90


class Process:
    """A worker that runs, and what it has logged so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self.said: list[str] = []  # what is no event
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            if line.startswith(b"{"):
                self.events.append(orjson.loads(line))
            else:
                self.said.append(line.decode())

    def named(self, event: str) -> list[dict[str, Any]]:
        """The events of that name."""
        return [one for one in self.events if one["event"] == event]

    async def until(self, event: str, times: int = 1) -> None:
        """Wait until it has logged *event* so often."""
        try:
            await until(lambda: len(self.named(event)) >= times)
        except TimeoutError:
            raise AssertionError(f"no {event} in {self.events}, {self.said}") from None

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await self._reading
            return code


@asynccontextmanager
async def worker(address: Address | str, *options: str, **environment: str) -> AsyncIterator[Process]:
    """`batcher worker` on that database."""
    url = address if isinstance(address, str) else f"{address.url}?schema={address.schema}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "batcher", "worker", "--database", url, "--log-format", "json", *options),
        cwd=ROOT, env={"PATH": os.environ["PATH"], "HOME": "/nowhere", **environment},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)


TOKEN = {"BATCHER_TOKEN": "simulated-token"}


@pytest.fixture
def cluster() -> Cluster:
    return needed()


@pytest.fixture
def address(cluster: Cluster) -> Address:
    return prepared(cluster)


@pytest.fixture
def keeper(address: Address) -> Iterator[PostgresKeeper]:
    keeper = PostgresKeeper(address)
    yield keeper
    keeper.close()


async def test_it_runs_what_is_planned_and_ends_when_told(address: Address, keeper: PostgresKeeper) -> None:
    async with Simulator(ServiceConfig()) as simulator, worker(address, **TOKEN) as process:
        planned(keeper, "before", simulator, range(5))
        await until(lambda: keeper.wave("before").status_counts() == {Status.CREATED: 5})
        await process.until("scope.given_back")
        planned(keeper, "after", simulator, range(10, 15))
        await until(lambda: keeper.wave("after").status_counts() == {Status.CREATED: 5})
        (name,) = keeper.link.rows("SELECT name FROM workers")
        assert process.named("worker.ready")[0]["name"] == name[0]
        process.tell(signal.SIGTERM)
        assert await process.ended() == 0
        assert keeper.link.rows("SELECT name FROM workers") == []
        assert keeper.link.rows("SELECT owner, lease_until FROM scopes") == [(None, None)]
        assert process.said == []
        assert not doubles(simulator.ledger)


async def test_told_to_end_it_hands_on_and_another_goes_on(address: Address, keeper: PostgresKeeper) -> None:
    """What is in flight is answered first; nothing is sent twice, and nothing is in doubt."""
    async with Simulator(ServiceConfig(latency_s=(0.2, 0.3))) as simulator:
        planned(keeper, "wave", simulator, range(60), rate="40/s")
        async with worker(address, **TOKEN) as one:
            await until(lambda: len(creates(simulator)) > 10)
            one.tell(signal.SIGTERM)
            assert await one.ended() == 0
            assert one.named("scope.given_back")[0]["reason"] == "told to hand on"
        left = 60 - sum(keeper.wave("wave").status_counts().values())
        assert left > 0
        assert len(creates(simulator)) == 60 - left
        async with worker(address, **TOKEN) as two:
            await until(lambda: keeper.wave("wave").status_counts() == {Status.CREATED: 60})
            assert two.named("scope.taken")[0]["epoch"] > one.named("scope.taken")[0]["epoch"]
        assert not doubles(simulator.ledger)


async def test_told_twice_it_leaves_at_once(address: Address, keeper: PostgresKeeper) -> None:
    """Though the cloud does not answer; what was sent is in doubt, and stands in the journal."""
    silent = FaultProfile(name="silent", description="", chances={"silent-after": 1.0}, only="creates")
    async with Simulator(ServiceConfig(faults=silent)) as simulator, worker(address, **TOKEN) as process:
        planned(keeper, "wave", simulator, range(3))
        await until(lambda: creates(simulator))
        process.tell(signal.SIGTERM)
        await process.until("worker.ending")
        process.tell(signal.SIGTERM)
        assert await process.ended() == 128 + signal.SIGTERM
        assert process.named("worker.left")[0]["scopes"] == 1
        assert keeper.wave("wave").open_entries(0, -1, 10)


async def test_it_says_once_what_it_cannot_take_and_why(address: Address, keeper: PostgresKeeper) -> None:
    async with Simulator(ServiceConfig()) as simulator, worker(address, "--lease", "5") as process:
        planned(keeper, "wave", simulator, range(2))
        await process.until("scope.not_taken")
        seen = "SELECT seen_at, refuses FROM workers"
        await until(lambda: keeper.link.rows(seen)[0][1])
        before = keeper.link.rows(seen)[0][0]
        await until(lambda: keeper.link.rows(seen)[0][0] > before)  # it has looked again
        (said,) = process.named("scope.not_taken")
        assert said["scopes"] == [f"{PROJECT}@{simulator.url.partition('://')[2]}"]
        assert said["reason"] == "no credential for it: none found (batcher auth shows where it is looked for)"
        assert keeper.link.rows(seen)[0][1] == [
            {"endpoint": simulator.url, "project_id": PROJECT, "why": said["reason"]}
        ]
        assert creates(simulator) == []


async def test_a_refused_credential_is_shown_once_and_not_again(address: Address, keeper: PostgresKeeper) -> None:
    """Each worker tries it once: a key is locked after too many."""
    wrong = {"BATCHER_TOKEN": "another"}
    checks = ServiceConfig(iam=IamConfig(mode="token"))
    async with Simulator(checks) as simulator, worker(address, "--lease", "5", **wrong) as process:
        planned(keeper, "wave", simulator, range(20))
        await process.until("scope.not_taken")
        (said,) = process.named("scope.not_taken")
        assert "token" in said["reason"]
        assert keeper.link.rows("SELECT owner FROM scopes") == [(None,)]
        seen = "SELECT seen_at FROM workers"
        for _ in range(3):
            before = keeper.link.rows(seen)
            await until(lambda: keeper.link.rows(seen) != before)  # noqa: B023 - it is over in this round
        assert len(process.named("scope.taken")) == 1


async def test_only_scopes_that_are_wanted_are_taken(address: Address, keeper: PostgresKeeper) -> None:
    async with Simulator(ServiceConfig()) as simulator:
        planned(keeper, "wave", simulator, range(2))
        async with worker(address, "--scopes", "project=another*", "--lease", "5", **TOKEN) as process:
            await process.until("worker.ready")
            seen = "SELECT max(seen_at) FROM workers"
            await until(lambda: keeper.link.rows(seen)[0][0])
            before = keeper.link.rows(seen)[0][0]
            await until(lambda: keeper.link.rows(seen)[0][0] > before)
            assert process.named("scope.taken") == []


@pytest.mark.slow
async def test_a_database_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """At the start, and in the middle of a wave; the same holder goes on."""
    own = await asyncio.to_thread(Cluster.make)
    address = prepared(own)
    keeper = PostgresKeeper(address)
    await asyncio.to_thread(own.stop)
    async with Simulator(ServiceConfig()) as simulator, worker(address, **TOKEN) as process:
        await process.until("database.away")
        assert process.process.returncode is None
        await asyncio.to_thread(own.start)
        await process.until("database.back")
        await asyncio.to_thread(planned, keeper, "wave", simulator, range(60), rate="20/s")
        await until(lambda: len(creates(simulator)) > 5)
        await asyncio.to_thread(own.stop)
        await process.until("database.away", 2)
        await asyncio.to_thread(own.start)
        await process.until("database.back", 2)
        await until(lambda: keeper.wave("wave").status_counts() == {Status.CREATED: 60})
        assert [one["epoch"] for one in process.named("scope.taken")] == [1]
        assert not doubles(simulator.ledger)
        process.tell(signal.SIGTERM)
        assert await process.ended() == 0
    keeper.close()
    own.remove()


@pytest.mark.slow
async def test_told_to_end_while_the_database_is_away_it_ends() -> None:
    own = await asyncio.to_thread(Cluster.make)
    address = prepared(own)
    async with worker(address, **TOKEN) as process:
        await process.until("worker.ready")
        await asyncio.to_thread(own.stop)
        process.tell(signal.SIGTERM)
        assert await process.ended() == 0
    own.remove()


async def test_told_to_end_with_scopes_in_hand_it_waits_for_a_database_no_longer_than_its_grace(
    cluster: Cluster, address: Address, keeper: PostgresKeeper
) -> None:
    """Then it leaves them, which is said once; what was in flight is looked up by whoever has them next."""
    async with FleetWire(cluster.port) as wire, Simulator(ServiceConfig(latency_s=(0.3, 0.4))) as simulator:
        away = f"{cluster.url(port=wire.port)}?schema={address.schema}"
        planned(keeper, "wave", simulator, range(30), rate="20/s")
        async with worker(away, "--grace", "1s", "--lease", "5", **TOKEN) as process:
            await until(lambda: len(creates(simulator)) > 4)
            wire.cut()
            process.tell(signal.SIGTERM)
            assert await process.ended() == 128 + signal.SIGTERM
        assert [one["scopes"] for one in process.named("worker.cut_short")] == [1]
        assert keeper.link.rows("SELECT owner IS NOT NULL FROM scopes") == [(True,)]
        async with worker(address, "--lease", "5", **TOKEN):
            await until(lambda: keeper.wave("wave").status_counts() == {Status.CREATED: 30})
        assert not doubles(simulator.ledger)


@pytest.mark.slow
async def test_a_database_that_is_away_for_longer_than_is_waited_for_is_gone_on_with(
    cluster: Cluster, address: Address, keeper: PostgresKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scope is left, each answer that could not be recorded is told, and the same worker takes it again."""
    monkeypatch.setenv("BATCHER_TOKEN", TOKEN["BATCHER_TOKEN"])
    monkeypatch.setattr(worker_module, "_WRITTEN_AGAIN_S", 1.0)
    ending = WorkerEnding()
    async with FleetWire(cluster.port) as wire, Simulator(ServiceConfig(latency_s=(0.1, 0.2))) as simulator:
        planned(keeper, "wave", simulator, range(60), rate="20/s", grace=1.0)
        options = WorkerOptions(
            address=Address(cluster.url(port=wire.port), address.schema),
            profiles=((None, load({})),),
            lease_s=5.0,
            patience=Patience(answer_s=60.0, grace_s=1.0),
        )
        working = asyncio.create_task(work(options, ending))
        await until(lambda: len(creates(simulator)) > 4)
        wire.cut()
        await until(lambda: keeper.link.rows("SELECT true FROM scopes WHERE lease_until < clock_timestamp()"))
        sent = len(creates(simulator))
        await asyncio.sleep(0.5)
        assert len(creates(simulator)) == sent  # nothing leaves without a lease
        wire.mend()
        await until(lambda: keeper.wave("wave").status_counts() == {Status.CREATED: 60})
        ending.tell()
        await working
        assert not doubles(simulator.ledger)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("postgresql://batcher@127.0.0.1:{port}/nowhere", 'database "nowhere" does not exist'),
        ("postgresql://nobody@127.0.0.1:{port}/postgres", 'role "nobody" does not exist'),
        ("postgresql://batcher@127.0.0.1:{port}/postgres?schema=unmade", "has no tables of batcher yet"),
        ("https://db/fleet", "that is no address of a PostgreSQL database"),
    ],
)
async def test_a_database_that_says_no_is_told(cluster: Cluster, place: str, why: str) -> None:
    async with worker(place.format(port=cluster.port), **TOKEN) as process:
        assert await process.ended() == 2
        assert why in "".join(process.said)
        assert "Traceback" not in "".join(process.said)


@pytest.mark.slow
async def test_where_the_database_takes_nothing_the_scope_is_not_taken_again_and_again(
    address: Address, keeper: PostgresKeeper
) -> None:
    """As where a role may take scopes and not write events: it is said once, and tried again after a while."""
    for made in (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'permission denied'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON events EXECUTE FUNCTION refuse()",
    ):
        keeper.link.do(lambda c, made=made: c.execute(made), writing=True)  # type: ignore[misc]
    async with Simulator(ServiceConfig()) as simulator, worker(address, **TOKEN) as process:
        planned(keeper, "a", simulator, range(3))
        await process.until("scope.given_back")
        await until(lambda: "permission denied" in str(keeper.link.rows("SELECT refuses FROM workers")))
        assert creates(simulator) == []
        keeper.link.do(lambda c: c.execute("DROP TRIGGER refuse ON events"), writing=True)
        await until(lambda: keeper.wave("a").status_counts() == {Status.CREATED: 3})
        taken = [datetime.fromisoformat(one["at"]) for one in process.named("scope.taken")]
        assert len(taken) > 1
        # By its log, as it may be tried once more before this test comes to it.
        assert all((later - earlier).total_seconds() > 9.0 for earlier, later in pairwise(taken))
        assert len(process.named("scope.not_taken")) == 1
