"""`compare_object_infos` in one CSV cell: the API's JSON, or `db: table, table; db2: table; db3`."""

import re
from typing import Any

from batcher.manifest.strict_json import NotJson, parse, twice_keys

_FORM = "Write db: table, table; db2: table; db3"
_RESERVED = re.compile(r'[:,;\[\]{}"\x00-\x1f]')


class BadCell(ValueError):
    """The cell is neither form; the text says where it goes wrong."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.mend = mend


def parse_cell(text: str, *, short_form: bool = True) -> Any:
    """The list that the cell *text* stands for. Raises `BadCell`.

    A database alone stands for itself without `table_name`. What the JSON form holds is not checked here.
    """
    if text[:1] in "[{" or not short_form:
        return _json(text)
    return [
        {"db_name": name} if tables is None else {"db_name": name, "table_name": tables}
        for name, tables in databases(text)
    ]


def databases(text: str) -> list[tuple[str, list[str] | None]]:
    """Each database of the short form *text*, with its tables if it names any. Raises `BadCell`."""
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


def _json(text: str) -> Any:
    try:
        value = parse(text)
    except NotJson as error:
        place = "" if error.pos is None else f" at character {error.pos + 1}"
        raise BadCell(
            f"is not JSON{place}: {error.problem}", 'Write [{"db_name": "db", "table_name": ["t1", "t2"]}]'
        ) from None
    if twice := twice_keys(value, text):
        raise BadCell(f'has the key "{twice[0]}" twice in one object', "Keep the one that is meant")
    return value


def format_cell(infos: list[dict[str, Any]]) -> str | None:
    """*infos* in the short form; None where a name needs the JSON form."""
    parts = []
    for info in infos:
        names = [info["db_name"], *(info.get("table_name") or [])]
        if any(_RESERVED.search(name) or name != name.strip() or not name for name in names):
            return None
        tables = info.get("table_name")
        parts.append(f"{names[0]}: {', '.join(names[1:])}" if tables else names[0])
    return "; ".join(parts)
