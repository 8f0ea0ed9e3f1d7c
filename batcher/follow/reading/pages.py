"""One page of a row or value comparison's results, in one shape for both."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from batcher.drs.v3.query_compare_result import ContentCompareDetail, QueryCompareResultResponse
from batcher.follow.reading.result import problem_of
from batcher.follow.verdict import CompareResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table's row of the results."""

    database: str | None
    table: str | None
    target_database: str | None
    target_table: str | None
    result: str
    source_rows: int | None
    target_rows: int | None
    diff_rows: int | None
    message: str | None


@dataclass(slots=True)
class Database:
    """One database of the results. *length* is the cloud's count of its tables; None: not told."""

    name: str | None
    target: str | None = None
    result: str | None = None
    length: int | None = None
    tables: dict[tuple[str | None, str | None], Table] = field(default_factory=dict)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a row or value comparison's results. *length* is the count of databases; None: not told."""

    databases: tuple[Database, ...]
    length: int | None
    full: bool  # some list is as long as the page: there may be more of it, whatever the counts say


def line_page(answer: QueryCompareResultResponse, per_page: int) -> Page | str:
    """The row comparison's page; a text: why there is none."""
    block = answer.line_compare_results
    problem = problem_of(block)
    if block is None or problem is not None:
        return problem or ""
    databases = _overviews(
        (one.source_db_name, one.target_db_name, one.line_compare_result) for one in block.line_compare_overview or ()
    )
    full = len(block.line_compare_overview or ()) >= per_page
    for details in block.line_compare_details or ():
        database = databases.setdefault(details.source_db_name, Database(details.source_db_name))
        database.length = details.line_compare_detail_count
        rows = details.line_compare_detail or []
        full = full or len(rows) >= per_page
        for row in rows:
            database.tables[row.source_table_name, row.target_table_name] = Table(
                database=details.source_db_name,
                table=row.source_table_name,
                target_database=database.target,
                target_table=row.target_table_name,
                result=row.line_compare_result or "",
                source_rows=row.source_row_num,
                target_rows=row.target_row_num,
                diff_rows=row.diff_row_num,
                message=row.message or None,
            )
    return Page(databases=tuple(databases.values()), length=block.line_compare_overview_count, full=full)


def content_page(answer: QueryCompareResultResponse, per_page: int) -> Page | str:
    """The value comparison's page; a text: why there is none. Its differing rows are never looked at."""
    block = answer.content_compare_results
    problem = problem_of(block)
    if block is None or problem is not None:
        return problem or ""
    databases = _overviews(
        (one.source_db_name, one.target_db_name, one.content_compare_result)
        for one in block.content_compare_overview or ()
    )
    full = len(block.content_compare_overview or ()) >= per_page
    for details in block.content_compare_details or ():
        database = databases.setdefault(details.source_db_name, Database(details.source_db_name))
        lengths = (details.content_compare_detail_count, details.content_uncompare_detail_count)
        database.length = None if lengths[0] is None else lengths[0] + (lengths[1] or 0)
        compared = [(row, _value_result(row)) for row in details.content_compare_detail or ()]
        left_out = [(row, CompareResult.CAN_NOT_COMPARE.value) for row in details.content_uncompare_detail or ()]
        full = full or max(len(compared), len(left_out)) >= per_page
        for row, result in compared + left_out:
            database.tables[row.source_table_name, row.target_table_name] = Table(
                database=row.source_db_name or details.source_db_name,
                table=row.source_table_name,
                target_database=row.target_db_name or database.target,
                target_table=row.target_table_name,
                result=result,
                source_rows=row.source_row_num,
                target_rows=row.target_row_num,
                diff_rows=row.diff_row_num,
                message=row.message or None,
            )
    return Page(databases=tuple(databases.values()), length=block.content_compare_overview_count, full=full)


def _value_result(row: ContentCompareDetail) -> str:
    """A table agrees in its values only if it agrees in its number of rows as well."""
    if row.line_compare_result == CompareResult.INCONSISTENT:
        return CompareResult.INCONSISTENT
    return row.content_compare_result or ""


def _overviews(told: Iterable[tuple[str | None, str | None, str | None]]) -> dict[str | None, Database]:
    return {name: Database(name, target, result) for name, target, result in told}
