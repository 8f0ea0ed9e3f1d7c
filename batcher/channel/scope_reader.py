"""Looking at one scope of the cloud: at the pace for look-ups, through the one credential, each answer a value."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from batcher.channel.passes import Pass
from batcher.clock import Clock
from batcher.drs import guesses
from batcher.drs.cloud import OnSent, ResultIds
from batcher.drs.outcome import ErrorKind, Fate, Foreign, ResultsOutcome, StatusOutcome, Trouble
from batcher.pace.fair_semaphore import PartyClosed


class _ReadAnswer(Protocol):
    """An outcome that may be trouble as a whole."""

    @property
    def trouble(self) -> Trouble | None: ...
    @property
    def left(self) -> bool: ...
    @property
    def answered(self) -> bool: ...


T = TypeVar("T", bound=_ReadAnswer)


class ScopeReader:
    """The look-ups of one scope. Throttling is waited out and a credential renewed; any other trouble is the answer.

    So is a missing permission: who may not look may still create.
    Every call gives None once the scope has halted: `halted` then says why.
    """

    def __init__(self, through: Pass, clock: Clock) -> None:
        self._pass = through
        self._clock = clock
        self.looks = 0  # requests sent

    @property
    def halted(self) -> Trouble | None:
        """Why the cloud lets this scope in no more."""
        return self._pass.halted

    async def query(
        self, job_id: str, ids: ResultIds, *, page: int, per_page: int = guesses.LIST_PAGE_SIZE
    ) -> ResultsOutcome | None:
        """One page of the job's list of comparisons, and of the results of those that *ids* name."""
        query = partial(self._pass.cloud.read_results, job_id, ids, page=page, per_page=per_page)
        return await self._ask(lambda on_sent: query(on_sent=on_sent))

    async def job_statuses(self, job_ids: Sequence[str]) -> StatusOutcome | None:
        """The status of at most `guesses.STATUS_BATCH` jobs."""
        return await self._ask(lambda on_sent: self._pass.cloud.job_statuses(job_ids, on_sent=on_sent))

    async def _ask(self, send: Callable[[OnSent], Awaitable[T]]) -> T | None:
        through = self._pass
        while True:
            async with through.first_alone():
                try:
                    if not await through.ready():
                        return None
                    outcome, sent_at = await self._send(send)
                except PartyClosed:
                    return None
                trouble = outcome.trouble
                throttled = trouble if trouble is not None and trouble.fate is Fate.TURNED_AWAY else None
                if trouble is None or throttled is not None:
                    through.governor.reads.heard(sent_at, throttled)
                if trouble is None:
                    through.let_in()
                    return outcome
                if trouble.foreign is Foreign.BARRED:
                    through.channel.credential.halt(trouble)
                    return None
                if trouble.fate is Fate.TURNED_AWAY:
                    continue  # the governor has seen to the pause
                if trouble.fate is not Fate.NOT_LET_IN or trouble.kind is ErrorKind.PERMISSION:
                    return outcome
                if not await through.renew_or_halt(trouble, sent_at):
                    return None

    async def _send(self, send: Callable[[OnSent], Awaitable[T]]) -> tuple[T, float]:
        async with self._pass.look() as turn:
            await turn.due()
        if not await self._pass.ready():  # the credential may have died during the wait
            turn.ended(sent=False)
            raise PartyClosed
        sent_at = self._clock.monotonic()
        self.looks += 1
        sent, answered = True, False
        try:
            outcome = await send(turn.sent)
            sent, answered = outcome.left, outcome.answered
        finally:
            turn.ended(sent=sent, answered=answered)
        return outcome, sent_at
