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
from _bench.common import BEFORE, HERE, ROOT, Row, at_most, checkout, cloud, command, surroundings, write_manifest

_HEAVY = ("aiohttp", "pydantic", "structlog", "rich", "asyncio")
_CPU = "import time; print(time.process_time())"
_KNOWN = f"import aiohttp, pydantic; from pydantic import BaseModel; {_CPU}"
# What `check` cannot do without: a model that judges, JSON, and what takes a command line apart.
_NEEDED = """
import click, msgspec, orjson
from pydantic import BaseModel
class Model(BaseModel):
    name: str
"""
_NAMES = "import click; from batcher.cli.main import cli; print(*cli.list_commands(click.Context(cli)))"


def rows(*, quick: bool) -> Iterator[Row]:
    """Medians of fresh interpreters, taken in turns, each with its modules compiled as an installation leaves them.

    A run is a real one, of one entry and with nobody watching: all that it has done when its first request leaves.
    """
    compileall.compile_dir(str(Path(batcher.__file__).parent), quiet=1)
    commands = {name: ["-m", "batcher", name] for name in ("--version", "--help")}
    times: dict[str, list[float]] = {}
    with cloud() as port, TemporaryDirectory() as folder:
        ten = str(write_manifest(Path(folder, "ten.jsonl"), 10))
        check = ["-m", "batcher", "check", ten, "--region", "eu-west-101", "--project-id", "p"]
        for _ in range(5 if quick else 15):
            for name, seconds in {
                "python": _seconds(["-c", "pass"]),
                **{name: _seconds(words) for name, words in commands.items()},
                "check": _seconds(check),
                "needed": _seconds(["-c", _NEEDED]),
                "bare": _said(_CPU),
                "aiohttp and pydantic": _said(_KNOWN),
                "run": _until_first_request(port),
            }.items():
                times.setdefault(name, []).append(seconds)
    found = {name: median(seconds) for name, seconds in times.items()}
    for name, words in commands.items():
        heavy = _heavy(words)
        yield Row(
            subject=f"batcher {name}",
            figure=f"{found[name] * 1000:.0f} ms, {(found[name] - found['python']) * 1000:.0f} over a bare interpreter",
            bound="imports nothing heavy",
            good=not heavy,
            raw={"seconds": found[name], "heavy": heavy},
        )
    ratio = (found["run"] - found["bare"]) / (found["aiohttp and pydantic"] - found["bare"])
    yield at_most("run until its first request / imports of aiohttp and pydantic", ratio, 1.5, raw={"seconds": found})
    ratio = (found["check"] - found["python"]) / (found["needed"] - found["python"])
    what = "check of ten rows / imports of click, msgspec, orjson and pydantic with a model"
    yield at_most(what, ratio, 1.3, raw={"seconds": found})
    yield from _each_help(3 if quick else 7)


def _each_help(rounds: int) -> Iterator[Row]:
    """`--help` of every command, in turn with those of `BEFORE`, whole processes."""
    try:
        with checkout(BEFORE) as before:
            compileall.compile_dir(str(before / "batcher"), quiet=1)
            here, there = _helps(ROOT), _helps(before)
            times: dict[tuple[Path, str], list[float]] = {}
            for _ in range(rounds):
                for tree, names in ((ROOT, here), (before, there)):
                    for name in names:
                        times.setdefault((tree, name), []).append(command(name, "--help", tree=tree)["cpu_s"])
    except (OSError, subprocess.CalledProcessError):
        yield Row(subject="--help of each command", figure=f"not measured: this clone does not have {BEFORE}")
        return
    found = {place: median(seconds) for place, seconds in times.items()}
    now, then = {name: found[ROOT, name] for name in here}, {name: found[before, name] for name in there}
    dearest = max(now, key=lambda name: now[name])
    yield at_most(
        f"--help of the dearest of {len(now)} commands ({dearest}) / run --help of {BEFORE}",
        now[dearest] / then["run"],
        0.5,
        raw={"now": now, "then": then},
    )
    dear = [name for name in then if then[name] > then["run"] / 2]
    for which, names in (
        ("loaded aiohttp or pydantic", dear),
        ("loaded nothing heavy", [name for name in then if name not in dear]),
    ):
        ratios = {name: now[name] / then[name] for name in names}
        worst = max(ratios, key=lambda name: ratios[name])
        yield Row(
            subject=f"--help of the {len(names)} commands that {which} then / their own then",
            figure=f"{median(ratios.values()):.2f} x, at most {ratios[worst]:.2f} x ({worst})",
            raw=ratios,
        )


def _helps(tree: Path) -> list[str]:
    """The commands that *tree* has."""
    done = subprocess.run([sys.executable, "-c", _NAMES], check=True, stdout=subprocess.PIPE, **surroundings(tree))
    names: list[str] = done.stdout.decode().split()
    return names


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
