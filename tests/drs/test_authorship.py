"""Whose word an answer is: what the cloud says, and what others say in its place."""

from typing import Any

import orjson
import pytest

from batcher.drs.answer import Answer
from batcher.drs.authorship import is_the_clouds, never_passed_on, speaker
from batcher.drs.failure_table import ROWS
from batcher.drs.failures import classify_call
from batcher.drs.outcome import ErrorKind, Fate, Foreign, Trouble
from batcher.drs.v3.classify import classify_create, classify_list
from tests.drs.answers import BOTH, answer, code, whole
from tests.middleman import pages

IAMS = {
    "error": {"message": "The request you have made requires authentication.", "code": 401, "title": "Unauthorized"}
}


def said(page: bytes) -> Answer:
    """*page* as an answer."""
    head, _, body = page.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return answer(int(first.split()[1]), body, headers)


def created(page: Answer) -> Trouble:
    return whole(classify_create(page, asked=BOTH, job_id="job-1"))


@pytest.mark.parametrize(
    ("http_status", "body"),
    [
        (200, {"job_id": "job-1"}),
        (200, {"data_level_compare_create_result": {"compare_task_id": "d-1"}}),
        (200, {"compare_task_list_results": {"compare_task_list_count": 0}}),
        (200, {"count": 0, "results": []}),
        (201, {"token": {}}),
        (200, {"projects": []}),
        (401, code("APIGW.0301")),
        (401, code("APIG.0301")),
        (404, code("APIGW.0101")),
        (403, code("never.heard-of")),
        (400, {"results": [{"id": "job-1", "error_code": "DRS.M00289"}]}),
        (401, IAMS),
        (404, {"error": {"code": 404, "message": "Could not find project", "title": "Not Found"}}),
        (500, {"errorCode": "DRS.M00004", "errorMsg": "abnormal"}),
    ],
)
def test_the_cloud_speaks_json_and_tells_a_code_or_a_result(http_status: int, body: Any) -> None:
    assert is_the_clouds(answer(http_status, body))


def test_with_a_request_id_a_success_may_say_anything() -> None:
    assert is_the_clouds(answer(200, {}, {"x-request-id": "r-1"}))
    assert not is_the_clouds(answer(200, b"<html>", {"x-request-id": "r-1"}))
    assert not is_the_clouds(answer(404, {"detail": "Not Found"}, {"x-request-id": "r-1"}))


PAGES = {
    name: page
    for name, page in vars(pages).items()
    if isinstance(page, bytes) and name not in ("HANG_UP", "BAD_GATEWAY")
}
JSON = [
    (200, {}),
    (200, {"status": "ok"}),
    (404, {"message": "no Route matched with those values"}),
    (404, {"detail": "Not Found"}),
    (403, {"message": "Missing Authentication Token"}),
    (404, {"timestamp": "2026-01-01T00:00:00", "status": 404, "error": "Not Found", "path": "/v3"}),
    (401, {"error": "invalid_token"}),
    (400, {"code": 400, "message": "bad"}),
    (404, {"error": {"code": 404, "message": "Requested entity was not found."}}),
    (404, {"results": [], "message": "no such path"}),
    (403, {"token": None, "detail": "log in"}),
    (401, {"projects": []}),
]


@pytest.mark.parametrize(
    "page",
    [*map(said, PAGES.values()), *(answer(status, body) for status, body in JSON)],
    ids=lambda page: str(page.body),
)
def test_what_others_say_tells_nothing_of_the_entry(page: Answer) -> None:
    """No status of theirs is a refusal of it, no 401 or 403 one of the credential, no 200 an empty list."""
    assert not is_the_clouds(page)
    trouble = created(page)
    assert trouble.foreign is not None
    assert trouble.listed, "the same page twice is no reason to give the entry up"
    assert trouble.fate is (Fate.NOT_RECEIVED if never_passed_on(page) else Fate.MAYBE)
    for read in (classify_call(page), classify_list(page, job_id="job-1").trouble):
        assert read is not None
        assert read.foreign is trouble.foreign
    assert f"status {page.http_status}" in (trouble.error_msg or "")


def test_no_status_of_theirs_is_certain_but_those_that_mean_the_same_from_anybody() -> None:
    certain = {
        status for status in range(200, 600) if created(answer(status, b"<html>no</html>")).fate is not Fate.MAYBE
    }
    assert certain == {413, 414, 429}


def test_a_row_without_a_code_is_for_the_clouds_own_words_or_means_the_same_from_anybody() -> None:
    for row in (row for row in ROWS if row.code is None):
        bare = created(answer(row.http_status, b""))
        assert bare.fate is Fate.MAYBE or (bare.fate, bare.kind) == (
            row.fate,
            row.kind,
        )


@pytest.mark.parametrize(
    ("error", "server", "certain"),
    [
        ("ERR_CONNECT_FAIL 111", "squid/5.7", True),
        ("ERR_CANNOT_FORWARD 0", "squid", True),
        ("ERR_ACCESS_DENIED 0", "Squid/6.1", True),
        ("ERR_READ_ERROR 104", "squid/5.7", False),
        ("ERR_ZERO_SIZE_OBJECT 0", "squid/5.7", False),
        ("ERR_CONNECT_FAIL 111", "nginx/1.22.1", False),
        ("ERR_CONNECT_FAIL 111", None, False),
        ("", "squid/5.7", False),
    ],
)
@pytest.mark.parametrize("http_status", [403, 500, 502, 503, 504])
def test_squid_says_whether_it_passed_the_request_on(
    error: str, server: str | None, certain: bool, http_status: int
) -> None:
    headers = {"x-squid-error": error} | ({"server": server} if server else {})
    trouble = created(answer(http_status, b"<html>", headers))
    assert trouble.fate is (Fate.NOT_RECEIVED if certain else Fate.MAYBE)
    assert trouble.foreign is (Foreign.BARRED if error.startswith("ERR_ACCESS") else Foreign.PAGE)


def test_the_cloud_itself_is_believed_whatever_stands_in_its_headers() -> None:
    headers = {"x-squid-error": "ERR_CONNECT_FAIL 111", "server": "squid/5.7"}
    assert created(answer(500, code("DRS.M00004"), headers)).fate is Fate.MAYBE


def test_a_proxy_that_wants_a_login_stops_the_scope() -> None:
    trouble = created(said(pages.PROXY_LOGIN))
    assert (trouble.foreign, trouble.kind) == (Foreign.BARRED, ErrorKind.PROTOCOL)


def test_it_is_told_who_says_so_and_what_a_browser_would_show() -> None:
    msg = created(said(pages.PROXY_DENIES)).error_msg or ""
    assert "squid/5.7" in msg
    assert "ERR_ACCESS_DENIED" in msg
    assert "licence" not in msg
    styled = b"<html><head><title>Portal</title><style>b {color: red}</style><script>go()</script></head>Log in<!-- x"
    assert created(answer(200, styled)).error_msg == (
        "something on the way answers in the cloud's place (status 200: Portal Log in)"
    )


def test_what_names_itself_is_kept_short_and_printable() -> None:
    assert speaker({"server": "x" * 500, "via": "1.1 a\x1b[31m"}) == "x" * 80 + ", Via: 1.1 a[31m"
    assert speaker({}) is None


def test_any_object_is_read_without_harm() -> None:
    bodies: list[Any] = [{"error": []}, {"error": {"code": []}}, {"error_code": {}}, {"code": True}, {"results": None}]
    for body in bodies:
        is_the_clouds(answer(404, orjson.dumps(body)))
