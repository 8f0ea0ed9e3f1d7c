"""`batcher watch` of a shared wave that others follow: results and verdicts are brought from the database as they come.

The cloud is not asked: who has the scopes does, by the pace that the cloud allows.
"""

import asyncio
from contextlib import ExitStack, suppress
from pathlib import Path

from batcher.clock import Clock, SystemClock
from batcher.exits import OF_SIGNALS
from batcher.follow.follower import FollowEnd, FollowStatus
from batcher.journal.errors import JournalUnusable
from batcher.journal.place import WavePlace
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.link import Patience
from batcher.journal.postgres.looking import opened, planned_wave
from batcher.machines.shared_following import SharedFollowing
from batcher.machines.shared_status import WaveSighting, look_at
from batcher.settings import RunSettings
from batcher.wave.export import ResultsExport
from batcher.wave.stop import Stopping

_LOOK_S = 0.5  # between two looks at the database


class SharedWatch:
    """Brings the results of the wave at *place* to the file *results*, and the verdicts to that beside it, to the last.

    *stopping* may end it at any time.
    """

    def __init__(
        self, place: WavePlace, results: Path, settings: RunSettings, stopping: Stopping, clock: Clock | None = None
    ) -> None:
        self._place = place
        self._results = results
        self._settings = settings
        self._stopping = stopping
        self._clock = clock or SystemClock()
        self._sight: WaveSighting | None = None
        self._following: SharedFollowing | None = None

    def status(self) -> FollowStatus | None:
        """Where the following stands; None before anything was seen."""
        if self._following is None or self._sight is None:
            return None
        return self._following.status(self._sight, ())

    async def run(self) -> FollowEnd | None:
        """Until all verdicts are there; None: nobody follows it, or nobody any more. Raises `UserError`."""
        try:
            return await self._run()
        except JournalUnusable as error:
            stop = self._stopping.why
            if stop is None or stop.kind.name not in OF_SIGNALS:
                raise
            raise JournalUnusable(error.message, exit_code=OF_SIGNALS[stop.kind.name]) from error

    async def _run(self) -> FollowEnd | None:
        wave, stopped = self._place.required_wave(), asyncio.Event()
        self._stopping.observe(stopped.set)
        with ExitStack() as stack:
            keeper = await asyncio.to_thread(stack.enter_context, opened(self._place.address, Patience()))
            self._stopping.observe(keeper.link.hurry)  # whoever stops it waits for no database
            self._sight = await asyncio.to_thread(look_at, keeper.link, wave, "")
            if not _is_followed(self._sight):
                return None
            record = await asyncio.to_thread(planned_wave, keeper, self._place, wave)
            export = await asyncio.to_thread(ResultsExport, record, self._results)
            stack.callback(export.close)
            await asyncio.to_thread(export.go_on)
            self._following = await asyncio.to_thread(self._following_of, keeper, record.number)
            stack.callback(self._following.close)
            return await self._see_it_decided(keeper, export, self._following, stopped)

    def _following_of(self, keeper: PostgresKeeper, number: int) -> SharedFollowing:
        timeout_s = self._settings.watch_timeout
        return SharedFollowing(keeper, number, self._results, timeout_s, self._clock, is_of_wave=False)

    async def _see_it_decided(
        self, keeper: PostgresKeeper, export: ResultsExport, following: SharedFollowing, stopped: asyncio.Event
    ) -> FollowEnd | None:
        while True:
            await asyncio.to_thread(export.go_on)
            await asyncio.to_thread(following.go_on)
            sight = self._sight = await asyncio.to_thread(look_at, keeper.link, self._place.required_wave(), "")
            if self._stopping.why is not None or sight.is_decided:
                break
            if not _is_followed(sight):
                return None
            if sight.is_settled and (over := following.why_over(sight)) is not None:
                self._stopping.stop(over)
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), _LOOK_S)
        await asyncio.to_thread(export.go_on)
        await asyncio.to_thread(following.finish, sight, self._stopping.why, {})
        return following.end(sight, self._stopping.why, {}, ())


def _is_followed(sight: WaveSighting) -> bool:
    """Whether verdicts are wanted, and somebody is there who finds them."""
    is_there = bool(sight.others) or any(scope.is_held for scope in sight.standing.scopes)
    return sight.standing.followed and is_there
