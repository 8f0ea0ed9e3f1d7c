"""What the simulated cloud answers, before any fault gets at it."""

import math
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of the cloud. *retry_after_s* becomes a `Retry-After` header."""

    status: int
    body: bytes
    request_id: str
    error_code: str | None = None
    retry_after_s: float | None = None
    content_type: str = "application/json"

    @property
    def headers(self) -> dict[str, str]:
        """The headers the cloud sends with it, `Date` aside."""
        headers = {"Content-Type": self.content_type, "X-Request-Id": self.request_id}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        return headers


def reply(request_id: str, status: int, answer: dict[str, Any]) -> Reply:
    """An answer that speaks for itself."""
    return Reply(status=status, body=orjson.dumps(answer), request_id=request_id)


def refusal(
    request_id: str, status: int, error_code: str, error_msg: str, *, retry_after_s: float | None = None
) -> Reply:
    """The whole call failed. The gateway's refusals carry the request id in the body as well."""
    body = {"error_code": error_code, "error_msg": error_msg}
    if error_code.startswith("APIGW."):
        body["request_id"] = request_id
    return Reply(
        status=status,
        body=orjson.dumps(body),
        request_id=request_id,
        error_code=error_code,
        retry_after_s=retry_after_s,
    )
