"""What came back from one HTTP request: a value, whatever happened. Expected trouble is never an exception."""

from collections.abc import Mapping
from enum import Enum

from batcher.drs.discreet import Discreet


class RequestStage(Enum):
    """How far a request got; decides whether the cloud can have acted on it."""

    NOT_SENT = "not sent"  # no byte of the body left: the cloud cannot have acted
    SENT = "sent"  # the body began to leave: without a whole answer the outcome is unknown


class Answer(Discreet, frozen=True, kw_only=True):
    """One request's outcome at the transport level.

    *http_status* is None when no whole, readable answer arrived; *error* then says why, for people, and
    *error_kind* is `timeout`, `network`, `protocol`, `foreign` (what came is no HTTP) or `barred` (a proxy refuses to
    open the way). *headers* are lower-cased. Times are Unix seconds by
    our own clock: *sent_at* is when the body left (or the attempt began, where it did not leave).
    """

    hidden = frozenset({"headers", "body"})  # an IAM answer carries its token there

    stage: RequestStage
    sent_at: float
    answered_at: float
    http_status: int | None = None
    headers: Mapping[str, str] = {}
    body: bytes = b""
    error: str | None = None
    error_kind: str | None = None

    @property
    def request_id(self) -> str | None:
        """The cloud's id for this request: `X-Request-Id`, or IAM's `X-IAM-Trace-Id`."""
        return self.headers.get("x-request-id") or self.headers.get("x-iam-trace-id")
