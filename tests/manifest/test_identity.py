"""An entry is the same in every format: what is written reads back, keys included."""

import io
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.manifest import Entry, ManifestError
from batcher.manifest.manifest import Format
from batcher.manifest.write import ManifestLine, write_manifest, writer_of
from tests.manifest.reading import DEFAULTS, LINES, entries, entry, read
from tests.manifest.strategies import elements

FORMATS = ("csv", "json", "jsonl")


def manifest_text(lines: Iterable[ManifestLine], format: Format) -> str:
    """*lines* as the text of a manifest."""
    file = io.StringIO(newline="")
    writer = writer_of(format, file, "standard output")
    for line in lines:
        writer.write(line)
    writer.close()
    return file.getvalue()


def bare(made: Entry) -> tuple[Any, ...]:
    """*made* without its line, which each format has its own of."""
    return (made.index, made.key, made.endpoint, made.project_id, made.request, made.x_language, dict(made.labels))


def again(made: list[Entry], format: Any) -> list[Entry]:
    """*made*, written and read back."""
    with tempfile.TemporaryDirectory() as folder:
        text = manifest_text(map(ManifestLine.of, made), format)
        return entries(read(Path(folder), text, f"wave.{format}", allow_duplicates=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(elements(), min_size=1, max_size=4))
def test_csv_to_entry_to_json_to_entry_is_the_identity(content: list[dict[str, Any]]) -> None:
    """And by way of JSONL."""
    for element in content:
        labels = element.get("labels", {})
        element["labels"] = {name: value for name, value in labels.items() if name == name.strip()}
    with tempfile.TemporaryDirectory() as folder:
        made = entries(read(Path(folder), content, allow_duplicates=True))
    by_csv = again(made, "csv")
    by_json = again(by_csv, "json")
    by_lines = again(by_json, "jsonl")
    expected = list(map(bare, made))
    assert [list(map(bare, way)) for way in (by_csv, by_json, by_lines)] == [expected] * 3


@pytest.mark.parametrize("format", FORMATS)
def test_a_manifest_is_written_whole_or_not_at_all(format: str, tmp_path: Path) -> None:
    """What was there stays until all is written."""
    path = tmp_path / f"next.{format}"
    path.write_text("old")
    (made,) = entries(read(tmp_path, [entry(labels={"a": "b"})]))

    def broken() -> Any:
        yield ManifestLine.of(made)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_manifest(path, broken())
    assert path.read_text() == "old"
    assert write_manifest(path, [ManifestLine.of(made)]) == 1
    assert [bare(item) for item in entries(read(tmp_path, path.read_bytes(), path.name))] == [bare(made)]
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"next.{format}", "wave.json"]


def test_the_body_of_the_plan_makes_the_same_line(tmp_path: Path) -> None:
    """`select` writes from the journal."""
    (made,) = entries(read(tmp_path, [entry(labels={"a": "b"}, x_language="zh-cn")]))
    line = ManifestLine.of_body(
        made.request.to_wire(),
        key=made.key,
        endpoint=made.endpoint,
        project_id=made.project_id,
        x_language=made.x_language,
        labels=made.labels,
    )
    assert line == ManifestLine.of(made)
    assert json.loads(manifest_text([line], "jsonl")) == {
        "key": made.key,
        "endpoint": DEFAULTS.endpoint,
        "project_id": DEFAULTS.project_id,
        "x_language": "zh-cn",
        "labels": {"a": "b"},
        "job_id": "job-1",
        "object_level_compare_type": None,
        "data_level_compare_info": {
            **LINES,
            "compare_mode": None,
            "start_time": None,
            "compare_object_infos": [{"db_name": "shop", "table_name": None}],
            "compare_object_infos_with_token": None,
        },
    }


@pytest.mark.parametrize("labels", [{"a": ""}, {" a": "b"}, {"a": "\0"}, {"a\0": "b"}])
def test_what_csv_cannot_hold_is_refused(labels: dict[str, str], tmp_path: Path) -> None:
    """Rather than written so that it reads back as something else."""
    (made,) = entries(read(tmp_path, [entry(labels=labels)]))
    with pytest.raises(ManifestError, match=r"CSV cannot hold .* of the entry with key \w+\. Write \.jsonl instead\."):
        write_manifest(tmp_path / "next.csv", [ManifestLine.of(made)])
    assert write_manifest(tmp_path / "next.jsonl", [ManifestLine.of(made)]) == 1
