"""Start-up: what one waits for before anything happens."""

import compileall
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import batcher
from _bench.common import HERE, Row, at_most, cloud, write_manifest

_HEAVY = ("aiohttp", "pydantic", "structlog", "rich", "asyncio")
_CPU = "import time; print(time.process_time())"
_KNOWN = f"import aiohttp, pydantic; from pydantic import BaseModel; {_CPU}"


def rows(*, quick: bool) -> Iterator[Row]:
    """Medians of fresh interpreters, taken in turns, each with its modules compiled as an installation leaves them.

    A run is a real one, of one entry and with nobody watching: all that it has done when its first request leaves.
    """
    compileall.compile_dir(str(Path(batcher.__file__).parent), quiet=1)
    commands = {name: ["-m", "batcher", name] for name in ("--version", "--help")}
    times: dict[str, list[float]] = {}
    with cloud() as port:
        for _ in range(5 if quick else 15):
            for name, seconds in {
                "python": _seconds(["-c", "pass"]),
                **{name: _seconds(command) for name, command in commands.items()},
                "bare": _said(_CPU),
                "aiohttp and pydantic": _said(_KNOWN),
                "run": _until_first_request(port),
            }.items():
                times.setdefault(name, []).append(seconds)
    found = {name: median(seconds) for name, seconds in times.items()}
    for name, command in commands.items():
        heavy = _heavy(command)
        yield Row(
            subject=f"batcher {name}",
            figure=f"{found[name] * 1000:.0f} ms, {(found[name] - found['python']) * 1000:.0f} over a bare interpreter",
            bound="imports nothing heavy",
            good=not heavy,
            raw={"seconds": found[name], "heavy": heavy},
        )
    ratio = (found["run"] - found["bare"]) / (found["aiohttp and pydantic"] - found["bare"])
    yield at_most("run until its first request / imports of aiohttp and pydantic", ratio, 1.5, raw={"seconds": found})


def _seconds(command: list[str]) -> float:
    """CPU time of a whole process: nothing here waits, and a busy machine changes it less than the wall clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _said(code: str) -> float:
    """The CPU time that a program says it has used."""
    return float(subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE).stdout)


def _until_first_request(port: int) -> float:
    """The CPU time that a wave of one entry has used when its first request leaves."""
    with TemporaryDirectory() as folder:
        write_manifest(Path(folder, "wave.jsonl"), 1)
        command = ["run", "wave.jsonl", "-o", "results.jsonl", "--endpoint", f"http://127.0.0.1:{port}"]
        done = subprocess.run(
            [sys.executable, "-P", str(HERE / "first_request.py"), *command, "--project-id", "p"],
            cwd=folder,
            env={**os.environ, "BATCHER_TOKEN": "none", "NO_PROXY": "127.0.0.1"},
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    return float(done.stdout)


def _heavy(command: list[str]) -> list[str]:
    """Heavy modules that *command* imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.decode().splitlines()}
    return [name for name in _HEAVY if name in imported]
