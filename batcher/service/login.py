"""How a browser logs in: `POST /v1/session` with the token, typed once; then the cookie speaks for it.

    POST   {"token": "batcher_…"}   → 201 {"name", "role", "csrf"} and the cookie
    GET                             → 200 the same; 401 where there is no session
    DELETE                          → 204, and the session is over

Without a tokens file nobody needs to log in: GET tells the local user's role, and no word is asked for.
"""

from typing import Any

import orjson
from aiohttp import web

from batcher.service import hosts
from batcher.service.guard import SESSION, Guard, address_of, cookie_of
from batcher.service.limits import ServiceLimits, small_body
from batcher.service.problem import Problem
from batcher.service.roles import Who
from batcher.service.sessions import COOKIE, LONGEST_S, SECURE_COOKIE, BrowserSession


class LoginRoutes:
    """The handlers of `/v1/session`; all of them are open to anybody, and ask *guard* themselves."""

    def __init__(self, guard: Guard, limits: ServiceLimits) -> None:
        self._guard = guard
        self._limits = limits

    async def begin(self, request: web.Request) -> web.Response:
        """Open a session for the token in the body."""
        if (why := hosts.foreign_origin(request.headers, request.method)) is not None:
            raise Problem(403, why)
        token = _token(await small_body(request, self._limits), request.content_type)
        if self._guard.tokens is None:
            raise Problem(409, "This service has no tokens, and nobody needs to log in.")
        who = self._guard.who_has(token, address_of(request))
        assert who.token is not None  # noqa: S101 - it was found in the file
        if (before := cookie_of(request)) is not None:
            self._guard.sessions.end(before)  # a new login, a new cookie: none that was known before is raised
        cookie, session = self._guard.sessions.begin(who.token)
        response = web.json_response(_said(who, session), status=201, dumps=_dumps)
        secure = hosts.is_over_tls(request.headers)
        response.set_cookie(
            SECURE_COOKIE if secure else COOKIE,
            cookie,
            httponly=True,
            samesite="Strict",
            secure=secure,
            path="/",
            max_age=int(LONGEST_S),
        )
        return response

    async def look(self, request: web.Request) -> web.Response:
        """Who the browser is logged in as."""
        who = self._guard.identify(request)
        return web.json_response(_said(who, request.get(SESSION)), dumps=_dumps)

    async def end(self, request: web.Request) -> web.Response:
        """Log out. Nothing to end is no error."""
        cookie = cookie_of(request)
        if cookie is not None and self._guard.sessions.find(cookie) is not None:
            self._guard.identify(request)  # and so no other page's request
            self._guard.sessions.end(cookie)
        response = web.Response(status=204)
        for name in (COOKIE, SECURE_COOKIE):
            response.del_cookie(name, path="/", httponly=True, samesite="Strict", secure=name == SECURE_COOKIE)
        return response


def _token(body: bytes, content_type: str) -> str:
    if content_type != "application/json":
        raise Problem(415, 'Send {"token": "…"} as application/json.')
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    token = said.get("token") if isinstance(said, dict) else None
    if not isinstance(token, str) or not token.strip():
        raise Problem(422, 'Send {"token": "…"}.')
    return token.strip()


def _said(who: Who, session: BrowserSession | None) -> dict[str, Any]:
    return {"name": who.name, "role": who.role.word, "csrf": None if session is None else session.csrf}


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()
