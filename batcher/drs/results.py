"""What the cloud tells of finished and running comparisons, as values: pages of their results.

The words for how something compares (`CONSISTENT`, `INCONSISTENT`, …) are the cloud's own, as verdict lines repeat
them. Row counts, names and keys are data of the customer's databases: never log them.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from batcher.drs import guesses


class ResultKind(StrEnum):
    """The three kinds of results. A query may ask for one comparison of each."""

    OBJECTS = "objects"
    ROWS = "rows"
    VALUES = "values"


_KINDS = {**dict.fromkeys(guesses.OBJECT_LEVEL_TYPES, ResultKind.OBJECTS)}
_KINDS |= {"lines": ResultKind.ROWS, "contents": ResultKind.VALUES}


def kind_of_results(compare_type: str | None) -> ResultKind | None:
    """The kind of the results of a comparison of *compare_type*; None: no query reads any."""
    return _KINDS.get(compare_type or "")


class ResultPage(Struct, frozen=True, kw_only=True):
    """One page of the results of one kind. *compare_task_id* is the comparison they are of; None: not said.

    *error_code* and *error_msg* are set where they could not be told. *longest* is the length of the longest list: one
    as long as the page asked for may not be the last.
    """

    compare_task_id: str | None = None
    error_code: str | None = None
    error_msg: str | None = None
    longest: int = 0


class TableResult(Struct, frozen=True, kw_only=True):
    """How one table compares. What is not told is None."""

    database: str | None
    table: str | None
    target_database: str | None
    target_table: str | None
    result: str
    source_rows: int | None
    target_rows: int | None
    diff_rows: int | None
    message: str | None


class DatabaseResult(Struct, frozen=True, kw_only=True):
    """How one database compares. *result* is None where the page does not say; *length* is the cloud's count of its
    tables, of which *tables* are those on the page."""

    name: str | None
    target: str | None = None
    result: str | None = None
    length: int | None = None
    tables: tuple[TableResult, ...] = ()


class TableResults(ResultPage, frozen=True, kw_only=True):
    """A page of a row or value comparison's results. *length* is the cloud's count of databases; None: not told."""

    databases: tuple[DatabaseResult, ...] = ()
    length: int | None = None


class ObjectTypeResult(Struct, frozen=True, kw_only=True):
    """How all objects of one type compare."""

    object_type: str
    result: str | None
    source_count: int | None
    target_count: int | None
    diff_count: int | None


class DifferingObject(Struct, frozen=True, kw_only=True):
    """An object that differs. A value that is empty or None is missing on that side."""

    source_database: str | None
    target_database: str | None
    source_value: str | None
    target_value: str | None
    message: str | None


class ObjectResults(ResultPage, frozen=True, kw_only=True):
    """A page of an object-level comparison's results: its types, and the objects that differ, by their type."""

    types: tuple[ObjectTypeResult, ...] = ()
    objects: Mapping[str, tuple[DifferingObject, ...]] = {}
