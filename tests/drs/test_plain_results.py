"""Results are read by structs where they are beyond doubt, and tell what the models would."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from batcher.drs.results import ResultKind
from batcher.drs.structs import struct_of
from batcher.drs.v3.classify import results_outcome
from batcher.drs.v3.query_compare_request import QueryCompareResultReq, query_body
from batcher.drs.v3.query_compare_result import QueryCompareResultResponse
from batcher.drs.v3.results import listed, plain_outcome, read_results, result_pages
from tests.drs.answers import answer

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        "",
        " ",
        "7",
        7,
        -1,
        10**16,
        7.0,
        7.5,
        True,
        "CONSISTENT",
        "1764000000000",
        "ä\n\\",
        [],
        {},
        [None],
        {"A": None},
    ]
)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """What a field of that *kind* may hold, and now and then what it may not."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return values(inner[0])
    if origin in (Union, UnionType):
        return st.one_of(ODD, *[values(one) for one in inner if one is not type(None)])
    if origin is list:
        return st.lists(values(inner[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(st.sampled_from(["TABLE", "view", ""]), values(inner[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return parts(kind)
    return st.integers(0, 9) if kind is int else st.sampled_from(["CONSISTENT", "a", "1764000000000"])


def parts(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: values(field.annotation) for name, field in model.model_fields.items()}
    named = st.fixed_dictionaries({}, optional=fields)
    return st.tuples(named, st.booleans()).map(lambda drawn: capitalised(drawn[0]) if drawn[1] else drawn[0])


def capitalised(part: dict[str, Any]) -> dict[str, Any]:
    """As the OTC edition names the first of its fields."""
    first = next(iter(part), None)
    return (
        part
        if first is None
        else {name.title().replace("_", "") if name == first else name: part[name] for name in part}
    )


@given(parts(QueryCompareResultResponse))
@example({"compare_task_list_results": {"compare_task_list": [{"compare_task_id": 7}], "compare_task_list_count": "1"}})
@example({"CompareTaskListResults": {"compare_task_list_count": 1}})
def test_structs_tell_what_the_models_do(body: dict[str, Any]) -> None:
    raw = orjson.dumps(body)
    try:
        model = QueryCompareResultResponse.model_validate(body)
    except ValidationError:
        with pytest.raises(ValidationError):
            read_results(body, raw)
        return
    read = read_results(body, raw)
    assert (result_pages(read), listed(read)) == (result_pages(model), listed(model))


ERRORS = st.sampled_from(["error_code", "errorCode", "code", "error_msg", "message", "error", "more", "Message"])
AS_IT_COMES = st.tuples(
    parts(QueryCompareResultResponse), st.sampled_from(["job", " job", "other", None]), st.booleans(), ERRORS, ODD
).map(lambda drawn: {**drawn[0], "job_id": drawn[1], **({drawn[3]: drawn[4]} if drawn[2] else {})})


@given(AS_IT_COMES, st.sampled_from(["job", " job"]), st.sampled_from([200, 202, 304, 400, 500]))
def test_the_short_way_through_an_answer_is_the_long_one(body: dict[str, Any], job_id: str, http_status: int) -> None:
    told = answer(http_status, body, {"date": "Wed, 21 Oct 2026 07:28:00 GMT", "x-request-id": "r"})
    short = plain_outcome(told, job_id)
    assert short is None or short == results_outcome(told, job_id)


def test_nearly_all_answers_are_plain() -> None:
    overview = [{"object_type": "TABLE", "object_compare_result": "INCONSISTENT", "diff_count": 1}]
    listed = [{"compare_task_id": "c", "compare_type": "object_comparison", "create_time": "1764000000000"}]
    body = {
        "job_id": "job",
        "object_level_compare_results": {
            "compare_task_id": "c",
            "object_compare_overview": overview,
            "object_compare_details": {"TABLE": [{"source_db_name": "shop", "source_db_value": "orders"}]},
        },
        "compare_task_list_results": {"compare_task_list": listed, "compare_task_list_count": 1},
    }
    assert plain_outcome(answer(200, body), "job") is not None
    throttled = {"line_compare_results": {"error_code": "DRS.M01503", "error_msg": "limit"}}
    odd: list[dict[str, Any]] = [{"code": "DRS.M01503"}, {"error_code": "DRS.M00001"}, {"job_id": "other"}, throttled]
    assert [plain_outcome(answer(200, body | more), "job") for more in odd] == [None] * 4
    assert plain_outcome(answer(500, body), "job") is None


def test_what_is_plain_is_read_by_a_struct() -> None:
    body = {"job_id": "j", "object_level_compare_results": {"object_compare_overview": [{"object_type": "TABLE"}]}}
    assert not isinstance(read_results(body, orjson.dumps(body)), BaseModel)
    named: dict[str, Any] = {"object_level_compare_results": {"object_compare_details": {"TABLE": []}}}
    assert isinstance(read_results(named, orjson.dumps(named)), BaseModel)
    escaped = rb'{"\u0043ompareTaskListResults":{"compare_task_list_count":1}}'
    assert isinstance(read_results(orjson.loads(escaped), escaped), BaseModel)


def test_what_a_struct_cannot_go_through_is_read_by_the_model() -> None:
    """A part that nobody asked for may be as deep as its JSON may be, which is deeper."""
    deep = b'{"job_id":"j","more":%s%s}' % (b"[" * 1020, b"]" * 1020)
    assert read_results(orjson.loads(deep), deep).job_id == "j"


def test_a_struct_is_not_made_of_what_it_would_not_hold_to() -> None:
    class Narrow(BaseModel):
        name: str = Field(min_length=1)

    with pytest.raises(TypeError, match="cannot be held to MinLen"):
        struct_of(Narrow)


@given(st.sets(st.sampled_from(ResultKind)), st.integers(1, 999))
def test_a_query_is_what_its_model_would_send(kinds: set[ResultKind], page: int) -> None:
    ids = {kind: f"task-{kind}" for kind in kinds}
    body = query_body("job", ids, page=page, per_page=10)
    assert body == QueryCompareResultReq.model_validate_json(body).to_wire()
