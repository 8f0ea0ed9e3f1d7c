"""What of a job is compared: the request bodies it gets, or why it gets none. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Literal

import orjson
from msgspec import Struct

from batcher.discover.objects import ObjectSource, ReplicatedObjects
from batcher.discover.selection import LeftOut, LeftOutReason
from batcher.discover.support import LinkSupport, Support, has_schemas, support_of
from batcher.drs import guesses
from batcher.drs.fleet import JobDetail, ListedJob, SelectedObject
from batcher.manifest.fields import DATA_LEVEL

Compare = Literal["auto", "objects", "lines", "contents", "objects+lines"]
ConflictPolicy = Literal["keep", "cancel"]

_MAX_BODY = 11 * 1024 * 1024  # bytes; the gateway takes 12 MB


class Guess(StrEnum):
    """What the API reference leaves open and a manifest had to decide; each is changed by an option."""

    SCHEMA = "schema"
    NAMES = "names"
    BARE_DATABASE = "bare_database"
    SUPPORT = "support"


GUESS_SAID: Mapping[Guess, str] = {
    Guess.SCHEMA: "tables lie in schemas, for which the request has no place of its own (--schema-as)",
    Guess.NAMES: "source and target call something by different names, and one of them is written (--names)",
    Guess.BARE_DATABASE: "a database is written without tables, which may not mean all (--bare-databases, --tables)",
    Guess.SUPPORT: "no table of the documentation says whether the link can be compared so (--compare)",
}


class ComparisonOptions(Struct, frozen=True, kw_only=True):
    """What the operator wants compared. *only* and *without* are patterns over `database.table`, or over the table's
    name alone where they have no dot. *max_tables* None: as many as there are."""

    compare: Compare = "auto"
    conflict_policy: ConflictPolicy = "keep"
    databases_only: bool = False
    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    max_tables: int | None = guesses.MAX_TABLES
    schema_as: Literal["database", "prefix"] = guesses.SCHEMA_AS
    names_of: Literal["source", "target"] = guesses.NAMES_OF
    bare_databases: Literal["keep", "leave-out"] = guesses.BARE_DATABASES
    may_split: bool = True  # into parts, which takes a manifest for each

    @property
    def data_type(self) -> str | None:
        """The data-level comparison that is asked for."""
        return {"auto": "lines", "objects+lines": "lines", "objects": None}.get(self.compare, self.compare)

    @property
    def object_level(self) -> bool:
        """Whether the object level is asked for: never beside values, which bar it while they run."""
        return self.compare in ("auto", "objects", "objects+lines")


class ChosenComparisons(Struct, frozen=True, kw_only=True):
    """The comparisons of one job: a request body a part, to be run one after the other."""

    bodies: tuple[Mapping[str, Any], ...]
    labels: Mapping[str, str]
    guesses: frozenset[Guess]
    tables: int


Databases = dict[str, list[str]]
"""Database to its tables; none: the database alone."""


def choose(
    job: ListedJob, detail: JobDetail, objects: ReplicatedObjects | None, wanted: ComparisonOptions
) -> ChosenComparisons | LeftOut:
    """What is asked for of *job*, which is not `barred`. *objects* is None where only the object level is asked for."""
    support = support_of(job.kind, job.direction, job.engine)
    used = {Guess.SUPPORT} if Support.SILENT in _asked(support, wanted) else set[Guess]()
    databases: Databases = {}
    if objects is not None:
        databases = _databases(job, objects.objects, wanted, used)
        if shared := _shared_schemas(objects.objects, wanted):
            why = f"schema {shared[0]} lies in several of its databases: --schema-as prefix tells them apart"
            return LeftOut(LeftOutReason.AMBIGUOUS, why)
    tables = sum(map(len, databases.values()))
    parts: list[Databases] = [{}]
    if wanted.data_type is not None:
        if wanted.bare_databases == "leave-out" and not wanted.databases_only:
            databases = {name: named for name, named in databases.items() if named}
        if not databases:
            return _without_objects(detail, objects, wanted)
        if not wanted.databases_only and not all(databases.values()):
            used.add(Guess.BARE_DATABASE)
        if wanted.databases_only:
            used.add(Guess.BARE_DATABASE)
            databases = {name: [] for name in databases}
        parts = list(_parts(databases, wanted.max_tables))
    if len(parts) > 1 and not wanted.may_split:
        why = f"it has {tables:,} tables, more than --max-tables, and only a file can be split into parts"
        return LeftOut(LeftOutReason.TOO_MANY_TABLES, why)
    bodies = tuple(_body(job.id, part, wanted, first=number == 0) for number, part in enumerate(parts))
    if any(len(orjson.dumps(body)) > _MAX_BODY for body in bodies):
        why = "a request with all of its tables is longer than the gateway takes: split it with --max-tables"
        return LeftOut(LeftOutReason.TOO_MANY_TABLES, why)
    labels = _labels(job, detail, objects, tables, _asked(support, wanted))
    return ChosenComparisons(bodies=bodies, labels=labels, guesses=frozenset(used), tables=tables)


def _asked(support: LinkSupport, wanted: ComparisonOptions) -> list[Support]:
    asked = [support.objects] if wanted.object_level else []
    if wanted.data_type is not None:
        asked.append(support.contents if wanted.data_type == "contents" else support.lines)
    return asked


def barred(job: ListedJob, wanted: ComparisonOptions) -> LeftOut | None:
    """Why the link of *job* bars what is asked for, for which nothing need be asked of the cloud; None: it does not."""
    support = support_of(job.kind, job.direction, job.engine)
    if Support.NO not in _asked(support, wanted):
        return None
    if support.lines is Support.NO:
        why = f"on its link ({job.engine}, {job.direction or 'no direction told'}) only samples can be compared"
    else:
        why = f"values cannot be compared on its link ({job.engine}): --compare lines can"
    return LeftOut(LeftOutReason.NOT_SUPPORTED, why)


def _without_objects(detail: JobDetail, objects: ReplicatedObjects | None, wanted: ComparisonOptions) -> LeftOut:
    if objects is not None and objects.objects:
        return LeftOut(LeftOutReason.NO_OBJECTS, "--tables, --exclude-tables or --bare-databases leave nothing of it")
    everything = "it replicates everything, and " if detail.takes_all else ""
    why = f"{everything}nobody tells its databases; --compare objects needs none"
    return LeftOut(LeftOutReason.NO_OBJECTS, why if wanted.object_level else f"{everything}nobody tells its databases")


def _databases(
    job: ListedJob, objects: Iterable[SelectedObject], wanted: ComparisonOptions, used: set[Guess]
) -> Databases:
    """The objects by database, as a request names them; what patterns leave out is gone."""
    found: Databases = {}
    for item in objects:
        if (item.target_database or item.database) != item.database or (item.target_table or item.table) != item.table:
            used.add(Guess.NAMES)
        if item.schema is not None or has_schemas(job.engine):
            used.add(Guess.SCHEMA)
        database, table = _named(item, wanted)
        if not _is_wanted(database, table, wanted):
            continue
        tables = found.setdefault(database, [])
        if table is not None:
            tables.append(table)
    return {name: sorted(set(tables)) for name, tables in sorted(found.items())}


def _shared_schemas(objects: Iterable[SelectedObject], wanted: ComparisonOptions) -> list[str]:
    """Schemas that would be written as the same database although they lie in different ones: their tables would be one
    table in the request, and which database is meant nobody could tell."""
    lies_in: dict[str, set[str]] = {}
    if wanted.schema_as == "database":
        for item in objects:
            name, table = _named(item, wanted)
            if item.schema is not None and _is_wanted(name, table, wanted):
                lies_in.setdefault(name, set()).add(item.database)
    return sorted(name for name, databases in lies_in.items() if len(databases) > 1)


def _named(item: SelectedObject, wanted: ComparisonOptions) -> tuple[str, str | None]:
    database, schema, table = item.database, item.schema, item.table
    if wanted.names_of == "target":
        database = item.target_database or database
        schema = item.target_schema or schema
        table = item.target_table or table
    if schema is None:
        return database, table
    if wanted.schema_as == "database":
        return schema, table
    return database, None if table is None else f"{schema}.{table}"


def _is_wanted(database: str, table: str | None, wanted: ComparisonOptions) -> bool:
    if table is None:
        return wanted.only is None or any(_matches(database, None, pattern) for pattern in wanted.only)
    if any(_matches(database, table, pattern) for pattern in wanted.without):
        return False
    return wanted.only is None or any(_matches(database, table, pattern) for pattern in wanted.only)


def _matches(database: str, table: str | None, pattern: str) -> bool:
    of_database, dot, of_table = pattern.partition(".")
    if not dot:
        return table is not None and fnmatchcase(table, pattern)
    if not fnmatchcase(database, of_database):
        return False
    return of_table == "*" if table is None else fnmatchcase(table, of_table)


def _parts(databases: Databases, most: int | None) -> Iterable[Databases]:
    """The databases in parts of at most *most* tables each; a database alone counts as one."""
    part: Databases = {}
    room = most
    for name, tables in databases.items():
        rest: Sequence[str] = tables
        while True:
            if room == 0:
                yield part
                part, room = {}, most
            taken = rest if room is None else rest[: max(room, 1)]
            part[name] = list(taken)
            if room is not None:
                room -= max(1, len(taken))
            rest = rest[len(taken) :]
            if not rest:
                break
    yield part


def _body(job_id: str, databases: Databases, wanted: ComparisonOptions, *, first: bool) -> Mapping[str, Any]:
    body: dict[str, Any] = {"job_id": job_id}
    if wanted.object_level and first:
        body["object_level_compare_type"] = "objects"
    if wanted.data_type is not None:
        body[DATA_LEVEL] = {
            "conflict_policy": wanted.conflict_policy,
            "compare_type": wanted.data_type,
            "compare_mode": None,
            "start_time": None,
            "compare_object_infos": [
                {"db_name": name, **({"table_name": tables} if tables else {})} for name, tables in databases.items()
            ],
        }
    return body


def _labels(
    job: ListedJob, detail: JobDetail, objects: ReplicatedObjects | None, tables: int, asked: Sequence[Support]
) -> Mapping[str, str]:
    """What later steps choose and limit by. No description, message, address or user."""
    source = ObjectSource.NONE if objects is None else objects.source
    labels = {
        "job_name": job.name,
        "kind": job.kind,
        "engine": job.engine,
        "direction": job.direction,
        "source_instance": detail.source_instance,
        "target_instance": detail.target_instance,
        "tables": str(tables) if tables else None,
        "objects_from": None if source is ObjectSource.NONE else source.value,
        "support": (Support.SILENT if Support.SILENT in asked else Support.YES).value,
    }
    return {name: value for name, value in labels.items() if value}
