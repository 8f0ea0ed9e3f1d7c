"""What goes along with a run: it holds entries back where that was asked for, and follows what was created."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from batcher.channel.passes import Pass
from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs.outcome import Trouble
from batcher.errors import UserError
from batcher.follow.follower import FollowEnd, FollowStatus
from batcher.follow.following import Following, in_thread
from batcher.holding.admission import Admittance
from batcher.holding.entry_holding import EntryHolding, readiness_of, why_not_counted
from batcher.holding.readiness_admission import ReadinessAdmissions
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.result import Result
from batcher.settings import RunSettings
from batcher.wave.stop import Stop, StopKind, Stopping

_OPENING_CANCELLED = Stop(StopKind.ASKED, "the opening was cancelled")


class AdmittingFollower:
    """The admission of a run's entries, and the follower of its comparisons.

    `take_up` what earlier runs left, `begin` once the lanes are there, and `follow` when the engine has ended.
    It ends with the wave, as *stopping* says, and stops it when verdicts cannot be written, or when entries would be
    held back for ever.
    Raises `UserError` where there is no file to write verdicts beside.
    """

    def __init__(
        self,
        results: Path | None,
        settings: RunSettings,
        clock: Clock,
        rng: random.Random,
        stopping: Stopping,
    ) -> None:
        if settings.follows and results is None:
            raise UserError("verdicts are written beside the results: name a file with -o, or leave --wait out.")
        self._results = results
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._stopping = stopping
        self._ready: ReadinessAdmissions | None = None
        self._holding = EntryHolding(settings)
        self._running = self._holding.running
        self._following: Following | None = None
        self._asking: asyncio.Task[None] | None = None  # for the states of jobs
        self._lost: Trouble | None = None  # why a scope stopped for good
        stopping.observe(self._stop_asking)

    def take_up(self, begun: Iterable[PlannedEntry] = ()) -> None:
        """Take up the comparisons of earlier runs, as the results file has them, and of what they had *begun*.

        Blocks. Raises `UserError`.
        """
        if not self._settings.follows or self._results is None:
            return
        self._following = Following(
            self._results,
            self._settings,
            self._clock,
            self._rng,
            self._stopping,
            on_verdict=lambda entry: self._running.running_still(entry.index, 0),
            on_comparison=lambda entry: self._running.running_still(entry.index, len(entry.open_comparisons)),
            on_end=self._followed,
        )
        if self._results.exists():
            self._following.take_up(
                self._results, on_open=lambda result, entry: self._running.taken_up(result, len(entry.open_comparisons))
            )
        for entry in begun:
            self._running.begun(entry)

    async def start(self, begun: Iterable[PlannedEntry], reads: Mapping[Scope, Pass]) -> None:
        """`take_up` in a thread, then `begin`. Raises `UserError`."""
        await in_thread(lambda: self.take_up(begun), lambda: self._stopping.stop(_OPENING_CANCELLED))
        self.begin(reads)

    def begin(self, reads: Mapping[Scope, Pass]) -> None:
        """The lanes are there: look through *reads* from now on. Raises `UserError`."""
        readers = {scope: ScopeReader(one, self._clock) for scope, one in reads.items()}
        if self._settings.wait_ready > 0:
            self._holding.ready = self._ready = ReadinessAdmissions(
                {scope: readiness_of(one, self._settings, self._clock, self._rng) for scope, one in readers.items()}
            )
            self._asking = asyncio.create_task(self._ready.run(), name="ready")
            self._asking.add_done_callback(self._asked)
            if self._stopping.why is not None:
                self._stop_asking()
        if self._following is not None:
            self._following.begin({(scope.endpoint, scope.project_id): reader for scope, reader in readers.items()})

    def ask(self, entry: PlannedEntry, again: Callable[[], None]) -> Admittance:
        """Whether *entry* may be sent now: its job is ready, and few enough comparisons run.

        After `Waits`, *again* is called.
        """
        admittance = self._holding.ask(entry, again, is_followed=self._following is not None)
        if self._running.waits and (why := self._lost or self._barred) is not None:
            self._stop_counting(why)
        return admittance

    @property
    def _barred(self) -> Trouble | None:
        """Why the cloud lets nobody look in some scope, so that what runs there runs on for all that is known."""
        halted = () if self._following is None else self._following.halted.values()
        return next(iter(halted), None)

    def halted(self, scope: Scope, trouble: Trouble) -> None:
        """*scope* stopped for good, for *trouble*: what runs there is followed no more, and nobody may wait for it."""
        self._lost = trouble
        if self._running.waits:
            self._stop_counting(trouble)

    def _stop_counting(self, trouble: Trouble) -> None:
        self._stopping.stop(Stop(StopKind.REFUSED, why_not_counted(trouble)))

    def settled(self, result: Result) -> None:
        """An entry has its result: what it created is followed from now on."""
        plan = self._holding.plan_of(result.index)
        self._running.settled(result)
        if self._following is not None:
            self._following.add(result, plan)

    def status(self) -> FollowStatus | None:
        """Where the following stands; None where nothing is followed."""
        return None if self._following is None else self._following.status()

    async def follow(self) -> FollowEnd | None:
        """The engine has ended: follow the rest to its verdicts. None where nothing was to be followed.

        Raises `UserError`.
        """
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})
            if not self._asking.cancelled() and (defect := self._asking.exception()) is not None:
                raise defect
        return None if self._following is None else await self._following.finish()

    async def aclose(self) -> None:
        """Let go of everything."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})
        if self._following is not None:
            await self._following.aclose()

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    def _asked(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (defect := task.exception()) is not None:
            self._fail(defect)

    def _followed(self, error: BaseException | None) -> None:
        """Nothing is looked at any more: who waits for the end of a comparison would wait for ever."""
        if error is not None:
            self._fail(error)
        elif self._running.waits and (why := self._barred) is not None:
            self._stop_counting(why)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, UserError):
            self._stopping.stop(Stop(StopKind.RESULTS, error.message))
        else:
            self._stopping.stop(Stop(StopKind.ASKED, f"a defect in batcher: {error!r}"))
