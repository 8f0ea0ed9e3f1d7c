"""Reads a manifest from text or bytes as the wave would."""

import json
from pathlib import Path
from typing import Any

from batcher.manifest import Entry, Finding, RunDefaults, finding_line, open_manifest

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
LATER = "1800003600000"
ENDPOINT = "https://drs.example.com"
PROJECT = "0123456789abcdef0123456789abcdef"
DEFAULTS = RunDefaults(endpoint=ENDPOINT, project_id=PROJECT)

LINES = {"conflict_policy": "keep", "compare_type": "lines", "compare_object_infos": [{"db_name": "shop"}]}


def entry(**changes: Any) -> dict[str, Any]:
    """A sound data-level entry, with *changes*; None takes a field out."""
    made = {"job_id": "job-1", "data_level_compare_info": LINES, **changes}
    return {name: value for name, value in made.items() if value is not None}


def data_level(**changes: Any) -> dict[str, Any]:
    """A sound data-level entry with *changes* to its inner part; None takes a field out."""
    made = {**LINES, **changes}
    return entry(data_level_compare_info={name: value for name, value in made.items() if value is not None})


def read(
    folder: Path,
    content: Any,
    name: str = "wave.json",
    *,
    encoding: str | None = None,
    defaults: RunDefaults = DEFAULTS,
    allow_duplicates: bool = False,
) -> list[Entry | Finding]:
    """Everything a manifest with *content* (bytes, text, or what is to be JSON) gives."""
    path = folder / name
    if not isinstance(content, bytes):
        text = content if isinstance(content, str) else json.dumps(content)
        content = text.encode()
    path.write_bytes(content)
    manifest = open_manifest(path, encoding=encoding)
    return list(manifest.read(defaults, now=NOW, allow_duplicates=allow_duplicates))


def entries(items: list[Entry | Finding]) -> list[Entry]:
    """All *items*, which must be entries."""
    wrong = [finding_line(item) for item in items if isinstance(item, Finding)]
    assert not wrong
    return [item for item in items if isinstance(item, Entry)]


def texts(items: list[Entry | Finding]) -> list[str]:
    """The findings among *items*, without the folder."""
    lines = [finding_line(item) for item in items if isinstance(item, Finding)]
    return [line[line.index("wave.") :] for line in lines]
