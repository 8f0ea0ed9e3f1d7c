"""What the benchmarks share: the fast server, children to measure in, and rows to show."""

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import orjson

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BEFORE = "54e2130"
"""The build before batcher was made quicker: what was aimed at is often told in terms of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. *bound* is what issue and docs promise, *good* whether the figure keeps it."""

    subject: str
    figure: str
    bound: str = ""
    good: bool | None = None
    raw: dict[str, Any] = field(default_factory=dict)


def at_most(subject: str, value: float, most: float, unit: str = "x", raw: dict[str, Any] | None = None) -> Row:
    """A row for a value that should be *most* or less."""
    return Row(
        subject=subject, figure=f"{value:.2f} {unit}", bound=f"≤ {most:g} {unit}", good=value <= most, raw=raw or {}
    )


def at_least(subject: str, value: float, least: float, unit: str = "x", raw: dict[str, Any] | None = None) -> Row:
    """A row for a value that should be *least* or more."""
    return Row(
        subject=subject, figure=f"{value:.2f} {unit}", bound=f"≥ {least:g} {unit}", good=value >= least, raw=raw or {}
    )


@contextmanager
def cloud(*, jitter_s: float = 0.0, delay_s: float = 0.0) -> Iterator[int]:
    """The port of a fast server in a process of its own, whose answers take *delay_s*, and up to *jitter_s* more."""
    arguments = [sys.executable, str(HERE / "server.py"), str(jitter_s), str(delay_s)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server has no pipes")
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def surroundings(tree: Path) -> dict[str, Any]:
    """Where a process is to run, and its environment, to measure the build of *tree* by itself."""
    environment = {"BATCHER_TOKEN": "none", "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(tree / "scripts")}
    return {"cwd": tree, "env": os.environ | environment}


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The tree of *revision*, while the context lasts. Raises `CalledProcessError` where git does not know it."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)


def child(kind: str, *, tree: Path = ROOT, **arguments: Any) -> dict[str, Any]:
    """Measure *kind* of the build of *tree* in a fresh interpreter; its figures."""
    # A process begins with the peak memory of whoever started it (getrusage): a shell between has none to speak of.
    through_a_shell = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]
    done = subprocess.run(
        [*through_a_shell, sys.executable, "-m", "_bench.child", kind, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        **surroundings(tree),
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: median(run[name] for run in runs) for name in runs[0]}


def told_arrivals(port: int) -> list[float]:
    """When requests came to the fast server at *port* since it was asked last, by its monotonic clock."""
    with urlopen(f"http://127.0.0.1:{port}/arrivals") as answer:
        arrivals: list[float] = json.load(answer)
    return arrivals


def require(done: bool) -> None:
    """A figure counts only where the work was really done."""
    if not done:
        raise RuntimeError("not everything was done that was to be measured")


def request(index: int) -> dict[str, Any]:
    """A create request of the smallest common kind."""
    return {"job_id": f"{index:08d}-0000-4000-8000-00000000jb101", "object_level_compare_type": "objects"}


def write_manifest(path: Path, entries: int) -> Path:
    """A JSONL manifest of *entries*; a million take a second."""
    with path.open("wb") as file:
        for start in range(0, entries, 10_000):
            lines = (orjson.dumps(request(index)) for index in range(start, min(start + 10_000, entries)))
            file.write(b"\n".join(lines) + b"\n")
    return path


def write_results(path: Path, entries: int, port: int) -> Path:
    """A results file of *entries* whose comparisons the fast server at *port* has."""
    from batcher.life.result import Result, Status

    made = Result(
        key="k",
        index=0,
        job_id="j",
        project_id="p",
        endpoint=f"http://127.0.0.1:{port}",
        status=Status.CREATED,
        attempts=1,
        recovered=False,
        object_level_compare_create_result={"compare_task_id": "task"},
        data_level_compare_create_result=None,
        error_code=None,
        error_msg=None,
        error_kind=None,
        http_status=200,
        request_id="r",
        submitted_at=datetime.fromtimestamp(0, UTC),
        finished_at=datetime.fromtimestamp(0, UTC),
        labels={"team": "billing"},
        wave_entries=entries,
    )
    line: dict[str, Any] = orjson.loads(made.to_line())
    with path.open("wb") as file:
        for index in range(entries):
            job = f"{index:08d}-0000-4000-8000-00000000jb101"
            half = line["object_level_compare_create_result"] | {"compare_task_id": f"task-{job}"}
            told = {"key": f"key-{index:08d}", "index": index, "job_id": job}
            file.write(orjson.dumps(line | told | {"object_level_compare_create_result": half}) + b"\n")
    return path


_THROUGH = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]


def command(*words: str, accepts: tuple[int, ...] = (0, 1), tree: Path = ROOT) -> dict[str, float]:
    """Run `batcher` of *tree* with *words*, as it is typed; the CPU time, the most memory and the wall time of it."""
    where = surroundings(tree)
    began = time.perf_counter()
    with (
        TemporaryDirectory() as folder,
        Path(folder, "told").open("wb") as told,
        subprocess.Popen(
            [*_THROUGH, sys.executable, "-m", "batcher", *words],
            stdin=subprocess.DEVNULL, stdout=told, stderr=told, **where,
        ) as process,
    ):  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - began
        if process.returncode not in accepts:
            said = Path(folder, "told").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"batcher {words[0]} ended with {process.returncode}: {said}")
    return {"cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024, "wall_s": wall_s}
