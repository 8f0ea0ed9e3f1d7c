"""All of a job's comparisons, read page by page: whole and sound, or not at all."""

from msgspec import Struct

from batcher.channel.passes import Pass
from batcher.clock import utc
from batcher.drs import guesses
from batcher.drs.outcome import Comparison, ErrorKind, Fate, ListOutcome, Trouble
from batcher.drs.paging import Paging, ReadState
from batcher.journal.ops import Noted
from batcher.pace.fair_semaphore import PartyClosed
from batcher.pace.pacer import Turn
from batcher.wave.context import Context

_SIGN_S = 15.0  # less than what `Lane.go_on_after` counts back
_MOST_PAGES = 1000
_MOST = _MOST_PAGES * guesses.LIST_PAGE_SIZE  # comparisons of a job: beyond that the list is not read


class JobComparisons(Struct, frozen=True):
    """What a look-up brought: the job's comparisons, or why they could not be had in full.

    The first request left at *asked_at*, monotonic: what was created after that may be missing.
    """

    comparisons: tuple[Comparison, ...] | Trouble
    http_status: int | None
    request_id: str | None
    asked_at: float


class ComparisonLister:
    """Reads the comparison lists of one scope's jobs, at the pace for look-ups."""

    def __init__(self, through: Pass, context: Context) -> None:
        self._pass = through
        self._context = context
        self._cloud_clock = through.cloud_clock
        self._signed_at: float | None = None

    async def comparisons(self, job_id: str) -> JobComparisons | None:
        """All of the job's comparisons; None: the scope halted.

        Raises `PartyClosed` when nothing may leave any more.
        """
        paging: Paging[Comparison] = Paging(
            first=guesses.FIRST_PAGE, most_pages=_MOST_PAGES, most_rows=_MOST, first_again=True
        )
        asked_at: float | None = None  # when the first page was
        while True:
            asked = await self._page(job_id, paging.number)
            if asked is None:
                return None
            outcome, sent_at = asked
            asked_at = sent_at if asked_at is None else asked_at
            page = outcome.page
            if page is None:
                return _listed(outcome, outcome.trouble or _unsound(), asked_at)
            self._cloud_clock.listed(page.comparisons)
            match paging.add({comparison.compare_task_id: comparison for comparison in page.comparisons}, page.total):
                case ReadState.WHOLE:
                    return _listed(outcome, tuple(paging.found.values()), asked_at)
                case ReadState.SHORT:
                    return _listed(outcome, _unsound(), asked_at)
                case ReadState.TOO_LONG:
                    why = _too_long(page.total) if page.total > _MOST else _unsound()
                    return _listed(outcome, why, asked_at)

    async def glance(self, job_id: str) -> tuple[Comparison, ...] | None:
        """Look, whatever comes of it; but a credential that is refused is renewed, or ends the scope.

        All of the job's comparisons; None where they were not to be had at once. Raises `PartyClosed`.
        """
        outcome, sent_at = await self._ask(job_id, guesses.FIRST_PAGE)
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

    async def _page(self, job_id: str, number: int) -> tuple[ListOutcome, float] | None:
        """One page, asked for until the cloud neither turns the request away nor refuses the credential, and when the
        request for it left; None: the scope halted."""
        while True:
            outcome, sent_at = await self._ask(job_id, number)
            trouble = outcome.trouble
            if trouble is not None and trouble.fate is Fate.TURNED_AWAY:
                continue  # the governor has seen to the pause
            if trouble is not None and trouble.fate is Fate.NOT_LET_IN:
                if not await self._pass.renew_or_halt(trouble, sent_at):
                    return None
            else:
                if trouble is None:
                    self._pass.let_in()
                return outcome, sent_at

    async def _ask(self, job_id: str, number: int) -> tuple[ListOutcome, float]:
        async with self._pass.look_slot() as slot:
            async with self._pass.look() as turn:
                await slot.take()
                await turn.due()
            try:
                await self._leave_sign()
                if not await self._pass.ready():  # the credential may have died during the wait
                    raise PartyClosed
            except BaseException:
                turn.ended(sent=False)
                raise
            return await self._send(job_id, number, turn)

    async def _leave_sign(self) -> None:
        """Let the journal know that look-ups leave: the next run's count for the limit as well, also where this process
        dies before it has recorded what came of one."""
        now = self._context.clock.monotonic()
        if self._signed_at is None or now - self._signed_at >= _SIGN_S:
            at = utc(self._context.clock.now()).isoformat()
            await self._context.record(Noted(name="looked_at", value=at))
            self._signed_at = now

    async def _send(self, job_id: str, number: int, turn: Turn) -> tuple[ListOutcome, float]:
        clock = self._context.clock
        sent_at = clock.monotonic()
        sent, answered = True, False
        try:
            outcome = await self._pass.cloud.list_comparisons(job_id, page=number, on_sent=turn.sent)
            sent, answered = outcome.left, outcome.answered
        finally:
            turn.ended(sent=sent, answered=answered)
        self._cloud_clock.heard(outcome.server_time, sent_at, clock.monotonic())
        self._pass.governor.read_answered(sent_at, outcome.trouble)
        return outcome, sent_at


def _listed(outcome: ListOutcome, comparisons: tuple[Comparison, ...] | Trouble, asked_at: float) -> JobComparisons:
    return JobComparisons(comparisons, outcome.http_status, outcome.request_id, asked_at)


def _unsound(why: str = "") -> Trouble:
    said = f"the job's list of comparisons could not be read in full{why}"
    return Trouble(fate=Fate.MAYBE, kind=ErrorKind.PROTOCOL, error_msg=said)


def _too_long(total: int) -> Trouble:
    return _unsound(f": it holds {total:,}, and at most {_MOST:,} are read")
