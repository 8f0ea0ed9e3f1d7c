"""One `batcher watch`: a results file followed to its verdicts, beside the run that writes it or long after it."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock, SystemClock
from batcher.drs.auth.sources import CredentialSources
from batcher.follow.connect import CredentialFor, connected
from batcher.follow.coverage import plan_beside
from batcher.follow.follower import FollowEnd, FollowStatus
from batcher.follow.following import Following, PlanOf, in_thread
from batcher.journal.errors import JournalFailed, JournalUnusable
from batcher.journal.place import JournalPlace
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.result import Result
from batcher.logger import get_logger
from batcher.settings import RunSettings
from batcher.wave.stop import Stop, StopKind, Stopping

log = get_logger("batcher.follow")

_CANCELLED = Stop(StopKind.ASKED, "it was cancelled")


@contextmanager
def plans_beside(results: Path, journal: JournalPlace | None = None) -> Iterator[PlanOf]:
    """What the journal of *results* has of each entry: its comparison's type and start. Without one, nothing."""
    with ExitStack() as stack:
        record, why = stack.enter_context(plan_beside(results, journal))
        if why is not None:
            log.warning("watch.no_journal", reason=why)

        def plan_of(result: Result) -> PlannedEntry | None:
            try:
                entry = record.entry(result.index) if record is not None else None
            except JournalFailed:
                return None
            return entry if entry is not None and entry.key == result.key else None

        yield plan_of
        with suppress(JournalUnusable):  # a wave that goes on meanwhile changes nothing of its plan
            stack.close()


class WatchSession:
    """Follows the file *results*, whose *journal* lies beside it where none is named.

    *stopping* may end it at any time: what is known is kept, the rest goes on later.
    """

    def __init__(
        self,
        results: Path,
        settings: RunSettings,
        stopping: Stopping,
        *,
        journal: JournalPlace | None = None,
        sources: CredentialSources | None = None,
        credential_for: CredentialFor | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._results = results
        self._journal = journal
        self._settings = settings
        self._stopping = stopping
        self._sources = sources
        self._credential_for = credential_for
        self._clock = clock or SystemClock()
        self._following: Following | None = None

    def status(self) -> FollowStatus | None:
        """Where the following stands now; None before all results were read."""
        return self._following.status() if self._following is not None and self._following.is_taken_up else None

    async def run(self) -> FollowEnd:
        """Follow to the end. Raises `UserError`."""
        following = Following(self._results, self._settings, self._clock, random.Random(), self._stopping)
        try:
            self._following = following
            await in_thread(self._take_up, lambda: self._stopping.stop(_CANCELLED))
            scopes = [
                Scope(number, endpoint or "", project_id or "")
                for number, (endpoint, project_id) in enumerate(following.scopes)
            ]
            async with connected(
                scopes, self._settings, self._clock, sources=self._sources, credential_for=self._credential_for
            ) as reads:
                following.begin(
                    {(scope.endpoint, scope.project_id): ScopeReader(one, self._clock) for scope, one in reads.items()}
                )
                return await following.finish()
        finally:
            await following.aclose()

    def _take_up(self) -> None:
        assert self._following is not None  # noqa: S101 - `run` made it
        with plans_beside(self._results, self._journal) as plan_of:
            self._following.take_up(self._results, plan_of)
