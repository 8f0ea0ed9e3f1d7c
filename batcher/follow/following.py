"""The following of one wave's comparisons, for `watch` and for `run --wait`: its file, its looks, its end.

What is in memory does not grow with the wave but for some twenty bytes an entry: results stream by, running
comparisons wait in a spill file, and of verdicts that are there already only what they are on is known.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs.outcome import Trouble
from batcher.durations import duration_text
from batcher.errors import UserError
from batcher.follow.fast_lines import fast_parser
from batcher.follow.followed_entry import FollowedEntry, followed
from batcher.follow.follower import FollowEnd, Follower, FollowStatus, ScopeName
from batcher.follow.spill_file import SpillFile
from batcher.follow.verdict import identity_of
from batcher.follow.verdicts_file import VerdictsFile
from batcher.journal.files import WaveFiles
from batcher.life.entry import PlannedEntry
from batcher.life.result import Result
from batcher.pace.polling import poll_policy_of
from batcher.settings import RunSettings
from batcher.wave.results_file import raw_lines, result_in
from batcher.wave.stop import Stop, StopKind, Stopping

PlanOf = Callable[[Result], PlannedEntry | None]


class Following:
    """Takes up what there is, begins once the cloud can be asked, is given more while it runs, and ends once.

    *stopping* may end it at any time: what is known is kept, the rest goes on later. *on_verdict* and *on_comparison*
    are of `Follower`. *on_end* is told that nothing is looked at any more: with the error that ended it, or None.
    Raises `UserError`.
    """

    def __init__(
        self,
        results: Path,
        settings: RunSettings,
        clock: Clock,
        rng: random.Random,
        stopping: Stopping,
        *,
        on_verdict: Callable[[FollowedEntry], None] = lambda _: None,
        on_comparison: Callable[[FollowedEntry], None] = lambda _: None,
        on_end: Callable[[BaseException | None], None] = lambda _: None,
    ) -> None:
        self.path = WaveFiles.of(results).verdicts
        self._settings = settings
        self._stopping = stopping
        self._on_end = on_end
        self._failed: BaseException | None = None
        self.is_taken_up = False  # all of what there was
        self._task: asyncio.Task[None] | None = None
        self._file = VerdictsFile.take(self.path)
        try:
            self._spill = SpillFile(self.path.parent)
        except BaseException:
            self._file.close()
            raise
        self._follower = Follower(
            self._file,
            self._spill,
            poll_policy_of(settings),
            clock,
            rng,
            at_once=settings.concurrency,
            on_verdict=on_verdict,
            on_comparison=on_comparison,
        )
        stopping.observe(self._stop_looking)

    def take_up(
        self,
        results: Path,
        plan_of: PlanOf = lambda _: None,
        on_open: Callable[[Result, FollowedEntry], None] = lambda *_: None,
    ) -> None:
        """Take up the file *results* as it stands: verdicts on it that are there are kept, the rest is followed.

        *on_open* sees each entry without a verdict. Blocks; a stop cuts it short, and nothing is written then. Raises
        `UserError`.
        """
        parsed = fast_parser(Result, result_in)
        for number, line in raw_lines(results):
            if self._stopping.why is not None:
                return
            result = parsed(results, number, line)
            if (verdict := self._file.keep(result.index, identity_of(result))) is not None:
                self._follower.has(verdict)
                continue
            entry = followed(result, plan_of(result))
            self._follower.add(entry)
            on_open(result, entry)
        self._file.only_kept()
        self.is_taken_up = True

    @property
    def scopes(self) -> tuple[ScopeName, ...]:
        """The scopes in which there is something to look at."""
        return self._follower.scopes

    def begin(self, readers: Mapping[ScopeName, ScopeReader]) -> None:
        """Look by *readers* from now on. Raises `UserError`."""
        if not self.is_taken_up:
            return
        self._follower.begin(readers)
        self._task = asyncio.create_task(self._follower.run(), name="follow")
        self._task.add_done_callback(self._ended)
        if self._stopping.why is not None:
            self._stop_looking()

    def add(self, result: Result, plan: PlannedEntry | None = None) -> None:
        """Follow the entry of *result*; *plan* is what the journal has of it. A failure ends the following."""
        if self._failed is not None:
            return
        try:
            self._follower.add(followed(result, plan))
        except UserError as error:
            self._fail(error)

    @property
    def halted(self) -> Mapping[ScopeName, Trouble]:
        """The scopes that the cloud lets in no more, and why."""
        return self._follower.halted

    def status(self) -> FollowStatus:
        """Where the following stands now."""
        return self._follower.status()

    async def finish(self) -> FollowEnd:
        """No more is added: follow the rest to its verdicts. Raises `UserError`."""
        if self._task is not None:
            self._follower.complete()
            limit = self._settings.watch_timeout
            await asyncio.wait({self._task}, timeout=limit)
            if not self._task.done():
                why = f"--watch-timeout {duration_text(limit or 0)} is over"
                self._stopping.stop(Stop(StopKind.WATCH_TIMEOUT, why))
                await asyncio.wait({self._task})
            if self._failed is not None:
                raise self._failed
            stop = self._stopping.why
            self._follower.finish("the scope was stopped" if stop is None else stop.text)
        return FollowEnd(
            verdicts=self.path,
            status=self._follower.status(),
            stop=self._stopping.why,
            halted=dict(self.halted),
        )

    async def aclose(self) -> None:
        """Let go of everything."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._spill.close()
        self._file.close()

    def _stop_looking(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        elif self._failed is None:
            self._on_end(None)

    def _fail(self, error: BaseException) -> None:
        if self._failed is None:
            self._failed = error
            self._on_end(error)


async def in_thread(work: Callable[[], None], cut_short: Callable[[], None]) -> None:
    """Do *work* in a thread. Where this is cancelled, *cut_short* is called and the end of *work* waited for: what it
    works on is not let go of before."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        cut_short()
        await asyncio.wait({task})
        raise
