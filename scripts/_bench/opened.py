"""What opening a wave costs, in the build of the current folder: `python opened.py MANIFEST ROWS` prints its figures.

A script by itself, so that a build from before it was there is measured by it as well: see `against`.
"""

import json
import sys
import time
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path.cwd()))

_BATCH = 256  # entries of the plan that a lane reads at a time


def _check(manifest: Path, rows: int) -> None:
    from batcher.manifest import Entry, RunDefaults, open_manifest

    defaults = RunDefaults(endpoint="http://127.0.0.1:1", project_id="p")
    if sum(isinstance(item, Entry) for item in open_manifest(manifest).read(defaults, now=time.time())) != rows:
        raise RuntimeError("not every row was sound")


def _opened(manifest: Path, results: Path) -> Any:
    try:
        from batcher.clock import SystemClock
    except ModuleNotFoundError:
        return _opened_as_first(manifest, results)
    from batcher.journal.files import WaveFiles
    from batcher.manifest import RunDefaults, open_manifest
    from batcher.wave.opening import open_wave
    from batcher.wave.request import Request

    defaults = RunDefaults(endpoint="http://127.0.0.1:1", project_id="p")
    asked = Request(manifest=open_manifest(manifest), defaults=defaults, files=WaveFiles.of(results))
    return open_wave(asked, SystemClock())


def _opened_as_first(manifest: Path, results: Path) -> Any:
    """The same in builds such as 54e2130, where these things had other names."""
    from batcher.manifest import RunDefaults, open_manifest

    opening: Any = import_module("batcher.wave.opening")
    defaults = RunDefaults(endpoint="http://127.0.0.1:1", project_id="p")
    journal = results.with_name(f"{results.name}.journal")
    asked = opening.Request(manifest=open_manifest(manifest), defaults=defaults, journal=journal, results=results)
    return opening.open_wave(asked, import_module("batcher.wave.clocks").SystemClock())


def _read(record: Any, rows: int) -> None:
    read, after = 0, -1
    while batch := record.planned(scope=0, after=after, limit=_BATCH):
        read, after = read + len(batch), batch[-1].index
    if read != rows:
        raise RuntimeError("not all of the plan was read")


def main() -> None:
    """Measure it. What is loaded once is loaded before, by the first row alone."""
    from batcher.cli.main import calm_collector

    calm_collector()  # as the command line does
    manifest, rows = Path(sys.argv[1]), int(sys.argv[2])
    with TemporaryDirectory() as folder:
        first = Path(folder, "first.jsonl")
        with manifest.open("rb") as file:
            first.write_bytes(file.readline())
        _opened(first, Path(folder, "one.jsonl")).close()
        cpu: list[float] = [time.process_time()]
        _check(manifest, rows)
        cpu.append(time.process_time())
        began = time.perf_counter()
        wave = _opened(manifest, Path(folder, "results.jsonl"))
        wall_s = time.perf_counter() - began
        cpu.append(time.process_time())
        reads = hasattr(wave, "record")  # else a build that took as the square of the rows for it
        if reads:
            _read(wave.record, rows)
        cpu.append(time.process_time())
        wave.close()
        disk = Path(folder, "results.jsonl.journal").stat().st_size
    checked, opened, read = (after - before for before, after in pairwise(cpu))
    figures = {"opened": opened, "beside": opened - checked, "wall_s": wall_s, "bytes": disk / rows}
    print(json.dumps(figures | ({"read": read} if reads else {})))


if __name__ == "__main__":
    main()
