"""The first lines of a CSV file: the header, the delimiter that makes sense of it, and what stands there instead."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from batcher.manifest.errors import ManifestError
from batcher.manifest.fields import CSV_FIELDS, DATA_FIELDS, DATA_LEVEL, LABEL_PREFIX
from batcher.manifest.formats.element import NO_VALUE, Flaw
from batcher.nearest import nearest

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
"""The delimiters that a manifest may have, and what they are called."""

_EXCEL_HINT = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # a first line by which Excel is told the delimiter
_LONGEST = 1 << 16  # characters
_RULE = re.compile(r"[|+ \t]*[-=]{3,}[-=|+: \t]*")
_GAP = re.compile(r" {2,}")
_DELIMITERS_MEND = "Use commas, semicolons or tabs"
_CSV_FROM_SQL = "Export CSV: psql --csv, sqlite3 -csv -header, mariadb --batch (tabs)"


class Header(NamedTuple):
    """The header's cells, the delimiter, and the 1-based line the header ends in."""

    names: list[str]
    delimiter: str
    line: int


def read_header(name: str, lines: Iterator[str]) -> Header:
    """The header that *lines* of the file *name* begin with. Raises `ManifestError` where there is none."""
    line, number = next(lines, ""), 1
    hint = _EXCEL_HINT.fullmatch(line)
    told = hint[1] if hint else None
    if hint:
        line, number = next(lines, ""), number + 1
    while line and not line.strip():
        line, number = next(lines, ""), number + 1
    if not line:
        raise ManifestError(name, "the file holds no header", "The first line names the columns, such as job_id")
    if told is not None and told not in DELIMITERS:
        raise ManifestError(name, f"the delimiter {told!r} is not supported", _DELIMITERS_MEND, line=1)
    _refuse_comment(name, line, number)
    begin, open_quote = number, line.count('"') % 2 == 1
    while open_quote and len(line) <= _LONGEST and (more := next(lines, "")):
        line, number = line + more, number + 1  # a column name may go over several lines, in quotes
        open_quote ^= more.count('"') % 2 == 1
    if open_quote:
        problem = "the header has a double quote that is never closed"
        raise ManifestError(name, problem, "Close it, or take it out", line=begin)
    candidates = {delimiter: _cells(line, delimiter) for delimiter in ([told] if told else DELIMITERS)}
    for count in (_known, _nearly_known):
        counts = {delimiter: (count(cells), len(cells)) for delimiter, cells in candidates.items()}
        best = max(counts, key=lambda delimiter: counts[delimiter])
        if counts[best][0]:
            return Header(candidates[best], best, number)
    raise _no_header(name, line, number)


def _refuse_comment(name: str, line: str, number: int) -> None:
    if line.upper().startswith("#TYPE "):
        mend = "Export with Export-Csv -NoTypeInformation, or take the line out"
        raise ManifestError(name, "the first line is PowerShell's word on types, not the header", mend, line=number)
    if line.lstrip()[:1] == "#":
        mend = "Take it out: the first line names the columns"
        raise ManifestError(name, "the file begins with a comment, and a manifest has none", mend, line=number)


def _no_header(name: str, line: str, number: int) -> ManifestError:
    """What *line* is instead of a header."""
    if _RULE.fullmatch(line.strip()):
        return ManifestError(name, "this is a table drawn for people, not CSV", _CSV_FROM_SQL, line=number)
    if _known(_cells(line.strip().strip("|"), "|")):
        drawn = line.strip()[:1] == "|" or " | " in line
        problem = "this is a table drawn for people, not CSV" if drawn else "the columns are separated by |"
        return ManifestError(
            name, problem, _CSV_FROM_SQL if drawn else f"{_DELIMITERS_MEND}. {_CSV_FROM_SQL}", line=number
        )
    if _known(_GAP.split(line.strip())) > 1:
        return ManifestError(name, "the columns are separated by spaces", _CSV_FROM_SQL, line=number)
    if _known(line.replace('"', "").split()) > 1:
        mend = f"{_DELIMITERS_MEND}: write.csv in R, and no sep=' ' in pandas"
        return ManifestError(name, "the columns are separated by spaces", mend, line=number)
    return ManifestError(
        name,
        "the first line is no header: it names no field of a manifest",
        "Begin with a line of column names, such as job_id;object_level_compare_type;conflict_policy. "
        "Is it JSON? Then say --format json or --format jsonl",
        line=number,
    )


def is_rule(cells: list[str]) -> bool:
    """Whether *cells* are a line drawn under a header."""
    return any(cells) and all(not cell.strip() or _RULE.fullmatch(cell.strip()) for cell in cells)


def drawn_table(name: str, line: int) -> ManifestError:
    """For a file with a line drawn under its header."""
    return ManifestError(name, "this is a table drawn for people, not CSV", _CSV_FROM_SQL, line=line)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        row = next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in row]


def _known(cells: list[str]) -> int:
    """How many of *cells* name a column, or seem to be meant to."""
    return sum(as_meant(cell) in CSV_FIELDS or cell.startswith(LABEL_PREFIX) for cell in cells)


def _nearly_known(cells: list[str]) -> int:
    """How many of *cells* are near the name of a column, where these are at least half of them."""
    near = sum(nearest(cell, CSV_FIELDS) is not None for cell in cells[:100] if cell)
    return near if near > 1 and 2 * near >= len(cells) else 0


def as_meant(name: str) -> str:
    """*name* without capitals, and with underscores for what spreadsheets like better."""
    return name.lower().replace(" ", "_").replace("-", "_")


def header_flaws(header: list[str]) -> Iterator[Flaw]:
    """What is wrong with the names in *header*."""
    for name, count in Counter(name for name in header if name).items():
        if count > 1:
            yield Flaw(name, NO_VALUE, f"is the name of {count} columns", "Keep one of them, or rename the others")
        if name == LABEL_PREFIX:
            yield Flaw(name, NO_VALUE, "names no label", "Write label.NAME, such as label.team")
        elif name not in CSV_FIELDS and not name.startswith(LABEL_PREFIX):
            yield Flaw(name, NO_VALUE, "is no column of a manifest", _column_mend(name))
    if "job_id" not in header:
        yield Flaw("job_id", NO_VALUE, "has no column", "Every entry names its DRS job in a column job_id")


INDEX_MEND = "Export without the index of the data frame: index=False in pandas, row.names=FALSE in R"


def _column_mend(name: str) -> str:
    if name.startswith("Unnamed: "):
        return INDEX_MEND
    last = name.rpartition(".")[2]
    if last != name and last in CSV_FIELDS:
        return f"CSV columns are flat: write {last}"
    if name in (DATA_LEVEL, "labels"):
        flat = f"{LABEL_PREFIX}NAME" if name == "labels" else ", ".join(DATA_FIELDS[:2])
        return f"CSV columns are flat: write {flat}, and so on, or export nested entries as JSONL"
    near = as_meant(name) if as_meant(name) in CSV_FIELDS else nearest(name, CSV_FIELDS)
    if near:
        return f"Did you mean {near}?"
    return f"For information of your own, call it {LABEL_PREFIX}{re.sub(r'[^A-Za-z0-9_-]+', '_', name).strip('_')}"
