"""Start-up: what one waits for before anything happens."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from _bench.common import Row, at_most

_RUN = (
    "from batcher.cli.main import calm_collector; calm_collector(); "
    "import batcher.cli.run, batcher.cli.conduct, batcher.api"
)
_HEAVY = ("aiohttp", "pydantic", "structlog", "rich", "asyncio")


def rows(*, quick: bool) -> Iterator[Row]:
    """Medians of fresh interpreters, taken in turns."""
    commands = {
        "python": ["-c", "pass"],
        "--version": ["-m", "batcher", "--version"],
        "--help": ["-m", "batcher", "--help"],
        "aiohttp and pydantic": ["-c", "import aiohttp, pydantic; from pydantic import BaseModel"],
        "run": ["-c", _RUN],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(5 if quick else 11):
        for name, command in commands.items():
            times[name].append(_seconds(command))
    found = {name: median(seconds) for name, seconds in times.items()}
    for name in ("--version", "--help"):
        loaded = _loaded(commands[name])
        yield Row(
            subject=f"batcher {name}",
            figure=f"{found[name] * 1000:.0f} ms, {(found[name] - found['python']) * 1000:.0f} over a bare interpreter",
            bound="imports nothing heavy",
            good=not loaded,
            raw={"seconds": found[name], "heavy": loaded},
        )
    ratio = (found["run"] - found["python"]) / (found["aiohttp and pydantic"] - found["python"])
    yield at_most("imports of run / of aiohttp and pydantic", ratio, 1.5, raw={"seconds": found})


def _seconds(command: list[str]) -> float:
    """CPU time: nothing here waits, and a busy machine changes it less than it does the clock on the wall."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _loaded(command: list[str]) -> list[str]:
    """Heavy modules that *command* imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.decode().splitlines()}
    return [name for name in _HEAVY if name in imported]
