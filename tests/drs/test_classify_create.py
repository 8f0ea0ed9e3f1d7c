"""What an answer to a create request means, shape by shape."""

from typing import Any

import pytest

from batcher.drs.answer import Answer, RequestStage
from batcher.drs.failure_table import ANY_CODE, ROWS, FailureRow
from batcher.drs.outcome import CreateOutcome, ErrorKind, Fate, Foreign, Half, HalfOutcome, Made, Trouble
from batcher.drs.v3.classify import classify_create
from tests.drs.answers import BOTH, DATA, OBJECT, answer, code, whole

JOB = "job-1"


def classify(
    http_status: int, body: Any = b"", *, asked: frozenset[Half] = BOTH, headers: dict[str, str] | None = None
) -> CreateOutcome:
    return classify_create(answer(http_status, body, headers), asked=asked, job_id=JOB)


def trouble(verdict: HalfOutcome) -> Trouble:
    assert isinstance(verdict, Trouble)
    return verdict


# --- success, whole and half ----------------------------------------------------------------------------------


def test_each_half_has_its_own_id() -> None:
    outcome = classify(
        200,
        {
            "job_id": JOB,
            "object_level_compare_create_result": {"compare_task_id": "o-1"},
            "data_level_compare_create_result": {"compare_task_id": "d-1", "error_code": None, "error_msg": ""},
            "some_new_field": {"deep": [1, 2]},
        },
        headers={"x-request-id": "req-1", "date": "Mon, 12 Jan 1970 13:46:43 GMT"},
    )
    assert outcome == CreateOutcome(
        halves={OBJECT: Made("o-1"), DATA: Made("d-1")},
        whole=None,
        stage=RequestStage.SENT,
        sent_at=1_000_000.0,
        answered_at=1_000_001.0,
        http_status=200,
        request_id="req-1",
        server_time=1_000_003.0,
    )


def test_one_half_made_and_one_refused() -> None:
    outcome = classify(
        200,
        {
            "object_level_compare_create_result": {"compare_task_id": "o-1"},
            "data_level_compare_create_result": code("DRS.M00200", "wrong"),
        },
    )
    refused = trouble(outcome.halves[DATA])
    assert outcome.halves[OBJECT] == Made("o-1")
    assert (refused.fate, refused.kind, refused.error_code, refused.error_msg) == (
        Fate.REFUSED,
        ErrorKind.VALIDATION,
        "DRS.M00200",
        "wrong",
    )
    assert outcome.whole is None


def test_only_what_was_asked_for_is_judged_and_no_id_is_forgotten() -> None:
    outcome = classify(
        200,
        {
            "object_level_compare_create_result": {"compare_task_id": "o-1"},
            "data_level_compare_create_result": {"compare_task_id": "d-1"},
        },
        asked=frozenset({DATA}),
    )
    assert outcome.halves == {DATA: Made("d-1")}
    assert outcome.unasked == ("o-1",)


def test_a_half_that_is_throttled_is_turned_away_though_the_call_was_taken() -> None:
    outcome = classify(200, {"data_level_compare_create_result": code("DRS.M01503")}, asked=frozenset({DATA}))
    assert trouble(outcome.halves[DATA]).fate is Fate.TURNED_AWAY


def test_a_half_without_permission_is_final_and_does_not_stop_the_scope() -> None:
    """Were it NOT_LET_IN without the whole being so, it would be sent again for ever."""
    outcome = classify(200, {"data_level_compare_create_result": code("DRS.M00102")}, asked=frozenset({DATA}))
    refused = trouble(outcome.halves[DATA])
    assert (refused.fate, refused.kind, outcome.whole) == (Fate.REFUSED, ErrorKind.PERMISSION, None)


# --- 200 that is no success -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"job_id": JOB},
        {"data_level_compare_create_result": None},
        {"data_level_compare_create_result": {}},
        {"data_level_compare_create_result": {"compare_task_id": "  ", "error_code": ""}},
        {"data_level_compare_create_result": {"compare_task_id": None, "error_msg": "words alone"}},
        {"data_level_compare_create_result": {"compare_task_id": ["d-1"]}},
        {"data_level_compare_create_result": "d-1"},
    ],
)
def test_neither_id_nor_code_is_doubt(body: dict[str, Any]) -> None:
    doubt = trouble(classify(200, body, asked=frozenset({DATA})).halves[DATA])
    assert (doubt.fate, doubt.kind, doubt.listed) == (Fate.MAYBE, ErrorKind.PROTOCOL, False)


def test_an_error_at_the_top_of_a_200_is_the_whole_calls() -> None:
    refused = whole(classify(200, code("DRS.M00304")))
    assert (refused.fate, refused.kind) == (Fate.NOT_YET, ErrorKind.STATE)


def test_an_id_beside_an_error_is_doubt_and_the_id_is_named() -> None:
    inside = {"data_level_compare_create_result": {"compare_task_id": "d-1", **code("DRS.M00200")}}
    on_top = {"data_level_compare_create_result": {"compare_task_id": "d-1"}, **code("DRS.M00200")}
    for body in (inside, on_top):
        outcome = classify(200, body, asked=frozenset({DATA}))
        doubt = trouble(outcome.halves[DATA])
        assert doubt.fate is Fate.MAYBE
        assert "d-1" in (doubt.error_msg or "")


def test_an_id_under_a_status_of_failure_is_doubt() -> None:
    doubt = trouble(classify(500, {"data_level_compare_create_result": {"compare_task_id": "d-1"}}).halves[DATA])
    assert doubt.fate is Fate.MAYBE
    assert "d-1" in (doubt.error_msg or "")


def test_an_id_beside_a_half_that_was_refused_is_doubt_under_a_status_of_failure() -> None:
    outcome = classify(
        400,
        {
            "object_level_compare_create_result": {"compare_task_id": "o-1"},
            "data_level_compare_create_result": code("DRS.M00200"),
        },
    )
    assert trouble(outcome.halves[DATA]).fate is Fate.REFUSED
    assert trouble(outcome.halves[OBJECT]).fate is Fate.MAYBE
    assert "o-1" in (trouble(outcome.halves[OBJECT]).error_msg or "")


def test_an_answer_about_another_job_is_doubt() -> None:
    outcome = classify(200, {"job_id": "job-2", "data_level_compare_create_result": {"compare_task_id": "d-1"}})
    doubt = trouble(outcome.halves[DATA])
    assert doubt.fate is Fate.MAYBE
    assert "job-2" in (doubt.error_msg or "")
    assert "d-1" in (doubt.error_msg or "")


@pytest.mark.parametrize(("item_id", "found"), [("job-1", Fate.REFUSED), (None, Fate.REFUSED), ("job-2", Fate.MAYBE)])
def test_an_item_about_another_job_says_nothing_of_ours(item_id: str | None, found: Fate) -> None:
    outcome = classify(400, {"count": 1, "results": [{"id": item_id, "error_code": "DRS.M05004", "error_msg": "gone"}]})
    assert whole(outcome).fate is found


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"text"', b"<html>hello</html>", b'{"job_id": "job-1"', b"\xff"]
)
def test_a_body_that_is_no_object_is_doubt(body: bytes) -> None:
    doubt = whole(classify(200, body))
    assert (doubt.fate, doubt.kind) == (Fate.MAYBE, ErrorKind.PROTOCOL)


# --- the pairs of the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.code != ANY_CODE], ids=lambda row: f"{row.http_status}-{row.code}"
)
def test_every_row_is_what_the_whole_call_comes_to(row: FailureRow) -> None:
    iams = {"error": {"code": row.http_status, "title": "as IAM has it"}}
    body = iams if row.code is None else {"error_code": row.code}
    found = whole(classify(row.http_status, body))
    assert (found.fate, found.kind, found.error_code, found.listed) == (
        row.fate,
        row.kind,
        row.code,
        True,
    )
    assert row.meaning in (found.error_msg or "")


@pytest.mark.parametrize(
    ("http_status", "error_code", "fate", "kind"),
    [
        (202, "DRS.M01504", Fate.BUSY, ErrorKind.STATE),
        (400, "DRS.M01504", Fate.BUSY, ErrorKind.STATE),
        (400, "DRS.10000024", Fate.BUSY, ErrorKind.STATE),
        (400, "DRS.M01503", Fate.TURNED_AWAY, ErrorKind.THROTTLED),
        (400, "DRS.M00289", Fate.REFUSED, ErrorKind.NOT_FOUND),
        (422, "DRS.M00004", Fate.MAYBE, ErrorKind.SERVER),
        (500, "DRS.M00004", Fate.MAYBE, ErrorKind.SERVER),
        (400, "APIGW.0201", Fate.REFUSED, ErrorKind.VALIDATION),
        (502, "APIGW.0201", Fate.MAYBE, ErrorKind.SERVER),
        (504, "APIG.0201", Fate.MAYBE, ErrorKind.SERVER),
        (429, "APIG.0308", Fate.TURNED_AWAY, ErrorKind.THROTTLED),
        (401, "APIG.0301", Fate.NOT_LET_IN, ErrorKind.AUTH),
        (403, "APIGW.0302", Fate.NOT_LET_IN, ErrorKind.PERMISSION),
        (401, "never.heard", Fate.NOT_LET_IN, ErrorKind.AUTH),
        (403, "never.heard", Fate.NOT_LET_IN, ErrorKind.PERMISSION),
        (429, "never.heard", Fate.TURNED_AWAY, ErrorKind.THROTTLED),
    ],
)
def test_the_same_code_means_something_else_under_another_status(
    http_status: int, error_code: str, fate: Fate, kind: ErrorKind
) -> None:
    found = whole(classify(http_status, code(error_code)))
    assert (found.fate, found.kind, found.error_code) == (fate, kind, error_code)


@pytest.mark.parametrize(
    ("http_status", "error_code"),
    [(400, "DRS.M99999"), (404, "DRS.M00200"), (500, "DRS.M99999"), (418, "X.1"), (201, "DRS.M99999")],
)
def test_an_unlisted_pair_is_doubt_and_says_so(http_status: int, error_code: str) -> None:
    doubt = whole(classify(http_status, code(error_code)))
    assert (doubt.fate, doubt.listed, doubt.error_code) == (Fate.MAYBE, False, error_code)


def test_the_message_decides_nothing() -> None:
    """Its language follows X-Language, and anybody may write anything into it."""
    doubt = whole(classify(400, code("DRS.M99999", "throttled: limit:10,time:1 minute; token expired; no such job")))
    assert (doubt.fate, doubt.limit) == (Fate.MAYBE, None)


# --- shapes of errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"error_code": "DRS.M00289", "error_msg": "gone"},
        {"errorCode": "DRS.M00289", "errorMessage": "gone"},
        {"errorCode": "DRS.M00289", "errorMsg": "gone"},
        {"code": "DRS.M00289", "message": "gone"},
        {"error": {"code": "DRS.M00289", "message": "gone"}},
        {"count": 1, "results": [{"id": JOB, "error_code": "DRS.M00289", "error_msg": "gone"}]},
        {"count": 1, "results": [{"id": JOB, "error_code": "DRS.M00289", "error_message": "gone"}]},
        {"results": [{"id": "x", "error_code": "DRS.M00304"}, {"id": JOB, **code("DRS.M00289", "gone")}]},
    ],
)
def test_every_known_shape_of_error_is_read(body: dict[str, Any]) -> None:
    found = whole(classify(400, body))
    assert (found.fate, found.error_code, found.error_msg) == (Fate.REFUSED, "DRS.M00289", "gone")


def test_iam_repeats_the_status_as_a_number() -> None:
    found = whole(classify(401, {"error": {"message": "The token is expired.", "code": 401, "title": "Unauthorized"}}))
    assert (found.fate, found.error_code, found.error_msg) == (
        Fate.NOT_LET_IN,
        None,
        "The token is expired.",
    )


def test_halves_of_a_failed_call_that_name_their_codes_are_judged_each() -> None:
    outcome = classify(
        400,
        {
            "object_level_compare_create_result": code("DRS.M00304"),
            "data_level_compare_create_result": code("DRS.M00202"),
        },
    )
    assert trouble(outcome.halves[OBJECT]).fate is Fate.NOT_YET
    assert trouble(outcome.halves[DATA]).fate is Fate.REFUSED


@pytest.mark.parametrize("http_status", [401, 403, 429, 500])
def test_a_status_that_speaks_for_itself_is_not_overruled_by_a_half(http_status: int) -> None:
    outcome = classify(http_status, {"data_level_compare_create_result": code("DRS.M00202")})
    assert outcome.whole is not None


def test_html_from_a_balancer_is_quoted_without_its_markup() -> None:
    doubt = whole(classify(502, b"<html><head><title>502</title></head><body>Bad <b>Gateway</b></body></html>"))
    assert (doubt.fate, doubt.kind) == (Fate.MAYBE, ErrorKind.SERVER)
    assert doubt.error_msg is not None
    assert "502 Bad Gateway" in doubt.error_msg
    assert "<" not in doubt.error_msg


@pytest.mark.parametrize("http_status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_proves_nothing(http_status: int) -> None:
    body = {"data_level_compare_create_result": {"compare_task_id": "d-1"}, **code("DRS.M00200")}
    outcome = classify(http_status, body, headers={"location": "https://elsewhere.example/?token=abc"})
    doubt = trouble(outcome.halves[OBJECT])
    assert (doubt.fate, doubt.foreign) == (Fate.MAYBE, Foreign.PAGE)
    assert "redirect" in (doubt.error_msg or "")


def test_what_looks_like_a_secret_in_a_message_is_masked() -> None:
    """The gateway quotes the canonical request, signed headers included, where a signature does not fit."""
    msg = "verify failed, canonical request: POST|/v3/p/|content-type:application/json|x-security-token:SECRETSECRET|"
    found = whole(classify(401, code("APIGW.0301", msg)))
    assert "SECRETSECRET" not in (found.error_msg or "")
    assert "verify failed" in (found.error_msg or "")


# --- no whole answer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "expected"),
    [(RequestStage.NOT_SENT, Fate.NOT_RECEIVED), (RequestStage.SENT, Fate.MAYBE)],
    ids=lambda value: value.name,
)
@pytest.mark.parametrize("kind", ["timeout", "network", "protocol"])
def test_without_an_answer_it_is_what_has_left_us_that_counts(stage: RequestStage, expected: Fate, kind: str) -> None:
    cut = Answer(stage=stage, sent_at=1.0, answered_at=2.0, error="the connection broke", error_kind=kind)
    found = whole(classify_create(cut, asked=BOTH, job_id=JOB))
    assert (found.fate, found.kind, found.error_msg) == (expected, ErrorKind(kind), "the connection broke")


# --- how long to wait, and the limit --------------------------------------------------------------------------

_TEXT = "The throttling threshold has been reached: policy user over ratelimit,limit:10,time:1 minute"


@pytest.mark.parametrize(
    ("msg", "limit"),
    [
        (_TEXT, (10, 60.0)),
        ("policy ip over ratelimit,limit:5,time:5 second", (5, 5.0)),
        ("policy api,limit:200,time:5 minutes", (200, 300.0)),
        ("LIMIT: 3 , TIME: hour", (3, 3600.0)),
        ("limit:0,time:1 minute", None),
        ("limit:ten,time:1 minute", None),
        ("no figures", None),
    ],
)
def test_the_limit_that_a_throttled_answer_names_is_a_hint(msg: str, limit: tuple[int, float] | None) -> None:
    assert whole(classify(429, code("APIGW.0308", msg))).limit == limit


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 12 Jan 1970 13:46:51 GMT"}, 10.0),  # no Date: by our clock, 1,000,001
        ({"retry-after": "9" * 400}, 3600.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_clouds_clock(headers: dict[str, str], wait_s: float | None) -> None:
    assert whole(classify(429, b"", headers=headers)).retry_after_s == wait_s
    assert whole(classify(503, b"", headers=headers)).retry_after_s == wait_s
