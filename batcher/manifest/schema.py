"""The JSON Schema of a manifest, made from the request's models; an array of entries, or the object form.

It says what a schema can say. The rules between fields, duplicates and start times are the checks' alone.
"""

from typing import Any

from batcher.drs.v3.create_compare_task import CreateCompareTaskReq
from batcher.manifest.fields import LANGUAGES

_TEXT = {"type": ["string", "null"]}
_BESIDE: dict[str, dict[str, Any]] = {
    "key": {**_TEXT, "maxLength": 200, "description": "Identifies the entry; by default a digest of scope and body."},
    "project_id": {**_TEXT, "maxLength": 64, "description": "Project of the entry; by default that of the run."},
    "region": {**_TEXT, "description": "Region of the entry, which gives its endpoint; by default that of the run."},
    "endpoint": {**_TEXT, "description": "DRS endpoint of the entry, as a URL; instead of `region`."},
    "x_language": {"enum": [*LANGUAGES, "", None], "description": "Language of the cloud's messages for the entry."},
    "labels": {
        "type": ["object", "null"],
        "additionalProperties": _TEXT,
        "description": "Texts of your own; carried into the result.",
    },
}


def manifest_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a JSON manifest; of one line of JSONL it is `#/$defs/Entry`."""
    request = CreateCompareTaskReq.model_json_schema(ref_template="#/$defs/{model}")
    definitions = request.pop("$defs")
    _allow_empty(request, "object_level_compare_type")
    for name in ("compare_mode", "start_time"):
        _allow_empty(definitions["CreateDataLevelCompareReq"], name)
    definitions["CreateDataLevelCompareReq"]["properties"]["start_time"]["anyOf"].append({"type": "number"})
    entry = {**request, "title": "Entry", "properties": {**request["properties"], **_BESIDE}}
    entry["description"] = "The API's request body; beside it what batcher needs to know."
    # What an entry must have may come from the defaults, and what the defaults have may be partial.
    partial = {
        "type": "object",
        "properties": {name: {} for name in entry["properties"]},
        "additionalProperties": False,
    }
    with_defaults = {
        "type": "object",
        "properties": {"defaults": partial, "entries": {"type": "array", "minItems": 1, "items": partial}},
        "required": ["defaults", "entries"],
        "additionalProperties": False,
    }
    without_defaults = {
        "type": "object",
        "properties": {"entries": {"$ref": "#/$defs/Entries"}},
        "required": ["entries"],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Manifest",
        "description": "An array of entries, or entries with defaults. One line of JSONL is an Entry.",
        "anyOf": [{"$ref": "#/$defs/Entries"}, without_defaults, with_defaults],
        "$defs": {
            "Entries": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Entry"}},
            "Entry": entry,
            **definitions,
        },
    }


def _allow_empty(model: dict[str, Any], name: str) -> None:
    """An optional text may be left empty, which means the same as null."""
    field = model["properties"][name]
    field["anyOf"] = [*field["anyOf"], {"const": ""}]
