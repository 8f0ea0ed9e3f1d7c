"""The rows of a file of accepted differences, as spreadsheets and our own differences CSV have them."""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import orjson

from batcher.errors import UserError
from batcher.follow.verdict import Difference
from batcher.manifest.formats.guess_encoding import guess_encoding
from batcher.manifest.formats.header import DELIMITERS
from batcher.nearest import nearest
from batcher.text import counted, printable

FIELDS = ("job_id", "database", "table", "reason", "expires")
_OF_DIFFERENCES = frozenset({"key", "half", "compare_type", "accepted", *Difference.model_fields})
"""Columns of our own differences CSV: with `reason` and `expires` added it is a file of accepted differences."""

_HINT = re.compile(r"sep=(.)", re.IGNORECASE)
_GUARD = re.compile(r"'(?=[=+\-@\t\r\n])")  # by which our reports keep a cell from being a formula
_DAY = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_YEAR_FIRST = re.compile(r"(\d{4})([./-])(\d{1,2})\2(\d{1,2})")
_MIDNIGHT = re.compile(r"[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00(?::?00)?)?$")
_SHOWN = 5  # lines that are named of findings alike


class AcceptanceError(UserError):
    """The file of accepted differences cannot be used; the message has a line for each finding."""


class Findings:
    """What is wrong with the file at *path*, by kind, each with the places it is found at."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._places: dict[str, list[int]] = {}
        self._count: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._count)

    def add(self, place: int, problem: str) -> None:
        """Note *problem* at *place*."""
        self._count[problem] = self._count.get(problem, 0) + 1
        places = self._places.setdefault(problem, [])
        if len(places) < _SHOWN:
            places.append(place)

    def __str__(self) -> str:
        return "\n".join(f"{self._path}, {self._where(problem)}: {problem}" for problem in self._count)

    def _where(self, problem: str) -> str:
        places, count = [str(place) for place in self._places[problem]], self._count[problem]
        plural = "entries" if self._what == "entry" else f"{self._what}s"
        if count == 1:
            return f"{self._what} {places[0]}"
        if count > len(places):
            return f"{plural} {', '.join(places)} and {count - len(places):,} more"
        return f"{plural} {', '.join(places[:-1])} and {places[-1]}"


Row = tuple[int, Mapping[str, Any]]
"""A row with its place in the file."""


def read_rows(path: Path) -> tuple[list[Row], Findings]:
    """The rows of the file at *path*, and what is wrong with its header. Raises `AcceptanceError`."""
    text = _text(path)
    suffix = path.suffix.lower()
    findings = Findings(path, "entry" if suffix == ".json" else "line")
    if suffix == ".json":
        return list(_json_rows(path, text)), findings
    if suffix in (".jsonl", ".ndjson"):
        return list(_lines(path, text)), findings
    return list(_csv_rows(path, text, findings)), findings


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AcceptanceError(f"cannot read {path}: {error.strerror}.") from None
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode text"
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        guess = None if wide else guess_encoding(data)
        seems = f", and seems to be {guess[0]} (“{guess[1]}”)" if guess else ""
        problem = f"{path} is not {'UTF-16' if wide else 'UTF-8'} (byte {error.start}){seems}: save it as UTF-8."
        raise AcceptanceError(problem) from None


def _csv_rows(path: Path, text: str, findings: Findings) -> Iterator[Row]:
    hint, _, rest = text.partition("\n")
    told = _HINT.fullmatch(hint.rstrip("\r"))
    skipped = 1 if told else 0
    body = rest if told else text
    head = next((line for line in body.splitlines() if line.strip()), "")
    delimiter = told[1] if told and told[1] in DELIMITERS else max(DELIMITERS, key=lambda sign: _known(head, sign))
    reader = csv.reader(StringIO(body, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num + skipped
            row = [_GUARD.sub("", cell.strip(), count=1) if cell[:1] == "'" else cell.strip() for cell in cells]
            if header is None:
                header = row
                _check_header(header, line, findings)
                continue
            if any(row[len(header) :]):
                findings.add(line, f"the row has {counted(len(row), 'cell')}, more cells than the header has names")
                continue
            yield line, {name: cell for name, cell in zip(header, row, strict=False) if cell and name in _TAKEN}
    except csv.Error as error:
        raise AcceptanceError(f"{path}, line {reader.line_num + skipped} is no CSV: {error}.") from None


_TAKEN = frozenset({*FIELDS, "accepted", "target_database", "target_table", "source_value", "target_value"})


def _known(head: str, delimiter: str) -> int:
    return sum(cell.strip().strip('"') in FIELDS for cell in head.split(delimiter))


def _check_header(header: list[str], line: int, findings: Findings) -> None:
    for name in header:
        if name and name not in FIELDS and name not in _OF_DIFFERENCES:
            findings.add(line, unknown_field(name))
        elif name and header.count(name) > 1:
            findings.add(line, f"{name} is the name of {header.count(name)} columns; keep one of them")


def unknown_field(name: str) -> str:
    """What is said of a field that is none, and its mend."""
    near = nearest(name, FIELDS)
    mend = f"did you mean {near}?" if near else f"the fields are {', '.join(FIELDS)}"
    return f"unknown field {printable(name, 40)!r}; {mend}"


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    try:
        rows = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise AcceptanceError(f"{path}, line {error.lineno} is no JSON: {error.msg}.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise AcceptanceError(f"{path} holds no array of objects: write [{{{', '.join(FIELDS)}}}, …].")
    yield from enumerate(rows, start=1)


def _lines(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise AcceptanceError(f"{path}, line {number} is no JSON: {error.msg}.") from None
            if not isinstance(row, dict):
                raise AcceptanceError(f"{path}, line {number} is no object: write {{{', '.join(FIELDS)}}}.")
            yield number, row


def day_of(text: str) -> date | str:
    """The day that *text* names, as ISO has it or in a way that has one reading only; or what is wrong with it."""
    text = _MIDNIGHT.sub("", text)
    if text.isdigit() and len(text) == 5:
        return "is the number a spreadsheet has for a day; write it as 2026-12-31"
    try:
        if text.isdigit() and len(text) == 8:
            return date.fromisoformat(text)
        if match := _YEAR_FIRST.fullmatch(text):
            return date(int(match[1]), int(match[3]), int(match[4]))
        if match := _DAY.fullmatch(text):
            return _day(int(match[1]), int(match[3]), int(match[4]), dotted=match[2] == ".")
    except ValueError:
        pass
    return "is no date; write it as 2026-12-31"


def _day(first: int, second: int, year: int, *, dotted: bool) -> date | str:
    """A day whose year stands last; only with dots the day surely stands first."""
    if dotted or first > 12 or first == second:
        return date(year, second, first)
    if second > 12:
        return date(year, first, second)
    one, other = date(year, second, first), date(year, first, second)
    return f"may be {one} or {other}; write the one that is meant"
