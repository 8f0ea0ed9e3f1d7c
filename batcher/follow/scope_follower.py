"""Watching one scope: every comparison is looked at until it has ended, and then read in full.

What holds here:
- An entry is in the queue or in the hands of one worker, so nobody looks at it twice at a time. It ends once.
- A look that failed is no look: nothing is concluded from it, and what passes is waited out for as long as it takes.
- A comparison is gone only where a list that was read to its own length lacked it, several looks in a row.
- Nothing is created or changed in the cloud; cancelled at any point, all without a verdict is still in the queue or in
  its worker's hands, and is followed again the next time.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence

from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs import guesses
from batcher.drs.cloud import ResultIds
from batcher.drs.outcome import Comparison, ComparisonPage, ErrorKind, Fate, ResultsOutcome, Trouble
from batcher.drs.paging import Paging, ReadState
from batcher.drs.results import ResultPage
from batcher.follow import reasons
from batcher.follow.due_queue import DueQueue
from batcher.follow.followed_entry import FollowedComparison, FollowedEntry, ids_of
from batcher.follow.reading import Reading, reading_of
from batcher.follow.spill_file import SpillFile
from batcher.logger import get_logger
from batcher.pace.polling import PollPolicy, after_failure_s, next_look_s

log = get_logger("batcher.follow")

_MAX_PAGES = 1000  # of one list
# Tried where small pages do not tell all: it is not documented whether the list of databases is cut to the page
# together with the tables in it, nor how large a page may be (DRS.M00211 says that it is too large).
_LARGER_PAGES = (100, 1000)
_SILENT = 5  # looks in a row without an answer: the cloud is out of reach, not a single request
_PASSING = frozenset({ErrorKind.NETWORK, ErrorKind.TIMEOUT, ErrorKind.SERVER, ErrorKind.STATE})

Listed = dict[str, Comparison]


class ScopeFollower:
    """Follows the entries of one scope. Each that has its verdicts goes to *on_end*, once.

    *on_comparison* is told when one of an entry's comparisons has ended, and the other has not. Entries wait in
    *spill*: only those at which one looks are in memory. Every call may raise `SpillFailed`.
    """

    def __init__(
        self,
        spill: SpillFile,
        polling: PollPolicy,
        clock: Clock,
        rng: random.Random,
        on_end: Callable[[FollowedEntry], None],
        *,
        on_comparison: Callable[[FollowedEntry], None] = lambda _: None,
        at_once: int = 16,
    ) -> None:
        self._polling = polling
        self._clock = clock
        self._rng = rng
        self._on_end = on_end
        self._on_comparison = on_comparison
        self._at_once = at_once  # looks on their way at the same time
        self._queue = DueQueue(spill, min(1.0, polling.soonest_s / 20))
        self._changed = asyncio.Event()
        self._complete = False
        self._list_comes_along: bool | None = None  # with the results; None: not known yet
        self._unanswered = 0  # looks in a row, of all entries
        self.halted: Trouble | None = None  # why nothing more can be looked at

    def add(self, entry: FollowedEntry) -> None:
        """Follow *entry*, which has a comparison without a verdict: from now on, or from when it is to start."""
        since = entry.start_at or entry.submitted_at or self._clock.now()
        age_s = self._clock.now() - since
        if entry.start_at is None:  # another machine submitted it, whose clock is ahead, or ours was set back
            age_s = max(0.0, age_s)
        entry.began = self._clock.monotonic() - age_s
        self._again(entry, max(0.0, -age_s, min(self._polling.soonest_s, self._polling.soonest_s - age_s)))

    def complete(self) -> None:
        """No more entries will be added: `run` ends with the last of them."""
        self._complete = True
        self._changed.set()

    def unfinished(self) -> Iterator[FollowedEntry]:
        """The entries without a verdict."""
        return iter(self._queue)

    @property
    def open(self) -> int:
        """How many they are."""
        return len(self._queue)

    @property
    def silent(self) -> bool:
        """Whether the cloud does not answer."""
        return self._unanswered >= _SILENT

    async def run(self, reader: ScopeReader) -> None:
        """Look by *reader* until every entry has its verdict, or nothing can be looked at any more.

        Cancel it to stop.
        """
        self._reader = reader
        async with asyncio.TaskGroup() as group:
            for number in range(self._at_once):
                group.create_task(self._work(), name=f"watch-{number}")

    # --- whose turn it is ---------------------------------------------------------------------------------

    def _again(self, entry: FollowedEntry, after_s: float) -> None:
        self._queue.put(entry, self._clock.monotonic() + after_s)
        self._changed.set()

    async def _next(self) -> FollowedEntry | None:
        while True:
            if self.halted is not None or (self._complete and not len(self._queue)):
                self._changed.set()  # for the other workers
                return None
            if (entry := self._queue.take(self._clock.monotonic())) is not None:
                return entry
            due = self._queue.next_due
            self._changed.clear()
            try:
                async with asyncio.timeout(None if due is None else due - self._clock.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _work(self) -> None:
        while (entry := await self._next()) is not None:
            before = len(entry.open_comparisons)
            pause_s = await self._look(entry)
            if not entry.open_comparisons:
                self._queue.done(entry)
                self._on_end(entry)
                self._changed.set()
                continue
            if len(entry.open_comparisons) < before:
                self._on_comparison(entry)
            if pause_s is not None:
                self._again(entry, pause_s)

    # --- one look -----------------------------------------------------------------------------------------

    async def _look(self, entry: FollowedEntry) -> float | None:
        """Look at *entry* once and conclude what has ended: in how many seconds to look at the rest again.

        None: never.
        """
        running = entry.open_comparisons
        told = await self._told(entry.job_id or "", running)  # an entry with a comparison has a job
        if isinstance(told, Trouble):
            return self._failed(entry, told)
        entry.failures = 0
        if self.silent:
            log.info("watch.answers_again")
        self._unanswered = 0
        listed, first = told
        ended: list[FollowedComparison] = []
        for comparison in running:
            if (task := listed.get(comparison.task_id)) is None:
                self._absent(comparison)
                continue
            comparison.listed(task)
            if comparison.ended:
                ended.append(comparison)
            else:
                comparison.done = _done(comparison, first)
        if ended and (failure := await self._read(entry, ended, first)) is not None:
            return self._failed(entry, failure)
        return self._pause_s(entry) if self.halted is None else None

    def _pause_s(self, entry: FollowedEntry) -> float:
        draw, running = self._rng.random(), entry.open_comparisons
        if not running:
            return 0.0  # there is no next look
        if any(comparison.absent or comparison.unread for comparison in running):
            return self._polling.soonest_s * (0.9 + 0.2 * draw)
        age_s = max(0.0, self._clock.monotonic() - entry.began)
        return next_look_s(age_s, entry.done, self._polling, draw)

    def _absent(self, comparison: FollowedComparison) -> None:
        comparison.absent += 1
        if comparison.absent >= self._polling.gone_looks:
            comparison.status = None
            comparison.conclude(None, reasons.GONE)

    async def _told(
        self, job_id: str, running: Sequence[FollowedComparison]
    ) -> tuple[Listed, ResultsOutcome] | Trouble:
        """The job's comparisons as its list has them, read until *running* are found; and what was answered first."""
        wanted = {comparison.task_id for comparison in running}
        ids: ResultIds = {} if self._list_comes_along is False else ids_of(running)
        first = await self._page(job_id, ids, 1)
        if isinstance(first, Trouble):
            return first
        if ids:  # what is asked about is listed, so that an empty list is none
            self._list_comes_along = isinstance(first.listed, ComparisonPage) and bool(first.listed.comparisons)
        answer = first if not ids or self._list_comes_along else None  # else the list is asked for by itself
        if answer is not None and isinstance(answer.listed, ComparisonPage):
            found = _by_id(answer.listed)
            if wanted <= found.keys():  # as nearly always
                return found, first
        paging: Paging[Comparison] = Paging(first=guesses.FIRST_PAGE, most_pages=_MAX_PAGES)
        while paging.state is ReadState.ON and not wanted <= paging.found.keys():
            told = answer or await self._page(job_id, {}, paging.number)
            if isinstance(told, Trouble):
                return told
            page, answer = told.listed, None
            if not isinstance(page, ComparisonPage):
                return page or _UNREAD_LIST
            paging.add(_by_id(page), page.total)
        is_short = paging.state is ReadState.SHORT and not wanted <= paging.found.keys()
        return _UNREAD_LIST if is_short else (paging.found, first)

    async def _page(
        self, job_id: str, ids: ResultIds, number: int, size: int = guesses.LIST_PAGE_SIZE
    ) -> ResultsOutcome | Trouble:
        outcome = await self._reader.query(job_id, ids, page=number, per_page=size)
        if outcome is None:
            self._halt(self._reader.halted or _CLOSED)
            return self._reader.halted or _CLOSED
        return outcome if outcome.trouble is None else outcome.trouble

    def _halt(self, trouble: Trouble) -> None:
        self.halted = trouble
        self._changed.set()

    # --- what has ended -----------------------------------------------------------------------------------

    async def _read(
        self, entry: FollowedEntry, ended: Sequence[FollowedComparison], first: ResultsOutcome
    ) -> Trouble | None:
        """Read all that the cloud tells of *ended*, and conclude them; or why the look failed."""
        job_id = entry.job_id or ""
        told = [comparison for comparison in ended if not _untold(comparison, first)]
        untold = [comparison for comparison in ended if comparison not in told] if len(told) < len(ended) else []
        readings: dict[str, Reading] = {}
        for comparisons, answer in ((told, first), (untold, None)):
            if not comparisons:
                continue
            found = await self._pages(job_id, comparisons, answer, guesses.LIST_PAGE_SIZE)
            if isinstance(found, Trouble):
                return found
            readings |= found
        for size in _LARGER_PAGES:
            lacking = [
                comparison
                for comparison in ended
                if comparison.status == "SUCCESSFUL" and not readings[comparison.task_id].complete
            ]
            if not lacking:
                break
            found = await self._pages(job_id, lacking, None, size)
            if not isinstance(found, Trouble):
                readings |= {task_id: reading for task_id, reading in found.items() if reading.complete}
            elif _passes(found) or self.halted is not None:
                return found
        for comparison in ended:
            self._conclude(comparison, readings[comparison.task_id])
        return None

    async def _pages(
        self,
        job_id: str,
        comparisons: Sequence[FollowedComparison],
        first: ResultsOutcome | None,
        size: int,
    ) -> dict[str, Reading] | Trouble:
        """The readings of *comparisons*, page by page; *first* is the first page where it is there already."""
        readings = {comparison.task_id: reading_of(comparison.compare_type or "") for comparison in comparisons}
        more, page, number = list(comparisons), first, 1
        while more and number <= _MAX_PAGES:
            if page is None:
                answer = await self._page(job_id, ids_of(more), number, size)
                if isinstance(answer, Trouble):
                    return answer
                page = answer
            more = [one for one in more if readings[one.task_id].add(_page_of(one, page), size)]
            page = None
            number += 1
        return readings

    def _conclude(self, comparison: FollowedComparison, reading: Reading) -> None:
        """Conclude *comparison*; results that are not there yet, or still move, are looked at again a few times."""
        if comparison.status == "SUCCESSFUL" and (reading.done or 0.0) < 1.0:  # what told nothing is not done either
            comparison.unread += 1
            if comparison.unread < self._polling.gone_looks:
                return
            if reading.counts() is None:
                comparison.conclude(None, reasons.unreadable(reading.problem))
                return
        comparison.conclude(reading)

    # --- trouble ------------------------------------------------------------------------------------------

    def _failed(self, entry: FollowedEntry, trouble: Trouble) -> float | None:
        """A look brought no answer: in how many seconds to look again. None: never, as that is final.

        What passes is waited out for as long as it takes.
        """
        if self.halted is not None:
            return None
        if trouble.kind in (ErrorKind.PERMISSION, ErrorKind.AUTH):
            self._halt(trouble)
            return None
        entry.failures += 1
        if trouble.kind is ErrorKind.NOT_FOUND:
            _give_up(entry, reasons.job_gone(trouble.error_msg))
            return None
        if self._is_hopeless(entry, trouble):
            _give_up(entry, reasons.unreadable(trouble.error_msg))
            return None
        self._unanswered += 1
        if self._unanswered == _SILENT:
            log.warning("watch.no_answer", reason=trouble.error_msg, error_code=trouble.error_code)
        return after_failure_s(entry.failures, self._polling, self._rng.random())

    def _is_hopeless(self, entry: FollowedEntry, trouble: Trouble) -> bool:
        """Whether asking about *entry* once more would not help. An outage of all is waited out for ever."""
        if _passes(trouble):
            return entry.failures >= self._polling.stubborn_failures and not self.silent
        return trouble.fate is Fate.REFUSED or entry.failures >= self._polling.odd_answers


def _passes(trouble: Trouble) -> bool:
    """Whether it tells nothing of the entry, so that asking again may bring an answer."""
    return trouble.kind in _PASSING or trouble.foreign is not None


_CLOSED = Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.STOPPED, error_msg="the scope was stopped")


def _give_up(entry: FollowedEntry, reason: str) -> None:
    for comparison in entry.open_comparisons:
        comparison.conclude(None, reason)


_UNREAD_LIST = Trouble(
    fate=Fate.MAYBE,
    kind=ErrorKind.PROTOCOL,
    error_msg="the job's list of comparisons could not be read in full",
)
"""Why a list cannot be believed that is missing, or ends before its own length: that is no proof of absence."""


def _by_id(page: ComparisonPage) -> Listed:
    return {task.compare_task_id: task for task in page.comparisons}


def _page_of(comparison: FollowedComparison, told: ResultsOutcome) -> ResultPage | None:
    """The page of *comparison*'s kind of results in *told*."""
    return None if (kind := comparison.kind) is None else told.results.get(kind)


def _untold(comparison: FollowedComparison, told: ResultsOutcome) -> bool:
    """Whether *told* has no word on the results of *comparison*, not even an error."""
    page = _page_of(comparison, told)
    return page is None or (page.compare_task_id not in (comparison.task_id, None) and not page.error_code)


def _done(comparison: FollowedComparison, told: ResultsOutcome) -> float | None:
    """How much of a running comparison is done, as far as the first page of its results tells."""
    if _untold(comparison, told):
        return None
    reading = reading_of(comparison.compare_type or "")
    reading.add(_page_of(comparison, told), guesses.LIST_PAGE_SIZE)
    return reading.done
