"""A browser's session; see `batcher.service.login`."""

from aiohttp import web

from batcher.service.api.call import Call
from batcher.service.guard import Guard
from batcher.service.limits import ServiceLimits
from batcher.service.login import LoginRoutes


class SessionApi:
    """The handlers; each is named after its route."""

    def __init__(self, guard: Guard, limits: ServiceLimits) -> None:
        self._login = LoginRoutes(guard, limits)

    async def log_in(self, call: Call) -> web.StreamResponse:
        """Open a session."""
        return await self._login.begin(call.request)

    async def session(self, call: Call) -> web.StreamResponse:
        """Whose it is."""
        return await self._login.look(call.request)

    async def log_out(self, call: Call) -> web.StreamResponse:
        """End the session."""
        return await self._login.end(call.request)
