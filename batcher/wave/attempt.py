"""One attempt for an entry, from top to bottom: the look before it, the intent, the turn, the request, the answer.

What holds, whatever fails and wherever it is cancelled or killed:

- No request leaves without its intent in the journal, which holds the halves that it asks for. Halves whose intent is
  there are in doubt, until an answer, a look-up, or the record that the request did not leave says otherwise.
- A request leaves at most `Policy.leave_s` after its intent: what waited longer is intended anew.
- In a scope that is held by a lease it leaves while that runs, and soon after its intent, or not at all: that is asked
  right before its bytes do.
- It leaves in its turn, in a slot, with a credential that is ready, with its job in hand, and not once its wave is
  paused or its scope closed.
- What the cloud answered is durable, with the decision that follows, before that is carried out; where it cannot be
  made so, it is reported.
- Whether and how the entry ends is decided in `batcher.life`, never here.
"""

from collections.abc import Coroutine
from typing import Any, assert_never

from batcher.channel.creation import Creation
from batcher.channel.passes import Pass
from batcher.channel.scope_reader import ScopeReader
from batcher.channel.slots import Slot
from batcher.drs.cloud import HeldBack
from batcher.drs.outcome import CreateOutcome, Fate, Trouble
from batcher.journal.errors import IntentRefused
from batcher.journal.ops import Happened
from batcher.life.decide import Settle, too_late
from batcher.life.events import Answered, Intended, Retracted
from batcher.life.policy import Reconcile
from batcher.life.state import fold
from batcher.pace.fair_semaphore import PartyClosed, PartyPaused
from batcher.pace.pacer import Turn
from batcher.wave.agenda import HeldEntry
from batcher.wave.context import Context, log
from batcher.wave.entry_state_machine import EntryStateMachine, what_is_known
from batcher.wave.prior_run_check import PriorRunCheck

_STALE_S = 10.0  # an intent that old is made anew right before its request leaves
_GLANCES = 3  # that may bring nothing, one after the other; then a scope goes without


class Attempts:
    """Makes the create requests of one scope, each once."""

    def __init__(
        self,
        through: Pass,
        context: Context,
        machine: EntryStateMachine,
        reader: ScopeReader,
        prior_run: PriorRunCheck,
    ) -> None:
        self._pass = through
        self._prior_run = prior_run
        self._context = context
        self._machine = machine
        self._reader = reader
        self._governor = through.governor
        self._cloud_clock = through.cloud_clock
        reconcile = context.policy.reconcile
        self._takes_snapshots = reconcile is Reconcile.SNAPSHOT
        self._most_glances = _GLANCES if reconcile is Reconcile.WINDOW else 0
        self._glances = 0  # before requests, that brought nothing
        self.in_flight = 0
        self.sent = 0

    def make(self, held: HeldEntry, turn: Turn) -> Coroutine[Any, Any, None]:
        """Send for *held* at its *turn* and lead it on; it stays as it was where the scope may not send.

        Raises `PartyPaused` where it was taken back for that, or held back at the last moment.
        """
        return self._make(held, turn) if self._pass.is_in else self._make_alone(held, turn)

    async def _make_alone(self, held: HeldEntry, turn: Turn) -> None:
        async with self._pass.first_alone():
            await self._make(held, turn)

    async def _make(self, held: HeldEntry, turn: Turn) -> None:
        if not (self._pass.at_hand or await self._pass.ready()):
            return
        began = self._context.clock.monotonic()
        if self._prior_run.is_due(held) and not await self._prior_run.clears(held):
            return
        known = await self._known_before(held, began) if self._may_be_known(held) else None
        if self._pass.halted is not None:
            return
        with self._pass.slot() as slot:
            due = await self._intend(held, known, turn, slot)
            if due is turn:
                outcome = await self._send(held, turn)
        match due:
            case Turn():
                if isinstance(outcome, HeldBack):
                    await self._retract(held, f"{outcome}: the request did not leave")
                    raise PartyPaused
                await self._answered(held, outcome)
            case Settle():
                await self._machine.settle(held, due)
            case None:  # the wave or its scope stopped
                return
            case _:
                assert_never(due)

    # --- before it is sent --------------------------------------------------------------------------------

    async def _known_before(self, held: HeldEntry, began: float) -> frozenset[str] | None:
        """The ids of the job's comparisons before the first attempt of *held*; None: not asked for, or not told.

        What was listed after *began* (monotonic) is not asked for again.
        """
        if held.state.snapshot_due and held.was_listed_since(began):
            return held.listed
        if self._takes_snapshots and held.state.snapshot_due:
            return await self._snapshot(held)
        if self._must_glance:
            return await self._glance(held)
        return None

    def _may_be_known(self, held: HeldEntry) -> bool:
        """Whether `_known_before` may tell anything of *held*: for most there is nothing to ask."""
        return held.listed_at is not None or self._takes_snapshots or self._must_glance

    @property
    def _must_glance(self) -> bool:
        """Until something was created that could tell the cloud's time, a doubt is settled by a snapshot only."""
        return self._glances < self._most_glances and not self._cloud_clock.can_be_told

    async def _glance(self, held: HeldEntry) -> frozenset[str] | None:
        """A snapshot, if it can be had at no risk: whoever may not look goes on without. It also tells that the
        credential is let in, and that it is the cloud that answers, before anything is sent."""
        while self._must_glance and self._pass.halted is None:
            began, timebase = self._context.clock.monotonic(), self._context.clock.timebase
            try:
                comparisons = await self._reader.glance(held.entry.job_id)
            except PartyClosed:
                return None
            if comparisons is not None:
                self._glances = 0
                held.saw(comparisons, began, timebase)
                return held.listed if held.state.snapshot_due else None
            if self._governor.worked:
                self._glances += 1
        return None

    async def _snapshot(self, held: HeldEntry) -> frozenset[str] | None:
        """The ids of the job's comparisons before the first attempt; without them the window alone decides."""
        began, timebase = self._context.clock.monotonic(), self._context.clock.timebase
        try:
            listed = await self._reader.comparisons(held.entry.job_id)
        except PartyClosed:
            return None
        if listed is None:
            return None
        if isinstance(listed.comparisons, Trouble):
            log.warning(
                "snapshot.missing",
                key=held.entry.key,
                error_code=listed.comparisons.error_code,
                error_msg=listed.comparisons.error_msg,
            )
            return None
        held.saw(listed.comparisons, began, timebase)
        return held.listed

    # --- the intent ---------------------------------------------------------------------------------------

    async def _intend(
        self, held: HeldEntry, known: frozenset[str] | None, turn: Turn, slot: Slot
    ) -> Turn | Settle | None:
        """Make the intent durable, then wait for a slot and the *turn* to send, which is returned.

        No request leaves, and none is intended any more, where it has become too late for one (its end is returned),
        or the wave or its scope stopped (None). Raises `PartyPaused` where its wave was paused meanwhile.
        """
        context, intended = self._context, False
        has_start = held.entry.start_time is not None
        try:
            if not turn.enters():
                await turn.enter()
            try:
                if has_start and (late := self._too_late(held)) is not None:
                    return late
                context.watch("intent queued")
                began = context.clock.monotonic()
                await self._record_intent(held, known)
                intended = True
                context.watch("intent durable")
                intended_at = context.clock.monotonic()
                self._pass.slots.intended(intended_at - began)
                await slot.take()
                if not turn.is_due():
                    await turn.due()
                # The credential may have died during the wait, and while it is renewed the wave may be stopped.
                is_ready = (self._pass.at_hand or await self._pass.ready()) and self._pass.sends.free
                if is_ready and context.clock.monotonic() - intended_at > _STALE_S:
                    await self._intend_anew(held, turn, known)
                late = self._too_late(held) if has_start else None
                if not is_ready or late is not None:
                    turn.ended(sent=False)
                    intended = False
                    await self._retract(held)
                    if late is None and self._pass.sends.held is not None:
                        raise PartyPaused
                    return late
                return turn
            finally:
                turn.leave()
        except (PartyClosed, PartyPaused, IntentRefused) as error:
            if intended:
                await self._retract(held)
            if isinstance(error, PartyClosed):
                return None
            raise PartyPaused from error

    async def _intend_anew(self, held: HeldEntry, turn: Turn, known: frozenset[str] | None) -> None:
        """*held* waited for its place, or its scope paused. How late a request can land is counted from its intent.

        Raises `PartyClosed` and `PartyPaused` where the wave was stopped or paused meanwhile.
        """
        why = "the scope had to wait: the request leaves later than was intended"
        try:
            await self._record_intent(held, known, Retracted(at=self._context.clock.now(), why=why))
            self._pass.sends.check()
        except BaseException:
            turn.ended(sent=False)
            raise

    async def _record_intent(
        self, held: HeldEntry, known: frozenset[str] | None, instead_of: Retracted | None = None
    ) -> None:
        context, entry = self._context, held.entry
        before = held.state if instead_of is None else fold(held.state, instead_of)
        now = context.clock.monotonic()
        by_date = self._cloud_clock.by_date(now)
        event = Intended(
            at=context.clock.now(),
            asked=before.to_ask,
            timebase=context.clock.timebase,
            monotonic=now,
            date_at=None if by_date is None else by_date.earliest,
            conflict_policy="keep" if before.keep and entry.conflict_policy else entry.conflict_policy,
            known=known or frozenset(),
            snapshot=known is not None,
            lease=held.lease,
        )
        happened = Happened(index=entry.index, event=event)
        held.intended_at = context.clock.boot()
        if instead_of is None:
            await context.record(happened)
        else:
            await context.record(Happened(index=entry.index, event=instead_of), happened)
        held.state = fold(before, event)

    async def _retract(self, held: HeldEntry, why: str | None = None) -> None:
        what = "stopped" if self._pass.sends.closed else "was paused"
        event = Retracted(at=self._context.clock.now(), why=why or f"the wave {what} before the request left")
        await self._context.record(Happened(index=held.entry.index, event=event))
        held.state = fold(held.state, event)

    def _too_late(self, held: HeldEntry) -> Settle | None:
        known = self._cloud_clock.now() or self._cloud_clock.by_date(self._context.clock.monotonic())
        now = known.latest if known is not None else self._context.clock.now()
        return too_late(held.state, held.entry.start_time, now)

    # --- the request and its answer -----------------------------------------------------------------------

    async def _send(self, held: HeldEntry, turn: Turn) -> CreateOutcome | HeldBack:
        """What came of the request, or what held it back at the last moment."""
        context, state, before = self._context, held.state, held.sent_at
        intent = state.intent
        assert intent is not None  # noqa: S101 - `_intend` comes first
        body = held.entry.request_body(intent.asked, keep=intent.conflict_policy == "keep")

        def leaves() -> None:
            if context.may_leave is not None:
                context.may_leave(held.intended_at)
            held.sent_at = context.clock.monotonic()
            turn.sent()

        held.sent_at = began = context.clock.monotonic()
        held.began(began)
        if held.first_at is None:
            held.first_at = began
        context.counts.sent(again=state.attempts > 1)
        self.in_flight += 1
        self.sent += 1
        sent, answered = True, False
        try:
            outcome = await self._pass.cloud.create_comparisons(
                body,
                job_id=held.entry.job_id,
                asked=intent.asked,
                x_language=held.entry.x_language,
                on_sent=leaves,
            )
            sent, answered = outcome.left, outcome.answered
        except HeldBack as error:
            sent, held.sent_at = False, before
            self.sent -= 1
            context.counts.held_back(again=state.attempts > 1)
            return error
        finally:
            self.in_flight -= 1
            context.counts.in_flight -= 1
            turn.ended(sent=sent, answered=answered)
        context.watch("answer received")
        self._cloud_clock.heard(outcome.server_time, held.sent_at, context.clock.monotonic())
        return outcome

    async def _answered(self, held: HeldEntry, outcome: CreateOutcome) -> None:
        """Take in what the answer says of the scope, then of *held*, which is led on."""
        intent, sent_at = held.state.intent, held.sent_at or 0.0
        assert intent is not None  # noqa: S101 - an answer follows an intent
        self._governor.create_answered(held.entry.job_id, sent_at, outcome.halves.values())
        event = self._event_of(held, outcome)
        if self._machine.is_to_sift(held):
            event = await self._sifted(held, event)
        refused = outcome.whole if outcome.whole is not None and outcome.whole.fate is Fate.NOT_LET_IN else None
        if outcome.answered and refused is None and (outcome.whole is None or outcome.whole.foreign is None):
            self._pass.let_in()
        troubles = [verdict for verdict in event.halves.values() if isinstance(verdict, Trouble)]
        if troubles and any(trouble.fate is Fate.TURNED_AWAY for trouble in troubles):
            self._context.counts.throttled += 1
        if len(troubles) == len(event.halves):
            self._prior_run.tells_nothing(held)
        if outcome.unasked:
            log.warning("comparison.unasked", key=held.entry.key, ids=outcome.unasked)
        if refused is not None:
            await self._pass.renew_or_halt(refused, sent_at)
        if self._cloud_clock.wants(intent.timebase, sent_at, event.monotonic or sent_at):
            created = Creation(held.entry, intent, event).known
            if created is not None:
                self._cloud_clock.remember(created)
        await self._machine.next(held, event)

    async def _sifted(self, held: HeldEntry, event: Answered) -> Answered:
        """*event* without the ids of others; what it told is reported where that cannot be found out."""
        try:
            return await self._machine.sifted(held, event)
        except BaseException:
            told = Happened(index=held.entry.index, event=event)
            self._context.unrecorded.append((what_is_known(held, [event]), (told,)))
            raise

    def _event_of(self, held: HeldEntry, outcome: CreateOutcome) -> Answered:
        clock, intent = self._context.clock, held.state.intent
        now = clock.monotonic()
        # A machine that was suspended meanwhile cannot tell how long ago it sent this, nor when that was created.
        is_told = intent is not None and intent.timebase == clock.timebase
        return Answered(
            at=clock.now(),
            sent_at=outcome.sent_at,
            halves=outcome.halves,
            http_status=outcome.http_status,
            request_id=outcome.request_id,
            monotonic=now if is_told else None,
            took_s=now - (now if held.sent_at is None else held.sent_at),
        )
