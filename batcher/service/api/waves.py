"""Waves: handed in, listed, steered."""

from aiohttp import web

from batcher.service.acceptance import Unsound, format_of
from batcher.service.api.call import Call, reply
from batcher.service.kept.register import WaveRow
from batcher.service.limits import ServiceLimits, StreamQuota, upload
from batcher.service.problem import Problem
from batcher.service.waves import SubmittedManifest, Waves

_LONGEST_KEY = 255


class WavesApi:
    """The handlers; each is named after its route."""

    def __init__(self, waves: Waves, limits: ServiceLimits) -> None:
        self._waves = waves
        self._limits = limits
        self._uploads = StreamQuota("upload", limits.uploads, limits.uploads_each)

    async def submit(self, call: Call) -> web.StreamResponse:
        """Take in a manifest."""
        request, who = call.request, call.who
        key = _key(request.headers.get("Idempotency-Key"))
        manifest = handed_in(call, self._limits)
        with self._uploads.one(who.name):
            try:
                row, is_new = await self._waves.submit(manifest, call.query, call.more, who, key)
            except Unsound as error:
                return error.response()
        return self._made(row, is_new=is_new)

    def _made(self, row: WaveRow, *, is_new: bool) -> web.Response:
        where = {"Location": f"/v1/waves/{row.id}"}
        return reply(self._waves.runner.told(row), status=201 if is_new else 200, headers=where)

    async def list_waves(self, call: Call) -> web.StreamResponse:
        """Answer with a page of the waves."""
        return reply(await self._waves.page(call.query))

    async def wave(self, call: Call) -> web.StreamResponse:
        """Answer with one wave."""
        return reply(await self._waves.told(call.id))

    async def change(self, call: Call) -> web.StreamResponse:
        """Change how it runs."""
        return reply(await self._waves.change(call.id, call.body, call.who))

    async def approve(self, call: Call) -> web.StreamResponse:
        """Let it go."""
        return reply(await self._waves.approve(call.id, call.body.digest, call.who))

    async def start(self, call: Call) -> web.StreamResponse:
        """Start a wave."""
        return await self._do(call)

    async def pause(self, call: Call) -> web.StreamResponse:
        """Pause a wave."""
        return await self._do(call)

    async def resume(self, call: Call) -> web.StreamResponse:
        """Have it go on."""
        return await self._do(call)

    async def stop(self, call: Call) -> web.StreamResponse:
        """Stop a wave."""
        return await self._do(call)

    async def retry_failed(self, call: Call) -> web.StreamResponse:
        """Take up its failed entries again."""
        return await self._do(call)

    async def _do(self, call: Call) -> web.StreamResponse:
        return reply(await self._waves.do(call.id, call.route.name, call.who))

    async def recheck(self, call: Call) -> web.StreamResponse:
        """A new wave of what did not come out consistent."""
        key = _key(call.request.headers.get("Idempotency-Key"))
        row, is_new = await self._waves.recheck(call.id, call.who, key)
        return self._made(row, is_new=is_new)


def handed_in(call: Call, limits: ServiceLimits) -> SubmittedManifest:
    """The manifest in the request's body. Raises `Problem`."""
    request = call.request
    return SubmittedManifest(
        pieces=upload(request, limits.upload_bytes, limits),
        format=format_of(request.content_type),
        encoding=_encoding(request.charset),
    )


def _key(key: str | None) -> str | None:
    """The idempotency key. Raises `Problem`."""
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
        raise Problem(400, f"Idempotency-Key is 1 to {_LONGEST_KEY} printable characters, a UUID say.")
    return key


def _encoding(charset: str | None) -> str | None:
    """The manifest's encoding, where it is another than UTF-8."""
    return None if charset is None or charset.lower().replace("_", "-") in ("utf-8", "utf8", "us-ascii") else charset
