"""How fast manifests are checked, beside bare pydantic on the same rows.

Bare is meant in two ways. *Ready*: dicts that are there already are validated, and nothing else. *Read*: the file is
read with what is quickest at hand (orjson, csv), and each row validated. Neither makes a digest, knows lines, looks for
duplicates, or at rules between fields.
"""

import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from _bench.common import request, require
from batcher.drs.v3.create_compare_task import CreateCompareTaskReq
from batcher.manifest.short_form import parse_cell

_HEADER = (
    "job_id",
    "object_level_compare_type",
    "conflict_policy",
    "compare_type",
    "compare_object_infos",
    "label.team",
)
_SLICE = 10_000

Element = Callable[[int], dict[str, Any]]


class _Row(CreateCompareTaskReq):
    """An entry as pydantic alone would check it."""

    key: str | None = None
    project_id: str | None = None
    region: str | None = None
    endpoint: str | None = None
    x_language: str | None = None
    labels: dict[str, str] | None = None


def full(number: int) -> dict[str, Any]:
    """An entry with both halves, objects and a label; each for a job and a database of its own."""
    infos = [{"db_name": f"shop{number}", "table_name": ["orders", "items", "customers"]}, {"db_name": "hr"}]
    info = {
        "conflict_policy": "keep",
        "compare_type": "lines",
        "compare_mode": None,
        "start_time": None,
        "compare_object_infos": infos,
    }
    return {**request(number), "data_level_compare_info": info, "labels": {"team": "blue"}}


def write_full(path: Path, rows: int) -> Path:
    """A manifest of *rows* entries as `full` makes them, in the format that *path* ends with."""
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(_HEADER)
            for number in range(rows):
                job_id = request(number)["job_id"]
                tables = f"shop{number}: orders, items, customers; hr"
                writer.writerow((job_id, "objects", "keep", "lines", tables, "blue"))
        return path
    begin, between, end = (b"[\n", b",\n", b"\n]\n") if path.suffix == ".json" else (b"", b"\n", b"\n")
    with path.open("wb") as lines:
        for number in range(rows):
            lines.write((between if number else begin) + orjson.dumps(full(number)))
        lines.write(end)
    return path


def rates(path: Path, rows: int, *, short: bool, rounds: int) -> dict[str, float]:
    """Rows a second of CPU time: checked, and bare, *ready* and *read*. Medians; the three take turns."""
    element, model = (request, CreateCompareTaskReq) if short else (full, _Row)
    found: dict[str, list[float]] = {"checked": [], "ready": [], "read": []}
    for _ in range(rounds):
        found["checked"].append(_rate(_check, path, rows))
        found["ready"].append(_ready(element, rows, model))
        found["read"].append(_rate(_read_bare, path, rows, model))
    return {name: median(values) for name, values in found.items()}


def _rate(count: Callable[..., int], path: Path, rows: int, *arguments: Any) -> float:
    begin = time.process_time()
    require(count(path, *arguments) == rows)
    return rows / (time.process_time() - begin)


def _check(path: Path) -> int:
    from batcher.manifest import Entry, RunDefaults, open_manifest

    defaults = RunDefaults(endpoint="https://drs.example", project_id="p")
    return sum(isinstance(item, Entry) for item in open_manifest(path).read(defaults, now=time.time()))


def _ready(element: Element, rows: int, model: type[CreateCompareTaskReq]) -> float:
    validate, spent = model.model_validate, 0.0
    for start in range(0, rows, _SLICE):
        ready = [element(number) for number in range(start, min(start + _SLICE, rows))]
        begin = time.process_time()
        for row in ready:
            validate(row)
        spent += time.process_time() - begin
    return rows / spent


def _read_bare(path: Path, model: type[CreateCompareTaskReq]) -> int:
    return sum(1 for _ in map(model.model_validate, _rows(path)))


def _rows(path: Path) -> Iterator[Any]:
    if path.suffix == ".json":
        yield from orjson.loads(path.read_bytes())
    elif path.suffix == ".jsonl":
        with path.open("rb") as lines:
            yield from map(orjson.loads, lines)
    else:
        with path.open(encoding="utf-8", newline="") as file:
            yield from map(_nested, csv.DictReader(file, delimiter=";"))


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
