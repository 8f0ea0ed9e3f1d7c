"""A wave of the service, followed from here: its lines brought over, and where it stands."""

import asyncio
from collections.abc import Mapping
from typing import Any

from batcher.client.http import ServiceClient
from batcher.client.lines import OVER, bring
from batcher.client.places import Place
from batcher.client.told import follow_status_of, status_of
from batcher.clock import Clock, SystemClock
from batcher.follow.follower import FollowStatus
from batcher.logger import get_logger
from batcher.text import printable
from batcher.wave.status import WaveStatus

log = get_logger("batcher.client")
_LOOK_S = 0.5  # between two looks at how it stands


class WatchedWave:
    """Looks at the wave that *told* tells of, through *client*, again and again."""

    def __init__(self, client: ServiceClient, told: Mapping[str, Any], clock: Clock | None = None) -> None:
        self.told: Mapping[str, Any] = told
        self.id = str(told["id"])
        self._client = client
        self._clock = clock or SystemClock()

    def status(self) -> WaveStatus:
        """The wave's status, as far as is known."""
        return status_of(self.told, self._clock.now())

    def following(self) -> FollowStatus | None:
        """The status of the following of its comparisons; None before the first verdict."""
        return follow_status_of(self.told)

    async def until_over(self) -> Mapping[str, Any]:
        """Look at it until it has ended or was stopped; how it is told then. Raises `ServiceRefused`, `ServiceLost`."""
        while (await self._ask())["state"] not in OVER:
            await self._clock.sleep(_LOOK_S)
        return self.told

    async def _ask(self) -> Mapping[str, Any]:
        told: Mapping[str, Any] = await self._client.get(f"/v1/waves/{self.id}")
        if told["state"] != self.told["state"]:
            log.info("client.wave_state", wave=self.id, state=told["state"], reason=_short(told["reason"]))
        self.told = told
        return told


class FollowedWave(WatchedWave):
    """Follows a wave, and brings its lines into the places for its *results* and *verdicts*."""

    def __init__(
        self,
        client: ServiceClient,
        told: Mapping[str, Any],
        results: Place,
        verdicts: Place | None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(client, told, clock)
        self._results = results
        self._verdicts = verdicts
        self._judged = asyncio.Event()  # there are verdicts, or there will be none

    async def run(self) -> Mapping[str, Any]:
        """Follow it until it is over; how it is told then. May be cancelled at any time.

        Raises `ServiceRefused`, `ServiceLost`, `SinkFailed`.
        """
        work = [asyncio.create_task(self._bring("results", self._results), name="results")]
        if self._verdicts is not None:
            work.append(asyncio.create_task(self._bring_verdicts(self._verdicts), name="verdicts"))
        looking = asyncio.create_task(self._look(), name="look")
        try:
            pending: set[asyncio.Task[Any]] = {*work}
            while pending:
                done, _ = await asyncio.wait({*pending, looking}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
                pending -= done
            return self.told
        finally:
            for task in (*work, looking):
                task.cancel()
            await asyncio.gather(*work, looking, return_exceptions=True)

    async def _bring(self, kind: str, place: Place) -> None:
        await bring(self._client, f"/v1/waves/{self.id}/{kind}", place, self._ask, self._clock)

    async def _bring_verdicts(self, place: Place) -> None:
        await self._judged.wait()
        await self._bring("verdicts", place)

    async def _look(self) -> None:
        await self.until_over()
        await asyncio.Event().wait()  # whoever brings its lines has the last word

    async def _ask(self) -> Mapping[str, Any]:
        told = await super()._ask()
        if told["state"] in OVER or any(told["verdicts"].values()):
            self._judged.set()
        return told


def _short(reason: str | None) -> str | None:
    """Its first line: all of it is told at the end."""
    return None if reason is None else printable(reason.partition("\n")[0], 200)
