"""The cloud as the engine sees it: one scope, a handful of calls, each answered by an outcome; and what is under them.

The engine knows no version of the API. One that implements `Cloud` lies in a room of its own (`batcher.drs.v3`), and
`batcher.scopes.cloud_of` says which is used.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from batcher.drs import guesses
from batcher.drs.answer import Answer
from batcher.drs.discreet import Discreet
from batcher.drs.outcome import CreateOutcome, Half, ListOutcome, ResultsOutcome, StatusOutcome
from batcher.drs.results import ResultKind
from batcher.errors import BatcherError

OnSent = Callable[[], None] | None


class HeldBack(BatcherError):
    """Whoever sends must not, at the very last moment: what `on_sent` may raise. Nothing has left then."""


class HttpRequest(Discreet, frozen=True, kw_only=True):
    """One request, complete but for its transport. *url* is absolute; *body* is sent as these very bytes; *headers* do
    not change any more.

    *on_sent* is called once, right before the body begins to leave: the pace counts from there. Where it raises
    `HeldBack`, nothing leaves, and sending raises that. An answer longer than
    *answer_limit* bytes is not read to its end. It is waited for *patience* of the time that
    is allowed: less than 1.0 for who can ask again at no cost.
    """

    hidden = frozenset({"headers", "body"})

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    answer_limit: int = guesses.CREATE_ANSWER_LIMIT
    on_sent: OnSent = None
    patience: float = 1.0


class Transport(Protocol):
    """Sends one request once: no retry, no redirect. Expected trouble comes back as an `Answer`."""

    async def send(self, request: HttpRequest) -> Answer:
        """Send *request* and read the whole answer; cancellation drops the connection. Raises `HeldBack`."""
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

    @property
    def at_hand(self) -> bool:
        """Whether `prepare` would bring nothing that is not there: then it need not be awaited."""
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


ResultIds = Mapping[ResultKind, str]
"""The comparisons whose results are read, at most one of each kind."""


class Cloud(Protocol):
    """One scope of the cloud, as handed to the engine. Each call sends one request, once, and never raises for what
    comes of it. *on_sent* is called once, right before the request begins to leave; where it raises `HeldBack` the call
    does, and nothing has left."""

    @property
    def at_hand(self) -> bool:
        """Whether the credential is ready as it is: then `prepare` need not be awaited."""
        ...

    async def prepare(self) -> Refusal | None:
        """Have the credential ready, so that the next call leaves at once. None: ready."""
        ...

    async def renew(self) -> bool:
        """After a 401: renew the credential the last refused request used. True: worth another request."""
        ...

    async def create_comparisons(
        self, body: bytes, *, job_id: str, asked: Iterable[Half], x_language: str | None, on_sent: OnSent = None
    ) -> CreateOutcome:
        """Create what *body* asks for: the halves *asked* of job *job_id*. Not idempotent: the caller has made its
        intent durable."""
        ...

    async def list_comparisons(self, job_id: str, *, page: int, on_sent: OnSent = None) -> ListOutcome:
        """A page, of `guesses.LIST_PAGE_SIZE`, of the job's list of comparisons."""
        ...

    async def read_results(
        self, job_id: str, ids: ResultIds, *, page: int, per_page: int, on_sent: OnSent = None
    ) -> ResultsOutcome:
        """A page of the results of the comparisons that *ids* name, and maybe of the job's list; without any, of that
        list alone."""
        ...

    async def job_statuses(self, job_ids: Sequence[str], *, on_sent: OnSent = None) -> StatusOutcome:
        """The status of each of at most `guesses.STATUS_BATCH` jobs."""
        ...
