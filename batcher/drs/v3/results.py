"""From the answer to a query for results to the values of the port: the list of comparisons, and pages of results."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from batcher.drs.answer import Answer
from batcher.drs.error_body import milliseconds, server_time
from batcher.drs.outcome import Comparison, ComparisonPage, ErrorKind, Fate, ResultsOutcome, Trouble
from batcher.drs.results import (
    DatabaseResult,
    DifferingObject,
    ObjectResults,
    ObjectTypeResult,
    ResultKind,
    ResultPage,
    TableResult,
    TableResults,
)
from batcher.drs.structs import UNTOLD, struct_of
from batcher.drs.v3.query_compare_result import (
    CompareTaskListResult,
    ContentCompareDetail,
    ContentCompareResult,
    LineCompareDetail,
    LineCompareResult,
    ObjectCompareResult,
    QueryCompareResultResponse,
    WithError,
)

_Overview = tuple[str | None, str | None, str | None]  # a database: its name, that at the target, its result
_Details = tuple[str | None, int | None, Sequence[TableResult]]  # a database: its name, how many tables, those told


# A name that the OTC edition capitalises, or one that is escaped: only the model knows those.
_CAPITALISED = re.compile(rb'"[A-Z][^"]*"\s*:')


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(struct_of(QueryCompareResultResponse))


@cache
def _plain_decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(struct_of(QueryCompareResultResponse, only_known=True))


def plain_outcome(answer: Answer, job_id: str) -> ResultsOutcome | None:
    """The outcome of an *answer* that is beyond doubt, documented to the last name, and no error, as nearly all are.

    None: it is to be read with all that an answer may be. What comes of it is what `results_outcome` makes of it.
    """
    status = answer.http_status
    if status is None or not 200 <= status < 300:
        return None
    try:
        told = cast("QueryCompareResultResponse", _plain_decoder().decode(answer.body))
    except UNTOLD:
        return None
    if told.job_id != job_id or job_id != job_id.strip() or _tells_error(told):
        return None
    for block in (
        told.object_level_compare_results,
        told.line_compare_results,
        told.content_compare_results,
        told.compare_task_list_results,
    ):
        if block is not None and _tells_error(block):
            return None
    return ResultsOutcome(
        trouble=None,
        results=result_pages(told),
        listed=listed(told),
        stage=answer.stage,
        sent_at=answer.sent_at,
        answered_at=answer.answered_at,
        http_status=status,
        request_id=answer.request_id,
        server_time=server_time(answer),
    )


def _tells_error(part: WithError) -> bool:
    return part.error_code is not None or part.error_msg is not None


def read_results(body: Mapping[str, Any], raw: bytes) -> QueryCompareResultResponse:
    """What *body*, read from *raw*, tells. Raises `ValidationError`.

    One beyond doubt is read by a struct, which has the same fields, in a fifth of the time.
    """
    if b"\\" not in raw and _CAPITALISED.search(raw) is None:
        with suppress(*UNTOLD):
            return cast("QueryCompareResultResponse", _decoder().decode(raw))
    return QueryCompareResultResponse.model_validate(body)


def listed(answer: QueryCompareResultResponse) -> ComparisonPage | Trouble | None:
    """The page of the job's list that *answer* holds; None: it holds none.

    An entry without an id is left out: nobody can be looking for it.
    """
    block = answer.compare_task_list_results
    if block is None:
        return None
    if block.error_code:
        return Trouble(
            fate=Fate.MAYBE,
            kind=ErrorKind.PROTOCOL,
            error_code=block.error_code,
            error_msg=block.error_msg or block.error_code,
        )
    if block.compare_task_list is None and block.compare_task_list_count is None:
        return None
    return ComparisonPage(comparisons=_comparisons(block), total=block.compare_task_list_count or 0)


def _comparisons(block: CompareTaskListResult) -> tuple[Comparison, ...]:
    found = [
        Comparison(
            compare_task_id=task.compare_task_id,
            compare_type=(task.compare_type or "").lower(),
            compare_task_status=(task.compare_task_status or "").upper(),
            create_time=milliseconds(task.create_time),
            end_time=milliseconds(task.end_time),
        )
        for task in block.compare_task_list or ()
        if task.compare_task_id
    ]
    return tuple(found)


def result_pages(answer: QueryCompareResultResponse) -> Mapping[ResultKind, ResultPage]:
    """The page of each kind of results that *answer* holds."""
    pages: dict[ResultKind, ResultPage] = {}
    if answer.object_level_compare_results is not None:
        pages[ResultKind.OBJECTS] = _objects(answer.object_level_compare_results)
    if answer.line_compare_results is not None:
        pages[ResultKind.ROWS] = _rows(answer.line_compare_results)
    if answer.content_compare_results is not None:
        pages[ResultKind.VALUES] = _values(answer.content_compare_results)
    return pages


def _objects(block: ObjectCompareResult) -> ObjectResults:
    overview, details = block.object_compare_overview or (), block.object_compare_details or {}
    return ObjectResults(
        **_of_block(block),
        longest=max([len(overview), *[len(rows or ()) for rows in details.values()]]),
        types=tuple(
            [
                ObjectTypeResult(
                    object_type=told.object_type or "",
                    result=told.object_compare_result,
                    source_count=told.source_count,
                    target_count=told.target_count,
                    diff_count=told.diff_count,
                )
                for told in overview
            ]
        ),
        objects={
            name: tuple(
                DifferingObject(
                    source_database=row.source_db_name,
                    target_database=row.target_db_name,
                    source_value=row.source_db_value,
                    target_value=row.target_db_value,
                    message=row.error_message,
                )
                for row in rows or ()
            )
            for name, rows in details.items()
        },
    )


def _rows(block: LineCompareResult) -> TableResults:
    overview = [(d.source_db_name, d.target_db_name, d.line_compare_result) for d in block.line_compare_overview or ()]
    targets = {name: target for name, target, _ in overview}
    longest = len(overview)
    details: list[_Details] = []
    for told in block.line_compare_details or ():
        name, rows = told.source_db_name, told.line_compare_detail or ()
        longest = max(longest, len(rows))
        tables = [_table(row, name, targets.get(name), row.line_compare_result or "") for row in rows]
        details.append((name, told.line_compare_detail_count, tables))
    return TableResults(
        **_of_block(block),
        longest=longest,
        databases=_databases(overview, details),
        length=block.line_compare_overview_count,
    )


def _values(block: ContentCompareResult) -> TableResults:
    """The rows that differ are never looked at: they hold data of the customer's tables."""
    overview = [
        (d.source_db_name, d.target_db_name, d.content_compare_result) for d in block.content_compare_overview or ()
    ]
    targets = {name: target for name, target, _ in overview}
    longest = len(overview)
    details: list[_Details] = []
    for told in block.content_compare_details or ():
        compared, left_out = told.content_compare_detail or (), told.content_uncompare_detail or ()
        longest = max(longest, len(compared), len(left_out))
        name, count = told.source_db_name, told.content_compare_detail_count
        results = [(row, _value_result(row)) for row in compared] + [(row, "CAN_NOT_COMPARE") for row in left_out]
        tables = [
            _table(row, row.source_db_name or name, row.target_db_name or targets.get(name), result)
            for row, result in results
        ]
        length = None if count is None else count + (told.content_uncompare_detail_count or 0)
        details.append((name, length, tables))
    return TableResults(
        **_of_block(block),
        longest=longest,
        databases=_databases(overview, details),
        length=block.content_compare_overview_count,
    )


def _of_block(block: ObjectCompareResult | LineCompareResult | ContentCompareResult) -> dict[str, Any]:
    return {
        "compare_task_id": block.compare_task_id,
        "error_code": block.error_code,
        "error_msg": block.error_msg,
    }


def _table(
    row: LineCompareDetail | ContentCompareDetail, database: str | None, target_database: str | None, result: str
) -> TableResult:
    return TableResult(
        database=database,
        table=row.source_table_name,
        target_database=target_database,
        target_table=row.target_table_name,
        result=result,
        source_rows=row.source_row_num,
        target_rows=row.target_row_num,
        diff_rows=row.diff_row_num,
        message=row.message or None,
    )


def _databases(overview: Iterable[_Overview], details: Iterable[_Details]) -> tuple[DatabaseResult, ...]:
    """The databases that the two lists of a block name, each once."""
    found = {name: DatabaseResult(name=name, target=target, result=result) for name, target, result in overview}
    for name, length, tables in details:
        before = found.get(name) or DatabaseResult(name=name)
        found[name] = replace(before, length=length, tables=(*before.tables, *tables))
    return tuple(found.values())


def _value_result(row: ContentCompareDetail) -> str:
    """A table agrees in its values only if it agrees in its number of rows as well."""
    return "INCONSISTENT" if row.line_compare_result == "INCONSISTENT" else row.content_compare_result or ""
