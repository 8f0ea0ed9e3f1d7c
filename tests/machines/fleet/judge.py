"""What a fleet promised, held against what the cloud and the database have seen."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import psycopg

from batcher.simulator.ledger import creations, doubles, most_in_window
from batcher.simulator.model import CREATES
from tests.machines.fleet.cloud import out_of_order
from tests.machines.fleet.faults import Suffered
from tests.machines.fleet.fleet import Fleet

_ZOMBIES = """
SELECT count(*) FROM (
    SELECT e.epoch, max(e.epoch) OVER (PARTITION BY n.scope ORDER BY e.id) AS newest
    FROM batcher.events e JOIN batcher.entries n USING (wave, idx) WHERE e.epoch IS NOT NULL) o
WHERE o.epoch < o.newest
"""
_MORE_S = 5.0  # than a lease, for which the scopes of a worker that died may stand still


def broken(fleet: Fleet, statuses: Counter[str]) -> Iterator[str]:
    """Every promise that was broken. *statuses* takes how many results there are of each."""
    ledger = fleet.cloud.ledger
    for (_, job, half), several in doubles(ledger).items():
        yield f"{job} has {len(several)} {half} comparisons"
    yield from out_of_order(fleet.cloud.sent)
    for project, most in most_in_window(ledger, 1.0, calls=CREATES).items():
        if most > fleet.shape.limit:
            yield f"project {project[:6]}: {most} requests in a second, of {fleet.shape.limit}"
    with psycopg.connect(fleet.cluster.url()) as database:
        rows = database.execute("SELECT line FROM batcher.results").fetchall()
        (zombies,) = database.execute(_ZOMBIES).fetchone() or (0,)
    if zombies:
        yield f"{zombies} events were recorded by an older epoch after one of a newer"
    lines = [orjson.loads(line) for (line,) in rows]
    statuses.update(line["status"] for line in lines)
    entries = fleet.waves * fleet.shape.scopes * fleet.shape.entries
    if len(lines) != entries:
        yield f"{len(lines)} results for {entries} entries"
    by_job = {line["job_id"]: line for line in lines}
    for creation in creations(ledger):
        line = by_job.get(creation.job_id, {})
        fate = line.get(f"{creation.half}_compare_create_result") or {}
        if fate.get("compare_task_id") != creation.compare_task_id and line.get("status") != "unsettled":
            yield f"{creation.job_id} is {line.get('status')}, and does not name {creation.compare_task_id}"
    yield from fleet.ended


def most_in_a_second(fleet: Fleet) -> int:
    """The most create requests that came in a second, in any scope."""
    return max(most_in_window(fleet.cloud.ledger, 1.0, calls=CREATES).values(), default=0)


@dataclass(frozen=True)
class Standstill:
    """From when to when (Unix seconds) nothing was sent in a project whose *worker* was killed meanwhile, by a fault of
    that *kind*. *by* is who sent again."""

    project_id: str
    worker: str
    kind: str
    began: float
    over: float
    by: str

    @property
    def lasted_s(self) -> float:
        """For how long, in seconds."""
        return self.over - self.began


def standstills(fleet: Fleet, suffered: Sequence[Suffered]) -> list[Standstill]:
    """How the scopes of a worker stood still that was killed while nothing else happened."""
    found = []
    lease_s = fleet.shape.lease_s
    for fault in suffered:
        if not fault.kind.startswith("kill") or fault.worker is None:
            continue
        dead_at = max((one.at for one in fleet.cloud.sent if one.worker == fault.worker and one.at <= fault.over),
                      default=None)  # fmt: skip
        near = fault.began - 4 * lease_s, fault.over + 2 * lease_s + _MORE_S
        if dead_at is None or any(one is not fault and near[0] < one.over and one.began < near[1] for one in suffered):
            continue
        for project in fault.held:
            there = [one for one in fleet.cloud.sent if one.project_id == project]
            before = max((one.at for one in there if one.at <= fault.over), default=None)
            after = min((one for one in there if one.at > fault.over), key=lambda one: one.at, default=None)
            if before is not None and after is not None:
                found.append(Standstill(project, fault.worker, fault.kind, before, after.at, after.worker))
    return found


def too_long(fleet: Fleet, stood: Sequence[Standstill]) -> Iterator[str]:
    """Those of *stood* that are longer than was promised."""
    for one in stood:
        if one.lasted_s > fleet.shape.lease_s + _MORE_S:
            since = datetime.fromtimestamp(one.began, UTC).strftime("%H:%M:%S.%f")[:-3]
            yield (
                f"project {one.project_id[:6]} stood still for {one.lasted_s:.1f} s from {since} on, "
                f"after {one.worker} was killed ({one.kind}), until {one.by} sent"
            )
