"""What a busy machine does not change: instructions and allocations an entry, counted by valgrind where there is one.

A run of some entries and a run of more differ by what the entries cost: start-up cancels out, which is most of either;
so there may as well be many more. Python's own allocator is set aside for it, so that every block that is asked for
counts, also one that is given back at once. Instructions take two minutes, and are told first; allocations take ten
times as long, so that `--quick` leaves them out.
"""

import compileall
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from _bench.common import ROOT, Row, at_most, cloud, command, surroundings, write_manifest

_FEW, _MANY = 200, 1_000
_TOOLS = {
    "instructions": (["cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"], r"I\s+refs:\s+([\d,]+)"),
    "allocations": (["dhat", "--dhat-out-file=/dev/null"], r"Total:\s+[\d,]+ bytes in ([\d,]+) blocks"),
}


def rows(*, quick: bool) -> Iterator[Row]:
    """A wave against the bare loop."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        yield Row(subject="instructions and allocations an entry", figure="not counted: there is no valgrind")
        return
    with cloud() as port:
        for what, bound in (("instructions", 1.6), ("allocations", None))[: 1 if quick else 2]:
            with ThreadPoolExecutor() as pool:  # side by side: it is not time that is measured
                bare, wave = pool.map(partial(each, valgrind, what, port), ("bare", "wave"))
            raw = {"bare": bare, "wave": wave}
            if bound is not None:
                yield at_most(f"{what} an entry, wave / bare aiohttp loop", wave / bare, bound, raw=raw)
            yield Row(subject=f"{what} an entry, bare and wave", figure=f"{bare:,.0f} and {wave:,.0f}", raw=raw)


def each(valgrind: str, what: str, port: int, kind: str, tree: Path = ROOT) -> float:
    """How many of *what*, instructions or allocations, an entry costs in a run of *kind* by the build of *tree*."""
    _compiled(tree)
    few, many = (_count(valgrind, kind, what, port, entries, tree) for entries in (_FEW, _MANY))
    return (many - few) / (_MANY - _FEW)


def a_verdict(valgrind: str, port: int, tree: Path = ROOT) -> float:
    """How many instructions `watch` takes for a verdict in the build of *tree*: its look, its line, its part of the
    gate."""
    _compiled(tree)
    found = []
    for entries in (_FEW, _MANY):
        with TemporaryDirectory() as folder:
            manifest = write_manifest(Path(folder, "wave.jsonl"), entries)
            results = str(Path(folder, "results.jsonl"))
            where = ("--endpoint", f"http://127.0.0.1:{port}", "--project-id", "p", "--rate", "off")
            command("run", str(manifest), "-o", results, *where, tree=tree)
            time.sleep(1.1)  # each is due at once
            watch = ["-m", "batcher", "watch", results, "--poll", "1s", "--read-rate", "off"]
            found.append(_counted(valgrind, "instructions", watch, tree))
    return (found[1] - found[0]) / (_MANY - _FEW)


def _compiled(tree: Path) -> None:
    """The first of two runs must not compile what the second finds compiled."""
    for part in ("batcher", "scripts/_bench"):
        compileall.compile_dir(str(tree / part), quiet=1)


def _count(valgrind: str, kind: str, what: str, port: int, entries: int, tree: Path) -> int:
    order = json.dumps({"port": port, "entries": entries, "concurrency": 32})
    return _counted(valgrind, what, ["-m", "_bench.child", kind, order], tree)


def _counted(valgrind: str, what: str, words: list[str], tree: Path) -> int:
    """How many of *what* Python with these *words* takes."""
    (tool, *options), pattern = _TOOLS[what]
    where = surroundings(tree)
    where["env"] |= {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [valgrind, f"--tool={tool}", *options, sys.executable, *words],
        **where,
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.search(pattern, done.stderr)
    if found is None:
        raise RuntimeError(f"valgrind told no {what}: {done.stderr[-500:]}")
    return int(found[1].replace(",", ""))
