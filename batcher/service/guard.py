"""The door: every request goes through here before anything is done for it, and leaves one line in the log.

In this order: whose page sent it, who speaks, what they may do. A refusal is a problem document (`Problem`), and so is
a failure of ours.
"""

import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec.structs import replace

from batcher.clock import Clock
from batcher.logger import get_logger
from batcher.masking import mask_text
from batcher.service import hosts
from batcher.service.headers import add_headers
from batcher.service.logins import FailedLogins
from batcher.service.problem import Problem, of_http_error
from batcher.service.roles import LOCAL, Role, Who, refusal
from batcher.service.sessions import COOKIE, CSRF_HEADER, SECURE_COOKIE, BrowserSession, Sessions, is_right_word
from batcher.service.tokens import LONGEST, TokenLine, TokensFile, TokensUnusable, hash_of
from batcher.service.traffic import TOLD, Traffic
from batcher.text import printable

log = get_logger("batcher.service")
LeastRole = Callable[[web.Request], Role | None]

WHO = web.RequestKey("who", Who)
SESSION = web.RequestKey("session", BrowserSession)
_CLOSED_BY_CLIENT = 499  # nginx's number: nobody was there to be answered
_READS = ("GET", "HEAD", "OPTIONS")
_IN_THE_ADDRESS = ("token", "access_token", "authorization", "api_key")


class Guard:
    """Lets requests in. *least* tells the least role of a request's route; None: anybody.

    Without *tokens* everybody who gets here is this machine's and may do everything: it must listen on loopback only.
    *refused* is told of what somebody known was not allowed to do.
    """

    def __init__(
        self,
        tokens: TokensFile | None,
        least: LeastRole,
        *,
        clock: Clock,
        refused: Callable[[Who, web.Request, str], Awaitable[None]] | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self.tokens = tokens
        self.sessions = Sessions(clock.monotonic)
        self.logins = FailedLogins(clock.monotonic)
        self._least = least
        self._clock = clock
        self._refused = refused
        self.traffic = traffic or Traffic()

    def attach(self, app: web.Application) -> None:
        """Put it before everything that *app* does."""
        app.middlewares.insert(0, self._middleware)
        app.on_response_prepare.append(_add_headers)

    @property
    def _middleware(self) -> Middleware:
        @web.middleware
        async def through(request: web.Request, handler: Handler) -> web.StreamResponse:
            began, status = self._clock.monotonic(), _CLOSED_BY_CLIENT
            try:
                response = await self._answered(request, handler)
                status = response.status
                return response
            finally:
                self._say(request, status, self._clock.monotonic() - began)

        return through

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            await self._admit(request)
            return await handler(request)
        except Problem as problem:
            return problem.response()
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            return of_http_error(error, request).response()
        except ConnectionError:
            raise  # the client is gone
        except Exception as error:  # the top of a request: it is told, and the service goes on
            log.error(
                "service.failed",
                method=request.method,
                path=path_of(request),
                error=mask_text(repr(error)),
                exc_info=error,
            )
            return Problem(
                500, "This is a defect of the service; its log has the cause. What was accepted is safe."
            ).response()

    def _say(self, request: web.Request, status: int, took_s: float) -> None:
        """One line, without the query, which is nobody's business, and without any header."""
        request[TOLD] = True
        self.traffic.add(request.method, _route(request), status, took_s)
        who, said = request.get(WHO), _forwarded_for(request)
        log.info(
            "service.request",
            method=printable(request.method, 20),
            path=path_of(request),
            status=status,
            who=None if who is None else who.name,
            address=address_of(request),
            took_ms=round(took_s * 1000, 1),
            **({} if said is None else {"forwarded_for": said}),
        )

    async def _admit(self, request: web.Request) -> None:
        """Raises `Problem` where this request is not let through."""
        if request.match_info.http_exception is not None:
            return  # no such place: aiohttp says so
        headers = request.headers
        if self.tokens is None and (why := hosts.foreign_host(headers)) is not None:
            raise Problem(421, why)
        if self.tokens is None and (why := hosts.foreign_origin(headers, request.method)) is not None:
            raise Problem(403, why)
        if any(name in request.query for name in _IN_THE_ADDRESS):
            raise Problem(
                400, "A token has no place in an address, which logs keep. Send it as Authorization: Bearer …"
            )
        least = self._least(request)
        if least is None:
            return
        who = self.identify(request)
        request[WHO] = who
        if (why := refusal(who, least)) is not None:
            if self._refused is not None:
                await self._refused(who, request, why)
            raise Problem(403, why)

    def identify(self, request: web.Request) -> Who:
        """Who makes *request*. Raises `Problem` 401, 403, 429 or 503."""
        address = address_of(request)
        if self.tokens is None:
            return Who(name=LOCAL, role=Role.ADMIN, address=address, forwarded_for=_forwarded_for(request))
        said = request.headers.get("Authorization")
        if said is not None:
            return replace(self.who_has(_bearer(said), address), forwarded_for=_forwarded_for(request))
        cookie = cookie_of(request)
        if cookie is None:
            raise _unknown("Send a token as Authorization: Bearer …")
        session = self.sessions.find(cookie)
        held = None if session is None else self._read(lambda tokens: tokens.holds(session.token))
        if session is None or held is None:
            self.sessions.end(cookie)
            raise _unknown("Your session has ended: log in again.")
        _require_ours(request, session)
        request[SESSION] = session
        return Who(
            name=held.name,
            role=held.role,
            address=address,
            token=held.hash,
            forwarded_for=_forwarded_for(request),
        )

    def who_has(self, token: str, address: str) -> Who:
        """Who speaks with *token* from *address*. Raises `Problem` 401, 429 or 503."""
        hashed = hash_of(token)
        wait_s = self.logins.wait_s(address)
        if wait_s and not self.logins.is_known(address, hashed):
            raise Problem(
                429,
                "Too many wrong tokens came from this address.",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )
        held = self._read(lambda tokens: tokens.find(token)) if 0 < len(token) <= LONGEST else None
        if held is None:
            self.logins.was_wrong(address)
            raise _unknown("The token is none of this service's, or was revoked.")
        self.logins.was_right(address, hashed)
        return Who(name=held.name, role=held.role, address=address, token=held.hash)

    @property
    def can_tell(self) -> bool:
        """Whether the tokens file, if there is one, says just now who may do what."""
        try:
            if self.tokens is not None:
                self.tokens.tokens()
        except TokensUnusable:
            return False
        return True

    def _read(self, look: Callable[[TokensFile], TokenLine | None]) -> TokenLine | None:
        """What *look* finds in the tokens file. Raises `Problem` where it cannot be trusted: then nobody gets in."""
        assert self.tokens is not None  # noqa: S101 - only asked where there is one
        try:
            return look(self.tokens)
        except TokensUnusable as error:
            log.error("service.tokens_unusable", error=error.message)
            raise Problem(503, "The service cannot read its tokens file; its log says why.") from None


def address_of(request: web.BaseRequest) -> str:
    """Where the connection is from; behind a proxy, the proxy's own address."""
    return request.remote or ""


def _forwarded_for(request: web.BaseRequest) -> str | None:
    said = request.headers.get("X-Forwarded-For")
    return None if said is None else printable(mask_text(said), 200)


def cookie_of(request: web.Request) -> str | None:
    """The session's cookie, if the request has one."""
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE)


def who_of(request: web.Request) -> Who:
    """Who makes *request*, on a route that takes a role."""
    return request[WHO]


def _require_ours(request: web.Request, session: BrowserSession) -> None:
    """Raises `Problem` where a page that is not ours may have made a request in this session."""
    if (why := hosts.foreign_origin(request.headers, request.method)) is not None:
        raise Problem(403, why)
    if request.method not in _READS and not is_right_word(session, request.headers.get(CSRF_HEADER, "")):
        raise Problem(
            403, f"In a session, what changes anything needs the header {CSRF_HEADER} with the session's word."
        )


def _bearer(said: str) -> str:
    scheme, _, token = said.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unknown("Send a token as Authorization: Bearer …")
    return token.strip()


def _unknown(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="batcher"'})


def _route(request: web.Request) -> str:
    """The pattern of its path, "" where there is none: paths themselves are without number."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def path_of(request: web.BaseRequest) -> str:
    """The path of a request as it may be kept: somebody may have put a token into it."""
    return printable(mask_text(request.path), 200)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    add_headers(response)
