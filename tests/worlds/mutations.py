"""The engine, broken on purpose: each mutation is a mistake that somebody could make, and that the worlds must find.

They are the test of the test: a promise whose breach no world would notice is not tested at all.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from msgspec.structs import replace

from batcher.channel.cloud_clock import CloudClock
from batcher.channel.credential_state import Asker, CredentialState
from batcher.channel.governor import Governor
from batcher.channel.job_claims import JobClaims
from batcher.channel.scope_reader import MOST_PAGES, JobComparisons, ScopeReader
from batcher.clock import Instant
from batcher.drs.answer import Answer
from batcher.drs.authorship import says_the_cloud
from batcher.drs.failures import classify_whole
from batcher.drs.outcome import Half, Trouble
from batcher.holding.running_limit import RunningLimit
from batcher.journal.ops import Happened, Op, Receipt, Settled
from batcher.life import state as life
from batcher.life.entry import PlannedEntry
from batcher.life.events import Answered, Intended
from batcher.life.reconcile import Bounds, Others
from batcher.life.state import EntryState, HalfState
from batcher.pace.fair_semaphore import Party
from batcher.pace.pacer import Pacer
from batcher.wave import resuming
from batcher.wave.agenda import Agenda, HeldEntry
from batcher.wave.attempt import Attempts
from batcher.wave.collector import Collector
from batcher.wave.context import Context
from batcher.wave.engine import Engine
from batcher.wave.entry_state_machine import EntryStateMachine
from batcher.wave.prior_run_check import PriorRunCheck
from batcher.wave.sink import Mended
from tests.worlds.disk import LoopJournal
from tests.worlds.spec import Spec


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mistake: *broken* are the promises of which the worlds must see one broken. *where* are the worlds in which it
    can show at all."""

    name: str
    broken: frozenset[str]
    where: Callable[[Spec], bool]
    make: Callable[[], AbstractContextManager[None]]
    worlds: int  # of which those must find it


MUTATIONS: list[Mutation] = []
ENOUGH = 600  # worlds in which a mutation must be found


def _anywhere(_: Spec) -> bool:
    return True


def mutation(
    *broken: str, where: Callable[[Spec], bool] = _anywhere, worlds: int = ENOUGH
) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Iterator[None]]]:
    """Register a mutation, written as a generator that patches, yields, and takes back."""

    def register(make: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
        MUTATIONS.append(Mutation(make.__name__, frozenset(broken), where, contextmanager(make), worlds))
        return make

    return register


def _patch(target: Any, **changes: Any) -> AbstractContextManager[None]:
    stack = ExitStack()
    for name, change in changes.items():
        stack.enter_context(mock.patch.object(target, name, change))
    return stack  # type: ignore[return-value]


_HEARS_DATE = property(lambda self: self.by_date(0.0) is not None)  # so no snapshot is thought to be needed


@mutation("once")
def sends_before_the_intent_is_durable() -> Iterator[None]:
    """The request leaves while the intent is still being written."""
    whole = LoopJournal.record

    async def record(self: LoopJournal, *ops: Op) -> Receipt | None:
        if not any(isinstance(op, Happened) and isinstance(op.event, Intended) for op in ops):
            return await whole(self, *ops)
        self.submit(ops)
        return None

    with _patch(LoopJournal, record=record):
        yield


@mutation("once")
def sends_again_in_doubt() -> Iterator[None]:
    """No answer is taken for no effect."""
    whole = life._after

    def after(verdict: Any) -> HalfState:
        return replace(whole(verdict), doubt=False)

    with _patch(life, _after=after):
        yield


@mutation("once")
def forgets_doubts_on_resume() -> Iterator[None]:
    """What an earlier run left in doubt is simply sent again."""
    whole = EntryStateMachine.take_up

    def take_up(self: EntryStateMachine, held: HeldEntry) -> None:
        halves = {name: replace(half, doubt=False) for name, half in held.state.halves.items()}
        held.state = replace(held.state, halves=halves)
        whole(self, held)

    with _patch(EntryStateMachine, take_up=take_up):
        yield


@mutation("once", where=lambda spec: any(life.restores for life in spec.lives))
def trusts_its_journal_to_be_the_newest() -> Iterator[None]:
    """A resumed wave sends what its journal says was not sent, and does not look."""

    async def clears(self: PriorRunCheck, held: HeldEntry) -> bool:
        return True

    with _patch(PriorRunCheck, clears=clears):
        yield


@mutation("stray", "crash")
def writes_results_before_they_are_durable() -> Iterator[None]:
    """The line goes to the results file first, then to the journal: the next run takes the journal for an older one."""
    recorded, whole = Context.record_surely, Context.settled

    async def record_surely(self: Context, what: Callable[[], str], *ops: Op) -> Receipt | None:
        for op in ops:
            if isinstance(op, Settled):
                self.collector.settled(self.collector.next + len(self.collector._early), op.line)
        return await recorded(self, what, *ops)

    def settled(self: Context, one: Settled, receipt: Receipt | None, *, recovered: bool) -> Awaitable[None] | None:
        with mock.patch.object(self.collector, "settled"):
            return whole(self, one, receipt, recovered=recovered)

    with _patch(Context, record_surely=record_surely), _patch(Context, settled=settled):
        yield


@mutation("once")
def reconciles_by_our_own_clock() -> Iterator[None]:
    """The cloud's clock is taken to be ours."""

    def ours(self: CloudClock, instant: Instant) -> Bounds | None:
        at = self._clock.now() + instant.monotonic - self._clock.monotonic()
        return Bounds(at, at) if instant.timebase == self._clock.timebase else None

    with _patch(CloudClock, at=ours):
        yield


@mutation("once", "lost", where=lambda spec: spec.faults.after > 0 and not spec.clocks_agree)
def trusts_the_gateways_clock() -> Iterator[None]:
    """The cloud's clock is taken to be what `Date` shows."""

    def shown(self: CloudClock, instant: Instant) -> Bounds | None:
        return self.by_date(instant.monotonic) if instant.timebase == self._clock.timebase else None

    with _patch(CloudClock, at=shown, can_be_told=_HEARS_DATE):
        yield


@mutation("invented", "lost", "once", where=lambda spec: spec.has_older and not spec.clocks_agree, worlds=3000)
def finds_by_the_gateways_clock() -> Iterator[None]:
    """`Date` proves nothing absent, but what is younger by it is taken for ours."""
    whole = CloudClock.at

    def shown(self: CloudClock, instant: Instant) -> Bounds | None:
        known, date = whole(self, instant), self.by_date(instant.monotonic)
        return Bounds(date.earliest - 1e6, date.latest) if known is None and date is not None else known

    with _patch(CloudClock, at=shown, can_be_told=_HEARS_DATE):
        yield


@mutation("once")
def does_not_wait_for_what_can_still_land() -> Iterator[None]:
    """Not in the list now is taken for never."""
    with _patch(EntryStateMachine, since_intent=lambda self, held: 1e9):
        yield


@mutation("once", where=lambda spec: spec.faults.late > 0)
def waits_from_the_intent_only() -> Iterator[None]:
    """How long a request can still land is counted from an intent that may be far older than the request."""
    whole = EntryStateMachine.since_intent

    def since_intent(self: EntryStateMachine, held: HeldEntry) -> float:
        policy = replace(self._context.policy, leave_s=-1e6)
        with mock.patch.object(self._context, "policy", policy):
            return whole(self, held)

    with _patch(EntryStateMachine, since_intent=since_intent), _patch(Attempts, _intend_anew=mock.AsyncMock()):
        yield


@mutation("lost", where=lambda spec: spec.faults.pages > 0, worlds=1500)
def takes_a_strangers_page_for_the_clouds_word() -> Iterator[None]:
    """404 is taken for a refusal, whoever says so."""

    def believes(answer: Answer, body: Any) -> bool:
        return says_the_cloud(answer, body) or answer.http_status in (404, 405)

    with mock.patch("batcher.drs.failures.says_the_cloud", believes):
        yield


@mutation("once", "lost", where=lambda spec: spec.faults.list_fails > 0 and spec.faults.after + spec.faults.late > 0)
def takes_a_failed_look_up_for_an_empty_list() -> Iterator[None]:
    """An error is taken as evidence that nothing was made."""
    whole = ScopeReader.comparisons

    async def comparisons(self: ScopeReader, job_id: str, *, most_pages: int = MOST_PAGES) -> JobComparisons | None:
        listed = await whole(self, job_id, most_pages=most_pages)
        if listed is not None and isinstance(listed.comparisons, Trouble):
            return replace(listed, comparisons=())
        return listed

    with _patch(ScopeReader, comparisons=comparisons):
        yield


@mutation("once", where=lambda spec: spec.faults.list_fails > 0 and spec.faults.after + spec.faults.late > 0)
def takes_the_list_of_another_job() -> Iterator[None]:
    """Whose comparisons an answer lists is not looked at."""

    def of_any_job(answer: Answer, body: Any, job_id: str | None, halves: Any = ()) -> Trouble | None:
        return classify_whole(answer, body, None, halves)

    with mock.patch("batcher.drs.v3.classify.classify_whole", of_any_job):
        yield


@mutation("ending", "crash", where=lambda spec: spec.faults.disk_unreadable > 0)
def does_not_stop_for_a_journal_that_cannot_be_read() -> Iterator[None]:
    """A worker that cannot read just leaves."""

    async def ask(self: Context, question: Any, *args: Any) -> Any:
        return await self.journal.ask(question, *args)

    with _patch(Context, ask=ask):
        yield


@mutation("lost", "invented", where=lambda spec: spec.allow_duplicates)
def takes_what_another_entry_made_for_its_own() -> Iterator[None]:
    """Entries of one job are not told apart."""

    async def others(self: EntryStateMachine, entry: PlannedEntry) -> Others:
        return Others()

    with _patch(EntryStateMachine, others=others):
        yield


@mutation("once")
def asks_for_both_halves_again() -> Iterator[None]:
    """A repeat asks for what was already made."""

    def to_ask(self: EntryState) -> frozenset[Half]:
        return frozenset(self.halves) if any(half.open for half in self.halves.values()) else frozenset()

    with _patch(EntryState, to_ask=property(to_ask)):
        yield


@mutation("together")
def sends_for_one_job_at_the_same_time() -> Iterator[None]:
    """Entries of one job do not wait for each other."""

    def add(self: Agenda, held: HeldEntry) -> None:
        self.size += 1
        self._behind.setdefault(held.entry.job_id, type(self._ready)())
        self.again(held, 0.0)

    def release(self: Agenda, held: HeldEntry) -> None:
        self.size -= 1
        self._wake_all()

    with _patch(Agenda, add=add, release=release), _patch(JobClaims, take=lambda self, who, work, again: True):
        yield


@mutation("lines", "file", "peace")
def drops_a_line() -> Iterator[None]:
    """A result is recorded, and its line forgotten."""
    whole = Collector.write

    def write(self: Collector, lines: list[bytes]) -> None:
        whole(self, lines[1:] if len(lines) > 1 else lines)

    with _patch(Collector, write=write):
        yield


@mutation("limit")
def does_not_keep_the_pace() -> Iterator[None]:
    """Whoever wants to send, sends."""

    async def sleep_until(self: Pacer, moment: Any, party: Party) -> float:
        self._check(party)
        return self.clock.monotonic()

    with _patch(Pacer, _sleep_until=sleep_until):
        yield


@mutation("limit")
def forgets_the_limit_on_resume() -> Iterator[None]:
    """What an earlier run sent a moment ago does not count."""
    with _patch(Pacer, go_on=lambda self, in_flight: None):
        yield


def _is_stopped(spec: Spec) -> bool:
    return any(life.signal_at is not None for life in spec.lives) or _orders(spec, "stop")


@mutation("stop", where=_is_stopped, worlds=1500)
def goes_on_sending_after_a_signal() -> Iterator[None]:
    """Told to stop, it sends what it has begun to prepare."""
    with _patch(Party, close=lambda self: None):
        yield


@mutation("refusals", "crash", where=lambda spec: spec.refused_from is not None)
def goes_on_with_a_refused_credential() -> Iterator[None]:
    """A refusal does not stop the scope."""

    async def renew_or_halt(self: CredentialState, trouble: Trouble, sent_at: float, who: Asker) -> bool:
        await who.cloud.renew()
        return True

    with _patch(CredentialState, renew_or_halt=renew_or_halt):
        yield


@mutation("lost", "crash", "stray", where=lambda spec: spec.faults.disk_full > 0)
def gives_up_recording_what_the_cloud_told() -> Iterator[None]:
    """A full disk makes it forget an answer, and go on as if it had been recorded."""

    async def record_surely(self: Context, what: Callable[[], str], *ops: Op) -> Receipt | None:
        try:
            return await self.journal.record(*ops)
        except Exception:  # noqa: BLE001 - the very mistake
            collector = self.collector  # the number that it would have had
            return Receipt(collector.next + len(collector._early), self.counts.by_status)

    with _patch(Context, record_surely=record_surely):
        yield


@mutation("lines", "file", "peace")
def leaves_the_results_file_as_it_is_on_resume() -> Iterator[None]:
    """Lines that a crash took away stay away."""
    with _patch(resuming, mend=lambda *_: Mended()):
        yield


@mutation("lost")
def settles_as_failed_what_is_in_doubt() -> Iterator[None]:
    """Looking up too often is taken for proof."""
    whole = life._looked_up

    def looked_up(state: EntryState, event: Any) -> EntryState:
        after = whole(state, event)
        halves = {
            name: HalfState(refused=event.trouble, trouble=event.trouble) if half.doubt and event.trouble else half
            for name, half in after.halves.items()
        }
        return replace(after, halves=halves)

    with _patch(life, _looked_up=looked_up):
        yield


@mutation("lost")
def forgets_the_half_that_was_made() -> Iterator[None]:
    """A partial answer is taken for a failure of both halves."""
    whole = EntryStateMachine.next

    async def forget(self: EntryStateMachine, held: HeldEntry, event: Any) -> None:
        if isinstance(event, Answered):
            trouble = next((v for v in event.halves.values() if isinstance(v, Trouble)), None)
            if trouble is not None:
                event = replace(event, halves=dict.fromkeys(event.halves, trouble))
        await whole(self, held, event)

    with _patch(EntryStateMachine, next=forget):
        yield


def _orders(spec: Spec, *names: str) -> bool:
    return any(order.do in names for life in spec.lives for order in life.orders)


@mutation("deadline", where=lambda spec: any(life.deadline_s is not None for life in spec.lives))
def goes_on_after_the_deadline() -> Iterator[None]:
    """The deadline is looked at when the wave begins, and then forgotten."""
    with _patch(Engine, _set_deadline=lambda self: None):
        yield


@mutation("pause", where=lambda spec: _orders(spec, "pause"))
def goes_on_while_it_is_paused() -> Iterator[None]:
    """What already stands in line for its turn does not hear of the pause."""
    with _patch(Party, hold=lambda self, reason: None):
        yield


@mutation("limit", where=lambda spec: _orders(spec, "rate"))
def keeps_the_pace_it_began_with() -> Iterator[None]:
    """The operator's new rate is said and remembered, but not kept."""
    with _patch(Governor, set_limit=lambda self, limit: None):
        yield


def _holds_back(spec: Spec) -> bool:
    return spec.settings is not None and spec.settings.max_running is not None


@mutation("running", where=_holds_back)
def forgets_what_was_let_in() -> Iterator[None]:
    """An entry that was admitted counts only once its comparison is reported."""
    with _patch(RunningLimit, _fits=lambda self, need, limits: True):
        yield
