"""The client of one scope: the calls of the API that this product makes, each sent once and answered by an outcome."""

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from batcher.drs import guesses
from batcher.drs.answer import Answer
from batcher.drs.cloud import Credential, HttpRequest, OnSent, Refusal, ResultIds, Transport
from batcher.drs.outcome import CreateOutcome, Half, ListOutcome, ResultsOutcome, StatusOutcome
from batcher.drs.v3.classify import classify_batch_status, classify_create, classify_list, classify_results
from batcher.drs.v3.create_compare_task import CREATE_COMPARE_TASK
from batcher.drs.v3.query_compare_request import QUERY_COMPARE_RESULT, query_body


def create_request(endpoint: str, project_id: str, body: bytes, x_language: str | None) -> HttpRequest:
    """The request that creates what *body* asks for, but for what its credential adds."""
    url = _jobs_at(endpoint, project_id) + CREATE_COMPARE_TASK
    return HttpRequest(method="POST", url=url, headers=_headers(x_language), body=body)


def _jobs_at(endpoint: str, project_id: str) -> str:
    return f"{endpoint}/v3/{quote(project_id, safe='')}/jobs/"


@lru_cache(maxsize=64)
def _headers(x_language: str | None) -> Mapping[str, str]:
    language = {"X-Language": x_language} if x_language else {}
    return {"Content-Type": "application/json", **language}


_AT_FIRST = (0.25, 0.25, 0.5)  # of the time for an answer: the patience of reads until one has come, the last goes on


class DrsClient:
    """A `Cloud`: (endpoint, project), with the credential that lets its requests in.

    The credential's headers go to *endpoint* and nowhere else: every address is made here, and no redirect is followed.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        endpoint: str,
        project_id: str,
        credential: Credential,
        x_language: str | None = None,
        hasty_at_first: bool = False,
    ) -> None:
        """With *hasty_at_first*, reads wait less long until an answer has come: so it soon shows whether any will."""
        self._transport = transport
        self._endpoint = endpoint
        self._project = quote(project_id, safe="")
        self._jobs = _jobs_at(endpoint, project_id)
        self._create_url = self._jobs + CREATE_COMPARE_TASK
        self._credential = credential
        self._sent_with: tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]] | None = None
        self._x_language = x_language
        self._at_first: tuple[float, ...] = _AT_FIRST if hasty_at_first else ()
        self._refused: Mapping[str, str] = {}  # the credential's headers on the request that last got a 401

    @property
    def at_hand(self) -> bool:
        """Whether the credential is ready as it is."""
        return self._credential.at_hand

    async def prepare(self) -> Refusal | None:
        """Have the credential ready, so that the next call leaves at once. None: ready."""
        return await self._credential.prepare()

    async def renew(self) -> bool:
        """After a 401: renew the credential that the last refused request used. True: worth another request."""
        return await self._credential.renew(self._refused)

    async def create_comparisons(
        self, body: bytes, *, job_id: str, asked: Iterable[Half], x_language: str | None = None, on_sent: OnSent = None
    ) -> CreateOutcome:
        """Create what *body*, a create-compare-task request, asks for, once."""
        request, credential = self._request("POST", self._create_url, body, x_language, on_sent)
        answer = await self._transport.send(request)
        self._answered(answer, credential)
        return classify_create(answer, asked=asked, job_id=job_id)

    async def list_comparisons(self, job_id: str, *, page: int, on_sent: OnSent = None) -> ListOutcome:
        """A page of the job's list of comparisons."""
        answer = await self._query(query_body(job_id, {}, page=page, per_page=guesses.LIST_PAGE_SIZE), on_sent)
        return classify_list(answer, job_id=job_id, most=guesses.LIST_PAGE_SIZE)

    async def read_results(
        self, job_id: str, ids: ResultIds, *, page: int, per_page: int, on_sent: OnSent = None
    ) -> ResultsOutcome:
        """A page of the results of the comparisons that are named, or of the list."""
        body = query_body(job_id, ids, page=page, per_page=per_page)
        return classify_results(await self._query(body, on_sent), job_id=job_id)

    async def job_statuses(self, job_ids: Sequence[str], *, on_sent: OnSent = None) -> StatusOutcome:
        """The status of at most `guesses.STATUS_BATCH` jobs."""
        from batcher.drs.v3.batch_status import BATCH_STATUS, BatchQueryJobReqPage, PageReq  # few waves ask for it

        if not 0 < len(job_ids) <= guesses.STATUS_BATCH:
            raise ValueError(f"job_statuses takes 1 to {guesses.STATUS_BATCH} jobs, not {len(job_ids)}")
        request = BatchQueryJobReqPage(jobs=list(job_ids), page_req=PageReq(cur_page=1, per_page=len(job_ids)))
        answer = await self._post(BATCH_STATUS, request.to_wire(), on_sent=on_sent)
        return classify_batch_status(answer, asked=job_ids)

    def _query(self, body: bytes, on_sent: OnSent) -> Coroutine[Any, Any, Answer]:
        return self._post(QUERY_COMPARE_RESULT, body, on_sent=on_sent)

    def _post(self, call: str, body: bytes, *, on_sent: OnSent = None) -> Coroutine[Any, Any, Answer]:
        return self._ask("POST", self._jobs + call, body, on_sent=on_sent)

    async def _ask(self, method: str, url: str, body: bytes, *, on_sent: OnSent = None) -> Answer:
        """Send one request to *url*, which begins with the endpoint, with what lets it in, and may be asked again."""
        patience = self._at_first[0] if self._at_first else 1.0
        limit = guesses.READ_ANSWER_LIMIT
        request, credential = self._request(method, url, body, None, on_sent, answer_limit=limit, patience=patience)
        answer = await self._transport.send(request)
        if answer.http_status is None:
            self._at_first = self._at_first[1:] or self._at_first
        self._answered(answer, credential)
        return answer

    def _request(
        self,
        method: str,
        url: str,
        body: bytes,
        x_language: str | None,
        on_sent: OnSent,
        *,
        answer_limit: int = guesses.CREATE_ANSWER_LIMIT,
        patience: float = 1.0,
    ) -> tuple[HttpRequest, Mapping[str, str]]:
        """A request with what lets it in, and that by itself."""
        headers = _headers(x_language or self._x_language)
        bare = HttpRequest(
            method=method,
            url=url,
            headers=headers,
            body=body,
            answer_limit=answer_limit,
            on_sent=on_sent,
            patience=patience,
        )
        credential = self._credential.headers(bare)
        before = self._sent_with
        if before is None or before[0] is not headers or before[1] != credential:
            self._sent_with = before = headers, credential, {**headers, **credential}
        return replace(bare, headers=before[2]), credential

    def _answered(self, answer: Answer, credential: Mapping[str, str]) -> None:
        if answer.http_status == 401:
            self._refused = credential
        if answer.http_status is not None:
            self._at_first = ()
