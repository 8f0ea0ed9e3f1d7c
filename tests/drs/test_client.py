"""The client of a scope: what it sends, where to, and what it asks of the credential."""

import json
from collections.abc import Mapping

import pytest
from rich.pretty import pretty_repr

from batcher.drs import guesses
from batcher.drs.answer import Answer, RequestStage
from batcher.drs.cloud import Cloud, Credential, HttpRequest, Refusal
from batcher.drs.outcome import Half
from batcher.drs.results import ResultKind
from batcher.drs.transport import AiohttpTransport
from batcher.drs.v3.client import DrsClient
from tests.drs.answers import answer
from tests.drs.raw_server import OK, always, serve

ENDPOINT = "https://drs.example.com"


class Wire:
    """A transport that keeps what it is given and answers from a list."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[HttpRequest] = []
        self._answers = list(answers) or [answer(200, {})]

    async def send(self, request: HttpRequest) -> Answer:
        self.requests.append(request)
        return self._answers[min(len(self.requests), len(self._answers)) - 1]


class Numbered:
    """A credential whose headers tell which call of `headers` made them."""

    at_hand = False

    def __init__(self) -> None:
        self.given = 0
        self.signed: list[HttpRequest] = []
        self.used: Mapping[str, str] | None = None

    def describe(self) -> str:
        return "a token made up by the test"

    async def prepare(self) -> Refusal | None:
        return Refusal("none today", error_code="APIGW.0301")

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        self.given += 1
        self.signed.append(request)
        return {"X-Auth-Token": f"token-{self.given}"}

    async def renew(self, used: Mapping[str, str]) -> bool:
        self.used = used
        return True


def client(wire: Wire, credential: Credential | None = None, x_language: str | None = None) -> DrsClient:
    return DrsClient(
        wire, endpoint=ENDPOINT, project_id="0a1b", credential=credential or Numbered(), x_language=x_language
    )


def test_it_is_what_the_engine_takes_for_a_cloud() -> None:
    cloud: Cloud = client(Wire())
    assert cloud


async def test_a_create_is_sent_byte_for_byte() -> None:
    wire, credential = Wire(), Numbered()
    told: list[str] = []
    body = b'{ "job_id":"j" }'
    await client(wire, credential).create_comparisons(
        body, job_id="j", asked={Half.DATA}, on_sent=lambda: told.append("left")
    )
    (request,) = wire.requests
    assert (request.method, request.url) == ("POST", f"{ENDPOINT}/v3/0a1b/jobs/create-compare-task")
    assert request.body == body
    assert request.headers == {"Content-Type": "application/json", "X-Auth-Token": "token-1"}
    assert request.on_sent is not None
    request.on_sent()
    assert told == ["left"]
    assert "token-1" not in repr(request)
    assert "token-1" not in pretty_repr(request)


async def test_the_credential_sees_everything_that_it_may_have_to_sign() -> None:
    wire, credential = Wire(), Numbered()
    await client(wire, credential, x_language="zh-cn").create_comparisons(b"{}", job_id="j", asked={Half.DATA})
    (signed,), (sent,) = credential.signed, wire.requests
    assert (signed.method, signed.url, signed.body) == (sent.method, sent.url, sent.body)
    assert signed.headers == {"Content-Type": "application/json", "X-Language": "zh-cn"}


@pytest.mark.parametrize(
    ("scope", "entry", "sent"),
    [(None, None, None), ("en-us", None, "en-us"), ("en-us", "zh-cn", "zh-cn"), (None, "zh-cn", "zh-cn")],
)
async def test_the_language_of_the_entry_beats_that_of_the_scope(
    scope: str | None, entry: str | None, sent: str | None
) -> None:
    wire = Wire()
    cloud = DrsClient(wire, endpoint=ENDPOINT, project_id="p", credential=Numbered(), x_language=scope)
    await cloud.create_comparisons(b"{}", job_id="j", asked={Half.DATA}, x_language=entry)
    assert wire.requests[0].headers.get("X-Language") == sent


async def test_a_query_for_the_list() -> None:
    wire = Wire()
    await client(wire).list_comparisons("j", page=2)
    (request,) = wire.requests
    assert request.url == f"{ENDPOINT}/v3/0a1b/jobs/query-compare-result"
    assert json.loads(request.body) == {"job_id": "j", "current_page": 2, "per_page": 10}


async def test_a_query_for_the_results_of_both_halves_at_once() -> None:
    wire = Wire()
    await client(wire).read_results(
        "j",
        {ResultKind.OBJECTS: "o", ResultKind.ROWS: "l", ResultKind.VALUES: "c"},
        page=1,
        per_page=10,
    )
    assert json.loads(wire.requests[0].body) == {
        "job_id": "j",
        "object_level_compare_id": "o",
        "line_compare_id": "l",
        "content_compare_id": "c",
        "current_page": 1,
        "per_page": 10,
    }


async def test_a_batch_of_states_always_says_its_page_size() -> None:
    """Left out, the cloud would silently tell five jobs only."""
    wire = Wire()
    jobs = [f"j{number}" for number in range(guesses.STATUS_BATCH)]
    await client(wire).job_statuses(jobs)
    (request,) = wire.requests
    assert request.url == f"{ENDPOINT}/v3/0a1b/jobs/batch-status"
    assert json.loads(request.body) == {"jobs": jobs, "page_req": {"cur_page": 1, "per_page": len(jobs)}}
    for wrong in ([], [*jobs, "one-more"]):
        with pytest.raises(ValueError, match="1 to 10"):
            await client(wire).job_statuses(wrong)


async def test_reads_may_be_longer_than_creates() -> None:
    wire = Wire()
    cloud = client(wire)
    await cloud.create_comparisons(b"{}", job_id="j", asked={Half.DATA})
    await cloud.list_comparisons("j", page=1)
    create, query = wire.requests
    assert create.answer_limit < query.answer_limit


async def test_a_project_id_cannot_lead_to_another_address() -> None:
    wire = Wire()
    cloud = DrsClient(wire, endpoint=ENDPOINT, project_id="../a?b#c", credential=Numbered())
    await cloud.create_comparisons(b"{}", job_id="j", asked={Half.DATA})
    assert wire.requests[0].url == f"{ENDPOINT}/v3/..%2Fa%3Fb%23c/jobs/create-compare-task"


async def test_what_is_renewed_is_what_was_refused() -> None:
    """With many requests under way, a newer credential may have been used since."""
    wire, credential = Wire(answer(200, {}), answer(401, {}), answer(200, {})), Numbered()
    cloud = client(wire, credential)
    for _ in range(3):
        await cloud.create_comparisons(b"{}", job_id="j", asked={Half.DATA})
    assert await cloud.renew()
    assert credential.used == {"X-Auth-Token": "token-2"}


async def test_a_refusal_of_the_credential_is_handed_on() -> None:
    refusal = await client(Wire()).prepare()
    assert refusal is not None
    assert refusal.error_code == "APIGW.0301"


async def test_over_a_real_socket() -> None:
    async with serve(always(OK)) as server, AiohttpTransport() as transport:
        cloud = DrsClient(transport, endpoint=server.url, project_id="p", credential=Numbered(), x_language="en-us")
        got = await cloud.create_comparisons(b'{"job_id":"j"}', job_id="j", asked={Half.DATA})
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert (got.http_status, body) == (200, b'{"job_id":"j"}')
    assert b"\r\nX-Auth-Token: token-1\r\n" in head
    assert b"\r\nX-Language: en-us\r\n" in head


async def test_until_an_answer_has_come_reads_wait_less_long() -> None:
    """A create request never does: what had left may have happened."""
    silence = Answer(stage=RequestStage.SENT, sent_at=0.0, answered_at=0.0, error="no answer", error_kind="timeout")
    wire = Wire(*[silence] * 5, answer(200, {}))
    cloud = DrsClient(wire, endpoint=ENDPOINT, project_id="p", credential=Numbered(), hasty_at_first=True)
    await cloud.create_comparisons(b"{}", job_id="j", asked={Half.DATA})
    for _ in range(6):
        await cloud.list_comparisons("j", page=1)
    assert [request.patience for request in wire.requests] == [1.0, 0.25, 0.25, 0.5, 0.5, 0.5, 1.0]
    unhurried = Wire(silence)
    await client(unhurried).list_comparisons("j", page=1)
    assert unhurried.requests[0].patience == 1.0
