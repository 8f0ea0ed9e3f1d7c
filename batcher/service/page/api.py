"""The page, and what it reads beside the paths that programs use."""

import hashlib
from typing import Any

from aiohttp import web

from batcher.clock import Clock, utc
from batcher.journals import reading
from batcher.life.result import rfc3339
from batcher.report.gather import timeline_of
from batcher.report.timeline import RequestKind
from batcher.service.acceptance import Unsound
from batcher.service.api.call import Call, reply
from batcher.service.api.waves import handed_in
from batcher.service.headers import PAGE_POLICY
from batcher.service.kept.entry_index import ResultLimits
from batcher.service.kept.folders import Folder
from batcher.service.limits import ServiceLimits, StreamQuota
from batcher.service.page.files import INDEX, page_files
from batcher.service.page.upload_checker import UploadChecker
from batcher.service.problem import Problem
from batcher.service.readings import Indexes, at_length
from batcher.service.waves import Waves


class PageApi:
    """The handlers; each is named after its route."""

    def __init__(self, waves: Waves, indexes: Indexes, limits: ServiceLimits, clock: Clock) -> None:
        self._waves = waves
        self._indexes = indexes
        self._limits = limits
        self._checker = UploadChecker(waves.data, waves.service, clock, limits)
        self._checks = StreamQuota("check", limits.uploads, limits.uploads_each)

    async def page(self, call: Call) -> web.StreamResponse:
        """The page itself; everything that it shows it asks for."""
        return _file(call, INDEX)

    async def page_file(self, call: Call) -> web.StreamResponse:
        """One of its files."""
        return _file(call, call.request.match_info["file"])

    async def check(self, call: Call) -> web.StreamResponse:
        """What a manifest would do, if it were handed in."""
        with self._checks.one(call.who.name):
            try:
                return reply(await self._checker.check(handed_in(call, self._limits), call.query, call.more))
            except Unsound as error:
                return error.response()

    async def requests(self, call: Call) -> web.StreamResponse:
        """Create requests of a wave, as they are sent."""
        row = await self._waves.get(call.id)
        limits = ResultLimits(self._waves.runner.final_results(row.id), row.runs)
        folder, page = await self._waves.files(row), (call.query.after, call.query.limit)
        found = await self._indexes.requests(row.id, folder, limits, page, lambda: self._waves.settings_of(row))
        return reply(found)

    async def causes(self, call: Call) -> web.StreamResponse:
        """What went wrong, by cause."""
        row = await self._waves.get(call.id)
        limits = ResultLimits(self._waves.runner.final_results(row.id), row.runs)
        folder = await self._waves.files(row)
        return reply(await self._indexes.causes(row.id, folder, limits, lambda: self._waves.settings_of(row)))

    async def pace(self, call: Call) -> web.StreamResponse:
        """Create requests over time."""
        row = await self._waves.get(call.id)
        folder = await self._waves.files(row)
        return reply(await at_length(lambda: _pace(folder)))


def _pace(folder: Folder) -> dict[str, Any]:
    """When requests left, see `PaceModel`. Raises `UserError`."""
    line = None
    if folder.results.exists():
        with reading(folder.record) as record:
            line = timeline_of(record)
    if line is None:
        return {"width_s": None, "bars": []}
    bars = [{"at": rfc3339(utc(bar.at)), **{kind.value: bar.counts[kind] for kind in RequestKind}} for bar in line.bars]
    return {"width_s": line.width_s, "bars": bars}


def _file(call: Call, name: str) -> web.Response:
    """The file with that *name*. Raises `Problem` 404."""
    found = page_files().get(name)
    if found is None:
        raise Problem(404, f"The page has no file {name[:40]!r}.")
    body, content_type = found
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": PAGE_POLICY}
    if call.request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)
