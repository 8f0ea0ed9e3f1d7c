"""The HTTP application: the table of routes, each with its handler, behind the guard."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from batcher.clock import Clock
from batcher.logger import get_logger
from batcher.masking import mask_text
from batcher.service.api.about import AboutApi
from batcher.service.api.call import Call, call_of
from batcher.service.api.metrics import MetricsApi
from batcher.service.api.reading import ReadingApi
from batcher.service.api.session import SessionApi
from batcher.service.api.waves import WavesApi
from batcher.service.audit import REFUSED, AuditEntry
from batcher.service.connections import expected
from batcher.service.guard import Guard, path_of
from batcher.service.kept.errors import StoreFailed
from batcher.service.limits import ServiceLimits
from batcher.service.logins import Allowance
from batcher.service.page.api import PageApi
from batcher.service.problem import Problem
from batcher.service.roles import Role, Who
from batcher.service.routes import ROUTES, Route
from batcher.service.tokens import TokensFile
from batcher.service.traffic import Traffic
from batcher.service.waves import Waves
from batcher.text import printable

log = get_logger("batcher.service")

_REFUSALS, _REFUSALS_REFILL_S = 20, 10.0  # of one token, that are recorded
_AGAIN_S = 5  # until whoever asked may ask again
_ROLES = web.AppKey("roles", dict[Any, Role | None])
Handling = Callable[[Call], Awaitable[web.StreamResponse]]


def make_app(waves: Waves, tokens: TokensFile | None, limits: ServiceLimits, clock: Clock) -> web.Application:
    """The application over *waves*, behind its guard; without *tokens* everybody who gets here may do everything."""
    app = web.Application(client_max_size=limits.small_body_bytes)

    refusals = Allowance(clock.monotonic, _REFUSALS, _REFUSALS_REFILL_S)

    async def refused(who: Who, request: web.Request, why: str) -> None:
        if not refusals.use(who.name):
            return  # the access log has it: nobody fills the disk with what they may not do
        try:
            await waves.register.record(_refusal(who, request, why))
        except StoreFailed as error:  # it is refused all the same
            log.error("service.store_failed", wave=request.match_info.get("id"), error=str(error))

    guard = Guard(tokens, least_role, clock=clock, refused=refused, traffic=Traffic(waves.meters.tracer))
    guard.attach(app)
    roles: dict[Any, Role | None] = {}
    reading = ReadingApi(waves, limits)
    parts: tuple[Any, ...] = (
        WavesApi(waves, limits),
        reading,
        PageApi(waves, reading.indexes, limits, clock),
        AboutApi(waves, guard),
        SessionApi(guard, limits),
        MetricsApi(waves, guard, reading.streams),
    )
    for route in ROUTES:
        (handle,) = [found for part in parts if (found := getattr(part, route.name, None)) is not None]
        handler = _handler(route, handle, limits)
        roles[handler] = route.role
        app.router.add_route(route.method, route.path, handler, expect_handler=expected)
    app[_ROLES] = roles

    async def close(_: web.Application) -> None:
        reading.indexes.close()

    app.on_cleanup.append(close)
    return app


def _handler(
    route: Route, handle: Handling, limits: ServiceLimits
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(await call_of(request, route, limits))
        except StoreFailed as error:
            raise _unavailable(error) from error

    return handler


def _unavailable(error: StoreFailed) -> Problem:
    """What is answered where the service cannot read or write what it keeps."""
    then = "Nothing was changed: try again later"
    if error.may_be_done:
        then = "Whether this was done is not known: look at it before you try again"
    headers = None if error.is_full else {"Retry-After": str(_AGAIN_S)}
    return Problem(507 if error.is_full else 503, f"{error}. {then}.", headers=headers)


def least_role(request: web.Request) -> Role | None:
    """The least role that may make *request*; None: anybody."""
    return request.app[_ROLES].get(request.match_info.handler, Role.ADMIN)


def _refusal(who: Who, request: web.Request, why: str) -> AuditEntry:
    """For the audit log: what somebody known was not allowed to do."""
    action = f"{printable(request.method, 20)} {path_of(request)}"
    id = request.match_info.get("id")
    wave = None if id is None else printable(mask_text(id), 40)
    return AuditEntry(who=who, action=action, wave=wave, outcome=REFUSED, detail={"why": why})
