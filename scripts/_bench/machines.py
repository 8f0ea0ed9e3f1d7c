"""Machines: entries a second by one, two and four workers on one database, in one run.

Sixteen scopes, and a cloud that takes 20 ms for an answer; no limit, one request at a time in each scope, and four
scopes at a time by each worker. So it is the waiting that is shared out. How much the machine itself could do for more
of them, two cores for workers, database and cloud together cannot show.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from _bench.common import Row, at_least

_WORKERS = {2: None, 4: 3.5}  # and at least so many times one
_SCOPES, _LANES = 16, 4
_ROUNDS, _ENTRIES = 3, 120  # in each scope
_PATIENCE_S = 120.0


def rows(*, quick: bool) -> Iterator[Row]:
    """A ratio for each number of workers."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.journal.postgres.cluster import Cluster, binaries

    if binaries() is None:
        yield Row(subject="PostgreSQL", figure="there is none here: install Debian's package postgresql")
        return
    cluster = Cluster.make()
    try:
        rates: dict[int, list[float]] = {1: [], **{workers: [] for workers in _WORKERS}}
        for number in range(1 if quick else _ROUNDS):
            for workers, found in rates.items():
                found.append(_rate(cluster, workers, f"bench_{workers}_{number}"))
        told = ", ".join(f"{workers}: {median(found):,.0f}/s" for workers, found in rates.items())
        yield Row(subject="entries a second, by workers", figure=told, raw={"rates": rates})
        for workers, least in _WORKERS.items():
            ratio = median(many / one for one, many in zip(rates[1], rates[workers], strict=True))
            subject = f"{workers} workers / one"
            yield Row(subject=subject, figure=f"{ratio:.2f} x") if least is None else at_least(subject, ratio, least)
    finally:
        cluster.remove()


def _rate(cluster: object, workers: int, schema: str) -> float:
    """Entries a second by so many *workers*, from the first request to the last answer."""
    from batcher.simulator.ledger import AnswerSent, RequestSeen
    from batcher.simulator.server import ThreadedSimulator
    from batcher.simulator.service import ServiceConfig
    from tests.journal.postgres.cluster import Cluster, prepared

    assert isinstance(cluster, Cluster)  # noqa: S101 - imported late, as all of ours
    address = prepared(cluster, schema=schema)
    with ExitStack() as stack:
        cloud = stack.enter_context(ThreadedSimulator(ServiceConfig(latency_s=(0.02, 0.02))))
        logs = Path(stack.enter_context(TemporaryDirectory()))
        processes = [_worker(f"{address.url}?schema={schema}", logs / str(number)) for number in range(workers)]
        stack.callback(_end, processes)
        _until(lambda: all(b"worker.ready" in (logs / str(number)).read_bytes() for number in range(workers)))
        _until(lambda: cluster.ask(f"SELECT count(*) FROM {schema}.workers") == workers)  # noqa: S608
        _plan(f"{address.url}?schema={schema}", cloud.url)
        left = f"SELECT sum(entries - settled) FROM {schema}.wave_scopes"  # noqa: S608
        _until(lambda: cluster.ask(left) == 0)
        times = [event.at for event in cloud.ledger if isinstance(event, RequestSeen | AnswerSent)]
        return _SCOPES * _ENTRIES / (max(times) - min(times))


def _worker(url: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as written:
        return subprocess.Popen(
            [sys.executable, "-m", "batcher", "worker", "--database", url, "--lanes", str(_LANES), "--log-format=json"],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            env={**os.environ, "BATCHER_TOKEN": "simulated-token"},
        )


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def _plan(url: str, endpoint: str) -> None:
    from _bench.planned import plan_wave

    plan_wave(url, endpoint, scopes=_SCOPES, entries=_ENTRIES)


def _until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + _PATIENCE_S
    while not is_so():
        if time.monotonic() > ends_at:
            raise TimeoutError("the workers did not come to an end")
        time.sleep(0.02)
