"""Whatever comes back, it has an outcome: never an exception, and nothing unlisted is taken for certain."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.answer import Answer, RequestStage
from batcher.drs.error_body import read_object, server_time
from batcher.drs.failure_table import ROWS, find
from batcher.drs.failures import classify_call
from batcher.drs.outcome import Fate, Half, Made, Trouble
from batcher.drs.v3.classify import (
    classify_batch_status,
    classify_create,
    classify_list,
    classify_results,
    create_outcome,
)
from tests.drs.answers import BOTH, answer

SIGNS = "aZ09 .,:;-+<>%\n\x00é漢\U0001f600"
CODES = sorted({row.code for row in ROWS if row.code and row.code != "*"})
NAMES = [
    "job_id",
    "error_code",
    "error_msg",
    "error",
    "code",
    "message",
    "results",
    "id",
    "status",
    "count",
    "compare_task_id",
    "compare_type",
    "create_time",
    "object_level_compare_create_result",
    "data_level_compare_create_result",
    "compare_task_list_results",
    "compare_task_list",
    "compare_task_list_count",
    "object_level_compare_results",
    "object_compare_details",
    "line_compare_results",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([*CODES, "job-1", "c-1", "lines", "1767225600000", "", " "])
    | st.text(SIGNS, max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
STATUSES = st.integers(100, 999) | st.sampled_from(sorted({row.http_status for row in ROWS}))
DATES = st.sampled_from(["Wed, 21 Oct 2026 07:28:00 GMT", "0", "never", "99", "Wed, 21 Oct 99999 07:28:00 +9999"])
HEADERS = st.dictionaries(st.sampled_from(["date", "retry-after", "x-request-id"]), st.text(SIGNS, max_size=40) | DATES)


def classify_all(whatever: Answer) -> None:
    server_time(whatever)
    classify_call(whatever)
    classify_list(whatever, job_id="job-1")
    classify_results(whatever, job_id="job-1")
    classify_batch_status(whatever, asked=["job-1", "job-2"])
    classify_create(whatever, asked=BOTH, job_id="job-1")


@given(STATUSES, st.binary(max_size=200), HEADERS)
def test_any_bytes_under_any_status(http_status: int, body: bytes, headers: Mapping[str, str]) -> None:
    whatever = answer(http_status, body, headers)
    classify_all(whatever)
    outcome = classify_create(whatever, asked=BOTH, job_id="job-1")
    for verdict in outcome.halves.values():
        assert isinstance(verdict, Trouble)
        if find(http_status, None) is None:
            assert verdict.fate is Fate.MAYBE


@given(STATUSES, BODIES, HEADERS)
def test_any_json_under_any_status(http_status: int, body: object, headers: Mapping[str, str]) -> None:
    """Certainty comes from a row of the table or from an id in a success; everything else is doubt."""
    whatever = answer(http_status, body, headers)
    classify_all(whatever)
    outcome = classify_create(whatever, asked=BOTH, job_id="job-1")
    assert set(outcome.halves) == BOTH
    for verdict in outcome.halves.values():
        assert isinstance(verdict, Made | Trouble)
        if isinstance(verdict, Made):
            assert 200 <= http_status < 300
        elif verdict.fate is not Fate.MAYBE:
            assert find(http_status, verdict.error_code) is not None
            assert verdict.fate is not Fate.NOT_LET_IN or outcome.whole is not None, (
                "only a whole call is let in or not"
            )


IDS: st.SearchStrategy[object] = st.sampled_from(["c-1", " c-1\n", "", " ", 7, None, True, []])
PARTS = st.none() | st.dictionaries(
    st.sampled_from(["compare_task_id", "compare_task_id", "error_code", "error_msg", "code"]), IDS, max_size=3
)
NEARLY_PLAIN: st.SearchStrategy[object] = st.fixed_dictionaries(
    {},
    optional={
        "job_id": st.sampled_from(["job-1", "job-2", " job-1", None, 1]),
        "object_level_compare_create_result": PARTS,
        "data_level_compare_create_result": PARTS,
        "error_code": st.none() | st.just("DRS.1"),
        "results": st.just([]),
        "count": st.just(1),
    },
)


@given(st.sampled_from([199, 200, 202, 299, 300, 400]), NEARLY_PLAIN | BODIES, st.sets(st.sampled_from(Half)), HEADERS)
def test_the_short_way_of_a_plain_success_is_the_long_one(
    http_status: int, body: object, asked: set[Half], headers: Mapping[str, str]
) -> None:
    whatever = answer(http_status, body, headers)
    told, wanted = classify_create(whatever, asked=asked, job_id="job-1"), frozenset(asked)
    assert told == create_outcome(whatever, read_object(whatever.body), wanted, "job-1")


@given(STATUSES, st.sampled_from(CODES) | st.text(SIGNS, max_size=10), st.sampled_from(Half))
def test_an_unlisted_pair_is_never_certain(http_status: int, error_code: str, half: Half) -> None:
    body = {"error_code": error_code, "error_msg": "x"}
    (verdict,) = classify_create(answer(http_status, body), asked={half}, job_id="job-1").halves.values()
    assert isinstance(verdict, Trouble)
    if find(http_status, verdict.error_code) is None:
        assert verdict.fate is Fate.MAYBE
        assert not verdict.listed or verdict.foreign or 200 <= http_status < 300


@given(st.sampled_from(RequestStage), st.text(SIGNS, max_size=20), HEADERS)
def test_no_answer_at_all(stage: RequestStage, kind: str, headers: Mapping[str, str]) -> None:
    cut = Answer(stage=stage, sent_at=0.0, answered_at=0.0, headers=headers, error="x", error_kind=kind)
    classify_all(cut)


def test_nesting_deeper_than_anybody_means() -> None:
    for opening, closing in ((b'{"error":', b"}"), (b"[", b"]")):
        classify_all(answer(400, opening * 1000 + b"1" + closing * 1000))
        classify_all(answer(400, opening * 100_000))
