"""What is read of a wave: its files, its entries, its events, the gate and the report."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from batcher.errors import UserError
from batcher.report.gather import ServedWave
from batcher.service import readings
from batcher.service.api.call import Call, reply
from batcher.service.api.lines import LineSource, pieces
from batcher.service.headers import policy_of
from batcher.service.kept.decisions import require_entry
from batcher.service.kept.entry_index import ResultLimits
from batcher.service.kept.folders import Folder
from batcher.service.kept.register import WaveRow
from batcher.service.limits import ServiceLimits, StreamQuota, sent
from batcher.service.models import State
from batcher.service.problem import Problem
from batcher.service.waves import Waves
from batcher.settings import Loaded

_TYPES = {"csv": "text/csv", "json": "application/json", "jsonl": "application/x-ndjson"}
_REPORTS = {"html": "text/html", "json": "application/json", "csv": "text/csv", "md": "text/markdown"}


class ReadingApi:
    """The handlers; each is named after its route."""

    def __init__(self, waves: Waves, limits: ServiceLimits) -> None:
        self._waves = waves
        self._limits = limits
        self.streams = StreamQuota("open stream", limits.streams, limits.streams_each)
        self.indexes = readings.Indexes()

    async def manifest(self, call: Call) -> web.StreamResponse:
        """The manifest as it was handed in."""
        row = await self._waves.get(call.id)
        path = (await self._waves.files(row)).manifest
        file = await readings.threaded(lambda: path.open("rb"))
        name = f'attachment; filename="{row.id}.{row.format}"'
        charset = row.encoding or "utf-8"
        return web.Response(
            body=file, content_type=_TYPES[row.format], charset=charset, headers={"Content-Disposition": name}
        )

    async def results(self, call: Call) -> web.StreamResponse:
        """Answer with the result lines of a wave."""
        row = await self._waves.get(call.id)
        return await self._lines(call, row, "results", (await self._waves.files(row)).results)

    async def verdicts(self, call: Call) -> web.StreamResponse:
        """Answer with the verdict lines of a wave."""
        row = await self._waves.get(call.id)
        return await self._lines(call, row, "verdicts", (await self._waves.files(row)).verdicts)

    async def _lines(self, call: Call, row: WaveRow, kind: str, path: Path) -> web.StreamResponse:
        edition = f'"{await self._waves.edition(row, kind, path)}"'
        wanted = call.request.headers.get("If-Match")
        if wanted not in (None, "*", edition):
            raise Problem(
                412, "These lines were written anew since: read them from the beginning.", headers={"ETag": edition}
            )
        runner, id = self._waves.runner, row.id
        source = LineSource(
            path=path,
            most=lambda: runner.final_results(id) if kind == "results" else None,
            is_over=lambda: runner.is_closing or runner.row(id) is None,
            grew=lambda: runner.feed(id).came,
        )
        response = web.StreamResponse(headers={"ETag": edition, "Content-Type": "application/x-ndjson"})
        with self.streams.one(call.who.name):
            await self._stream(call, response, pieces(source, call.query.after, follow=call.query.follow))
        return response

    async def events(self, call: Call) -> web.StreamResponse:
        """What happens to it."""
        row = await self._waves.get(call.id)
        runner = self._waves.runner
        feed, seen = runner.feed(row.id), call.request.headers.get("Last-Event-ID")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )

        async def told() -> AsyncIterator[bytes]:
            yield b"retry: 2000\n\n"
            if not feed.knows(seen):
                yield feed.snapshot("wave", await self._waves.told(row.id))
            async for event in feed.since(seen, lambda: runner.is_closing):
                yield event

        with self.streams.one(call.who.name):
            await self._stream(call, response, told())
        return response

    async def _stream(self, call: Call, response: web.StreamResponse, pieces: AsyncIterator[bytes]) -> None:
        """Send what comes, at the client's speed."""
        request = call.request
        try:
            await response.prepare(request)
            async for piece in pieces:
                if request.transport is None or request.transport.is_closing():
                    return
                if piece:
                    await sent(response.write(piece), self._limits)
            await sent(response.write_eof(), self._limits)
        except ConnectionError:
            return  # whoever read it is gone
        finally:
            await pieces.aclose()  # type: ignore[attr-defined] # they are all generators

    async def entries(self, call: Call) -> web.StreamResponse:
        """Answer with a page of a wave's entries."""
        row = await self._waves.get(call.id)
        limits = ResultLimits(self._waves.runner.final_results(row.id), row.runs)
        folder = await self._waves.files(row)
        return reply(await self.indexes.page(row.id, folder, limits, call.query, lambda: self._waves.settings_of(row)))

    async def entry(self, call: Call) -> web.StreamResponse:
        """One entry, as `explain` has it."""
        row = await self._waves.get(call.id)
        index = call.index
        require_entry(index, row.entries)
        folder = await self._waves.files(row)
        if not folder.results.exists():  # the plan is there before they are
            loaded = self._settings_of(row)
            return reply(await readings.at_length(lambda: readings.in_manifest(folder, loaded, index)))
        return reply(await readings.threaded(lambda: readings.explained(folder, index)))

    async def settle(self, call: Call) -> web.StreamResponse:
        """What became of an unsettled entry."""
        await self._waves.settle(call.id, call.index, call.body.ruling, call.who)
        return await self.entry(call)

    async def gate(self, call: Call) -> web.StreamResponse:
        """GO or NO-GO."""
        row, folder = await self._begun(call)
        accepted = self._accepted(row)
        most = call.query.limit
        file = await readings.at_length(
            lambda: readings.gate(folder, row.name, readings.acceptances_of(accepted), most)
        )
        return _file(file, "application/json")

    async def report(self, call: Call) -> web.StreamResponse:
        """Answer with the report on a wave."""
        row, folder = await self._begun(call)
        accepted, format = self._accepted(row), call.query.format
        served = ServedWave(id=row.id, name=row.name)
        file = await readings.at_length(
            lambda: readings.report(folder, served, readings.acceptances_of(accepted), format)
        )
        response = _file(file, _REPORTS[format])
        if format == "html":
            response.headers["Content-Security-Policy"] = await asyncio.to_thread(_policy, file)
        return response

    async def _begun(self, call: Call) -> tuple[WaveRow, Folder]:
        """The wave, which has results, and its files. Raises `Problem`."""
        row = await self._waves.get(call.id)
        folder = await self._waves.files(row)
        if row.state is State.HELD or not folder.results.exists():
            raise Problem(409, f"Wave {row.id} is {row.state.value}: it has no results yet.", title="Not in this state")
        return row, folder

    def _accepted(self, row: WaveRow) -> Path | None:
        """The file of accepted differences that the service's configuration names."""
        return self._settings_of(row).settings.allow_inconsistent

    def _settings_of(self, row: WaveRow) -> Loaded:
        """The settings of a wave. Raises `Problem` where the service's configuration cannot be used any more."""
        try:
            return self._waves.settings_of(row)
        except UserError as error:
            raise Problem(503, error.message) from error


def _file(file: BinaryIO, content_type: str) -> web.Response:
    headers = {"Content-Type": f"{content_type}; charset=utf-8", "Content-Disposition": "inline"}  # shown, not saved
    return web.Response(body=file, headers=headers)


def _policy(file: BinaryIO) -> str:
    text = file.read().decode()
    file.seek(0)
    return policy_of(text)
