"""Manifests written by us: what is read back is the same entries, keys included."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

import orjson

from batcher.drs.v3.create_compare_task import (
    CompareObjectInfo,
    CompareObjectInfoWithToken,
    CompareTableInfoWithToken,
    CreateDataLevelCompareReq,
    RequestPart,
)
from batcher.manifest.entry import Entry
from batcher.manifest.errors import ManifestError
from batcher.manifest.fields import CSV_FIELDS, DATA_LEVEL, LABEL_PREFIX, OBJECT_LISTS
from batcher.manifest.manifest import Format, format_of
from batcher.manifest.short_form import format_cell
from batcher.whole import whole_text

_TOP = ("job_id", "object_level_compare_type")
_BESIDE = ("key", "project_id", "endpoint", "x_language")
BESIDE = ("key", "endpoint", "project_id", "x_language", "labels")
"""What stands beside the request body in JSON, in the order in which it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestLine:
    """An entry to write. *body* is the request body as plain data, with or without its nulls."""

    key: str
    endpoint: str
    project_id: str
    body: Mapping[str, Any]
    x_language: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, entry: Entry) -> "ManifestLine":
        """The line that reads back as *entry*."""
        return cls(
            key=entry.key,
            endpoint=entry.endpoint,
            project_id=entry.project_id,
            body=orjson.loads(entry.body),
            x_language=entry.x_language,
            labels=entry.labels,
        )

    @classmethod
    def of_body(
        cls, body: bytes, *, key: str, endpoint: str, project_id: str, x_language: str | None, labels: Mapping[str, str]
    ) -> "ManifestLine":
        """The line for a request *body* as the journal's plan keeps it."""
        return cls(
            key=key,
            endpoint=endpoint,
            project_id=project_id,
            body=orjson.loads(body),
            x_language=x_language,
            labels=labels,
        )

    def as_element(self) -> dict[str, Any]:
        """The entry as JSON has it, with every field: what it lacks is null.

        Programs that make a table of it (DuckDB, polars, pandas) take from the first lines which columns there are.
        """
        element: dict[str, Any] = {name: getattr(self, name) for name in BESIDE}
        element |= {name: self.body.get(name) for name in (*_TOP, DATA_LEVEL)}
        if (info := element[DATA_LEVEL]) is not None:
            element[DATA_LEVEL] = {name: _with_nulls(name, info.get(name)) for name in _DATA_FIELDS}
        return element


_DATA_FIELDS = tuple(CreateDataLevelCompareReq.model_fields)
_PARTS: dict[str, type[RequestPart]] = {
    "compare_object_infos": CompareObjectInfo,
    "compare_object_infos_with_token": CompareObjectInfoWithToken,
    "table_name_with_token": CompareTableInfoWithToken,
}


def _with_nulls(name: str, value: Any) -> Any:
    """*value* of the field *name*; where it is a list of objects, each with every field."""
    if name not in _PARTS or value is None:
        return value
    fields = _PARTS[name].model_fields
    return [{field: _with_nulls(field, item.get(field)) for field in fields} for item in value]


class Writer(Protocol):
    """Writes entries one after the other; `close` ends the file."""

    def write(self, line: ManifestLine) -> None:
        """Write *line* behind those before it."""
        ...

    def close(self) -> None:
        """Write what ends the file; the file itself stays open."""
        ...


def write_manifest(path: Path, lines: Iterable[ManifestLine], format: str | None = None) -> int:
    """Write *lines* to *path*, in *format* or that of its extension, and return how many there were.

    JSON and JSONL are streamed; CSV keeps them all, as its header names every label. The file takes its name only
    when it is whole. Raises `ManifestError` where CSV cannot hold an entry, `OSError`.
    """
    chosen = format_of(path, format)
    count = 0
    with whole_text(path, newline="") as file:
        writer = writer_of(chosen, file, str(path))
        for line in lines:
            writer.write(line)
            count += 1
        writer.close()
    return count


def writer_of(format: Format, file: TextIO, name: str) -> Writer:
    """A writer of *format* onto *file*, which was opened with `newline=""`; messages call it *name*."""
    match format:
        case "csv":
            return _CsvWriter(file, name)
        case "json":
            return _JsonWriter(file)
        case "jsonl":
            return _JsonlWriter(file)


class _JsonlWriter:
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: ManifestLine) -> None:
        self._file.write(orjson.dumps(line.as_element(), option=orjson.OPT_APPEND_NEWLINE).decode())

    def close(self) -> None:
        """Nothing ends a JSONL file."""


class _JsonWriter:
    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._begun = False

    def write(self, line: ManifestLine) -> None:
        self._file.write((",\n" if self._begun else "[\n") + orjson.dumps(line.as_element()).decode())
        self._begun = True

    def close(self) -> None:
        self._file.write("\n]\n" if self._begun else "[]\n")


class _CsvWriter:
    def __init__(self, file: TextIO, name: str) -> None:
        self._file = file
        self._name = name
        self._rows: list[dict[str, str]] = []

    def write(self, line: ManifestLine) -> None:
        info: Mapping[str, Any] = line.body.get(DATA_LEVEL) or {}
        row = {name: line.body.get(name) for name in _TOP}
        row |= {name: getattr(line, name) for name in _BESIDE}
        row |= {name: _list_cell(name, value) if name in OBJECT_LISTS else value for name, value in info.items()}
        for label, value in line.labels.items():
            if not value or label != label.strip():
                raise self._too_much(f'the label "{label}"', line)
            row[LABEL_PREFIX + label] = value
        if any("\0" in f"{name}{value}" for name, value in row.items()):
            raise self._too_much("a NUL", line)
        self._rows.append({name: value for name, value in row.items() if value})

    def _too_much(self, what: str, line: ManifestLine) -> ManifestError:
        problem = f"CSV cannot hold {what} of the entry with key {line.key}"
        return ManifestError(self._name, problem, "Write .jsonl instead")

    def close(self) -> None:
        used = {name: None for row in self._rows for name in row}
        labels = [name for name in used if name.startswith(LABEL_PREFIX)]
        header = [name for name in CSV_FIELDS if name in used or name == "job_id"] + labels
        # DuckDB learns from the first 20,480 lines what a quote looks like; in the first of all there are some.
        csv.writer(self._file, quoting=csv.QUOTE_ALL).writerow(header)
        csv.DictWriter(self._file, header, restval="").writerows(self._rows)


def _list_cell(name: str, infos: list[dict[str, Any]] | None) -> str | None:
    if infos is None:
        return None
    short = format_cell(infos) if name == "compare_object_infos" else None
    return short if short is not None else orjson.dumps(infos).decode()
