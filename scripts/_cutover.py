"""The night of a cutover, rehearsed: three waves from the fleet to the gate, against the simulator.

In the middle of the second wave the line to the cloud goes down for a while, and three jobs really differ. Every
command is the one that an operator types; what it prints is printed here, and `--into` writes it into the runbook.
Ends with 0 if everything came out as the runbook says.
"""

import argparse
import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

BATCHER = str(Path(sys.executable).with_name("batcher"))
SPEED = 200  # comparisons run so many times as fast as real ones
MARK = "<!-- cutover: {} -->"


class Line:
    """The line to the cloud: forwards a port to the simulator, and can be cut."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._pipes: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self.mend()

    def mend(self) -> None:
        """Let connections through."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def cut(self) -> None:
        """Drop every connection, and refuse new ones: what was on its way is lost, in whichever direction."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result()

    def close(self) -> None:
        """End it."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _drop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(_pipe(source, sink))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
    finally:
        writer.transport.abort()


class Night:
    """The folder of the night, the commands typed in it, and what they said, step by step."""

    def __init__(self, folder: Path, jobs: int, down_s: float) -> None:
        self.folder = folder
        self.jobs = jobs
        self.down_s = down_s  # how long the line to the cloud is down
        self.said: dict[str, str] = {}
        self._lines: list[str] = []
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHER_")}

    def type(self, step: str, command: str, *, expect: int, during: Callable[[], None] | None = None) -> None:
        """Type *command*, show what it prints, and insist on its exit code; *during* runs beside it."""
        print(f"\n$ {command}", flush=True)
        words = [BATCHER if word == "batcher" else word for word in shlex.split(command)]
        process = subprocess.Popen(
            words, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        lines = self._lines = [f"$ {command}"]
        beside = threading.Thread(target=during, daemon=True) if during else None
        if beside:
            beside.start()
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
        code = process.wait()
        print(f"[exit code {code}]", flush=True)
        self.said[step] = "\n".join([self.said[step], *lines] if step in self.said else lines) + f"\n[exit code {code}]"
        if code != expect:
            raise SystemExit(f"cutover: {command!r} ended with {code}, and {expect} was expected")
        if beside:
            beside.join()

    def aside(self, text: str) -> None:
        """Say what happens beside the command."""
        print(f"    *** {text} ***", flush=True)
        self._lines.append(f"    *** {text} ***")

    def write(self, name: str, text: str) -> None:
        """Write a file of the night."""
        (self.folder / name).write_text(text, encoding="utf-8")


OBJECTS = [{"database": "shop", "tables": ["orders", "items", "customers"]}]
READY, FULL, PARENT = "INCRE_TRANSFER_STARTED", "FULL_TRANSFER_STARTED", "CHILD_TRANSFER_STARTED"


def fleet(jobs: int, late_s: float) -> list[dict[str, object]]:
    """The jobs of three waves, which their tags name, on ten source instances; and what nobody can compare beside them.

    Three jobs of the third wave get ready only so long after the cloud's first request.
    """
    rules: list[dict[str, object]] = []
    for wave in (1, 2, 3):
        common: dict[str, object] = {"kind": "sync", "tags": {"wave": str(wave)}}
        for n in range(1, jobs + 1):
            rule = {**common, "job_id": f"cut{wave}-{n:03d}", "name": f"shop-{wave}-{n:03d}", "objects": OBJECTS}
            rules.append(rule | {"source_instance": f"src-{n % 10:02d}", "target_instance": f"dst-{n % 10:02d}"})
            if wave == 3 and n <= 3:
                rules[-1] |= {"status": FULL, "becomes": [{"after": f"{late_s:g}s", "status": READY}]}
        rules.append({**common, "job_id": f"cut{wave}-events", "name": f"events-{wave}", "engine": "mysql-to-kafka"})
    first: dict[str, object] = {"tags": {"wave": "1"}}
    rules.append({**first, "job_id": "cut1-once", "name": "archive-1", "task_type": "FULL_TRANS"})
    family = [rule for rule in rules if rule["job_id"] in ("cut1-009", "cut1-010")]
    for rule in family:
        rule["parent_id"] = "cut1-both"
    parent = {**first, "job_id": "cut1-both", "name": "shop-both", "kind": "sync", "status": PARENT}
    return [*rules, parent | {"children": [rule["job_id"] for rule in family]}]


DIFFERENCES: list[dict[str, object]] = [
    {"job_id": "cut1-007", "database": "shop", "table": "orders", "rows": 3},
    {"job_id": "cut2-005", "database": "shop", "object_type": "VIEW", "name": "v_revenue"},
    {"job_id": "cut3-010", "database": "shop", "table": "customers", "rows": 12},
]
ACCEPTED = """job_id,database,table,reason,expires
cut3-010,shop,customers,test accounts that are not migrated (ticket 4711),2099-12-31
"""


@contextmanager
def simulator(folder: Path, name: str, differences: list[dict[str, object]], limit: str) -> Iterator[int]:
    """A simulator process; gives its port."""
    (folder / f"{name}.json").write_text(json.dumps(differences), encoding="utf-8")
    command = [BATCHER, "simulate", "--port", "0", "--json", "--jobs", "fleet.json", "--differences", f"{name}.json"]
    command += ["--speed", str(SPEED), "--limit", limit, "--read-limit", limit, "--latency", "20ms..120ms"]
    command += ["--ledger", f"{name}.ledger.jsonl"]
    process = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        text = ""
        while not _whole(text):
            text += process.stdout.readline() or sys.exit(f"cutover: the simulator does not start: {text}")
        yield int(json.loads(text)["url"].rpartition(":")[2])
    finally:
        process.terminate()
        process.communicate()


def _whole(text: str) -> bool:
    try:
        return bool(json.loads(text))
    except ValueError:
        return False


def lines_in(path: Path) -> int:
    """How many lines *path* has; none where there is no file."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def outage(night: Night, line: Line) -> None:
    """Cut the line in the middle of the second wave."""
    results = night.folder / "wave2.jsonl"
    while lines_in(results) < night.jobs // 2:
        time.sleep(0.05)
    line.cut()
    night.aside(f"the line to the cloud is down, for {night.down_s:g} seconds")
    time.sleep(night.down_s)
    line.mend()
    night.aside("the line is up again")


def the_night(night: Night, line: Line, repaired: Callable[[], None]) -> None:
    """All of it, in order."""
    for wave in (1, 2, 3):
        discovery = f"batcher discover --tag wave={wave} --any-status -o wave{wave}.csv --report wave{wave}.jobs.csv"
        night.type("discover", discovery, expect=0)
        if lines_in(night.folder / f"wave{wave}.csv") != night.jobs + 1:
            raise SystemExit(f"cutover: wave{wave}.csv has not the {night.jobs} jobs of the wave")
    night.type("left-out", "grep left_out wave1.jobs.csv", expect=0)
    since = "batcher discover --tag wave=1 --any-status --since wave1.csv -o wave1-tonight.csv"
    night.type("since", since, expect=0)
    for wave, expect in ((1, 0), (2, 0), (3, 1)):
        night.type("preflight", f"batcher preflight wave{wave}.csv", expect=expect)
    options = "--wait --max-running-per label.source_instance=20"
    night.type("wave1", f"batcher run wave1.csv -o wave1.jsonl {options}", expect=1)
    night.type(
        "wave2",
        f"batcher run wave2.csv -o wave2.jsonl {options}",
        expect=1,
        during=lambda: outage(night, line),
    )
    night.type("wave3", f"batcher run wave3.csv -o wave3.jsonl {options} --wait-ready 10m", expect=1)
    night.type("no-go", "batcher gate wave1.jsonl wave2.jsonl wave3.jsonl --junit gate.xml", expect=1)
    for wave in (1, 2, 3):
        night.type("recheck", f"batcher select wave{wave}.jsonl --recheck inconsistent -o again{wave}.jsonl", expect=0)
    for wave in (1, 2, 3):
        night.type(
            "recheck-runs", f"batcher run again{wave}.jsonl -o again{wave}-results.jsonl --wait --quiet", expect=1
        )
    repaired()
    night.write("accepted.csv", ACCEPTED)
    night.type("accepted", "cat accepted.csv", expect=0)
    for wave in (1, 2):
        night.type("repaired", f"batcher run again{wave}.jsonl -o fixed{wave}.jsonl --wait --quiet", expect=0)
    night.type(
        "go",
        "batcher gate wave1.jsonl wave2.jsonl wave3.jsonl again3-results.jsonl fixed1.jsonl fixed2.jsonl "
        "--allow-inconsistent accepted.csv",
        expect=0,
    )


def prove(night: Night) -> None:
    """Ask the simulator's ledger whether every comparison was made exactly once."""
    created: Counter[str] = Counter()
    for text in (night.folder / "before.ledger.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(text)
        if event["event"] == "effect" and event["created"]:
            created[event["job_id"]] += 1
    jobs = 3 * night.jobs
    again = {rule["job_id"] for rule in DIFFERENCES}  # compared once more, on purpose
    wrong = {job: count for job, count in created.items() if count != (2 if job in again else 1)}
    if len(created) != jobs or wrong:
        raise SystemExit(f"cutover: {len(created)} of {jobs} jobs were compared; not as often as meant: {wrong}")
    said = f"The simulator's ledger: {jobs} jobs, each compared once, and {len(again)} once more by the recheck."
    print(f"\n{said}", flush=True)
    night.said["proof"] = said


def write_into(page: Path, said: dict[str, str]) -> None:
    """Put what was said into the blocks of *page* that stand behind the marks."""
    text = page.read_text(encoding="utf-8")
    for step, words in said.items():
        pattern = re.escape(MARK.format(step)) + r"\n```console\n(?:(?!```).*\n)*```"
        block = f"{MARK.format(step)}\n```console\n{words}\n```"
        text, count = re.subn(pattern, lambda _, block=block: block, text)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"cutover: {page} has {count} places for {step!r}")
    page.write_text(text, encoding="utf-8")


def main() -> None:
    """Play the night."""
    parser = argparse.ArgumentParser(prog="scripts/cutover", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=200, help="jobs in each of the three waves, at least 10 [200]")
    parser.add_argument("--limit", default="25/s", help="the cloud's limit [25/s]")
    parser.add_argument("--rate", default="20/s", help="batcher's share of it [20/s]")
    parser.add_argument("--down", type=float, default=12.0, help="seconds for which the line is down [12]")
    parser.add_argument("--late", type=float, default=120.0, help="seconds until the late jobs are ready [120]")
    parser.add_argument("--into", type=Path, help="write the commands and their output into this page")
    given = parser.parse_args()
    jobs = max(10, given.jobs)
    with TemporaryDirectory(prefix="cutover-") as name:
        folder = Path(name)
        (folder / "fleet.json").write_text(json.dumps(fleet(jobs, given.late)), encoding="utf-8")
        night = Night(folder, jobs, given.down)
        with (
            simulator(folder, "before", DIFFERENCES, given.limit) as before,
            simulator(folder, "after", DIFFERENCES[2:], given.limit) as after,
        ):
            line = Line(before)
            night.environment |= {
                "BATCHER_ENDPOINT": f"http://127.0.0.1:{line.port}",
                "BATCHER_PROJECT_ID": "0123456789abcdef0123456789abcdef",
                "BATCHER_TOKEN": "simulated-token",
                "BATCHER_RATE": given.rate,
                "BATCHER_POLL": "500ms",
                "BATCHER_LANDING_TIME": "5s",
                "BATCHER_TIMEOUT": "5s",
                "BATCHER_CONNECT_TIMEOUT": "2s",
                "COLUMNS": "100",
                "NO_COLOR": "1",
            }
            the_night(night, line, lambda: setattr(line, "target", after))
            line.close()
        prove(night)
    if given.into is not None:
        write_into(given.into, night.said)


if __name__ == "__main__":
    main()
