"""Machines: entries a second by one, two and four workers on one database, in one run; a million entries in one.

Sixteen scopes, and a cloud that takes 20 ms for an answer; no limit, one request at a time in each scope, and four
scopes at a time by each worker. So one worker is bounded by the cloud's latency, four requests in flight, and needs a
fraction of a core: it is the waiting that is shared out. How much the machine itself could do for more of them, two
cores for workers, database and cloud together cannot show.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from _bench.common import (
    ROOT,
    Row,
    at_least,
    at_most,
    child,
    cloud,
    command,
    surroundings,
    told_arrivals,
    write_manifest,
)
from _bench.planned import plan_wave

_WORKERS = {2: None, 4: 3.5}  # and at least so many times one
_SCOPES, _LANES = 16, 4
_ROUNDS, _ENTRIES = 3, 120  # in each scope
_ANSWERS_S = 0.02
_LARGE = 1_000_000
_PATIENCE_S, _ENDS_S = 120.0, 20.0


def rows(*, quick: bool) -> Iterator[Row]:
    """A ratio for each number of workers; then what a large wave takes to be planned, and its worker in memory."""
    sys.path.insert(0, str(ROOT))
    from tests.journal.postgres.cluster import Cluster, binaries

    if binaries() is None:
        yield Row(subject="PostgreSQL", figure="there is none here: install Debian's package postgresql")
        return
    cluster = Cluster.make(shared_buffers="128MB")  # as PostgreSQL has it by default
    try:
        yield from _shared_out(cluster, 1 if quick else _ROUNDS)
        yield from _large(cluster, 100_000 if quick else _LARGE)
    finally:
        cluster.remove()


def _shared_out(cluster: "Cluster", rounds: int) -> Iterator[Row]:  # type: ignore[name-defined] # noqa: F821
    found: dict[int, list[dict[str, float]]] = {1: [], **{workers: [] for workers in _WORKERS}}
    for number in range(rounds):
        for workers, measured in found.items():
            measured.append(_rate(cluster, workers, f"bench_{workers}_{number}"))
    rates = {workers: [one["per_s"] for one in measured] for workers, measured in found.items()}
    told = ", ".join(f"{workers}: {median(rate):,.0f}/s" for workers, rate in rates.items())
    yield Row(subject="entries a second, by workers", figure=told, raw={"rates": rates})
    busy = ", ".join(
        f"{workers}: {median(one['cores'] for one in measured):.2f}" for workers, measured in found.items()
    )
    yield Row(subject="cores that the workers used meanwhile, together", figure=busy)
    for workers, least in _WORKERS.items():
        ratio = median(many / one for one, many in zip(rates[1], rates[workers], strict=True))
        subject = f"{workers} workers / one"
        yield Row(subject=subject, figure=f"{ratio:.2f} x") if least is None else at_least(subject, ratio, least)


def _rate(cluster: "Cluster", workers: int, schema: str) -> dict[str, float]:  # type: ignore[name-defined] # noqa: F821
    """Entries a second by so many *workers*, from the first request to the last, and the cores that they use."""
    from tests.journal.postgres.cluster import prepared

    address = prepared(cluster, schema=schema)
    database = f"{address.url}?schema={schema}"
    with cloud(delay_s=_ANSWERS_S) as port, _working(database, workers) as processes:
        _until(lambda: cluster.ask(f"SELECT count(*) FROM {schema}.workers") == workers, processes)  # noqa: S608
        before = sum(map(_cpu_s, processes))
        plan_wave(database, f"http://127.0.0.1:{port}", scopes=_SCOPES, entries=_ENTRIES)
        left = f"SELECT sum(entries - settled) FROM {schema}.wave_scopes"  # noqa: S608
        _until(lambda: cluster.ask(left) == 0, processes)
        used_s = sum(map(_cpu_s, processes)) - before
        arrivals = told_arrivals(port)
    took_s = max(arrivals) - min(arrivals)
    return {"per_s": (len(arrivals) - 1) / took_s, "cores": used_s / took_s}


def _large(cluster: "Cluster", entries: int) -> Iterator[Row]:  # type: ignore[name-defined] # noqa: F821
    """A wave of *entries* checked and planned into either keeper, the real command; and a worker that has it."""
    from tests.journal.postgres.cluster import prepared

    address = prepared(cluster, schema="bench_large")
    database = f"{address.url}?schema=bench_large"
    with TemporaryDirectory() as folder, cloud(delay_s=_ANSWERS_S) as port:
        manifest = write_manifest(Path(folder, "wave.jsonl"), entries)
        where = ("--endpoint", f"http://127.0.0.1:{port}", "--project-id", "p", "--rate", "off")
        shared = command("run", str(manifest), "--journal", _wave_in(database), "--submit-only", *where)
        alone = child("planning", manifest=str(manifest))
        rates = {"SQLite": entries / alone["wall_s"], "PostgreSQL": entries / shared["wall_s"]}
        figure = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items())
        yield Row(subject=f"checking and planning {entries:,} entries", figure=figure, raw=rates)
        yield at_least("the same, PostgreSQL / SQLite", rates["PostgreSQL"] / rates["SQLite"], 0.4)
        with _working(database, 1) as processes:
            done = "SELECT sum(settled) FROM bench_large.wave_scopes"
            _until(lambda: (cluster.ask(done) or 0) > 2_000, processes)
            peak_mb = _peak_mb(processes[0])
    yield at_most(f"peak memory of a worker in a wave of {entries:,}", peak_mb, 150, "MB")


def _wave_in(database: str) -> str:
    """The place of the wave in *database*, whose URL ends in a query."""
    address, _, query = database.partition("?")
    return f"{address}/large?{query}"


@contextmanager
def _working(database: str, workers: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many workers that are ready, until the end of the block."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        logs = [Path(folder, str(number)) for number in range(workers)]
        processes = [_worker(database, log) for log in logs]
        stack.callback(_end, processes, logs)
        _until(lambda: all(b"worker.ready" in log.read_bytes() for log in logs), processes)
        yield processes


def _worker(url: str, log: Path) -> subprocess.Popen[bytes]:
    where = surroundings(ROOT)
    with log.open("wb") as written:
        return subprocess.Popen(
            [sys.executable, "-m", "batcher", "worker", "--database", url, "--lanes", str(_LANES), "--log-format=json"],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            **where,
        )


def _end(processes: list[subprocess.Popen[bytes]], logs: list[Path]) -> None:
    """Have them end; raises RuntimeError where one does not."""
    for process in processes:
        process.terminate()
    for process, log in zip(processes, logs, strict=True):
        try:
            process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            for one in processes:
                one.send_signal(signal.SIGKILL)
            raise RuntimeError(f"a worker did not end within {_ENDS_S:g} s: {log.read_text()[-2000:]}") from None


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def _until(is_so: Callable[[], bool], processes: list[subprocess.Popen[bytes]]) -> None:
    ends_at = time.monotonic() + _PATIENCE_S
    while not is_so():
        if any(process.poll() is not None for process in processes):
            raise RuntimeError("a worker ended by itself")
        if time.monotonic() > ends_at:
            raise TimeoutError(f"the workers did not come to an end within {_PATIENCE_S:g} s")
        time.sleep(0.02)
