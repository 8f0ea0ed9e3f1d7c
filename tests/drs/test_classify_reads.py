"""What the answers of the reading calls mean: an error there is never evidence that nothing exists."""

from typing import Any

import pytest

from batcher.drs.failures import classify_call
from batcher.drs.outcome import Comparison, ComparisonPage, ErrorKind, Fate, ListOutcome, StatusOutcome, Trouble
from batcher.drs.results import ResultKind
from batcher.drs.v3.classify import classify_batch_status, classify_list, classify_results
from tests.drs.answers import answer, code

JOB = "job-1"
FIRST = {
    "compare_task_id": "c-2",
    "compare_type": "lines",
    "compare_task_status": "RUNNING",
    "create_time": "1767225600000",
}
SECOND = {
    "compare_task_id": "c-1",
    "compare_type": "object_comparison",
    "compare_task_status": "SUCCESSFUL",
    "create_time": "1767225598700",
    "end_time": "1767225660000",
}


def listed(http_status: int = 200, **block: Any) -> ListOutcome:
    return classify_list(answer(http_status, {"job_id": JOB, "compare_task_list_results": block}), job_id=JOB)


def test_a_page_of_the_list() -> None:
    outcome = listed(compare_task_list=[FIRST, SECOND], compare_task_list_count=8)
    assert outcome.trouble is None
    assert outcome.page == ComparisonPage(
        comparisons=(
            Comparison(
                compare_task_id="c-2", compare_type="lines", compare_task_status="RUNNING", create_time=1767225600000
            ),
            Comparison(
                compare_task_id="c-1",
                compare_type="object_comparison",
                compare_task_status="SUCCESSFUL",
                create_time=1767225598700,
                end_time=1767225660000,
            ),
        ),
        total=8,
    )
    assert [comparison.finished for comparison in outcome.page.comparisons] == [False, True]


@pytest.mark.parametrize("empty", [[], None])
def test_an_empty_list_is_a_list(empty: list[Any] | None) -> None:
    assert listed(compare_task_list=empty, compare_task_list_count=0).page == ComparisonPage(comparisons=(), total=0)


@pytest.mark.parametrize(
    "block",
    [
        {},
        {"compare_task_list": [FIRST]},
        {"compare_task_list": None, "compare_task_list_count": 1},
        {"compare_task_list": [FIRST, SECOND], "compare_task_list_count": 1},
        {"compare_task_list": [FIRST], "compare_task_list_count": "many"},
        {"compare_task_list": [FIRST], "compare_task_list_count": -1},
        {"compare_task_list": {"0": FIRST}, "compare_task_list_count": 1},
        {"compare_task_list": [FIRST, {}], "compare_task_list_count": 2},
        {"compare_task_list": [FIRST, None], "compare_task_list_count": 2},
        {"compare_task_list": [FIRST, {**SECOND, "compare_type": None}], "compare_task_list_count": 2},
        {"compare_task_list": [FIRST, {**SECOND, "compare_task_id": ""}], "compare_task_list_count": 2},
    ],
)
def test_a_list_that_is_not_sound_is_trouble(block: dict[str, Any]) -> None:
    """Overlooking one comparison would send its request a second time."""
    outcome = listed(**block)
    assert outcome.page is None
    assert outcome.trouble is not None
    assert (outcome.trouble.fate, outcome.trouble.kind) == (Fate.MAYBE, ErrorKind.PROTOCOL)


def test_an_error_of_the_list_itself_is_trouble() -> None:
    outcome = listed(compare_task_list=[], compare_task_list_count=0, error_code="DRS.M01503")
    assert outcome.page is None
    assert outcome.trouble is not None
    assert outcome.trouble.fate is Fate.TURNED_AWAY


@pytest.mark.parametrize(
    ("http_status", "body", "fate"),
    [
        (200, b"", Fate.MAYBE),
        (200, {"job_id": JOB}, Fate.MAYBE),
        (200, {"job_id": "job-2", "compare_task_list_results": {"compare_task_list_count": 0}}, Fate.MAYBE),
        (
            200,
            {**code("DRS.M00289"), "compare_task_list_results": {"compare_task_list_count": 0}},
            Fate.REFUSED,
        ),
        (400, {"results": [{"id": JOB, "error_code": "DRS.M00289"}]}, Fate.REFUSED),
        (401, b"", Fate.MAYBE),
        (401, code("APIGW.0301"), Fate.NOT_LET_IN),
        (429, b"", Fate.TURNED_AWAY),
        (504, b"<html/>", Fate.MAYBE),
    ],
)
def test_an_answer_without_a_list_is_trouble(http_status: int, body: Any, fate: Fate) -> None:
    outcome = classify_list(answer(http_status, body), job_id=JOB)
    assert outcome.page is None
    assert outcome.trouble is not None
    assert outcome.trouble.fate is fate


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("1767225600000", 1767225600000),
        (1767225600000, 1767225600000),
        ("2026-01-01T00:00:00Z", 1767225600000),
        ("2026-01-01T01:00:00.5+01:00", 1767225600500),
        ("2026-01-01T00:00:00", None),  # no zone
        ("1767225600", None),  # seconds? nobody says so
        ("", None),
        (None, None),
        ([], None),
        ("١٧٦٧٢٢٥٦٠٠٠٠٠", None),
    ],
)
def test_a_creation_time_is_milliseconds_or_not_known(told: object, read: int | None) -> None:
    page = listed(compare_task_list=[{**FIRST, "create_time": told}], compare_task_list_count=1).page
    assert page is not None
    assert page.comparisons[0].create_time == read


def test_letters_of_types_and_states_may_be_of_either_case() -> None:
    shouted = {**FIRST, "compare_type": "LINES", "compare_task_status": "Failed"}
    page = listed(compare_task_list=[shouted], compare_task_list_count="1").page
    assert page is not None
    assert (page.comparisons[0].compare_type, page.comparisons[0].finished) == ("lines", True)


# --- results --------------------------------------------------------------------------------------------------


def test_a_block_that_failed_on_its_own_leaves_the_others_standing() -> None:
    body = {"job_id": JOB, "line_compare_results": code("DRS.M00004"), "object_level_compare_results": {}, "new": 1}
    outcome = classify_results(answer(200, body), job_id=JOB)
    assert outcome.trouble is None
    assert outcome.results[ResultKind.ROWS].error_code == "DRS.M00004"
    assert outcome.results[ResultKind.OBJECTS].error_code is None


def test_a_block_that_was_throttled_is_the_whole_answers_trouble() -> None:
    outcome = classify_results(answer(200, {"line_compare_results": code("DRS.M01503")}), job_id=JOB)
    assert not outcome.results
    assert outcome.trouble is not None
    assert outcome.trouble.fate is Fate.TURNED_AWAY


def test_results_that_are_not_as_documented_are_trouble_not_half_a_verdict() -> None:
    rows = [{"source_db_name": "shop", "line_compare_detail": [{"source_row_num": "many"}]}]
    outcome = classify_results(answer(200, {"line_compare_results": {"line_compare_details": rows}}), job_id=JOB)
    assert not outcome.results
    assert outcome.trouble is not None
    assert "source_row_num" in (outcome.trouble.error_msg or "")
    assert "many" not in (outcome.trouble.error_msg or ""), "it could be anybody's data"


@pytest.mark.parametrize("told", [2**63, str(2**64), "9" * 5000, -(10**18), 1e300])
def test_a_count_that_is_none_is_trouble(told: object) -> None:
    """No verdict holds a number that its readers could not read, and nothing that writes one breaks."""
    rows = [{"source_db_name": "shop", "line_compare_detail": [{"source_row_num": told}]}]
    outcome = classify_results(answer(200, {"line_compare_results": {"line_compare_details": rows}}), job_id=JOB)
    assert not outcome.results
    assert outcome.trouble is not None
    assert "source_row_num" in (outcome.trouble.error_msg or "")


# --- job states -----------------------------------------------------------------------------------------------


def states(http_status: int, *results: dict[str, Any]) -> StatusOutcome:
    return classify_batch_status(
        answer(http_status, {"count": len(results), "results": results}), asked=["job-1", "job-2"]
    )


def test_each_job_has_its_status() -> None:
    outcome = states(200, {"id": "job-2", "status": "PAUSING"}, {"id": "job-1", "status": "INCRE_TRANSFER_STARTED"})
    assert outcome.jobs == {"job-1": "INCRE_TRANSFER_STARTED", "job-2": "PAUSING"}
    assert outcome.trouble is None


@pytest.mark.parametrize("http_status", [200, 400])
def test_an_items_code_is_about_that_job_alone(http_status: int) -> None:
    outcome = states(http_status, {"id": "job-1", "status": "CREATING"}, {"id": "job-2", "error_code": "DRS.M00289"})
    missing = outcome.jobs["job-2"]
    assert outcome.jobs["job-1"] == "CREATING"
    assert isinstance(missing, Trouble)
    assert missing.kind is ErrorKind.NOT_FOUND
    assert outcome.trouble is None


def test_one_throttled_item_means_to_ask_for_all_again() -> None:
    outcome = states(200, {"id": "job-1", "status": "CREATING"}, {"id": "job-2", "error_code": "DRS.M01503"})
    assert outcome.trouble is not None
    assert outcome.trouble.fate is Fate.TURNED_AWAY
    assert set(outcome.jobs.values()) == {outcome.trouble}


def test_an_item_without_permission_does_not_speak_for_the_scope_but_a_refused_call_does() -> None:
    denied = states(400, {"id": "job-1", "status": "CREATING"}, {"id": "job-2", "error_code": "DRS.M00105"})
    item = denied.jobs["job-2"]
    assert isinstance(item, Trouble)
    assert (denied.trouble, item.fate, item.kind) == (None, Fate.REFUSED, ErrorKind.PERMISSION)
    refused = states(401, {"id": "job-1", "error_code": "APIGW.0301"}).trouble
    assert refused is not None
    assert refused.fate is Fate.NOT_LET_IN


def test_a_job_that_the_answer_leaves_out_is_trouble_of_that_job() -> None:
    left_out = states(200, {"id": "job-1", "status": "CREATING"}, {"status": "CREATING"}, {"id": "job-9"}).jobs["job-2"]
    assert isinstance(left_out, Trouble)
    assert left_out.fate is Fate.MAYBE


def test_a_call_that_failed_is_trouble_of_every_job() -> None:
    outcome = classify_batch_status(answer(429, code("APIGW.0308", "limit:10,time:1 minute")), asked=["job-1", "job-2"])
    assert outcome.trouble is not None
    assert outcome.trouble.limit == (10, 60.0)
    assert set(outcome.jobs.values()) == {outcome.trouble}


def test_any_call_is_a_success_or_trouble() -> None:
    assert classify_call(answer(201, {"token": {}})) is None
    assert classify_call(answer(201, b"")) is not None
    refused = classify_call(answer(401, {"error": {"code": 401, "message": "wrong password", "title": "Unauthorized"}}))
    assert refused is not None
    assert (refused.fate, refused.kind, refused.error_msg) == (
        Fate.NOT_LET_IN,
        ErrorKind.AUTH,
        "wrong password",
    )
