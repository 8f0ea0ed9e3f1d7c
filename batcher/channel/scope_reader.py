"""Looking at one scope of the cloud: at the pace for look-ups, through the one credential, each answer a value."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from batcher.channel.passes import Pass
from batcher.channel.read_terms import Next, OnlyLooks, PlaceInFlight, ReadAnswer, ReadTerms
from batcher.clock import Clock
from batcher.drs import guesses
from batcher.drs.cloud import HeldBack, OnSent, ResultIds
from batcher.drs.outcome import Comparison, ErrorKind, Fate, ListOutcome, ResultsOutcome, StatusOutcome, Trouble
from batcher.drs.paging import Paging, ReadState
from batcher.pace.fair_semaphore import PartyClosed
from batcher.pace.pacer import Turn

T = TypeVar("T", bound=ReadAnswer)
_Send = Callable[[OnSent], Awaitable[T]]

_HELD_BACK_S = 0.5  # until a look-up is tried again that was held back

MOST_PAGES = 1000
"""Of a job's list of comparisons: a longer one is not read."""


class JobComparisons(Struct, frozen=True):
    """What a look-up brought: the job's comparisons, or why they could not be had in full.

    The first request left at *asked_at*, monotonic: what was created after that may be missing.
    """

    comparisons: tuple[Comparison, ...] | Trouble
    http_status: int | None
    request_id: str | None
    asked_at: float


class ScopeReader:
    """The look-ups of one scope. Throttling is waited out and a credential renewed; any other trouble is the answer.

    *terms* say what else goes with each: by default those of who only looks (`OnlyLooks`).
    Calls give None once the scope has halted: `halted` then says why.
    """

    def __init__(self, through: Pass, clock: Clock, terms: ReadTerms | None = None) -> None:
        self._pass = through
        self._clock = clock
        self._terms = OnlyLooks(through) if terms is None else terms
        self.looks = 0  # requests sent

    @property
    def halted(self) -> Trouble | None:
        """Why the cloud lets this scope in no more."""
        return self._pass.halted

    # --- what can be asked: one page, or one batch ----------------------------------------------------------

    def query(
        self, job_id: str, ids: ResultIds, *, page: int, per_page: int = guesses.LIST_PAGE_SIZE
    ) -> Coroutine[Any, Any, ResultsOutcome | None]:
        """One page of the job's list of comparisons, and of the results of those that *ids* name."""
        ask = self._pass.cloud.read_results
        return self._ask(lambda on_sent: ask(job_id, ids, page=page, per_page=per_page, on_sent=on_sent))

    async def job_statuses(self, job_ids: Sequence[str]) -> StatusOutcome | None:
        """The status of at most `guesses.STATUS_BATCH` jobs."""
        return await self._ask(lambda on_sent: self._pass.cloud.job_statuses(job_ids, on_sent=on_sent))

    # --- all of a job's comparisons: whole and sound, or not at all -----------------------------------------

    async def comparisons(self, job_id: str, *, most_pages: int = MOST_PAGES) -> JobComparisons | None:
        """All of the job's comparisons, of at most *most_pages* pages; None: the scope halted.

        Raises `PartyClosed` when nothing may leave any more.
        """
        most = most_pages * guesses.LIST_PAGE_SIZE
        paging: Paging[Comparison] = Paging(
            first=guesses.FIRST_PAGE, most_pages=most_pages, most_rows=most, first_again=True
        )
        asked_at: float | None = None  # when the first page was
        while True:
            asked = await self._sound(self._list_page(job_id, paging.number))
            if asked is None:
                return None
            outcome, sent_at = asked
            asked_at = sent_at if asked_at is None else asked_at
            page = outcome.page
            if page is None:
                return _listed(outcome, outcome.trouble or _unsound(), asked_at)
            self._terms.listed(page.comparisons)
            match paging.add({comparison.compare_task_id: comparison for comparison in page.comparisons}, page.total):
                case ReadState.WHOLE:
                    return _listed(outcome, tuple(paging.found.values()), asked_at)
                case ReadState.SHORT:
                    return _listed(outcome, _unsound(), asked_at)
                case ReadState.TOO_LONG:
                    why = _too_long(page.total, most) if page.total > most else _unsound()
                    return _listed(outcome, why, asked_at)

    async def glance(self, job_id: str) -> tuple[Comparison, ...] | None:
        """Look, whatever comes of it; but a credential that is refused is renewed, or ends the scope.

        All of the job's comparisons; None where they were not to be had at once. Raises `PartyClosed`.
        """
        outcome, sent_at = await self._once(self._list_page(job_id, guesses.FIRST_PAGE))
        trouble = outcome.trouble
        if trouble is None:
            self._pass.let_in()
        elif trouble.fate is Fate.NOT_LET_IN and trouble.kind is ErrorKind.AUTH:
            await self._pass.renew_or_halt(trouble, sent_at)
        page = outcome.page
        if page is None or len(page.comparisons) >= page.total:
            return None if page is None else page.comparisons
        listed = await self.comparisons(job_id)
        return None if listed is None or isinstance(listed.comparisons, Trouble) else listed.comparisons

    def _list_page(self, job_id: str, number: int) -> _Send[ListOutcome]:
        return lambda on_sent: self._pass.cloud.list_comparisons(job_id, page=number, on_sent=on_sent)

    # --- one request ----------------------------------------------------------------------------------------

    async def _ask(self, send: _Send[T]) -> T | None:
        """The answer as `_sound` brings it; None also where nothing may leave any more."""
        try:
            asked = await self._sound(send)
        except PartyClosed:
            return None
        return None if asked is None else asked[0]

    async def _sound(self, send: _Send[T]) -> tuple[T, float] | None:
        """An answer that the terms take for one, and when the request for it left, monotonic; None: the scope halted.

        Raises `PartyClosed`.
        """
        while True:
            async with self._terms.alone():
                if not (self._pass.at_hand or await self._pass.ready()):
                    raise PartyClosed
                outcome, sent_at = await self._once(send)
                trouble = outcome.trouble
                if trouble is None:
                    self._pass.let_in()
                    return outcome, sent_at
                match self._terms.after(trouble):
                    case Next.ANSWER:
                        return outcome, sent_at
                    case Next.AGAIN:
                        continue  # the governor has seen to the pause
                    case Next.RENEW:
                        if not await self._pass.renew_or_halt(trouble, sent_at):
                            return None
                    case Next.HALT:
                        self._pass.channel.credential.halt(trouble)
                        return None

    async def _once(self, send: _Send[T]) -> tuple[T, float]:
        """One request, whatever comes of it, and when it left. Raises `PartyClosed`.

        One that is held back at the last moment is tried again: whoever holds it back lets it go, or closes the pass.
        """
        while True:
            with self._terms.place() as place:
                turn = await self._turn(place)
                sent_at = self._clock.monotonic()
                self.looks += 1
                outcome, sent, answered = None, True, False
                try:
                    outcome = await send(partial(self._let_go, turn))
                    sent, answered = outcome.left, outcome.answered
                except HeldBack:
                    sent = False
                    self.looks -= 1
                finally:
                    turn.ended(sent=sent, answered=answered)
                if outcome is not None:
                    self._terms.heard(outcome, sent_at)
                    return outcome, sent_at
            await self._clock.sleep(_HELD_BACK_S)

    async def _turn(self, place: PlaceInFlight) -> Turn:
        """The turn of a request that may leave now; where nothing is waited for, at once. Raises `PartyClosed`."""
        turn = self._pass.look()
        if not turn.enters():
            await turn.enter()
        try:
            await place.take()
            if not turn.is_due():
                await turn.due()
        finally:
            turn.leave()
        try:
            await self._terms.leaves()
            if not (self._pass.at_hand or await self._pass.ready()):  # the credential may have died during the wait
                raise PartyClosed
        except BaseException:
            turn.ended(sent=False)
            raise
        return turn

    def _let_go(self, turn: Turn) -> None:
        """Its bytes are about to leave. Raises `HeldBack`."""
        if self._pass.may_look is not None:
            self._pass.may_look()
        turn.sent()


def _listed(outcome: ListOutcome, comparisons: tuple[Comparison, ...] | Trouble, asked_at: float) -> JobComparisons:
    return JobComparisons(comparisons, outcome.http_status, outcome.request_id, asked_at)


def _unsound(why: str = "") -> Trouble:
    said = f"the job's list of comparisons could not be read in full{why}"
    return Trouble(fate=Fate.MAYBE, kind=ErrorKind.PROTOCOL, error_msg=said)


def _too_long(total: int, most: int) -> Trouble:
    return _unsound(f": it holds {total:,}, and at most {most:,} are read")
