"""From a fleet to GO: discover, check, run and gate against the simulator, on a bad day and under its limits.

The fleet is made from a seed: jobs of every kind over three projects, parents with their subtasks, forty tables to a
job in the median and five thousand in one. Every fifth request meets something that passes. What `discover` asks of
the cloud is counted in the simulator's ledger, and held against the least that can do. Ends with 0 where all is kept.
"""

import argparse
import csv
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

BATCHER = str(Path(sys.executable).with_name("batcher"))
BEGIN, END = "<!-- scripts/discover-fleet -->", "<!-- /scripts/discover-fleet -->"
KINDS, JOBS_TO_A_PAGE, JOBS_TO_A_DETAIL, TABLES_TO_A_PAGE = 3, 100, 10, 1000


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    subject: str
    measured: str
    aim: str = ""
    kept: bool | None = None


@dataclass(frozen=True)
class Ran:
    """What a command of batcher came to."""

    seconds: float
    megabytes: float
    said: str


class Night:
    """A folder, and the commands that are typed in it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {name: text for name, text in os.environ.items() if not name.startswith("BATCHER_")}
        self._environment |= {"NO_COLOR": "1", "COLUMNS": "110", **environment}

    def type(self, *words: str, expect: int = 0) -> Ran:
        """Run a command of batcher, and insist on its exit code. Peak memory is the process's own, from `wait4`."""
        print(f"$ batcher {' '.join(words)}", flush=True)
        began = time.monotonic()
        with (self.folder / "said.txt").open("w+") as said:
            process = subprocess.Popen(
                [BATCHER, *words], cwd=self.folder, env=self._environment, stdout=said, stderr=subprocess.STDOUT
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read()
        if process.returncode != expect:
            raise SystemExit(
                f"discover-fleet: ended with {process.returncode}, and {expect} was expected:\n{text[-4000:]}"
            )
        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        return Ran(time.monotonic() - began, usage.ru_maxrss / unit, text)


@contextmanager
def simulator(folder: Path, options: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """A simulator process; gives the variables that point batcher at it."""
    command = [BATCHER, "simulate", "--port", "0", "--json", "--ledger", "ledger.jsonl", *options]
    process = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        line = process.stdout.readline() or sys.exit("discover-fleet: the simulator does not start")
        yield json.loads(line)["environment"]
    finally:
        process.terminate()
        process.communicate()


def reads(ledger: Path) -> tuple[Counter[str], int]:
    """How often each call was made so far, and how many of them met a fault that had to be asked again."""
    calls: Counter[str] = Counter()
    disturbed = 0
    for line in ledger.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "request":
            calls[event["call"]] += 1
        elif event["event"] == "answer" and event.get("fault") not in (None, "slow"):
            disturbed += 1
    return calls, disturbed


def least(rows: Sequence[Mapping[str, str]]) -> tuple[int, int]:
    """The fewest reads that tell such a fleet: by the formula, of all jobs that are listed; and of those that are
    looked into alone, as the others need nothing more than the list."""
    by_project: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        by_project[row["project_id"]].append(row)
    formula = strict = 0
    for listed in by_project.values():
        pages = KINDS * math.ceil(len(listed) / JOBS_TO_A_PAGE)
        kinds = Counter(row["kind"] for row in listed if not row["parent_id"])
        looked = [row for row in listed if row["outcome"] == "written" or row["reason"] in ("standby", "no_objects")]
        tables = sum(max(1, math.ceil(int(row["tables"] or 0) / TABLES_TO_A_PAGE)) for row in looked)
        formula += pages + math.ceil(len(listed) / JOBS_TO_A_DETAIL) + tables + len(listed) - len(looked)
        standby = sum(row["reason"] == "standby" for row in looked)
        strict += sum(math.ceil(count / JOBS_TO_A_PAGE) for count in kinds.values())
        strict += math.ceil(len(looked) / JOBS_TO_A_DETAIL) + tables - standby
    return formula, strict


def figures(folder: Path, given: argparse.Namespace) -> Iterator[Figure]:
    """Play it, and tell what was measured."""
    options = ["--fleet", str(given.jobs), "--projects", str(given.projects), "--seed", str(given.seed)]
    options += ["--faults", "flaky", "--read-limit", given.read_limit, "--limit", given.read_limit, "--speed", "2000"]
    with simulator(folder, options) as environment:
        night = Night(folder, {**environment, "BATCHER_READ_RATE": given.read_rate, "BATCHER_RATE": given.read_rate})
        ran = night.type("discover", "--all-projects", "-o", "wave.csv", "--report", "jobs.csv")
        calls, disturbed = reads(folder / "ledger.jsonl")
        made = sum(calls.values())
        with (folder / "jobs.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        outcomes, why = Counter(row["outcome"] for row in rows), Counter(row["reason"] for row in rows)
        written = sorted(int(row["tables"]) for row in rows if row["outcome"] == "written")
        yield Figure("jobs listed, in projects", f"{len(rows):,}, {len({row['project_id'] for row in rows})}")
        yield Figure("of these parents; tables to a job: median, most",
                     f"{why['parent']}; {median(written):g}, {written[-1]:,}")  # fmt: skip
        sums = len(rows) == given.jobs == outcomes["written"] + outcomes["left_out"]
        yield Figure(
            "written + left out", f"{outcomes['written']:,} + {outcomes['left_out']:,}", f"{given.jobs:,}", sums
        )
        formula, strict = least(rows)
        yield Figure("reads, of which were disturbed and asked again", f"{made:,}, {disturbed:,}")
        yield _at_most("reads / the least for every job that is listed", made / formula, 1.1)
        yield _at_most(
            "undisturbed reads / the least for the jobs that are looked into", (made - disturbed) / strict, 1.1
        )
        yield _at_most("peak memory of discover", ran.megabytes, 100, " MB")
        yield Figure(f"time, at {given.read_rate} in each project", f"{ran.seconds:.0f} s")
        yield from _the_waves(night)


def _the_waves(night: Night) -> Iterator[Figure]:
    """Check, run and gate what was written; the parts of the big job one after the other."""
    parts = ["wave.csv", *sorted(path.name for path in night.folder.glob("wave.part-*.csv"))]
    for part in parts:
        night.type("check", part)
    yield Figure("manifests that check finds sound", f"{len(parts)} of {len(parts)}", kept=True)
    peak, results = 0.0, []
    for part in parts:
        results.append(part.replace(".csv", ".jsonl"))
        peak = max(peak, night.type("run", part, "-o", results[-1], "--wait").megabytes)
    yield _at_most("peak memory of run --wait", peak, 100, " MB")
    for file in results:
        night.type("watch", file)
    said = night.type("gate", *results).said.splitlines()[0]
    yield Figure("gate over all of them", said, "GO", said.startswith("GO"))


def _at_most(subject: str, value: float, most: float, unit: str = " x") -> Figure:
    return Figure(
        subject, f"{value:.2f}{unit}" if unit == " x" else f"{value:.0f}{unit}", f"≤ {most:g}{unit}", value <= most
    )


def table(found: Sequence[Figure]) -> str:
    """The figures as Markdown."""
    kept = {None: "", True: "yes", False: "**no**"}
    rows = [f"| {one.subject} | {one.measured} | {one.aim} | {kept[one.kept]} |" for one in found]
    return "\n".join(["| discover | measured | aim | kept |", "| --- | --- | --- | --- |", *rows])


def put_into(page: Path, text: str) -> None:
    """Put *text* between the markers of *page*."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"discover-fleet: {page} has no {BEGIN} and {END} to put the figures between")
    today = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, Linux, Python {platform.python_version()}."
    )
    page.write_text(f"{before}{BEGIN}\n{today}\n\n{text}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Play it; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(prog="scripts/discover-fleet", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of the fleet [1000]")
    parser.add_argument("--projects", type=int, default=3, help="projects that they are spread over [3]")
    parser.add_argument("--seed", type=int, default=16, help="of fleet and faults [16]")
    parser.add_argument("--read-limit", default="25/s", help="the cloud's limit in each project [25/s]")
    parser.add_argument("--read-rate", default="20/s", help="batcher's share of it [20/s]")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="put the table between the markers of this page, too")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="discover-fleet-") as name:
        found = list(figures(Path(name), given))
    print(f"\n{table(found)}")
    if given.into is not None:
        put_into(given.into, table(found))
    return 1 if any(one.kept is False for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
