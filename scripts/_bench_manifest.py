"""How fast manifests are checked, beside bare pydantic validation of the same rows, and in how much memory.

`measure` is for scripts/bench; `python scripts/_bench_manifest.py [ROWS]` prints what it gives. The bare side
reads with the standard library (json, csv.DictReader), nests the cells of a row, and validates each row with
pydantic: no digest, no line numbers, no duplicate keys or jobs, no rules between fields, no keys.
"""

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from batcher.drs.create_compare_task import CreateCompareTaskReq
from batcher.manifest import Entry, RunDefaults, open_manifest
from batcher.manifest.short_form import parse_cell

FORMATS = ("csv", "json", "jsonl")
_DEFAULTS = RunDefaults(endpoint="https://drs.example.com", project_id="0123456789abcdef0123456789abcdef")
_HEADER = (
    "job_id",
    "object_level_compare_type",
    "conflict_policy",
    "compare_type",
    "compare_object_infos",
    "label.team",
)


class _Row(CreateCompareTaskReq):
    """An entry as pydantic alone would check it."""

    key: str | None = None
    project_id: str | None = None
    region: str | None = None
    endpoint: str | None = None
    x_language: str | None = None
    labels: dict[str, str] | None = None


def write_manifest_of(rows: int, path: Path) -> None:
    """A manifest of *rows* sound entries, each for a job and a database of its own."""
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.writer(file, delimiter=";")
            writer.writerow(_HEADER)
            writer.writerows(
                (_job(n), "objects", "keep", "lines", f"shop{n}: orders, items, customers; hr", "blue")
                for n in range(rows)
            )
        elif path.suffix == ".jsonl":
            file.writelines(f"{json.dumps(_element(n))}\n" for n in range(rows))
        else:
            file.write("[\n")
            file.writelines(f"{',' if n else ''}{json.dumps(_element(n))}\n" for n in range(rows))
            file.write("]\n")


def _job(number: int) -> str:
    return f"{number:08x}-aaaa-4bbb-8ccc-0000000jb101"


def _element(number: int) -> dict[str, Any]:
    infos = [{"db_name": f"shop{number}", "table_name": ["orders", "items", "customers"]}, {"db_name": "hr"}]
    info = {
        "conflict_policy": "keep",
        "compare_type": "lines",
        "compare_mode": None,
        "start_time": None,
        "compare_object_infos": infos,
    }
    return {
        "job_id": _job(number),
        "object_level_compare_type": "objects",
        "data_level_compare_info": info,
        "labels": {"team": "blue"},
    }


def _bare_rows(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            yield from (_Row.model_validate(_nested(row)) for row in csv.DictReader(file, delimiter=";"))
        elif path.suffix == ".jsonl":
            yield from (_Row.model_validate(json.loads(line)) for line in file)
        else:
            yield from map(_Row.model_validate, json.load(file))


def _nested(row: dict[str, str]) -> dict[str, Any]:
    return {
        "job_id": row["job_id"],
        "object_level_compare_type": row["object_level_compare_type"],
        "data_level_compare_info": {
            "conflict_policy": row["conflict_policy"],
            "compare_type": row["compare_type"],
            "compare_object_infos": parse_cell(row["compare_object_infos"]),
        },
        "labels": {"team": row["label.team"]},
    }


def check(path: Path) -> int:
    """Check the manifest at *path* whole; the number of its entries."""
    count = 0
    for item in open_manifest(path).read(_DEFAULTS, now=time.time()):
        if not isinstance(item, Entry):
            raise TypeError(f"the benchmark's manifest is sound, but {item}")
        count += 1
    return count


def _validate(path: Path) -> int:
    return sum(1 for _ in _bare_rows(path))


def _rate(count: Callable[[Path], int], path: Path) -> float:
    """Rows a second of processor time."""
    begin = time.process_time()
    rows = count(path)
    return rows / (time.process_time() - begin)


def _peak_mb(path: Path) -> float:
    """Peak memory of a process that checks *path* and does nothing else."""
    words = [sys.executable, __file__, "--peak", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def _own_peak_kb() -> int:
    """Linux counts `ru_maxrss` from the parent on; the high-water mark of the new image is in /proc."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(rows: int = 100_000, *, rounds: int = 3, memory: bool = True) -> dict[str, dict[str, float]]:
    """For each format: rows a second bare and checked, their ratio, and the peak memory for *rows* and for a hundredth.

    Bare and checked take turns, and medians are told, so that a busy machine does to both the same.
    """
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for format in FORMATS:
            path, small = Path(folder) / f"wave.{format}", Path(folder) / f"small.{format}"
            write_manifest_of(rows, path)
            pairs = [(_rate(_validate, path), _rate(check, path)) for _ in range(rounds)]
            figures[format] = {
                "bare_rows_per_s": round(median(bare for bare, _ in pairs)),
                "checked_rows_per_s": round(median(checked for _, checked in pairs)),
                "ratio": round(median(checked / bare for bare, checked in pairs), 2),
            }
            if memory:
                write_manifest_of(max(1, rows // 100), small)
                figures[format] |= {
                    "peak_mb": round(_peak_mb(path), 1),
                    "peak_mb_of_a_hundredth": round(_peak_mb(small), 1),
                }
            path.unlink()
    return figures


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        check(Path(sys.argv[2]))
        print(_own_peak_kb())
        sys.exit()
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000), indent=2))
