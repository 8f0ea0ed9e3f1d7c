"""JSON: an array, or entries with defaults."""

import json
from pathlib import Path
from typing import Any

import pytest

from batcher.manifest.check import merged
from tests.manifest.reading import LINES, entries, entry, read, texts

INFO = "data_level_compare_info"


def test_an_array_and_an_object_with_entries_are_the_same(tmp_path: Path) -> None:
    """Keys, places and all."""
    array = entries(read(tmp_path, [entry(), entry(job_id="j2")]))
    wrapped = entries(read(tmp_path, {"entries": [entry(), entry(job_id="j2")]}))
    assert array == wrapped


def test_pretty_printed_json_has_its_lines(tmp_path: Path) -> None:
    """An entry's line is the one it begins on."""
    text = json.dumps([entry(), entry(job_id="j2"), entry(job_id="j3")], indent=2)
    assert [item.line for item in entries(read(tmp_path, text))] == [2, 14, 26]


@pytest.mark.parametrize("size", [262_143, 262_144, 262_145, 700_000])
def test_entries_that_lie_across_the_window(size: int, tmp_path: Path) -> None:
    """Whatever the window's edge cuts is read whole, and its line counted once."""
    tables = [f"t{number}" for number in range(size // 10)]
    info = {**LINES, "compare_object_infos": [{"db_name": "a", "table_name": tables}]}
    content = [entry(), entry(job_id="j2", **{INFO: info}), entry(job_id="j3", labels={"a": "x" * size})]
    made = entries(read(tmp_path, json.dumps(content, indent=1)))
    assert [item.request.job_id for item in made] == ["job-1", "j2", "j3"]
    assert made[2].labels == {"a": "x" * size}
    assert made[2].line == json.dumps(content[:2], indent=1).count("\n") + 1


def test_a_number_at_the_very_end_of_the_window_is_read_to_its_end(tmp_path: Path) -> None:
    """12 of 123 would parse, too."""
    text = "[" + " " * (262_144 - 3) + "12345678]"
    assert '"12345678" is a number' in texts(read(tmp_path, text))[0]


def test_defaults_are_merged_field_by_field(tmp_path: Path) -> None:
    """Also inside the data-level part and the labels."""
    content = {
        "defaults": {INFO: {"conflict_policy": "keep", "compare_type": "lines"}, "labels": {"wave": "7", "team": "a"}},
        "entries": [
            {"job_id": "j1", INFO: {"compare_object_infos": [{"db_name": "x"}]}, "labels": {"team": "b"}},
            {"job_id": "j2", INFO: None, "object_level_compare_type": "objects", "labels": None},
        ],
    }
    first, second = entries(read(tmp_path, content))
    assert first.labels == {"wave": "7", "team": "b"}
    assert first.request.data_level_compare_info is not None
    assert first.request.data_level_compare_info.conflict_policy == "keep"
    assert second.request.data_level_compare_info is None
    assert second.labels == {}


MERGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"a": 1}, {"a": 2}, {"a": 2}),
    ({"a": 1}, {"a": None}, {"a": None}),
    ({"region": "r"}, {"endpoint": "e"}, {"endpoint": "e"}),
    ({"endpoint": "e"}, {"region": "r"}, {"region": "r"}),
    ({"endpoint": "e"}, {"region": ""}, {"endpoint": "e", "region": ""}),
    (
        {INFO: {"compare_object_infos": [1]}},
        {INFO: {"compare_object_infos": [2]}},
        {INFO: {"compare_object_infos": [2]}},
    ),
    (
        {INFO: {"compare_object_infos": [1], "x": 1}},
        {INFO: {"compare_object_infos_with_token": [2]}},
        {INFO: {"compare_object_infos_with_token": [2], "x": 1}},
    ),
    ({INFO: {"x": 1}}, {INFO: 5}, {INFO: 5}),
    ({INFO: {"x": 1}}, {}, {INFO: {"x": 1}}),
]


@pytest.mark.parametrize(("defaults", "own", "result"), MERGES)
def test_merging(defaults: dict[str, Any], own: dict[str, Any], result: dict[str, Any]) -> None:
    """The entry wins in what it has; what excludes each other is replaced together."""
    before = json.dumps([defaults, own])
    assert merged(defaults, own) == result
    assert json.dumps([defaults, own]) == before


def test_what_is_wrong_with_the_defaults_is_told_once(tmp_path: Path) -> None:
    """And not once more with every entry that takes it from them."""
    content = {
        "defaults": {"key": "k", INFO: {"conflict_policy": "keeep", "compare_type": "lines"}, "labels": 5},
        "entries": [{"job_id": f"j{number}", INFO: {"compare_object_infos": [{"db_name": "x"}]}} for number in range(3)]
        + [{"job_id": "j9", INFO: {"conflict_policy": "cancell"}}],
    }
    found = [text.partition(": ")[2] for text in texts(read(tmp_path, content))]
    assert found[:3] == [
        f'defaults.{INFO}.conflict_policy "keeep" must be cancel or keep. Did you mean keep?',
        'defaults.key "k" belongs to one entry only. Take it out of the defaults.',
        'defaults.labels "5" must be an object, and is a number. Write {"name": "value"}.',
    ]
    assert [text.partition(" ")[0] for text in found[3:]] == [
        f"{INFO}.conflict_policy",
        f"{INFO}.compare_object_infos",
    ]


def test_defaults_may_lack_what_entries_add(tmp_path: Path) -> None:
    """Only what is there is checked."""
    content = {"defaults": {INFO: {"compare_type": "lines"}}, "entries": [entry(**{INFO: {**LINES}})]}
    assert len(entries(read(tmp_path, content))) == 1
