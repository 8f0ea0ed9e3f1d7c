"""The JSON Schemas, held against what is really read and written."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from batcher.cli.commands.schema import command, schema_of
from batcher.life.result import Result
from tests.manifest.reading import data_level, entry
from tests.manifest.strategies import elements

MANIFEST = Draft202012Validator(schema_of("manifest"))
ENTRY = Draft202012Validator({"$ref": "#/$defs/Entry", "$defs": schema_of("manifest")["$defs"]})


@pytest.mark.parametrize("what", ["manifest", "result", "verdict"])
def test_each_is_a_sound_schema(what: str) -> None:
    """Printed as JSON, with its dialect."""
    printed = CliRunner().invoke(command, [what])
    assert printed.exit_code == 0
    schema = json.loads(printed.output)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@settings(deadline=None)
@given(elements())
def test_every_sound_entry_is_valid(element: dict[str, Any]) -> None:
    """As an element of the array and as a line of JSONL."""
    MANIFEST.validate([element])
    ENTRY.validate(element)


@pytest.mark.parametrize(
    "element",
    [
        entry(job_id=None),
        entry(job_id=""),
        entry(x=1),
        entry(x_language="en"),
        entry(labels={"a": 1}),
        data_level(conflict_policy="keeep"),
        data_level(compare_object_infos=[{"db_name": "a", "table_name": []}]),
    ],
)
def test_what_is_misspelt_is_not(element: dict[str, Any]) -> None:
    """An editor that knows the schema shows it while typing."""
    assert not ENTRY.is_valid(element)
    assert not MANIFEST.is_valid([element])


def test_defaults_may_be_partial_and_are_spelt_as_entries_are() -> None:
    """What is missing in one may stand in the other."""
    inner = {"conflict_policy": "keep", "compare_type": "lines"}
    sound = {"defaults": {"data_level_compare_info": inner}, "entries": [{"job_id": "j"}]}
    MANIFEST.validate(sound)
    assert not MANIFEST.is_valid({**sound, "defaults": {"conflict_policy": "keep"}})
    assert not MANIFEST.is_valid({**sound, "default": {}})


def test_a_result_line_is_valid() -> None:
    """As it is written, timestamps and all."""
    line = {name: None for name in Result.model_fields} | {
        "key": "k",
        "index": 0,
        "status": "created",
        "attempts": 1,
        "recovered": False,
        "finished_at": "2027-01-15T08:00:00Z",
        "labels": {"team": "a"},
        "data_level_compare_create_result": {"compare_task_id": "cmp-1"},
    }
    written = json.loads(Result.model_validate(line).to_line())
    validator = Draft202012Validator(schema_of("result"))
    validator.validate(written)
    assert not validator.is_valid({**written, "status": "done"})


def test_the_schema_is_that_of_the_documentation() -> None:
    """Every field of an entry is explained in docs/manifest.md."""
    page = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text(encoding="utf-8")
    definitions = schema_of("manifest")["$defs"]
    fields = {name for model in definitions.values() for name in model.get("properties", {})}
    assert [name for name in sorted(fields) if f"`{name}`" not in page] == []
