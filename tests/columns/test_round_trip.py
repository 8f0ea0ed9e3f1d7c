"""What `batcher select` writes goes through other programs and is the same manifest afterwards."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.cli.commands.schema import reader_of
from batcher.manifest import Entry
from batcher.manifest.write import ManifestLine, write_manifest
from tests.columns.lines import ENTRIES, FAILED
from tests.manifest.reading import LATER, LINES, entries, read

# As docs/results.md has them. Without the types, or read as anything but text, each of them changes entries.
_WAYS = {
    "duckdb": """
import duckdb
duckdb.sql(open("read.sql").read())
duckdb.sql("COPY (FROM read_manifests('next.jsonl')) TO 'wave.jsonl' (FORMAT json)")
""",
    "duckdb csv": """
import duckdb
duckdb.sql("COPY (FROM read_csv('next.csv', all_varchar = true)) TO 'wave.csv'")
""",
    "polars": """
from read import read_manifests
read_manifests("next.jsonl").write_ndjson("wave.jsonl")
""",
    "polars csv": """
import polars as pl
pl.read_csv("next.csv", infer_schema=False).write_csv("wave.csv")
""",
    "pandas": """
from read import read_manifests
read_manifests("next.jsonl").to_json("wave.jsonl", orient="records", lines=True)
""",
    "pandas csv": """
import pandas as pd
pd.read_csv("next.csv", dtype=str, keep_default_na=False).to_csv("wave.csv", index=False)
""",
}


def elements() -> list[dict[str, Any]]:
    """Entries with ids and keys that look like numbers; the last are the first to have more than a database."""
    tables = {**LINES, "start_time": LATER, "compare_object_infos": [{"db_name": "a", "table_name": ["0123", "b"]}]}
    tokens = {"table_name": "t", "min_token": "-1"}
    by_token: dict[str, Any] = {"conflict_policy": "keep", "compare_type": "lines"} | {
        "compare_object_infos_with_token": [{"db_name": "k", "table_name_with_token": [tokens]}]
    }
    made: list[dict[str, Any]] = []
    for index in range(ENTRIES):
        late = index - (ENTRIES - FAILED)
        element: dict[str, Any] = {"job_id": f"{index:032}", "key": f"{index:016}"}
        level = LINES if late < 0 else (tables, by_token, None)[late % 3]
        element |= {"data_level_compare_info": level} if level else {}
        if late >= 0:
            labels = {"team": "a", "day": "2026-01-01", "007": "1e5"}
            element |= {"object_level_compare_type": "objects", "x_language": "zh-cn", "labels": labels}
        made.append(element)
    return made


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Entry]]:
    """A folder with next.jsonl and next.csv, and the entries that are in them."""
    folder = tmp_path_factory.mktemp("next")
    made = entries(read(folder, elements()))
    for format in ("jsonl", "csv"):
        write_manifest(folder / f"next.{format}", map(ManifestLine.of, made))
    return folder, made


@pytest.mark.parametrize("way", _WAYS)
def test_the_entries_are_the_same(way: str, written: tuple[Path, list[Entry]]) -> None:
    folder, made = written
    program, _, csv = way.partition(" ")
    (folder / ("read.sql" if program == "duckdb" else "read.py")).write_text(reader_of("manifest", program))
    subprocess.run([sys.executable, "-c", _WAYS[way]], cwd=folder, check=True)
    name = "wave.csv" if csv else "wave.jsonl"
    found = entries(read(folder, (folder / name).read_bytes(), name))
    assert list(map(told, found)) == list(map(told, made))


def told(made: Entry) -> tuple[Any, ...]:
    """All that an entry says."""
    return made.index, made.key, made.endpoint, made.project_id, made.body, made.x_language, dict(made.labels)


def test_every_field_is_written_null_where_there_is_nothing(tmp_path: Path) -> None:
    """polars would leave out a list of tables that its first lines do not have, and compare whole databases."""
    bare, full = {"job_id": "a", "object_level_compare_type": "objects"}, elements()[-FAILED]
    write_manifest(tmp_path / "next.jsonl", map(ManifestLine.of, entries(read(tmp_path, [bare, full]))))
    first, second = map(orjson.loads, (tmp_path / "next.jsonl").read_bytes().splitlines())
    assert list(first) == list(second)
    assert first["data_level_compare_info"] is None
    assert first["labels"] == {}
    level = second["data_level_compare_info"]
    assert level["compare_mode"] is level["compare_object_infos_with_token"] is None
    write_manifest(tmp_path / "next.jsonl", map(ManifestLine.of, entries(read(tmp_path, elements()[:1]))))
    (only,) = map(orjson.loads, (tmp_path / "next.jsonl").read_bytes().splitlines())
    assert only["data_level_compare_info"]["compare_object_infos"] == [{"db_name": "shop", "table_name": None}]
