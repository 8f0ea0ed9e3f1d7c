"""The cloud as the engine sees it: one scope, a handful of calls, each answer a value."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from batcher.drs import guesses
from batcher.drs.answer import Answer
from batcher.drs.discreet import Discreet


class HttpRequest(Discreet, frozen=True, kw_only=True):
    """One request, complete but for its transport. *url* is absolute; *body* is sent as these very bytes.

    *on_sent* is called once, the moment the body begins to leave: the pace counts from there. An answer longer than
    *answer_limit* bytes is not read to its end.
    """

    hidden = frozenset({"headers", "body"})

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    answer_limit: int = guesses.CREATE_ANSWER_LIMIT
    on_sent: Callable[[], None] | None = None


class Transport(Protocol):
    """Sends one request once: no retry, no redirect. Expected trouble comes back as an `Answer`."""

    async def send(self, request: HttpRequest) -> Answer:
        """Send *request* and read the whole answer; cancellation drops the connection."""
        ...


class Refusal(Struct, frozen=True):
    """Why no credential can be had; the scope stops with this. *error_msg* names the way out.

    *cause* is one of `auth.explain.Cause`. *passing*: nothing was refused, IAM just could not be asked.
    """

    error_msg: str
    error_code: str | None = None
    http_status: int | None = None
    cause: str | None = None
    passing: bool = False


class Credential(Protocol):
    """Lets requests of one scope in. Nothing of a secret shows in `describe`, repr or errors."""

    def describe(self) -> str:
        """Kind and origin, without the secret: "token from BATCHER_TOKEN"."""
        ...

    async def prepare(self) -> Refusal | None:
        """Have whatever `headers` needs (an unexpired token, a re-read file); one fetch however many wait."""
        ...

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """The headers to add to *request*; called once for each send, right before it."""
        ...

    async def renew(self, used: Mapping[str, str]) -> bool:
        """After a 401 to a request that carried the headers *used*: True if there is something newer now."""
        ...


class Cloud(Protocol):
    """One scope of the cloud, as handed to the engine."""

    async def prepare(self) -> Refusal | None:
        """Have the credential ready, so that the next call leaves at once. None: ready."""
        ...

    async def create_compare_task(
        self, body: bytes, *, x_language: str | None, on_sent: Callable[[], None] | None = None
    ) -> Answer:
        """POST /v3/{project_id}/jobs/create-compare-task, once. Not idempotent."""
        ...

    async def query_compare_result(
        self,
        job_id: str,
        *,
        current_page: int,
        per_page: int,
        object_level_compare_id: str | None = None,
        line_compare_id: str | None = None,
        content_compare_id: str | None = None,
        on_sent: Callable[[], None] | None = None,
    ) -> Answer:
        """POST /v3/{project_id}/jobs/query-compare-result: one page of the list of the job's comparisons, or, with
        ids, of their results."""
        ...

    async def batch_status(self, job_ids: Sequence[str], *, on_sent: Callable[[], None] | None = None) -> Answer:
        """POST /v3/{project_id}/jobs/batch-status: the status of at most `guesses.STATUS_BATCH` jobs."""
        ...

    async def renew(self) -> bool:
        """After a 401: renew the credential the last refused request used. True: worth another request."""
        ...
