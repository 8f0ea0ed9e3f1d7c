"""Our wire models against the official SDK's, and against the examples of the API reference."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from huaweicloudsdkdrs.v3 import model as sdk
from pydantic import BaseModel, ValidationError

from batcher.drs.v3 import batch_status, create_compare_task, query_compare_request, query_compare_result
from batcher.drs.v3.batch_status import BatchQueryJobReqPage, PageReq
from batcher.drs.v3.classify import RESULT_OF
from batcher.drs.v3.create_compare_task import AnswerPart, CreateCompareTaskReq, RequestPart
from batcher.drs.v3.query_compare_request import QueryCompareResultReq
from batcher.drs.v3.query_compare_result import (
    CompareTaskList,
    QueryCompareResultResponse,
    ResultPart,
    WithError,
)
from batcher.life.result import CreateCompareTaskResult

ANOTHER_NAME = {
    "QueryCompareResultResponse": "ListCompareResultResponse",
    "BatchStatusResponse": "BatchListJobStatusResponse",
}
BASES = (RequestPart, AnswerPart, ResultPart, WithError)


def ours() -> Iterator[type[BaseModel]]:
    for module in (create_compare_task, query_compare_request, query_compare_result, batch_status):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, BaseModel) and kind not in BASES and kind.__module__ == module.__name__:
                yield kind


def theirs(kind: type[BaseModel]) -> Any:
    return getattr(sdk, ANOTHER_NAME.get(kind.__name__, kind.__name__))


@pytest.mark.parametrize("kind", list(ours()), ids=lambda kind: kind.__name__)
def test_fields_are_those_of_the_official_sdk(kind: type[BaseModel]) -> None:
    assert set(kind.model_fields) == set(theirs(kind).openapi_types)


@pytest.mark.parametrize("kind", list(ours()), ids=lambda kind: kind.__name__)
def test_every_model_and_field_says_what_it_is(kind: type[BaseModel]) -> None:
    assert kind.__doc__
    for name, info in kind.model_fields.items():
        nested = "list[" in str(info.annotation) or "Result" in str(info.annotation) or name.startswith("error_")
        assert info.description or nested, f"{kind.__name__}.{name}"


def test_no_part_of_the_sdks_tables_is_missing() -> None:
    """Every model that the SDK's request and response models lead to is among ours."""
    reached: set[str] = set()
    ahead = ["CreateCompareTaskReq", "QueryCompareResultReq", "ListCompareResultResponse",
             "BatchQueryJobReqPage", "BatchListJobStatusResponse"]  # fmt: skip
    while ahead:
        name = ahead.pop()
        if name in reached:
            continue
        reached.add(name)
        for told in getattr(sdk, name).openapi_types.values():
            ahead += [part for part in told.replace("(", "[").replace("]", "[").replace(")", "[").replace(",", "[")
                      .replace(" ", "").split("[") if hasattr(sdk, part)]  # fmt: skip
    assert reached == {ANOTHER_NAME.get(kind.__name__, kind.__name__) for kind in ours()}


def test_what_a_create_answer_is_read_by_is_what_the_sdk_reads() -> None:
    """That answer has no model of ours: it is read whatever is in it."""
    theirs = sdk.CreateCompareTaskResponse.openapi_types
    for name in RESULT_OF.values():
        assert theirs[name] == "CreateCompareTaskResult"
    assert set(CreateCompareTaskResult.model_fields) == set(sdk.CreateCompareTaskResult.openapi_types)


# --- what we send ---------------------------------------------------------------------------------------------

EXAMPLE = """{
  "job_id": "bc62db65-5d2c-4cf7-9c01-37a6a5f7jb10",
  "object_level_compare_type": "objects",
  "data_level_compare_info": {
    "conflict_policy": "keep",
    "compare_type": "lines",
    "compare_mode": null,
    "start_time": null,
    "compare_object_infos": [{"db_name": "test1", "table_name": ["test1"]}]
  }
}"""


def test_the_references_example_is_sent_as_it_stands_there() -> None:
    """Nulls included: an absent compare_mode could fall to the documented default, quick mode."""
    request = CreateCompareTaskReq.model_validate_json(EXAMPLE)
    assert json.loads(request.to_wire()) == json.loads(EXAMPLE)
    assert list(json.loads(request.to_wire())) == list(json.loads(EXAMPLE))


def test_nulls_are_sent_although_the_example_is_given_without_them() -> None:
    bare = json.loads(EXAMPLE)
    del bare["data_level_compare_info"]["compare_mode"], bare["data_level_compare_info"]["start_time"]
    assert json.loads(CreateCompareTaskReq.model_validate(bare).to_wire()) == json.loads(EXAMPLE)


def test_what_is_not_asked_for_is_not_sent() -> None:
    assert CreateCompareTaskReq(job_id="j", object_level_compare_type="objects").to_wire() == (
        b'{"job_id":"j","object_level_compare_type":"objects"}'
    )
    assert QueryCompareResultReq(job_id="j", current_page=1, per_page=10).to_wire() == (
        b'{"job_id":"j","current_page":1,"per_page":10}'
    )
    assert BatchQueryJobReqPage(jobs=["j"]).to_wire() == b'{"jobs":["j"]}'
    assert BatchQueryJobReqPage(jobs=["j"], page_req=PageReq(cur_page=1, per_page=1)).to_wire() == (
        b'{"jobs":["j"],"page_req":{"cur_page":1,"per_page":1}}'
    )


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (CreateCompareTaskReq, {"job_id": "j", "jobid": "j"}),
        (CreateCompareTaskReq, {"job_id": 7}),
        (CreateCompareTaskReq, {"job_id": ""}),
        (QueryCompareResultReq, {"job_id": "j", "current_page": "1", "per_page": 10}),
        (QueryCompareResultReq, {"job_id": "j", "current_page": 0, "per_page": 10}),
        (BatchQueryJobReqPage, {"jobs": []}),
        (BatchQueryJobReqPage, {"jobs": ["j"], "page_req": {"per_page": 101}}),
    ],
)
def test_requests_are_strict(kind: type[BaseModel], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(body)


# --- what we are told -----------------------------------------------------------------------------------------


def test_whatever_the_sdk_would_read_we_read() -> None:
    """An answer with every documented field filled."""
    filled = _filled("ListCompareResultResponse")
    read = QueryCompareResultResponse.model_validate(filled)
    assert read.model_dump() == filled


def _filled(told: str) -> Any:
    if told.startswith("list["):
        return [_filled(told[5:-1])]
    if told.startswith("dict("):
        return {"TABLE": _filled(told[5:-1].split(",", 1)[1].strip())}
    if told in ("str", "int"):
        return "x" if told == "str" else 7
    return {name: _filled(inner) for name, inner in getattr(sdk, told).openapi_types.items()}


ROW = {"source_db_name": "a", "target_db_name": "b", "source_db_value": "t", "target_db_value": ""}


@pytest.mark.parametrize(
    ("told", "types"),
    [
        ({"TABLE": [ROW], "VIEW": None}, {"TABLE": 1, "VIEW": 0}),
        ([{"TABLE": [ROW]}, {"TABLE": [ROW], "VIEW": [ROW]}], {"TABLE": 2, "VIEW": 1}),
        ([ROW, ROW], {"": 2}),
        ([], {}),
        ({}, {}),
    ],
)
def test_object_details_come_as_a_map_or_as_an_array(told: Any, types: dict[str, int]) -> None:
    body = {"object_level_compare_results": {"object_compare_details": told}}
    read = QueryCompareResultResponse.model_validate(body).object_level_compare_results
    assert read is not None
    assert read.object_compare_details is not None
    assert {name: len(rows or ()) for name, rows in read.object_compare_details.items()} == types


def test_unknown_fields_are_kept_and_numbers_may_be_texts() -> None:
    read = CompareTaskList.model_validate({"compare_task_id": 12, "create_time": 1767225600000, "compare_job_tag": "x"})
    assert (read.compare_task_id, read.create_time) == ("12", "1767225600000")
    assert read.model_extra == {"compare_job_tag": "x"}
    counts = {"line_compare_results": {"line_compare_overview_count": "3", "line_compare_details": None}}
    block = QueryCompareResultResponse.model_validate_json(orjson.dumps(counts)).line_compare_results
    assert block is not None
    assert block.line_compare_overview_count == 3
    blank = {"object_type": "DB", "source_count": "", "target_count": None}
    assert query_compare_result.ObjectCompareResultOverview.model_validate(blank).source_count is None


def test_the_capitalised_names_of_the_otc_tables_are_read_as_well() -> None:
    row = {"sourceTableName": "not ours", "source_table_name": "orders", "LineCompareResult": "INCONSISTENT"}
    told = {"LineCompareDetails": [{"source_db_name": "shop", "LineCompareDetail": [row], "LineCompareDetailCount": 1}]}
    block = QueryCompareResultResponse.model_validate({"line_compare_results": told}).line_compare_results
    assert block is not None
    assert block.line_compare_details is not None
    (database,) = block.line_compare_details
    assert database.line_compare_detail_count == 1
    assert database.line_compare_detail is not None
    assert database.line_compare_detail[0].line_compare_result == "INCONSISTENT"
