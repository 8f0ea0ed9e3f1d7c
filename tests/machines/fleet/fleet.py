"""The fleet: workers in processes of their own, each with its way to the database, and waves that keep them busy."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg

from batcher.simulator.options import project_ids_of
from tests.journal.postgres.cluster import Cluster
from tests.machines.fleet.cloud import FleetCloud
from tests.machines.fleet.wire import FleetWire
from tests.ports import free_port
from tests.wave.killing import entry_line

ROOT = Path(__file__).resolve().parents[3]
BOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
_ENVIRONMENT["BATCHER_TOKEN"] = "t" * 20


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a fleet is like: so many *workers* with *lanes* each, *scopes*, *entries* of a wave in each, the cloud's
    *limit* a second in each, and how long a lease lasts."""

    workers: int = 3
    lanes: int = 4
    scopes: int = 6
    entries: int = 300
    limit: int = 10
    lease_s: float = 5.0
    mutate: str | None = None


@dataclass
class Pooler:
    """A PgBouncer that keeps sessions, in front of *cluster*."""

    cluster: Cluster
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, at the same port as before."""
        assert BOUNCER is not None
        if not self.port:
            self.port = free_port()
            self.folder.mkdir(mode=0o755, parents=True)
            (self.folder / "ini").write_text(
                f"[databases]\npostgres = host=127.0.0.1 port={self.cluster.port} user=batcher\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nauth_type = any\n"
                "pool_mode = session\nunix_socket_dir =\n"
            )
        self.process = subprocess.Popen(
            [BOUNCER, str(self.folder / "ini")], user=self.cluster.user, cwd="/", stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class Member:
    """One worker and its way; *process* None: it is dead."""

    name: str
    wire: FleetWire
    folder: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def state(self) -> str:
        """What the system says of it: R, S, T (stopped), …; "" where it is gone."""
        try:
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2][0] if self.process else ""
        except OSError:
            return ""

    def send(self, number: signal.Signals) -> None:
        """Send a signal, where it lives."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    def order(self, **order: Any) -> None:
        """Have something happen in it: see `member.Points`."""
        (self.folder / "orders").write_text(json.dumps(order))
        self.send(signal.SIGUSR1)


@dataclass
class Fleet:
    """See this module."""

    shape: Shape
    folder: Path
    cluster: Cluster
    cloud: FleetCloud
    members: list[Member] = field(default_factory=list)
    pooler: Pooler | None = None
    waves: int = 0
    ended: list[str] = field(default_factory=list)  # workers that ended though nobody had told them to
    told_to_end: set[int] = field(default_factory=set)

    # --- workers ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Prepare the database, and start all workers; the last goes through a pooler, where there is one."""
        if failed := await self._run("batcher", "database", "prepare", self.cluster.url(), "--apply"):
            raise AssertionError(failed)
        if self.shape.mutate == "fence":
            await asyncio.to_thread(take_out_the_fence, self.cluster)
        if BOUNCER is not None:
            self.pooler = Pooler(self.cluster, self.cluster.folder.parent / "pooler")
            self.pooler.start()
        for number in range(self.shape.workers):
            is_last = number == self.shape.workers - 1
            target = self.pooler.port if self.pooler is not None and is_last else self.cluster.port
            folder = self.folder / f"w{number}"
            folder.mkdir()
            wire = await FleetWire(target).__aenter__()
            self.members.append(Member(f"w{number}", wire, folder))
            await self.start_member(self.members[-1])

    async def start_member(self, member: Member) -> None:
        """Start a worker that is dead."""
        order = {
            "arguments": [
                *("worker", "--database", self.cluster.url(port=member.wire.port), "--lanes", str(self.shape.lanes)),
                *("--lease", str(self.shape.lease_s), "--endpoint", self.cloud.url, "--log-format", "json"),
                *("--timeout", "2s", "--connect-timeout", "1s"),
            ],
            "name": member.name,
            "orders": str(member.folder / "orders"),
            "mutate": self.shape.mutate,
        }
        (member.folder / "told").write_text(json.dumps(order))
        with (member.folder / "log").open("ab") as log:
            member.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.machines.fleet.member", str(member.folder / "told")),
                cwd=ROOT, env=_ENVIRONMENT, stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    async def tend(self) -> None:
        """Start again whoever ended, some time after, as an init system does. Until cancelled."""
        while True:
            for member in self.members:
                process = member.process
                if process is not None and process.returncode is not None:
                    if process.returncode >= 0 and process.pid not in self.told_to_end:
                        self.ended.append(f"{member.name} ended with {process.returncode}")
                    await asyncio.sleep(1.0)
                    await self.start_member(member)
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """End all."""
        for member in self.members:
            member.send(signal.SIGCONT)
            member.send(signal.SIGKILL)
            if member.process is not None:
                await member.process.wait()
            await member.wire.__aexit__()
        if self.pooler is not None:
            self.pooler.kill()

    # --- waves --------------------------------------------------------------------------------------------

    async def feed(self) -> None:
        """Plan the next wave as soon as a scope has little left to do: none is ever without. Until cancelled."""
        while True:
            if await self._asked(_LEAST_LEFT) < self.shape.entries * 0.6:
                await self.plan()
            await asyncio.sleep(0.5)

    async def plan(self) -> None:
        """Plan a wave as a user does, as soon as the database takes it."""
        shape, number = self.shape, self.waves
        manifest = self.folder / f"wave-{number}.jsonl"
        projects = project_ids_of(shape.scopes)
        with manifest.open("wb") as lines:
            for index in range(shape.scopes * shape.entries):
                asked = orjson.loads(entry_line(index))
                asked |= {"job_id": f"w{number}-{index}", "project_id": projects[index // 3 % len(projects)]}
                lines.write(orjson.dumps(asked, option=orjson.OPT_APPEND_NEWLINE))
        for _ in range(_TRIES):
            failed = await self._run(
                *("batcher", "run", str(manifest), "--journal", f"{self.cluster.url()}/wave-{number}"),
                *("--submit-only", "--endpoint", self.cloud.url, "--rate", f"{shape.limit}/s"),
                *("--landing-time", "3s", "--attempts", "100", "--concurrency", "8"),
            )
            if failed is None:
                self.waves += 1
                return
            await asyncio.sleep(1.0)  # it is away
        raise AssertionError(failed)

    async def explained(self, status: str) -> list[str]:
        """What `batcher explain` tells of each entry that ended as *status*."""
        with psycopg.connect(self.cluster.url()) as database:
            rows = database.execute(_ENDED_AS, [status]).fetchall()
        told = []
        for wave, index in rows:
            place = f"{self.cluster.url()}/{wave}"
            _, said = await self._said("batcher", "explain", "--journal", place, "--index", str(index))
            told.append(f"{wave}, entry {index}: {said.strip()}")
        return told

    async def left(self) -> int:
        """How many entries of all planned waves have no result; many, where the database is away."""
        return await self._asked(_LEFT)

    async def _asked(self, question: str) -> int:
        try:
            return int(await asyncio.to_thread(self.cluster.ask, question))
        except psycopg.Error:
            return 1_000_000_000

    async def _run(self, module: str, *arguments: str) -> str | None:
        """Run a module of Python; what it said where it failed."""
        code, said = await self._said(module, *arguments)
        return said if code else None

    async def _said(self, module: str, *arguments: str) -> tuple[int | None, str]:
        """Run a module of Python; its exit code, and what it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments), cwd=ROOT, env=_ENVIRONMENT, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        return process.returncode, said.decode()

    def owners(self, within_s: float = 3.0) -> dict[str, str]:
        """Who sent last in each project, of late."""
        since = self.cloud.now - within_s
        return {one.project_id: one.worker for one in self.cloud.sent[-2000:] if one.at > since}


_TRIES = 200  # to plan a wave, while the database may be away
_LEFT = "SELECT coalesce(sum(entries), 0) - (SELECT count(*) FROM batcher.results) FROM batcher.waves WHERE planned"
_ENDED_AS = (
    "SELECT w.id, r.idx FROM batcher.results r JOIN batcher.waves w ON w.number = r.wave "
    "WHERE r.status = %s ORDER BY 1, 2"
)
_LEAST_LEFT = (
    "SELECT min(open) FROM (SELECT sum(entries - settled) AS open FROM batcher.wave_scopes GROUP BY scope) scopes"
)


def take_out_the_fence(cluster: Cluster) -> None:
    """Have the database record what is written by a lease that is lost: the mutation that has to be caught."""
    source = str(cluster.ask("SELECT pg_get_functiondef('batcher.record_commit'::regproc)"))
    before = "i.scope IS NOT NULL AND"
    assert source.count(before) == 1
    with psycopg.connect(cluster.url(), autocommit=True) as database:
        database.execute(source.replace(before, f"{before} false AND"))


async def until(is_so: Any, patience_s: float) -> bool:
    """Wait until *is_so* says so; whether it did in time."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if is_so():
            return True
        await asyncio.sleep(0.05)
    return False
