"""Wire models of `POST /v3/{project_id}/jobs/query-compare-result` (page drs_03_0137 of the API reference).

The call reads only. Without any of the three ids it tells the list of the job's comparisons; with one, that
comparison's results. Paging cuts every list in the answer alike: the overviews, the details of each database, the
differences and the list of comparisons. Counts tell the whole length.

Row counts, names and key values are data of the customer's databases: never log them.

Here is the answer. The request stands in `query_compare_request`: every wave sends one, and most read no results.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from batcher.drs.v3.create_compare_task import AnswerPart

CompareResult = Literal[
    "CONSISTENT",
    "INCONSISTENT",
    "COMPARING",
    "WAITING_FOR_COMPARISON",
    "FAILED_TO_COMPARE",
    "TARGET_DB_NOT_EXIT",  # spelt so by the cloud
    "CAN_NOT_COMPARE",
]
"""Documented results of one object, database or table. Answers may hold others."""


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_MOST = 10**15  # of anything: beyond that it is no count, and sums of such would exceed what JSON readers take
Count = Annotated[Annotated[int, Field(ge=-_MOST, le=_MOST)] | None, BeforeValidator(_blank_is_none)]


class ResultPart(AnswerPart):
    """Base of every part of this answer. The tables of the OTC edition capitalise some names (`LineCompareDetail`), its
    example does not: either is read."""

    @model_validator(mode="before")
    @classmethod
    def _snake_case(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        capitalised = {_CAPITALS.sub("_", name).lower(): name for name in value if name[:1].isupper()}
        known = {snake: name for snake, name in capitalised.items() if snake in cls.model_fields and snake not in value}
        if not known:
            return value
        return {**value, **{snake: value[name] for snake, name in known.items()}}


class WithError(ResultPart):
    """A part of the answer that can have failed on its own."""

    error_code: str | None = Field(default=None, description="Set where this part could not be told.")
    error_msg: str | None = Field(default=None, description="Text for people; its language follows X-Language.")


class CompareTaskList(ResultPart):
    """One comparison in the list of a job's comparisons."""

    compare_task_id: str | None = Field(default=None, description="Id of the comparison.")
    compare_type: str | None = Field(
        default=None,
        description="`lines`, `contents`, `object_comparison`; also `object`, `account`, `random`, `node`, `mgr`.",
    )
    compare_task_status: str | None = Field(
        default=None,
        description="Unfinished: WAITING_FOR_RUNNING, RUNNING, FULL_DOING, INCRE_DOING. Finished: SUCCESSFUL (it ran; "
        "that says nothing of the data), FAILED, CANCELLED, TIMEOUT_INTERRUPT. Others count as unfinished.",
    )
    create_time: str | None = Field(default=None, description="Milliseconds since the epoch, by the cloud's clock.")
    end_time: str | None = Field(default=None, description="Likewise; empty or absent while unfinished.")


class CompareTaskListResult(WithError):
    """The list of a job's comparisons, newest first in the example; one page of it."""

    compare_task_list: list[CompareTaskList] | None = None
    compare_task_list_count: Count = Field(default=None, description="Length of the whole list.")


class ObjectCompareResultOverview(ResultPart):
    """Object level: what all objects of one type came to."""

    object_type: str | None = Field(default=None, description="DB, TABLE, VIEW, INDEX, TRIGGER, …")
    object_compare_result: str | None = Field(default=None, description="See `CompareResult`.")
    source_count: Count = Field(default=None, description="Objects of this type at the source.")
    target_count: Count = Field(default=None, description="Objects of this type at the target.")
    diff_count: Count = Field(default=None, description="Objects that differ.")


class ObjectCompareResultDetails(ResultPart):
    """Object level: one object that differs."""

    source_db_name: str | None = Field(default=None, description="Database at the source.")
    target_db_name: str | None = Field(default=None, description="Database at the target.")
    source_db_value: str | None = Field(default=None, description="The object at the source; empty: missing there.")
    target_db_value: str | None = Field(default=None, description="The object at the target; empty: missing there.")
    error_message: str | None = Field(default=None, description="Why it could not be compared.")


def _details_by_type(value: Any) -> Any:
    """Object details by object type, however they come.

    The table says array, the example and the official SDK a map of type to list. Of an array, elements that are
    maps are joined, and bare rows go under the empty type.
    """
    if not isinstance(value, list):
        return value
    by_type: dict[str, list[Any]] = {}
    for element in value:
        if isinstance(element, dict) and element and all(isinstance(rows, list) for rows in element.values()):
            for object_type, rows in element.items():
                by_type.setdefault(object_type, []).extend(rows)
        else:
            by_type.setdefault("", []).append(element)
    return by_type


class ObjectCompareResult(WithError):
    """Results of an object-level comparison."""

    compare_task_id: str | None = Field(default=None, description="Id of the comparison told here.")
    object_compare_overview: list[ObjectCompareResultOverview] | None = None
    object_compare_details: Annotated[
        dict[str, list[ObjectCompareResultDetails] | None] | None, BeforeValidator(_details_by_type)
    ] = Field(default=None, description="Differing objects by object type; told as a map or as an array.")


class LineCompareResultOverview(ResultPart):
    """Row comparison: what one database came to."""

    source_db_name: str | None = Field(default=None, description="Database at the source.")
    target_db_name: str | None = Field(default=None, description="Database at the target.")
    line_compare_result: str | None = Field(default=None, description="See `CompareResult`.")


class LineCompareDetail(ResultPart):
    """Row comparison: one table."""

    source_table_name: str | None = Field(default=None, description="Table at the source.")
    target_table_name: str | None = Field(default=None, description="Table at the target.")
    source_row_num: Count = Field(default=None, description="Rows at the source.")
    target_row_num: Count = Field(default=None, description="Rows at the target.")
    diff_row_num: Count = Field(default=None, description="Rows by which they differ.")
    line_compare_result: str | None = Field(default=None, description="See `CompareResult`.")
    message: str | None = Field(default=None, description="Text for people.")


class LineCompareResultDetails(ResultPart):
    """Row comparison: the tables of one database, one page of them."""

    source_db_name: str | None = Field(default=None, description="Database at the source.")
    line_compare_detail: list[LineCompareDetail] | None = None
    line_compare_detail_count: Count = Field(default=None, description="Tables of this database in all.")


class LineCompareResult(WithError):
    """Results of a row comparison."""

    compare_task_id: str | None = Field(default=None, description="Id of the comparison told here.")
    line_compare_overview: list[LineCompareResultOverview] | None = None
    line_compare_overview_count: Count = Field(default=None, description="Databases in all.")
    line_compare_details: list[LineCompareResultDetails] | None = None


class ContentCompareResultOverview(ResultPart):
    """Value comparison: what one database came to."""

    source_db_name: str | None = Field(default=None, description="Database at the source.")
    target_db_name: str | None = Field(default=None, description="Database at the target.")
    content_compare_result: str | None = Field(default=None, description="See `CompareResult`.")


class ContentCompareDetail(ResultPart):
    """Value comparison: one table."""

    source_db_name: str | None = Field(default=None, description="Database at the source.")
    target_db_name: str | None = Field(default=None, description="Database at the target.")
    source_table_name: str | None = Field(default=None, description="Table at the source.")
    target_table_name: str | None = Field(default=None, description="Table at the target.")
    source_row_num: Count = Field(default=None, description="Rows at the source.")
    target_row_num: Count = Field(default=None, description="Rows at the target.")
    diff_row_num: Count = Field(default=None, description="Rows whose values differ.")
    line_compare_result: str | None = Field(default=None, description="Of the row counts; see `CompareResult`.")
    content_compare_result: str | None = Field(default=None, description="Of the values; see `CompareResult`.")
    message: str | None = Field(default=None, description="Text for people, such as why it was not compared.")


class ContentCompareResultDetails(ResultPart):
    """Value comparison: the tables of one database, one page of them."""

    source_db_name: str | None = Field(default=None, description="Database at the source.")
    content_compare_detail: list[ContentCompareDetail] | None = Field(
        default=None, description="Tables that could be compared."
    )
    content_compare_detail_count: Count = Field(default=None, description="Their number in all.")
    content_uncompare_detail: list[ContentCompareDetail] | None = Field(
        default=None, description="Tables that could not, for want of a primary or unique key, say."
    )
    content_uncompare_detail_count: Count = Field(default=None, description="Their number in all.")


class ContentCompareDiff(ResultPart):
    """Value comparison: rows that differ. Holds data of the customer's tables."""

    source_select_sql: str | None = Field(default=None, description="Statement that shows them at the source.")
    target_select_sql: str | None = Field(default=None, description="Statement that shows them at the target.")
    source_key_value: list[str | None] | None = Field(default=None, description="Their keys at the source.")
    target_key_value: list[str | None] | None = Field(default=None, description="Their keys at the target.")


class ContentCompareResultDiffs(ResultPart):
    """Value comparison: the differences of one table, one page of them."""

    source_db_name: str | None = Field(default=None, description="Database at the source.")
    source_table_name: str | None = Field(default=None, description="Table at the source.")
    content_compare_diff: list[ContentCompareDiff] | None = None
    content_compare_diff_count: Count = Field(default=None, description="Differences of this table in all.")


class ContentCompareResult(WithError):
    """Results of a value comparison."""

    compare_task_id: str | None = Field(default=None, description="Id of the comparison told here.")
    content_compare_overview: list[ContentCompareResultOverview] | None = None
    content_compare_overview_count: Count = Field(default=None, description="Databases in all.")
    content_compare_details: list[ContentCompareResultDetails] | None = None
    content_compare_diffs: list[ContentCompareResultDiffs] | None = None


class QueryCompareResultResponse(WithError):
    """The answer to a query (table 4). Blocks that were not asked for may be absent, null, empty or told as well."""

    job_id: str | None = Field(default=None, description="The job the answer speaks of.")
    object_level_compare_results: ObjectCompareResult | None = None
    line_compare_results: LineCompareResult | None = None
    content_compare_results: ContentCompareResult | None = None
    compare_task_list_results: CompareTaskListResult | None = None
