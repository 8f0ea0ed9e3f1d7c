"""CSV as spreadsheets write it: comma, semicolon or tab, quotes, a header; one entry a row."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

from batcher.manifest.element import NO_VALUE, Batch, Element, Fault, Single, Usual
from batcher.manifest.errors import ManifestError
from batcher.manifest.fields import CSV_FIELDS, DATA_FIELDS, DATA_LEVEL, LABEL_PREFIX, OBJECT_LISTS
from batcher.manifest.short_form import BadCell, parse_cell
from batcher.manifest.source import Source
from batcher.manifest.usual_csv import UsualOf, usual_under
from batcher.nearest import nearest
from batcher.text import counted

if TYPE_CHECKING:
    from _csv import Reader

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_EXCEL_HINT = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # a first line by which Excel is told the delimiter
_BATCH = 1 << 15  # characters
_LONGEST_CELL = 4 * 1024 * 1024


class HeaderFault:
    """Something wrong with the header, or with the file as a whole, in *line*."""

    __slots__ = ("fault", "line")

    def __init__(self, line: int, fault: Fault) -> None:
        self.line = line
        self.fault = fault


def read_csv(source: Source) -> Iterator[Batch | HeaderFault]:
    """The rows of a CSV file, in order. Raises `ManifestError` where there is no header to read them by."""
    csv.field_size_limit(_LONGEST_CELL)  # the default, 128 kB, is short for a list of some thousand tables
    with source.text(newline="") as text:
        lines = _Lines(text)
        header = _header(source.name, lines.all)
        columns = _Columns(header.names, surely_whole=source.encoding == "utf-8-sig")
        yield from (HeaderFault(header.line, fault) for fault in columns.faults)
        if columns.usable:
            reader = csv.reader(lines.all, delimiter=header.delimiter, strict=True)
            yield from _rows(reader, lines, header.line, columns)


class _Lines:
    """The lines of *text*, each up to the length of a cell: one without an end must not fill the memory."""

    def __init__(self, text: IO[str]) -> None:
        self.all = self._read(text)
        self.size = 0  # of those so far

    def _read(self, text: IO[str]) -> Iterator[str]:
        while line := text.readline(_LONGEST_CELL):
            self.size += len(line)
            yield line


def _rows(reader: "Reader", read: "_Lines", above: int, columns: "_Columns") -> Iterator[Batch]:
    """The rows of *reader*, which begin below *above* lines."""
    batch, until = _Rows(0, [], [], [], columns), read.size + _BATCH
    begin = above + 1
    while True:
        try:
            for row in reader:
                usual = columns.usual_of(row)
                if usual is not None or (any(row) and not "".join(row).isspace()):
                    batch.rows.append(row)
                    batch.lines.append(begin)
                    batch.usual.append(usual)
                    if read.size >= until:
                        yield batch
                        batch, until = batch.next(), read.size + _BATCH
                begin = above + reader.line_num + 1
            yield batch
            return
        except csv.Error as error:
            yield batch
            yield Single.of(Element(batch.index + len(batch.rows), begin, None, None, [_unreadable(str(error))]))
            batch = batch.next(1)
            begin = above + reader.line_num + 1
        except UnicodeDecodeError:
            yield batch
            raise


class _Header(NamedTuple):
    """The header's cells, the delimiter that makes most sense of them, and the 1-based line they end in."""

    names: list[str]
    delimiter: str
    line: int


def _header(name: str, lines: Iterator[str]) -> _Header:
    line, number = next(lines, ""), 1
    hint = _EXCEL_HINT.fullmatch(line)
    told = hint[1] if hint else None
    if hint:
        line, number = next(lines, ""), number + 1
    while line and not line.strip():
        line, number = next(lines, ""), number + 1
    if not line:
        raise ManifestError(name, "the file holds no header", "The first line names the columns, such as job_id")
    if told is not None and told not in _DELIMITERS:
        raise ManifestError(name, f"the delimiter {told!r} is not supported", "Use commas, semicolons or tabs", line=1)
    while line.count('"') % 2 and len(line) <= _LONGEST_CELL and (more := next(lines, "")):
        line, number = line + more, number + 1  # a column name may go over several lines, in quotes
    candidates = {delimiter: _cells(line, delimiter) for delimiter in ([told] if told else _DELIMITERS)}
    best = max(candidates, key=lambda delimiter: (_known(candidates[delimiter]), len(candidates[delimiter])))
    if not _known(candidates[best]):
        raise ManifestError(
            name,
            "the first line is no header: it names no field of a manifest",
            "Begin with a line of column names, such as job_id;object_level_compare_type;conflict_policy. "
            "Is it JSON? Then say --format json or --format jsonl",
            line=number,
        )
    return _Header(candidates[best], best, number)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        row = next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in row]


def _known(cells: list[str]) -> int:
    """How many of *cells* name a column, or seem to be meant to."""
    return sum(_as_meant(cell) in CSV_FIELDS or cell.startswith(LABEL_PREFIX) for cell in cells)


def _as_meant(name: str) -> str:
    """*name* without capitals, and with underscores for what spreadsheets like better."""
    return name.lower().replace(" ", "_").replace("-", "_")


_Home = Literal["entry", "data level", "object list", "labels", "nowhere"]
"""Where in an entry the cells of a column go; nowhere where its name is none, or not known."""


def _home(name: str) -> _Home:
    if name.startswith(LABEL_PREFIX):
        return "labels"
    if name in OBJECT_LISTS:
        return "object list"
    if name in DATA_FIELDS:
        return "data level"
    return "entry" if name in CSV_FIELDS else "nowhere"


class _Rows(Batch):
    lines: list[int]
    usual: list[Usual | None]
    rows: list[list[str]]
    columns: "_Columns"

    def next(self, beyond: int = 0) -> "_Rows":
        """The one after it, with *beyond* elements in between."""
        return _Rows(self.index + len(self.rows) + beyond, [], [], [], self.columns)

    def element(self, place: int) -> Element:
        return self.columns.element(self.index + place, self.lines[place], self.rows[place])


class _Columns:
    """The header, understood: what becomes of the cell in each column."""

    def __init__(self, header: list[str], *, surely_whole: bool) -> None:
        self._width = len(header)
        self.faults = list(_header_faults(header))
        self._columns = [(_home(name), name.removeprefix(LABEL_PREFIX)) for name in header]
        self._nameless = [place for place, name in enumerate(header) if not name]
        self.usable = "job_id" in header
        self.usual_of: UsualOf = _never if self.faults else usual_under(header, surely_whole=surely_whole)

    def element(self, index: int, line: int, row: list[str]) -> Element:
        """The entry that *row* stands for, nested as the API's body is."""
        if len(row) != self._width and (fault := self._ragged(row)):
            return Element(index, line, None, None, [fault])
        faults: list[Fault] = []
        data: dict[str, Any] = {}
        info: dict[str, Any] = {}
        labels: dict[str, str] = {}
        for (home, name), cell in zip(self._columns, row, strict=False):
            if home == "labels":  # kept as they are
                if cell:
                    labels[name] = cell
            elif text := cell.strip():
                if home == "entry":
                    data[name] = text
                elif home == "data level":
                    info[name] = text
                elif home == "object list":
                    info[name] = _list_of(name, text, faults)
        if self._nameless:
            faults += self._stray(row)
        if info:
            data[DATA_LEVEL] = info
        if labels:
            data["labels"] = labels
        return Element(index, line, data, None, faults)

    def _stray(self, row: list[str]) -> Iterator[Fault]:
        """What stands in columns without a name."""
        for place in self._nameless:
            if place < len(row) and row[place].strip():
                mend = f"Name column {place + 1} in the header, or empty it"
                yield Fault(None, row[place], "stands in a column without a name", mend)

    def _ragged(self, row: list[str]) -> Fault | None:
        extra = row[self._width :]
        if extra and not any(cell.strip() for cell in extra):
            return None  # delimiters at the end, as spreadsheets like to leave them
        if extra:
            mend = "A cell that holds the delimiter stands in double quotes"
        else:
            mend = "Write a delimiter for each empty cell, too"
        return Fault(None, NO_VALUE, f"the row has {counted(len(row), 'cell')}, and the header {self._width}", mend)


def _never(row: list[str]) -> Usual | None:
    return None


def _list_of(name: str, cell: str, faults: list[Fault]) -> Any:
    try:
        return parse_cell(cell, short_form=name == "compare_object_infos")
    except BadCell as error:
        faults.append(Fault(name, cell, error.problem, error.mend))
        return UNREAD


UNREAD: Any = object()
"""Stands for a list that was given but cannot be read; the checks take it as given."""


def _header_faults(header: list[str]) -> Iterator[Fault]:
    for name, count in Counter(name for name in header if name).items():
        if count > 1:
            yield Fault(name, NO_VALUE, f"is the name of {count} columns", "Keep one of them, or rename the others")
        if name == LABEL_PREFIX:
            yield Fault(name, NO_VALUE, "names no label", "Write label.NAME, such as label.team")
        elif name not in CSV_FIELDS and not name.startswith(LABEL_PREFIX):
            yield Fault(name, NO_VALUE, "is no column of a manifest", _column_mend(name))
    if "job_id" not in header:
        yield Fault("job_id", NO_VALUE, "has no column", "Every entry names its DRS job in a column job_id")


def _column_mend(name: str) -> str:
    last = name.rpartition(".")[2]
    if last != name and last in CSV_FIELDS:
        return f"CSV columns are flat: write {last}"
    near = _as_meant(name) if _as_meant(name) in CSV_FIELDS else nearest(name, CSV_FIELDS)
    if near:
        return f"Did you mean {near}?"
    return f"For information of your own, call it {LABEL_PREFIX}{re.sub(r'[^A-Za-z0-9_-]+', '_', name).strip('_')}"


def _unreadable(message: str) -> Fault:
    match message:
        case "unexpected end of data":
            problem = "the double quote that opens a cell in this row is never closed"
            mend = "Close it; a double quote inside a quoted cell is written twice"
        case _ if "field larger than field limit" in message:
            problem = "a cell in this row is longer than 4 MB"
            mend = "Look for a double quote that is not closed"
        case _ if "expected after" in message:
            problem = "something follows a closing double quote before the next delimiter"
            mend = "Put the whole cell in double quotes, and write a double quote inside it twice"
        case _ if "new-line character" in message:
            problem = "there is a carriage return inside a cell without quotes"
            mend = "Put the cell in double quotes, or save the file with usual line ends"
        case _:
            problem, mend = f"the row cannot be read: {message}", "Mend the row"
    return Fault(None, NO_VALUE, problem, mend)
