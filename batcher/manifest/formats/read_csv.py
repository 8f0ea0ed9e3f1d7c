"""CSV as spreadsheets write it: comma, semicolon or tab, quotes, a header; one entry a row."""

import csv
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, Literal

from batcher.manifest.errors import ManifestError
from batcher.manifest.fields import CSV_FIELDS, DATA_FIELDS, DATA_LEVEL, LABEL_PREFIX, OBJECT_LISTS
from batcher.manifest.formats.element import NO_VALUE, UNREAD, Batch, Element, Flaw, RegularElement, SingleElement
from batcher.manifest.formats.header import DELIMITERS, INDEX_MEND, drawn_table, header_flaws, is_rule, read_header
from batcher.manifest.formats.regular_csv import RegularOf, regular_under
from batcher.manifest.formats.source import Source
from batcher.manifest.short_form import BadCell, parse_cell
from batcher.text import counted

if TYPE_CHECKING:
    from _csv import Reader

_BATCH = 1 << 15  # characters
_LONGEST_CELL = 4 * 1024 * 1024


_NO_FURTHER = "What stands below cannot be told until then"


class HeaderFlaw:
    """Something wrong with the header, or with the file as a whole, in *line*."""

    __slots__ = ("flaw", "line")

    def __init__(self, line: int, flaw: Flaw) -> None:
        self.line = line
        self.flaw = flaw


def read_csv(source: Source) -> Iterator[Batch | HeaderFlaw]:
    """The rows of a CSV file, in order. Raises `ManifestError` where there is no header to read them by."""
    csv.field_size_limit(_LONGEST_CELL)  # the default, 128 kB, is short for a list of some thousand tables
    with source.text(newline="") as text:
        lines = _CappedLines(text)
        header = read_header(source.name, lines.all)
        columns = _Columns(header.names, header.delimiter, surely_whole=source.encoding == "utf-8-sig")
        yield from (HeaderFlaw(header.line, flaw) for flaw in columns.flaws)
        if columns.usable:
            reader = csv.reader(lines.all, delimiter=header.delimiter, strict=True)
            rows = _rows(source.name, reader, lines, header.line, columns)
            first = next(rows)
            if first.lines:
                yield from columns.flaws_of_first(source.name, first)
            yield first
            yield from rows


class _CappedLines:
    """The lines of *text*, each up to the length of a cell: one without an end must not fill the memory."""

    def __init__(self, text: IO[str]) -> None:
        self.all = self._read(text)
        self.size = 0  # of those so far

    def _read(self, text: IO[str]) -> Iterator[str]:
        while line := text.readline(_LONGEST_CELL):
            self.size += len(line)
            yield line


def _rows(
    name: str, reader: "Reader", read: "_CappedLines", above: int, columns: "_Columns"
) -> Iterator["_Rows | SingleElement"]:
    """The rows of *reader*, which begin below *above* lines. Raises `ManifestError` where rows are lost in a cell."""
    batch, until = _Rows(0, [], [], [], columns), read.size + _BATCH
    begin = above + 1
    while True:
        try:
            for row in reader:
                regular = columns.regular_of(row)
                if regular is not None or (any(row) and not "".join(row).isspace()):
                    batch.rows.append(row)
                    batch.lines.append(begin)
                    batch.regular.append(regular)
                    if read.size >= until:
                        yield batch
                        batch, until = batch.next(), read.size + _BATCH
                begin = above + reader.line_num + 1
            yield batch
            return
        except csv.Error as error:
            yield batch
            flaw, end = _unreadable(str(error)), above + reader.line_num
            if end > begin or "field larger" in str(error):
                raise ManifestError(name, flaw.problem, f"{flaw.mend}. {_NO_FURTHER}", line=begin) from None
            yield SingleElement.of(Element(batch.index + len(batch.rows), begin, None, None, [flaw]))
            batch = batch.next(1)
            begin = end + 1
        except UnicodeDecodeError:
            yield batch
            raise


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
    regular: list[RegularElement | None]
    rows: list[list[str]]
    columns: "_Columns"

    def next(self, beyond: int = 0) -> "_Rows":
        """The one after it, with *beyond* elements in between."""
        return _Rows(self.index + len(self.rows) + beyond, [], [], [], self.columns)

    def element(self, place: int) -> Element:
        return self.columns.element(self.index + place, self.lines[place], self.rows[place])


class _Columns:
    """The header, understood: what becomes of the cell in each column."""

    def __init__(self, header: list[str], delimiter: str, *, surely_whole: bool) -> None:
        self._width = len(header)
        self._delimiter = delimiter
        self.flaws = list(header_flaws(header))
        self._columns = [(_home(name), name.removeprefix(LABEL_PREFIX)) for name in header]
        self._nameless = [place for place, name in enumerate(header) if not name]
        self.usable = "job_id" in header
        self.regular_of: RegularOf = _never if self.flaws else regular_under(header, surely_whole=surely_whole)

    def element(self, index: int, line: int, row: list[str]) -> Element:
        """The entry that *row* stands for, nested as the API's body is."""
        if len(row) != self._width and (flaw := self._ragged(row)):
            return Element(index, line, None, None, [flaw])
        flaws: list[Flaw] = []
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
                    info[name] = _list_of(name, text, flaws)
        if self._nameless:
            flaws += self._stray(row)
        if info:
            data[DATA_LEVEL] = info
        if labels:
            data["labels"] = labels
        return Element(index, line, data, None, flaws)

    def flaws_of_first(self, name: str, first: "Batch") -> Iterator[HeaderFlaw]:
        """What the *first* row says of the whole file *name*. Raises `ManifestError` where no row can be read."""
        if not isinstance(first, _Rows):
            return
        row, line = first.rows[0], first.lines[0]
        if is_rule(row):
            raise drawn_table(name, line)
        if (flaw := self._other_delimiter(row)) is not None:
            raise ManifestError(name, flaw.problem, flaw.mend, line=line)
        if len(row) == self._width + 1 and row[0].strip().isdigit():
            problem = "the rows have one cell more than the header, a number in front"
            raise ManifestError(name, problem, INDEX_MEND, line=line)
        if 0 in self._nameless and row[0].strip():
            self._nameless.remove(0)
            mend = f"{INDEX_MEND}. Otherwise name the column"
            yield HeaderFlaw(line, Flaw(None, NO_VALUE, "the first column has no name in the header", mend))

    def _stray(self, row: list[str]) -> Iterator[Flaw]:
        """What stands in columns without a name."""
        for place in self._nameless:
            if place < len(row) and row[place].strip():
                mend = f"Name column {place + 1} in the header, or empty it"
                yield Flaw(None, row[place], "stands in a column without a name", mend)

    def _ragged(self, row: list[str]) -> Flaw | None:
        """What is wrong with a row of another width; nothing where only empty cells at its end are too many or few."""
        extra = row[self._width :]
        if any(cell.strip() for cell in extra):
            mend = "A cell that holds the delimiter stands in double quotes"
            return Flaw(None, NO_VALUE, f"the row has {counted(len(row), 'cell')}, and the header {self._width}", mend)
        if extra:
            return None
        if len(row) == 1 and row[0].lstrip()[:1] == "#":
            return Flaw(None, row[0], "is a comment, and a manifest has none", "Take the line out")
        return self._other_delimiter(row)

    def _other_delimiter(self, row: list[str]) -> Flaw | None:
        """What tells that *row* is written with another delimiter than the header."""
        for delimiter, name in DELIMITERS.items():
            count = sum(cell.count(delimiter) for cell in row)
            if delimiter == self._delimiter or not count or len(row) >= self._width:
                continue
            if len(row) == 1 or count == self._width - 1:
                problem = f"the row has its cells separated by {name}, and the header by {DELIMITERS[self._delimiter]}"
                return Flaw(None, NO_VALUE, problem, "Use one delimiter in the whole file")
        return None


def _never(row: list[str]) -> RegularElement | None:
    return None


def _list_of(name: str, cell: str, flaws: list[Flaw]) -> Any:
    try:
        return parse_cell(cell, name)
    except BadCell as error:
        flaws.append(Flaw(name, cell, error.problem, error.mend))
        return UNREAD


def _unreadable(message: str) -> Flaw:
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
    return Flaw(None, NO_VALUE, problem, mend)
