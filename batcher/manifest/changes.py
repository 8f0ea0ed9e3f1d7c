"""What came, went and changed between two manifests, job by job. Pure, but for the reading.

Entries are matched by scope, job and what kind of comparison they ask for, and in manifest order where a manifest has
several of these; keys say nothing here, as a default key changes with the body.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from msgspec import Struct

from batcher.manifest.entry import Entry
from batcher.manifest.fields import DATA_LEVEL

Name = tuple[str, str, str, str, int]
"""Endpoint, project, job, kind of comparison, and which of several."""


class ManifestChange(Struct, frozen=True, kw_only=True):
    """One entry that is in one of the manifests only, or differs between them.

    *tables_came* and *tables_went* are `database.table`, or a database alone; *fields* say what else differs, each with
    its name, before and after.
    """

    what: str  # came, went, changed
    endpoint: str
    project_id: str
    job_id: str
    kind: str
    key: str
    tables_came: tuple[str, ...] = ()
    tables_went: tuple[str, ...] = ()
    fields: tuple[tuple[str, str, str], ...] = ()


class _ComparedEntry(Struct, frozen=True):
    key: str
    tables: frozenset[str]
    fields: Mapping[str, str]


def changes(before: Iterable[Entry], after: Iterable[Entry], *, parts_as_one: bool = False) -> Iterator[ManifestChange]:
    """The changes from *before* to *after*, by scope and job. With *parts_as_one* the parts of a job that was split are
    one entry: a table that only moved from one to the next is no change."""
    old = {name: _whole(parts) for name, parts in _by_name(before, parts_as_one).items()}
    new = {name: _whole(parts) for name, parts in _by_name(after, parts_as_one).items()}
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        one = now or was
        assert one is not None  # noqa: S101 - the name is from one of the two
        change = ManifestChange(
            what="came" if was is None else "went" if now is None else "changed",
            endpoint=name[0],
            project_id=name[1],
            job_id=name[2],
            kind=name[3],
            key=one.key,
        )
        if was is None or now is None:
            yield change
        elif was.tables != now.tables or was.fields != now.fields:
            yield ManifestChange(
                what="changed",
                endpoint=name[0],
                project_id=name[1],
                job_id=name[2],
                kind=name[3],
                key=now.key,
                tables_came=tuple(sorted(now.tables - was.tables)),
                tables_went=tuple(sorted(was.tables - now.tables)),
                fields=tuple(_differing(was.fields, now.fields)),
            )


def _by_name(entries: Iterable[Entry], parts_as_one: bool) -> dict[Name, list[_ComparedEntry]]:
    found: dict[Name, list[_ComparedEntry]] = {}
    for entry in entries:
        body = orjson.loads(entry.body)
        info = body.get(DATA_LEVEL) or {}
        level, kind = body.get("object_level_compare_type"), info.get("compare_type")
        compared = "+".join(filter(None, [level, kind]))
        seen = _ComparedEntry(entry.key, frozenset(_tables(info)), _fields(entry, info))
        number = 0
        if parts_as_one:
            name = (entry.endpoint, entry.project_id, entry.job_id, kind or level or "", 0)
            fields = {field: value for field, value in seen.fields.items() if field != "label.part"}
            found.setdefault(name, []).append(_ComparedEntry(seen.key, seen.tables, fields | {"compared": compared}))
            continue
        while (name := (entry.endpoint, entry.project_id, entry.job_id, compared, number)) in found:
            number += 1
        found[name] = [seen]
    return found


def _whole(parts: list[_ComparedEntry]) -> _ComparedEntry:
    """The parts of an entry in one: the first has all that is asked for beside tables."""
    return _ComparedEntry(parts[0].key, frozenset().union(*(part.tables for part in parts)), parts[0].fields)


def _tables(info: Mapping[str, Any]) -> Iterator[str]:
    for database in info.get("compare_object_infos") or ():
        tables = database.get("table_name")
        yield from (f"{database['db_name']}.{table}" for table in tables) if tables else (database["db_name"],)
    for database in info.get("compare_object_infos_with_token") or ():
        tables = database.get("table_name_with_token")
        yield from (f"{database['db_name']}.{_ranged(table)}" for table in tables) if tables else (database["db_name"],)


def _ranged(table: Mapping[str, Any]) -> str:
    tokens = (table.get("min_token"), table.get("max_token"))
    name: str = table["table_name"]
    return name if tokens == (None, None) else f"{name}[{tokens[0]}..{tokens[1]}]"


def _fields(entry: Entry, info: Mapping[str, Any]) -> dict[str, str]:
    named = {name: info.get(name) for name in ("conflict_policy", "compare_mode", "start_time")}
    labels = {f"label.{name}": value for name, value in entry.labels.items()}
    whole = {**named, "x_language": entry.x_language, **labels}
    return {name: str(value) for name, value in whole.items() if value is not None}


def _differing(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield name, was.get(name, ""), now.get(name, "")
