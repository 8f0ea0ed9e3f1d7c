"""Errors of the service as RFC 9457 problem details: what is wrong, and what to do about it, for people and
programs."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from batcher.errors import BatcherError

CONTENT_TYPE = "application/problem+json"


class Problem(BatcherError):
    """A request that is refused. A middleware answers with it; nothing was done.

    *title* is the same for every problem of its kind, *detail* tells this one and the way out. *more* are further
    members of the answer, such as `findings`.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> web.Response:
        """The answer that tells the problem."""
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail, **self.more}
        return web.Response(
            status=self.status, body=orjson.dumps(body), headers={**self.headers, "Content-Type": CONTENT_TYPE}
        )


_MENDS = {
    404: "There is nothing at {path}. GET /v1/openapi.json has all paths.",
    405: "{path} does not take {method}.",
    413: "The request is larger than the service takes.",
}


def of_http_error(error: web.HTTPException, request: web.Request) -> Problem:
    """What aiohttp refused by itself, as a problem."""
    headers = {name: value for name, value in error.headers.items() if name in ("Allow", "Retry-After")}
    known = _MENDS.get(error.status, "{method} {path}: " + error.reason + ".")
    return Problem(error.status, known.format(path=request.path[:200], method=request.method), headers=headers)
