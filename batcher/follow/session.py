"""One `batcher watch`: a results file followed to its verdicts, beside the run that writes it or long after it."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from batcher.channel.reader import Reader
from batcher.clock import Clock, SystemClock
from batcher.drs.auth.sources import CredentialSources
from batcher.durations import duration_text
from batcher.follow.connect import CredentialFor, connected
from batcher.follow.ending import FollowEnd
from batcher.follow.files import verdicts_beside
from batcher.follow.followed import identity_of
from batcher.follow.follower import Follower, FollowStatus
from batcher.follow.seen import plan_beside
from batcher.follow.verdicts_file import VerdictsFile
from batcher.journal.beside import JournalUnusable
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.result import Result
from batcher.logger import get_logger
from batcher.pace.patience import patience_of
from batcher.settings import RunSettings
from batcher.wave.results_file import read_results

log = get_logger("batcher.follow")

PlanOf = Callable[[Result], PlannedEntry | None]


@contextmanager
def plans_beside(results: Path, journal: Path | None = None) -> Iterator[PlanOf]:
    """What the journal of *results* has of each entry: its comparison's type and start. Without one, nothing."""
    with ExitStack() as stack:
        store, why = stack.enter_context(plan_beside(results, journal))
        if why is not None:
            log.warning("watch.no_journal", reason=why)

        def plan_of(result: Result) -> PlannedEntry | None:
            try:
                entry = store.entry(result.index) if store is not None else None
            except sqlite3.Error:
                return None
            return entry if entry is not None and entry.key == result.key else None

        yield plan_of
        with suppress(JournalUnusable):  # a wave that goes on meanwhile changes nothing of its plan
            stack.close()


class Session:
    """Follows the file *results*, whose *journal* lies beside it where none is named.

    `stop` may be called at any time: what is known is kept, the rest goes on later.
    """

    def __init__(
        self,
        results: Path,
        settings: RunSettings,
        *,
        journal: Path | None = None,
        sources: CredentialSources | None = None,
        credential_for: CredentialFor | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.path = verdicts_beside(results)
        self._results_path = results
        self._journal = journal
        self._settings = settings
        self._patience = patience_of(settings)
        self._sources = sources
        self._credential_for = credential_for
        self._clock = clock or SystemClock()
        self._results = list(read_results(results))
        self._follower: Follower | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopped: str | None = None
        self._signal: str | None = None

    def stop(self, why: str, signal: str | None = None) -> None:
        """End the following; *why* is for people, *signal* the name of the one that did."""
        self._stopped = self._stopped or why
        self._signal = self._signal or signal
        if self._running is not None:
            self._running.cancel()

    def status(self) -> FollowStatus | None:
        """Where it stands; None before it has begun."""
        return None if self._follower is None else self._follower.status()

    async def run(self) -> FollowEnd:
        """Follow to the end. Raises `VerdictsError` and `UserError`."""
        file = VerdictsFile.open(self.path, {result.index: identity_of(result) for result in self._results})
        try:
            scopes = _scopes(result for result in self._results if result.index not in file.kept)
            async with connected(
                scopes, self._settings, self._clock, sources=self._sources, credential_for=self._credential_for
            ) as reads:
                follower = Follower(
                    {(scope.endpoint, scope.project_id): Reader(one, self._clock) for scope, one in reads.items()},
                    file,
                    self._patience,
                    self._clock,
                    random.Random(),
                    at_once=self._settings.concurrency,
                )
                self._follower = follower
                with plans_beside(self._results_path, self._journal) as plan_of:
                    for result in self._results:
                        follower.add(result, plan_of(result))
                follower.complete()
                await self._follow(follower)
                follower.finish(self._stopped or "the scope was stopped")
        finally:
            file.close()
        return FollowEnd(
            verdicts=self.path,
            status=follower.status(),
            stopped=self._stopped,
            signal=self._signal,
            halted=dict(follower.halted),
        )

    async def _follow(self, follower: Follower) -> None:
        self._running = asyncio.create_task(follower.run(), name="follow")
        if self._stopped is not None:
            self._running.cancel()
        try:
            async with asyncio.timeout(self._settings.watch_timeout):
                await self._running
        except TimeoutError:
            self._stopped = f"--watch-timeout {duration_text(self._settings.watch_timeout or 0)} is over"
        except asyncio.CancelledError:
            if self._stopped is None:
                raise


def _scopes(results: Iterable[Result]) -> tuple[Scope, ...]:
    """The scopes of the comparisons there are, numbered as they come."""
    names = dict.fromkeys(
        (result.endpoint, result.project_id)
        for result in results
        if result.endpoint is not None and result.project_id is not None and any(identity_of(result)[1])
    )
    return tuple(Scope(number, endpoint, project_id) for number, (endpoint, project_id) in enumerate(names))
