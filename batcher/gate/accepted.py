"""Accepted differences: what the gate lets pass, with a reason and a date until which it holds.

The file is CSV with the columns `job_id`, `database`, `table`, `reason`, `expires`, or a JSON array of objects with
these fields, or one object a line. `*` for the database or the table stands for any. It is read as leniently as a
manifest; our own differences CSV will do, with a reason and a day added.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from batcher.follow.verdict import Difference
from batcher.gate.accepted_rows import FIELDS, AcceptanceError, Findings, day_of, read_rows, unknown_field
from batcher.text import printable

__all__ = ("ANY", "Acceptance", "AcceptanceError", "read_acceptances")

ANY = "*"


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
        """Whether the acceptance holds no more."""
        return today > self.expires

    def __str__(self) -> str:
        return f"job {self.job_id}, {self.database}.{self.table}"


def read_acceptances(path: Path) -> tuple[Acceptance, ...]:
    """The accepted differences in the file at *path*. Raises `AcceptanceError` with all findings, by kind."""
    rows, findings = read_rows(path)
    flat = path.suffix.lower() not in (".json", ".jsonl", ".ndjson")
    accepted = [_acceptance(place, _of_difference(row) if flat else row, findings) for place, row in rows]
    if findings:
        raise AcceptanceError(str(findings))
    return tuple(acceptance for acceptance in accepted if acceptance is not None)


def _of_difference(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """*row* of our differences CSV with database, name and reason where the gate looks for them."""
    found = {
        "database": row.get("database") or row.get("target_database"),
        "table": row.get("table") or row.get("source_value") or row.get("target_value"),
        "reason": row.get("reason") or row.get("accepted"),
    }
    return {name: value for name in FIELDS if (value := found.get(name) or row.get(name))}


def _acceptance(place: int, row: Mapping[Any, Any], findings: Findings) -> Acceptance | None:
    for name in row:
        if name not in FIELDS:
            findings.add(place, unknown_field(str(name)))
    values: dict[str, str] = {}
    for name in FIELDS:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            values[name] = value.strip()
        else:
            findings.add(place, f"{name} is missing; {_NEEDED[name]}")
    expires = day_of(values["expires"]) if "expires" in values else None
    if isinstance(expires, str):
        findings.add(place, f"expires is {printable(values['expires'], 40)!r}, which {expires}")
    if expires is None or isinstance(expires, str) or len(values) < len(FIELDS):
        return None
    return Acceptance(line=place, **{**values, "expires": expires})  # type: ignore[arg-type] # all five are there


_NEEDED = {
    "job_id": "say whose difference it is",
    "database": "name the source database, or * for any",
    "table": "name the source table or object, or * for any",
    "reason": "say why it may pass: the next reader has to know",
    "expires": "say until when, as 2026-12-31: nothing is accepted for ever",
}
