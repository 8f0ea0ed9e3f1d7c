"""This build beside an older one: in turn, on the same machine, in one run, so that only the ratios are told.

Each is measured by its own `_bench.child`, in its own tree, with the packages of this environment and the same servers.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from _bench.checking import write_full
from _bench.common import BEFORE, ROOT, Row, checkout, child, cloud, command, surroundings, write_manifest
from _bench.counts import a_verdict, each

Figures = dict[str, Any]
Measure = Callable[..., Figures]

_CONCURRENCY = 32
_CHECKED = 100_000
_OPENED, _OPENED_QUICKLY = 1_000_000, 200_000
_FIGURES = {
    "a wave, answers at once": {"CPU time": "cpu_s", "wall time": "wall_s", "peak memory": "peak_mb"},
    "a wave, answers after 20 ms": {"wall time": "wall_s"},
    "check of the shortest rows": {"CPU time": "cpu_s"},
    "opening full rows": {
        "CPU time, checking included": "opened",
        "CPU time beside checking": "beside",
        "wall time, checking included": "wall_s",
        "CPU time of reading the plan back": "read",
        "disk for the plan": "bytes",
    },
    "watch to the last verdict": {"CPU time": "cpu_s", "peak memory": "peak_mb"},
    "run --wait": {"CPU time": "cpu_s", "peak memory": "peak_mb"},
    "run --help": {"CPU time": "cpu_s"},
    "check of ten rows": {"CPU time": "cpu_s"},
}
_AIMS = {  # in terms of `BEFORE`
    "opening full rows: CPU time, checking included": 0.55,
    "opening full rows: CPU time beside checking": 0.4,
    "opening full rows: wall time, checking included": 0.55,
    "opening full rows: disk for the plan": 0.33,
    "run --help: CPU time": 0.5,
    "watch: instructions a verdict, its look and its part of the gate included": 0.5,
}


def rows(revision: str, *, quick: bool) -> Iterator[Row]:
    """What a wave, a check and a plan cost here, in terms of what they cost at *revision*; with what was aimed at where
    that is `BEFORE`. Raises `CalledProcessError` where git does not know it."""
    for what, pairs in _measured(revision, quick=quick):
        yield _row(what, pairs, _AIMS.get(what) if revision == BEFORE else None)


def _measured(revision: str, *, quick: bool) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Each figure with its pairs, of this build and of *revision*; none where that cannot be asked for it."""
    entries, pairs, opened = (3_000, 3, _OPENED_QUICKLY) if quick else (8_000, 7, _OPENED)
    with checkout(revision) as before, TemporaryDirectory() as folder, cloud() as at_once, cloud(delay_s=0.02) as late:
        manifest = write_manifest(Path(folder, "wave.jsonl"), _CHECKED)
        measures: Sequence[Measure] = (
            partial(child, "wave", port=at_once, entries=entries, concurrency=_CONCURRENCY),
            partial(child, "wave", port=late, entries=entries, concurrency=_CONCURRENCY),
            partial(_check, manifest),
            partial(_open, write_full(Path(folder, "full.jsonl"), opened), opened),
            partial(_watch, at_once, entries),
            partial(_run_and_wait, at_once, entries),
            partial(command, "run", "--help"),
            partial(command, "check", str(write_manifest(Path(folder, "ten.jsonl"), 10)), *_where(at_once)[:4]),
        )
        for (what, figures), measure in zip(_FIGURES.items(), measures, strict=True):
            try:
                runs = [(measure(tree=ROOT), measure(tree=before)) for _ in range(pairs)]
            except subprocess.CalledProcessError:
                yield what, []  # which has told why
                continue
            for figure, name in figures.items():
                if name in runs[0][1]:
                    yield f"{what}: {figure}", [(here[name], there[name]) for here, there in runs]
        if valgrind := shutil.which("valgrind"):
            here, there = (each(valgrind, "instructions", at_once, "wave", tree) for tree in (ROOT, before))
            yield "a wave, answers at once: instructions an entry", [(here, there)]
            here, there = (a_verdict(valgrind, at_once, tree) for tree in (ROOT, before))
            yield "watch: instructions a verdict, its look and its part of the gate included", [(here, there)]


def _check(manifest: Path, *, tree: Path) -> Figures:
    told = child("checking", manifest=str(manifest), entries=_CHECKED, short=True, rounds=1, tree=tree)
    return {"cpu_s": _CHECKED / told["checked"]}


def _open(manifest: Path, rows: int, *, tree: Path) -> Figures:
    script = str(ROOT / "scripts" / "_bench" / "opened.py")
    words = [sys.executable, script, str(manifest), str(rows)]
    figures: Figures = json.loads(
        subprocess.run(words, stdout=subprocess.PIPE, check=True, **surroundings(tree)).stdout
    )
    return figures


def _watch(port: int, entries: int, *, tree: Path) -> Figures:
    """The command as it is typed, start-up and the gate at its end included: each build watches a wave of its own."""
    with TemporaryDirectory() as folder:
        results = str(Path(folder, "results.jsonl"))
        manifest = write_manifest(Path(folder, "wave.jsonl"), entries)
        command("run", str(manifest), "-o", results, *_where(port), tree=tree)
        return command("watch", results, "--poll", "1s", "--read-rate", "off", tree=tree)


def _run_and_wait(port: int, entries: int, *, tree: Path) -> Figures:
    with TemporaryDirectory() as folder:
        manifest = write_manifest(Path(folder, "wave.jsonl"), entries)
        results = str(Path(folder, "results.jsonl"))
        following = ("--wait", "--poll", "1s", "--read-rate", "off")
        return command("run", str(manifest), "-o", results, *_where(port), *following, tree=tree)


def _where(port: int) -> Sequence[str]:
    return ("--endpoint", f"http://127.0.0.1:{port}", "--project-id", "p", "--rate", "off")


def _row(subject: str, pairs: list[tuple[float, float]], most: float | None) -> Row:
    if not pairs:
        return Row(subject=subject, figure="not measured: the older build cannot be asked for it in this way")
    ratios = sorted(here / there for here, there in pairs)
    spread = f" ({ratios[0]:.2f} to {ratios[-1]:.2f} in {len(ratios)} pairs)" if len(ratios) > 1 else ""
    found = median(ratios)
    return Row(
        subject=subject,
        figure=f"{found:.2f} x{spread}",
        bound="" if most is None else f"≤ {most:g} x",
        good=None if most is None else found <= most,
        raw={"pairs": pairs},
    )
