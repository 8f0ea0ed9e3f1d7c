"""What goes along with a run: it holds entries back where that was asked for, and follows what was created."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from batcher.channel.reader import Reader
from batcher.channel.reads import Reads
from batcher.clock import Clock
from batcher.drs.outcome import Trouble
from batcher.errors import UserError
from batcher.follow.ending import FollowEnd
from batcher.follow.files import verdicts_beside
from batcher.follow.followed import identity_of
from batcher.follow.follower import Follower, FollowStatus
from batcher.follow.verdicts_file import VerdictsError, VerdictsFile
from batcher.holding.admission import Admittance, Admitted
from batcher.holding.ready_gate import ReadyGate, ReadyGates
from batcher.holding.running_gate import RunningGate
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.result import Result
from batcher.pace.patience import patience_of
from batcher.settings import RunSettings
from batcher.wave.stop import Stop, StopKind

_READY_POLLS = 6  # a job that is not ready is looked at so many times less often than a comparison


class Companion:
    """The admission of a run's entries, and the follower of its comparisons.

    `begin` once the lanes are there, then let `run` go beside the engine; `end` when the engine has.
    *on_stop* ends the wave: when verdicts cannot be written, or when entries would be held back for ever. Raises
    `UserError` where there is no file to write verdicts beside.
    """

    def __init__(
        self,
        results: Path | None,
        settings: RunSettings,
        clock: Clock,
        rng: random.Random,
        on_stop: Callable[[Stop], None],
    ) -> None:
        if settings.follows and results is None:
            raise UserError("verdicts are written beside the results: name a file with -o, or leave --wait out.")
        self._results = results
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._on_stop = on_stop
        self._ready: ReadyGates | None = None
        self._running = RunningGate(settings.max_running, settings.max_running_per)
        self._plans: dict[int, PlannedEntry] = {}  # of entries that were admitted and have no result yet
        self._file: VerdictsFile | None = None
        self._follower: Follower | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped: str | None = None
        self._signal: str | None = None
        self._failed: VerdictsError | None = None
        self._lost: Trouble | None = None  # why a scope stopped for good

    def begin(self, reads: Mapping[Scope, Reads], earlier: list[Result], begun: Iterable[PlannedEntry]) -> None:
        """Take up the comparisons of *earlier* runs and of what they had *begun*. Raises `VerdictsError`."""
        readers = {scope: Reader(one, self._clock) for scope, one in reads.items()}
        poll_s = _READY_POLLS * self._settings.poll
        if self._settings.wait_ready > 0:
            self._ready = ReadyGates(
                {
                    scope: ReadyGate(reader, self._clock, self._rng, wait_s=self._settings.wait_ready, poll_s=poll_s)
                    for scope, reader in readers.items()
                }
            )
            self._go_along(self._ready.run(), "ready")
        if not self._settings.follows or self._results is None:
            return
        self._file = VerdictsFile.open(
            verdicts_beside(self._results), {result.index: identity_of(result) for result in earlier}
        )
        self._follower = Follower(
            {(scope.endpoint, scope.project_id): reader for scope, reader in readers.items()},
            self._file,
            patience_of(self._settings),
            self._clock,
            self._rng,
            at_once=self._settings.concurrency,
            on_verdict=lambda line: self._running.running_still(line.index, 0),
            on_part=lambda entry: self._running.running_still(entry.result.index, len(entry.open_parts)),
        )
        for result in earlier:
            self._running.taken_up(result, sum(task_id is not None for task_id in identity_of(result)[1]))
            self._follower.add(result)
        for entry in begun:
            self._running.begun(entry)
        self._go_along(self._follow(self._follower), "follow")

    def ask(self, entry: PlannedEntry, again: Callable[[], None]) -> Admittance:
        """See `Admission.ask`."""
        if self._ready is not None:
            admittance = self._ready.ask(entry, again)
            if not isinstance(admittance, Admitted):
                return admittance
        if self._follower is not None:
            self._plans[entry.index] = entry
        admittance = self._running.ask(entry, again)
        if self._lost is not None and self._running.waits:
            self._stop_counting(self._lost)
        return admittance

    def halted(self, scope: Scope, trouble: Trouble) -> None:
        """See `Admission.halted`. What runs there is followed no more, so nobody may wait for its end."""
        self._lost = trouble
        if self._running.waits:
            self._stop_counting(trouble)

    def _stop_counting(self, trouble: Trouble) -> None:
        why = f"how many comparisons are running cannot be told any more: {trouble.error_msg}"
        self._on_stop(Stop(StopKind.REFUSED, why))

    def settled(self, result: Result) -> None:
        """An entry has its result: what it created is followed from now on."""
        plan = self._plans.pop(result.index, None)
        self._running.settled(result)
        if self._follower is None or self._failed is not None:
            return
        try:
            self._follower.add(result, plan)
        except VerdictsError as error:
            self._fail(error)

    def stop(self, why: str, signal: str | None = None) -> None:
        """End the following; what is known is kept, the rest goes on later."""
        self._stopped = self._stopped or why
        self._signal = self._signal or signal
        for task in self._tasks:
            task.cancel()

    def status(self) -> FollowStatus | None:
        """Where the following stands; None where nothing is followed."""
        return None if self._follower is None else self._follower.status()

    async def follow(self) -> FollowEnd | None:
        """The engine has ended: follow the rest to its verdicts. None where nothing was to be followed.

        Raises `VerdictsError`.
        """
        for task in self._tasks:
            if task.get_name() == "ready":
                task.cancel()
        if self._follower is None:
            self._raise_defects()
            return None
        self._follower.complete()
        try:
            async with asyncio.timeout(self._settings.watch_timeout):
                await asyncio.wait(self._tasks)
        except TimeoutError:
            self.stop("--watch-timeout is over")
            await asyncio.wait(self._tasks)
        self._raise_defects()
        if self._failed is not None:
            raise self._failed
        self._follower.finish(self._stopped or "the scope was stopped")
        return FollowEnd(
            verdicts=verdicts_beside(self._results or Path()),
            status=self._follower.status(),
            stopped=self._stopped,
            signal=self._signal,
            halted=dict(self._follower.halted),
        )

    async def aclose(self) -> None:
        """Let go of everything."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        if self._file is not None:
            self._file.close()

    def _go_along(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._done)
        self._tasks.append(task)

    def _done(self, task: asyncio.Task[None]) -> None:
        """A defect in what goes along must not leave entries held back for ever: it ends the wave."""
        if not task.cancelled() and task.exception() is not None:
            self._on_stop(Stop(StopKind.ASKED, f"a defect in batcher: {task.exception()!r}"))

    def _raise_defects(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (defect := task.exception()) is not None:
                raise defect

    async def _follow(self, follower: Follower) -> None:
        try:
            await follower.run()
        except VerdictsError as error:
            self._fail(error)
        if follower.halted and self._running.waits:
            self._stop_counting(next(iter(follower.halted.values())))

    def _fail(self, error: VerdictsError) -> None:
        self._failed = error
        self._on_stop(Stop(StopKind.RESULTS, error.message))
