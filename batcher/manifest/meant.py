"""The short form of an object list as other tools and hands write it, and the form that was meant."""

from collections.abc import Sequence

from batcher.manifest.damage import KNOWN_NOTHINGS, QUOTES, ExpectedText, damage_of, unquoted
from batcher.manifest.findings import shown

Databases = list[tuple[str, list[str] | None]]
"""Databases, each with its tables if it names any."""

FULL_WIDTH = {"：": ":", "，": ",", "；": ";", "、": ","}  # noqa: RUF001 - as Chinese keyboards write them
"""Signs that stand between names, as Chinese keyboards write them, and what they stand for."""

_HALVES = {**QUOTES, "(": ")", "{": "}"}
_OPENING = {closing: opening for opening, closing in _HALVES.items()}


def written(databases: Databases) -> str:
    """The short form of *databases*."""
    return "; ".join(f"{name}: {', '.join(tables)}" if tables else name for name, tables in databases)


def oddity(databases: Databases) -> tuple[str, str | None] | None:
    """What is odd about the names of *databases*, and its mend where that is not the form that was meant."""
    for name, tables in databases:
        for table, place in ((name, "database"), *((table, "table") for table in tables or ())):
            if table in KNOWN_NOTHINGS:
                told = f'has the {place} "{shown(table)}", a word for nothing: {KNOWN_NOTHINGS[table]}'
                return told, "Leave it out, or leave the cell empty. A name that is really so needs the JSON form"
            if damage := damage_of(table, ExpectedText.NAME):
                mend = damage.mend if unquoted(table) == table else None
                return f'has the {place} "{shown(table)}", which {damage.problem}', mend
            if _bare(table) != table and place == "table":
                return f'has the table "{shown(table)}", of which a part stands in quotes of its own', None
            if _is_half(table):
                return f'has the {place} "{shown(table)}", with a quote or bracket that has no other half', None
        if odd := _shape(name, tables):
            return odd, None
    return (odd, None) if (odd := _again(databases)) else None


def _again(databases: Databases) -> str | None:
    """What is named twice, in one part or in two."""
    seen: set[tuple[str, str | None]] = set()
    whole = {name for name, tables in databases if not tables}
    for name, tables in databases:
        if tables and name in whole:
            return f"names {shown(name)} as a whole, and tables of it as well"
        for table in tables or (None,):
            if (name, table) in seen:
                what = f"{shown(name)} twice" if table is None else f'the table "{shown(table)}" of {shown(name)} twice'
                return f"names {what}"
            seen.add((name, table))
    return None


def _shape(name: str, tables: Sequence[str] | None) -> str | None:
    if any("*" in one for one in (name, *(tables or ()))):
        return "has a *, and there are no patterns: a database alone stands for all its tables"
    if tables is None:
        return f'has the database "{shown(name)}" with a point in it, and no table' if "." in name else None
    if again := next((table for table in tables if table.startswith(f"{name}.")), None):
        return f'names the database again in the table "{shown(again)}"'
    return None


def _bare(name: str) -> str:
    """*name* without quotes around any of its parts: `[dbo].[orders]`."""
    return ".".join(map(unquoted, name.split(".")))


def _is_half(name: str) -> bool:
    """Whether *name* begins with a quote or bracket, or ends with one, that has no other half in it."""
    begin, end = _HALVES.get(name[0]), _OPENING.get(name[-1])
    return (begin is not None and begin not in name[1:]) or (end is not None and end not in name[:-1])


def meant(databases: Databases) -> Databases:
    """*databases* without quotes, stars, and database names that stand before a table; each database and table once."""
    by_name: dict[str, list[str] | None] = {}
    for name, tables in databases:
        known, own = _split(name, tables)
        before = by_name.get(known, [])
        whole = own is None or "*" in own or before is None
        by_name[known] = None if whole else list(dict.fromkeys([*(before or ()), *(own or ())]))
    return list(by_name.items())


def _split(name: str, tables: Sequence[str] | None) -> tuple[str, list[str] | None]:
    head, point, rest = unquoted(name).partition(".")
    if tables is None:
        return unquoted(head), [unquoted(rest)] if point else None
    known = unquoted(name)
    return known, [_without(known, unquoted(table)) for table in tables]


def _without(database: str, table: str) -> str:
    """*table* without *database* before it: `shop.orders`, `` `shop`.`orders` ``."""
    head, point, rest = table.partition(".")
    return _bare(rest) if point and unquoted(head) == database else _bare(table)
