"""A wave's lines, brought over to a place on this side: each once, in order, until the wave has ended."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from batcher.client.errors import ServiceLost, ServiceRefused, StreamBroken
from batcher.client.http import ServiceClient
from batcher.client.places import Place
from batcher.clock import Clock

Told = Mapping[str, Any]
"""A wave, as the service tells it."""

OVER = frozenset({"stopped", "ended"})


async def bring(
    client: ServiceClient,
    path: str,
    place: Place,
    told: Callable[[], Awaitable[Told]],
    clock: Clock,
) -> Told:
    """Bring the lines at *path* to *place* until the wave that *told* gives is over; the wave as it is then.

    That is known before its last lines are read, so that none is missed. Raises `ServiceRefused`, `ServiceLost` and
    what *place* raises.
    """
    broken, why = 0, ""
    silent_since = clock.monotonic()
    while True:
        wave = await told()
        place.step_back()
        try:
            before = place.count
            agreed = await _read(client, path, place)
        except StreamBroken as error:
            broken, why = (broken + 1 if place.count == before else 1), str(error)
            if place.count != before:
                silent_since = clock.monotonic()
            elif clock.monotonic() - silent_since > client.patience_s:
                raise ServiceLost(
                    f"the service at {client.access.url} gives no lines any more: {why}.", sent=False
                ) from error
            await client.pause(broken, why)
            continue
        if wave["state"] in OVER and place.edition is not None:
            if agreed:
                place.sync()
                return wave
            place.restart()  # it has more than the service: they were taken back
        broken, silent_since = 0, clock.monotonic()
        await client.pause(0, "")


async def copy(client: ServiceClient, path: str, place: Place, clock: Clock) -> None:
    """Bring what there is at *path* now to *place*, which is empty. Raises `ServiceRefused`, `ServiceLost`."""
    began, broken = clock.monotonic(), 0
    while True:
        try:
            await _read(client, path, place, follow=False)
        except StreamBroken as error:
            if clock.monotonic() - began > client.patience_s:
                raise ServiceLost(f"the service at {client.access.url} gives no lines: {error}.", sent=False) from error
            broken += 1
            await client.pause(broken, str(error))
            continue
        if place.edition is not None:  # else they were written anew meanwhile
            return


async def _read(client: ServiceClient, path: str, place: Place, *, follow: bool = True) -> bool:
    """Take what there is, and what comes, until the stream ends; whether what was there before is the service's.

    Raises `StreamBroken`, `ServiceRefused`.
    """
    last = place.last
    after = place.count if last is None else place.count - 1
    headers = {} if place.edition is None else {"If-Match": place.edition}
    try:
        async with client.stream(path, {"after": str(after), "follow": str(follow).lower()}, headers) as (
            edition,
            pieces,
        ):
            place.begin(edition)
            async for lines in whole(pieces):
                fresh = lines
                if last is not None:
                    if not lines.startswith(last):
                        place.restart()  # somebody has changed our file: it is brought anew
                        return True
                    fresh, last = lines[len(last) :], None
                if fresh:
                    place.put(fresh)
                    await place.room()
    except ServiceRefused as error:
        if error.status != 412:
            raise
        place.restart()
        return True
    return last is None


async def whole(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """*pieces* cut anew so that each ends with a line; an unfinished one at the end is left out."""
    rest = bytearray()
    async for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if not end:
            rest += piece
            continue
        rest += piece[:end]
        yield bytes(rest)
        rest[:] = piece[end:]
