"""The service itself: scopes, workers, the record of who did what, health, and this API's description."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from batcher._version import __version__
from batcher.service.api.call import Call, reply
from batcher.service.guard import Guard
from batcher.service.kept.errors import storing
from batcher.service.openapi import document
from batcher.service.problem import Problem
from batcher.service.waves import Waves

_LEAST_ROOM = 64 * 1024 * 1024  # bytes of the disk, with less of which no wave is taken


class AboutApi:
    """The handlers; each is named after its route."""

    def __init__(self, waves: Waves, guard: Guard) -> None:
        self._waves = waves
        self._guard = guard

    async def scopes(self, _: Call) -> web.StreamResponse:
        """Pace and pauses of every scope in use."""
        return reply({"scopes": await self._waves.backend.scopes()})

    async def workers(self, _: Call) -> web.StreamResponse:
        """Who runs what."""
        return reply({"workers": await self._waves.backend.workers()})

    async def audit(self, call: Call) -> web.StreamResponse:
        """Who did what."""
        lines, next_ = await self._waves.register.audit_page(call.query)
        return reply({"lines": lines, "next": next_})

    async def healthz(self, _: Call) -> web.StreamResponse:
        """Say that the service is alive."""
        return reply(_health("ok", []))

    async def readyz(self, _: Call) -> web.StreamResponse:
        """Ready to take waves. Raises `Problem`."""
        problems = []
        if self._waves.runner.is_closing:
            problems.append("the service is ending")
        with storing(f"the folder {self._waves.data.path}"):
            free = await asyncio.to_thread(self._waves.data.free_bytes)  # a network's file system may hang
        if free < _LEAST_ROOM:
            problems.append(f"only {free // 1024 // 1024} MiB are left on the disk of {self._waves.data.path}")
        if not self._guard.can_tell:
            problems.append("the tokens file cannot be used, and so nobody is let in; the log says why")
        await self._waves.register.probe()
        if problems:
            raise Problem(503, "; ".join(problems), title="Not ready")
        return reply(_health("ready", problems))

    async def openapi(self, _: Call) -> web.StreamResponse:
        """This API's description."""
        return reply(document())


def _health(status: str, problems: list[str]) -> Mapping[str, Any]:
    return {"status": status, "version": __version__, "problems": problems}
