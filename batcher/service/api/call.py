"""One request, taken apart: who asks, and for what, each validated by the models that its route names."""

from collections.abc import Mapping
from typing import Any
from unicodedata import category

import orjson
from aiohttp import web
from msgspec import Struct

from batcher.service.given import finding, invalid, parsed
from batcher.service.guard import who_of
from batcher.service.limits import ServiceLimits, small_body
from batcher.service.models import ListEntries, NewWave
from batcher.service.page.models import CheckManifest
from batcher.service.problem import Problem
from batcher.service.roles import Who
from batcher.service.routes import Route

_LABEL = "label."


class Call(Struct, frozen=True, kw_only=True):
    """A request for *route*. *query* and *body* are of its models; *more* are settings of a wave."""

    request: web.Request
    route: Route
    query: Any
    body: Any
    more: Mapping[str, str] = {}

    @property
    def who(self) -> Who:
        """Who sent the request."""
        return who_of(self.request)

    @property
    def id(self) -> str:
        """The wave's id, as it stands in the path."""
        return self.request.match_info["id"]

    @property
    def index(self) -> int:
        """The entry's place, as it stands in the path. Raises `Problem` 404."""
        text = self.request.match_info["index"]
        if not text.isascii() or not text.isdecimal() or len(text) > 9:
            raise Problem(404, f"There is no entry {text[:40]!r}: entries are counted from 0.")
        return int(text)


async def call_of(request: web.Request, route: Route, limits: ServiceLimits) -> Call:
    """*request* as a call. Raises `Problem`."""
    given = _query(request)
    more: dict[str, str] = {}
    if route.query in (NewWave, CheckManifest):
        more = {name: value for name, value in given.items() if name not in route.query.model_fields}
        given = {name: value for name, value in given.items() if name not in more}
    values: dict[str, Any] = dict(given)
    if route.query is ListEntries:
        values = {name: value for name, value in given.items() if not name.startswith(_LABEL)}
        values["label"] = {n.removeprefix(_LABEL): value for n, value in given.items() if n.startswith(_LABEL)}
        if "label" in given:
            raise invalid([finding("label", given["label"], "names no label", "Write label.NAME=VALUE")])
    query = None
    if route.query is not None:
        query = parsed(route.query, values)
    elif given:
        unknown = [
            finding(n, v, "is not known here", "Leave it out: this takes no parameters") for n, v in given.items()
        ]
        raise invalid(unknown)
    body = None
    if route.raw:
        return Call(request=request, route=route, query=query, body=None)
    if route.body is not None:
        body = parsed(route.body, _object(await small_body(request, limits), request.content_type))
    elif not route.upload and request.can_read_body:
        await small_body(request, limits)
    return Call(request=request, route=route, query=query, body=body, more=more)


def _query(request: web.Request) -> dict[str, str]:
    """The parameters. Raises `Problem` where one is given twice, or holds what no text does."""
    given: dict[str, str] = {}
    wrong = []
    for name, value in request.query.items():
        if name in given:
            wrong.append(finding(name, value, "is given more than once", "Give it once"))
        elif any(category(sign) in ("Cc", "Cs") for sign in name + value):
            wrong.append(finding(name, value, "holds control characters or bytes that are no UTF-8", "Write it anew"))
        given[name] = value
    if wrong:
        raise invalid(wrong)
    return given


def _object(body: bytes, content_type: str) -> Mapping[str, Any]:
    if content_type != "application/json":
        raise Problem(415, f"The body is {content_type}: send application/json.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not JSON: {error.msg} at byte {error.pos}.") from None
    if not isinstance(value, dict):
        raise invalid([finding(None, None, "the body is no JSON object", "Write {…}")])
    return value


def reply(told: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """*told* as JSON."""
    return web.Response(body=orjson.dumps(told), status=status, content_type="application/json", headers=headers)
