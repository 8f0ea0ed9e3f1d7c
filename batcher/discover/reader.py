"""Reading the fleet of one project: at the pace for look-ups, through its one credential, again where that may help."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from batcher.channel.passes import Pass
from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs.cloud import OnSent
from batcher.drs.fleet import FleetCloud, FleetOutcome, JobDetail, JobKind, JobPage, ObjectPage
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.pace.polling import PollPolicy, after_failure_s

T = TypeVar("T")

_TRIES = 6  # of one call, where no answer comes: about half a minute
_PASSING = frozenset({ErrorKind.NETWORK, ErrorKind.TIMEOUT, ErrorKind.SERVER})
_POLLING = PollPolicy(soonest_s=1.0, longest_s=15.0)
_STOPPED = Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.STOPPED, error_msg="the scope was stopped")


def _passes(trouble: Trouble) -> bool:
    """Whether asking again may help: there was no sound answer. A code that no source names is an answer."""
    return trouble.kind in _PASSING or (trouble.kind is ErrorKind.PROTOCOL and trouble.error_code is None)


class FleetReader(ScopeReader):
    """The look-ups of a discovery. Each gives what was told, or the trouble that did not pass."""

    def __init__(self, fleet: FleetCloud, reads: Pass, clock: Clock, rng: random.Random) -> None:
        super().__init__(reads, clock)
        self._fleet = fleet
        self._rng = rng

    async def job_page(
        self, kind: JobKind, page: int, *, enterprise_project_id: str | None, tags: Mapping[str, str]
    ) -> JobPage | Trouble:
        """A page of the jobs of *kind*."""
        ask = partial(self._fleet.list_jobs, kind, page=page, enterprise_project_id=enterprise_project_id, tags=tags)
        return await self._surely(lambda on_sent: ask(on_sent=on_sent))

    async def details(self, job_ids: Sequence[str]) -> Mapping[str, JobDetail | Trouble] | Trouble:
        """The details of at most `guesses.DETAIL_BATCH` jobs."""
        return await self._surely(lambda on_sent: self._fleet.job_details(job_ids, on_sent=on_sent))

    async def object_mappings(self, job_id: str, offset: int) -> ObjectPage | Trouble:
        """A page of what the job replicates."""
        return await self._surely(lambda on_sent: self._fleet.object_mappings(job_id, offset=offset, on_sent=on_sent))

    async def db_object(self, job_id: str) -> ObjectPage | Trouble:
        """What the job replicates, in one piece."""
        return await self._surely(lambda on_sent: self._fleet.db_object(job_id, on_sent=on_sent))

    async def _surely(self, ask: Callable[[OnSent], Awaitable[FleetOutcome[T]]]) -> T | Trouble:
        failures = 0
        while True:
            told = await self._ask(ask)
            if told is None:
                return self.halted or _STOPPED
            if told.trouble is None:
                assert told.value is not None  # noqa: S101 - exactly one of the two
                return told.value
            failures += 1
            if not _passes(told.trouble) or failures >= _TRIES:
                return told.trouble
            await self._clock.sleep(after_failure_s(failures, _POLLING, self._rng.random()))
