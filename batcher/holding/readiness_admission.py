"""Holding entries back until their jobs are ready: asked by batch-status, ten jobs a request; the others go on."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs import guesses
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.durations import rough_duration
from batcher.holding.admission import Admittance, Admitted, Refused, Waits, WaitsFor
from batcher.holding.preflight import look
from batcher.holding.readiness import JobState, Readiness
from batcher.life.entry import PlannedEntry, Scope
from batcher.logger import get_logger, in_scope

log = get_logger("batcher.follow")

_GATHER_S = 0.05  # so long a batch that is not full waits for more

Again = Callable[[], None]


@dataclass(slots=True)
class AwaitedJob:
    """A job that somebody waits for. Times are monotonic."""

    since: float
    due: float
    waiting: list[Again] = field(default_factory=list)
    told: bool = False  # that it is held back


class ReadinessAdmission:
    """The admission of one scope's entries by the state of their jobs. `run` does the asking.

    A job that is on its way is asked about every *poll_s* seconds, for *wait_s* in all. One that will not get there is
    refused. One that the cloud says nothing of is let through: whoever may not look may still create.
    """

    def __init__(self, reader: ScopeReader, clock: Clock, rng: random.Random, *, wait_s: float, poll_s: float) -> None:
        self._reader = reader
        self._clock = clock
        self._rng = rng
        self._wait_s = wait_s
        self._poll_s = poll_s
        self._awaited: dict[str, AwaitedJob] = {}
        self._known: dict[str, Admittance] = {}
        self._changed = asyncio.Event()

    def ask(self, entry: PlannedEntry, again: Again) -> Admittance:
        """Whether the job of *entry* is ready; after `Waits`, *again* is called once that is known."""
        job_id = entry.job_id
        if (known := self._known.get(job_id)) is not None:
            return known
        awaited = self._awaited.get(job_id)
        if awaited is None:
            now = self._clock.monotonic()
            awaited = self._awaited[job_id] = AwaitedJob(now, now)
            self._changed.set()
        awaited.waiting.append(again)
        return Waits(WaitsFor.READINESS)

    async def run(self) -> None:
        """Ask about the jobs that are waited for, until cancelled."""
        while True:
            batch = await self._batch()
            found = await look(self._reader, batch)
            if isinstance(found, Trouble):
                self._put_off(batch)
            else:
                for state in found.values():
                    self._found(state)

    async def _batch(self) -> list[str]:
        """The next jobs to ask about, once some are due."""
        while True:
            due = self._due()
            if due and len(due) < guesses.STATUS_BATCH:
                await self._clock.sleep(_GATHER_S)
                due = self._due()
            if due:
                return due[: guesses.STATUS_BATCH]
            await self._until_due()

    def _due(self) -> list[str]:
        now = self._clock.monotonic()
        return [job_id for job_id, awaited in self._awaited.items() if awaited.due <= now]

    async def _until_due(self) -> None:
        first = min((awaited.due for awaited in self._awaited.values()), default=None)
        self._changed.clear()
        try:
            async with asyncio.timeout(None if first is None else first - self._clock.monotonic()):
                await self._changed.wait()
        except TimeoutError:
            return

    def _put_off(self, batch: list[str]) -> None:
        """No answer: the same jobs again a little later, however long it takes."""
        for job_id in batch:
            self._awaited[job_id].due = self._clock.monotonic() + self._pause_s()

    def _found(self, state: JobState) -> None:
        awaited = self._awaited[state.job_id]
        waited_s = self._clock.monotonic() - awaited.since
        if state.readiness is Readiness.NOT_YET and waited_s < self._wait_s:
            if not awaited.told:
                awaited.told = True
                log.debug("entry.held_back", job_id=state.job_id, status=state.status, why=state.why)
            left_s = self._wait_s - waited_s
            awaited.due = self._clock.monotonic() + min(self._pause_s(), left_s)
            return
        self._known[state.job_id] = _admittance(state, waited_s)
        del self._awaited[state.job_id]
        for again in awaited.waiting:
            again()

    def _pause_s(self) -> float:
        return self._poll_s * (0.9 + 0.2 * self._rng.random())


def _admittance(state: JobState, waited_s: float) -> Admittance:
    match state.readiness:
        case Readiness.NOT_YET:
            return _refused(state, f"still {state.status} after {rough_duration(waited_s)}: {state.why}")
        case Readiness.WRONG_STATE | Readiness.PARENT:
            return _refused(state, f"{state.status}: {state.why}")
        case Readiness.READY | Readiness.UNKNOWN | Readiness.NO_PERMISSION:
            return Admitted()
        case _:
            assert_never(state.readiness)


def _refused(state: JobState, why: str) -> Refused:
    kind = ErrorKind.VALIDATION if state.readiness is Readiness.PARENT else ErrorKind.STATE
    return Refused(Trouble(fate=Fate.REFUSED, kind=kind, error_msg=f"not sent: job {state.job_id} is {why}"))


async def _asking(scope: Scope, admission: ReadinessAdmission) -> None:
    in_scope(scope.endpoint, scope.project_id)
    await admission.run()


class ReadinessAdmissions:
    """The readiness admissions of all scopes."""

    def __init__(self, admissions: Mapping[Scope, ReadinessAdmission]) -> None:
        self._admissions = admissions

    def ask(self, entry: PlannedEntry, again: Again) -> Admittance:
        """Whether the job of *entry* is ready, as its scope's admission knows; after `Waits`, *again* is called."""
        return self._admissions[entry.scope].ask(entry, again)

    async def run(self) -> None:
        """Ask on behalf of all, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for scope, admission in self._admissions.items():
                group.create_task(_asking(scope, admission))
