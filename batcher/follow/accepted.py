"""Accepted differences: what the gate lets pass, with a reason and a date until which it holds.

The file is CSV with the columns `job_id`, `database`, `table`, `reason`, `expires`, or a JSON array of objects with
these fields. `*` for the database or the table stands for any.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import orjson

from batcher.errors import UserError
from batcher.follow.verdict import Difference
from batcher.nearest import nearest
from batcher.text import printable

_FIELDS = ("job_id", "database", "table", "reason", "expires")
ANY = "*"


class AcceptanceError(UserError):
    """The file of accepted differences cannot be used; the message has a line for each finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """One accepted difference. It holds through the day *expires*, in UTC; *line* is its place in the file."""

    line: int
    job_id: str
    database: str
    table: str
    reason: str
    expires: date

    def covers(self, job_id: str | None, difference: Difference) -> bool:
        """Whether *difference* of *job_id* is the one that was accepted, expired or not."""
        return (
            self.job_id == job_id and self.database in (ANY, difference.place) and self.table in (ANY, difference.name)
        )

    def expired(self, today: date) -> bool:
        """Whether it holds no more."""
        return today > self.expires

    def __str__(self) -> str:
        return f"job {self.job_id}, {self.database}.{self.table}"


def read_acceptances(path: Path) -> tuple[Acceptance, ...]:
    """The accepted differences in the file at *path*. Raises `AcceptanceError` with every finding."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise AcceptanceError(f"cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise AcceptanceError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8.") from None
    rows = list(_json_rows(path, text) if path.suffix.lower() == ".json" else _csv_rows(path, text))
    findings: list[str] = []
    accepted = [_acceptance(path, line, row, findings) for line, row in rows]
    if findings:
        raise AcceptanceError("\n".join(findings))
    return tuple(acceptance for acceptance in accepted if acceptance is not None)


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if value not in (None, "")}
    except csv.Error as error:
        raise AcceptanceError(f"{path}, line {reader.line_num} is no CSV: {error}.") from None


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        rows = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise AcceptanceError(f"{path}, line {error.lineno} is no JSON: {error.msg}.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise AcceptanceError(f"{path} holds no array of objects: write [{{{', '.join(_FIELDS)}}}, …].")
    yield from enumerate(rows, start=1)


def _acceptance(path: Path, line: int, row: Mapping[Any, Any], findings: list[str]) -> Acceptance | None:
    where = f"{path}, {'entry' if path.suffix.lower() == '.json' else 'line'} {line}"
    before = len(findings)
    for name in row:
        if name not in _FIELDS:
            near = nearest(str(name), _FIELDS)
            mend = f"did you mean {near}?" if near else f"the fields are {', '.join(_FIELDS)}"
            said = f"unknown field {printable(str(name), 40)!r}" if name else "more cells than the header has names"
            findings.append(f"{where}: {said}; {mend}")
    values: dict[str, str] = {}
    for name in _FIELDS:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            values[name] = value.strip()
        else:
            findings.append(f"{where}: {name} is missing; {_NEEDED[name]}")
    expires = _expires(values.get("expires"), where, findings)
    if len(findings) > before or expires is None:
        return None
    return Acceptance(line=line, **{**values, "expires": expires})  # type: ignore[arg-type] # all five are there


_NEEDED = {
    "job_id": "say whose difference it is",
    "database": "name the source database, or * for any",
    "table": "name the source table or object, or * for any",
    "reason": "say why it may pass: the next reader has to know",
    "expires": "say until when, as 2026-12-31: nothing is accepted for ever",
}


def _expires(value: str | None, where: str, findings: list[str]) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        findings.append(f"{where}: expires is {printable(value, 40)!r}, which is no date; write it as 2026-12-31")
        return None
