"""`compare_object_infos` in one CSV cell: the API's JSON, or `db: table1, table2; db2: table3; db3`."""

import re
from typing import Any

from batcher.errors import BatcherError
from batcher.manifest.damage import KNOWN_NOTHINGS, QUOTE_SIGNS, unquoted
from batcher.manifest.fields import EXAMPLES
from batcher.manifest.formats.strict_json import NotJson, parse, twice_keys
from batcher.manifest.meant import FULL_WIDTH, Databases, meant, oddity, written
from batcher.masking import mask_text
from batcher.text import printable

_FORM = "Write db: table1, table2; db2: table3; db3"
_RESERVED = re.compile(r'[:,;\[\]{}"\x00-\x1f]')
_BRACKETS = re.compile(r"\[[^][{}\",]+\][.:]")  # SQL Server's quotes
_LISTS = re.compile(r"(:\s*)(?:\[([^][():;]*)\]|\(([^][():;]*)\))(?=\s*(?:;|$))")  # brackets around the tables
_ODD = re.compile(r"[^\w:,; $-]")  # in a cell without these, only words for nothing are odd
_TO_ASCII = str.maketrans(FULL_WIDTH)
_NOTHINGS = frozenset(KNOWN_NOTHINGS)
_LONGEST_MEND = 200  # characters of the form that was meant
_REALLY_SO = "A name that is really so needs the JSON form"


class BadCell(BatcherError, ValueError):
    """The cell is neither form; the text says where it goes wrong."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.mend = mend


def parse_cell(text: str, name: str = "compare_object_infos") -> Any:
    """The list that the cell *text* of the column *name* stands for. Raises `BadCell`.

    A database alone stands for itself without `table_name`. What the JSON form holds is not checked here.
    """
    if name != "compare_object_infos" or (text[:1] in "[{" and not _BRACKETS.match(text)):
        return _json(text, name)
    return [
        {"db_name": name} if tables is None else {"db_name": name, "table_name": tables}
        for name, tables in databases(text)
    ]


def databases(text: str) -> Databases:
    """Each database of the short form *text*, with its tables if it names any. Raises `BadCell`."""
    odd = _ODD.search(text) is not None
    if odd and any(sign in text for sign in FULL_WIDTH):
        raise BadCell("has full-width signs between its names", _mend(text))
    try:
        found = _databases(text)
    except BadCell as error:
        raise BadCell(error.problem, _mend(text) if odd else error.mend) from None
    odd = odd or (len(found) > 1 and len(dict(found)) != len(found))
    for name, tables in found:
        odd = odd or name in _NOTHINGS or (tables is not None and not _are_usual(tables))
    if odd and (told := oddity(found)) is not None:
        raise BadCell(told[0], told[1] or _mend(text))
    return found


def tables_in(text: str) -> list[str] | None:
    """The tables that *text*, which stands behind a colon, names; None where it takes a closer look."""
    if _ODD.search(text) is not None or ":" in text or ";" in text:
        return None
    tables = [table.strip() for table in text.split(",")]
    return tables if all(tables) and _are_usual(tables) else None


def _are_usual(tables: list[str]) -> bool:
    names = set(tables)
    return len(names) == len(tables) and names.isdisjoint(_NOTHINGS)


def _databases(text: str) -> Databases:
    parts = text.split(";")
    if len(parts) > 1 and not parts[-1].strip():
        del parts[-1]
    return [_database(part.strip(), number) for number, part in enumerate(parts, 1)]


def _database(part: str, number: int) -> tuple[str, list[str] | None]:
    name, colon, tables_text = part.partition(":")
    name = name.strip()
    if not name:
        what = "names tables, but no database before the colon" if part else "names no database"
        raise BadCell(f"{what} in part {number}", _FORM)
    if not colon:
        if "," in name:
            raise BadCell(f"has a comma, but no database before a colon, in part {number}", _FORM)
        return name, None
    tables = [table.strip() for table in tables_text.split(",")]
    if ":" in tables_text:
        mend = 'Databases are separated by semicolons; a name with a colon needs the JSON form, [{"db_name": "…"}]'
        raise BadCell(f"has two colons in part {number}", mend)
    if not all(tables):
        raise BadCell(f"has an empty table name in part {number}", f"{_FORM}; a database alone stands for the whole")
    return name, tables


def _json(text: str, name: str) -> Any:
    try:
        value = parse(text)
    except NotJson as error:
        place = "" if error.pos is None else f" at character {error.pos + 1}"
        raise BadCell(f"is not JSON{place}: {error.problem}", f"Write {EXAMPLES[name]}") from None
    if twice := twice_keys(value, text):
        raise BadCell(f'has the key "{printable(twice[0], 80)}" twice in one object', "Keep the one that is meant")
    return value


def format_cell(infos: list[dict[str, Any]]) -> str | None:
    """*infos* in the short form; None where a name needs the JSON form."""
    form: Databases = [(info["db_name"], info.get("table_name") or None) for info in infos]
    if any(_RESERVED.search(name) or not name for known, tables in form for name in (known, *(tables or ()))):
        return None
    text = written(form)
    try:
        return text if databases(text) == form else None
    except BadCell:
        return None


def _mend(text: str) -> str:
    """How *text* is written in the short form, where it can be told what is meant."""
    try:
        form = meant(_databases_of(_LISTS.sub(r"\1\2\3", unquoted(text.translate(_TO_ASCII)))))
        found = _databases(written(form))
    except BadCell:
        return f"{_FORM}. {_REALLY_SO}"
    if found != form or oddity(form) is not None or not QUOTE_SIGNS.isdisjoint(written(form)):
        return f"{_FORM}. {_REALLY_SO}"
    return f"Write {printable(mask_text(written(form)), _LONGEST_MEND)}. {_REALLY_SO}"


def _databases_of(text: str) -> Databases:
    """As `_databases`; but `shop.orders, shop.items` without a colon are two of them."""
    parts = [part.split(",") if ":" not in part and "." in part else [part] for part in text.split(";")]
    return _databases("; ".join(piece for pieces in parts for piece in pieces if piece.strip()))
