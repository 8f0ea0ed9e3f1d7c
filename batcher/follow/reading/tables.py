"""The reading of a row or value comparison: databases and their tables."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from batcher.drs.results import DatabaseResult, ResultPage, TableResult, TableResults
from batcher.follow.reading.result import TABLE, field_of, problem_of, share_done
from batcher.follow.verdict import CompareResult, Counts, Difference


@dataclass(slots=True)
class ResultDatabase:
    """What was read of one database so far. *length* is the cloud's count of its tables; None: not told."""

    name: str | None
    target: str | None = None
    result: str | None = None
    length: int | None = None
    tables: dict[tuple[str | None, str | None], TableResult] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether the cloud says so of the whole database, and nothing that was read says otherwise."""
        return self.result == CompareResult.CONSISTENT and all(
            table.result == CompareResult.CONSISTENT for table in self.tables.values()
        )

    @property
    def unread(self) -> int:
        """Tables that the cloud counts and that were not read."""
        return max(0, (self.length or 0) - len(self.tables))


class TableReading:
    """The reading of a row or value comparison."""

    def __init__(self) -> None:
        self._databases: dict[str | None, ResultDatabase] = {}
        self._length: int | None = None
        self._more = True
        self.problem: str | None = None

    def add(self, page: ResultPage | None, per_page: int) -> bool:
        """Take in one page; True: the next one may tell more."""
        self.problem = problem_of(page)
        if not isinstance(page, TableResults) or self.problem is not None:
            self._more = False
            return False
        before = self._size()
        self._length = page.length if page.length is not None else self._length
        for told in page.databases:
            self._take(told)
        news = self._size() > before
        self._more = news and (self._lacking() or (page.longest >= per_page and not self._counted()))
        return self._more

    def _take(self, told: DatabaseResult) -> None:
        database = self._databases.setdefault(told.name, ResultDatabase(told.name))
        database.target = told.target or database.target
        database.result = told.result or database.result
        if told.length is not None:
            database.length = max(told.length, database.length or 0)
        database.tables.update({(table.table, table.target_table): table for table in told.tables})

    def _size(self) -> int:
        return self._overviews + sum(len(database.tables) for database in self._databases.values())

    @property
    def _overviews(self) -> int:
        return sum(database.result is not None for database in self._databases.values())

    def _counted(self) -> bool:
        """Whether the cloud told the length of every list, so that a full page means nothing."""
        return self._length is not None and all(d.length is not None for d in self._databases.values())

    def _lacking(self) -> bool:
        return self._overviews < (self._length or 0) or any(
            database.unread and not database.agrees for database in self._databases.values()
        )

    @property
    def complete(self) -> bool:
        """Whether all pages that matter have been read."""
        return bool(self._databases) and not self._more and not self._lacking()

    @property
    def done(self) -> float | None:
        """Which part of a running comparison is done, 0 to 1; None: that cannot be told."""
        tables = [table.result for database in self._databases.values() for table in database.tables.values()]
        return share_done(tables or [database.result for database in self._databases.values()])

    def counts(self) -> Counts | None:
        """How many tables were compared, and what came of them; None: nothing could be read.

        A table that could not be read counts as one that was not compared.
        """
        if not self._databases:
            return None
        counted: dict[str, int] = {}
        for database in self._databases.values():
            for result, count in _results(database):
                name = field_of(result)
                counted[name] = counted.get(name, 0) + count
        return Counts(compared=sum(counted.values()), **counted)

    def differences(self) -> tuple[Difference, ...]:
        """The tables that are not known to agree."""
        return tuple(difference for database in self._databases.values() for difference in _differences(database))


def _results(database: ResultDatabase) -> Iterator[tuple[str | None, int]]:
    """Results with how many tables have them; a database of which no table is told counts as one."""
    for table in database.tables.values():
        yield table.result, 1
    if database.unread:
        yield (CompareResult.CONSISTENT if database.agrees else None), database.unread
    elif _as_a_whole(database):
        yield database.result, 1


def _as_a_whole(database: ResultDatabase) -> bool:
    """Whether the database differs by itself, and not by a table that is told."""
    if field_of(database.result) == "consistent" or (database.result is None and database.length is not None):
        return False
    return all(field_of(table.result) == "consistent" for table in database.tables.values()) and not database.unread


def _differences(database: ResultDatabase) -> Iterator[Difference]:
    for table in database.tables.values():
        if table.result != CompareResult.CONSISTENT:
            yield Difference(
                object_type=TABLE,
                database=table.database,
                table=table.table,
                target_database=table.target_database,
                target_table=table.target_table,
                result=table.result,
                source_count=table.source_rows,
                target_count=table.target_rows,
                diff_count=table.diff_rows,
                source_value=None,
                target_value=None,
                message=table.message,
            )
    if _as_a_whole(database):
        yield Difference(
            object_type="DB",
            database=database.name,
            table=None,
            target_database=database.target,
            target_table=None,
            result=database.result or "",
            source_count=None,
            target_count=None,
            diff_count=None,
            source_value=None,
            target_value=None,
            message=None,
        )
