"""One attempt for an entry: intent, slot, request, answer, in this order and each durable before the next."""

from collections.abc import Mapping

from msgspec.structs import replace

from batcher.channel.access import Access
from batcher.channel.cloud_clock import CloudClock
from batcher.channel.creation import Creation
from batcher.channel.governor import Governor
from batcher.channel.width import Berth, Width
from batcher.drs.cloud import Cloud
from batcher.drs.outcome import CreateOutcome, ErrorKind, Fate, Half, Made, Trouble
from batcher.journal.ops import Happened
from batcher.life.decide import Settle, give_up
from batcher.life.events import Answered, Event, Intended, Retracted
from batcher.life.policy import Reconcile
from batcher.life.state import EntryState, fold
from batcher.pace.pacer import Closed, Turn
from batcher.wave.agenda import Held
from batcher.wave.context import Context, log
from batcher.wave.course import Course, what_is_known
from batcher.wave.listing import Lister
from batcher.wave.look_first import Foresight

_STALE_S = 10.0  # an intent that old is made anew right before its request leaves
_GLANCES = 3  # that may bring nothing, one after the other; then a scope goes without


class Attempts:
    """Makes the create requests of one scope, each once."""

    def __init__(
        self,
        cloud: Cloud,
        context: Context,
        access: Access,
        course: Course,
        lister: Lister,
        governor: Governor,
        cloud_clock: CloudClock,
        width: Width,
        foresight: Foresight,
    ) -> None:
        self._cloud = cloud
        self._foresight = foresight
        self._context = context
        self._access = access
        self._course = course
        self._lister = lister
        self._governor = governor
        self._cloud_clock = cloud_clock
        self._width = width
        self._glances = 0  # before requests, that brought nothing
        self.in_flight = 0
        self.sent = 0

    async def make(self, held: Held) -> None:
        """Send for *held* and lead it on; it stays as it was where the scope may not send."""
        async with self._access.first_alone():
            if not await self._access.ready():
                return
            known: frozenset[str] | None = None
            began = self._context.clock.monotonic()
            if not await self._foresight.clears(held):
                return
            if held.state.snapshot_due and held.was_listed_since(began):
                known = held.listed
            elif self._context.policy.reconcile is Reconcile.SNAPSHOT and held.state.snapshot_due:
                known = await self._snapshot(held)
            elif self._context.policy.reconcile is Reconcile.WINDOW and self._must_glance:
                known = await self._glance(held)
            if self._access.halted is not None:
                return
            match await self._ask(held, known):
                case CreateOutcome() as outcome:
                    await self._answered(held, outcome)
                case Settle() as late:
                    await self._course.settle(held, late)

    async def _ask(self, held: Held, known: frozenset[str] | None) -> CreateOutcome | Settle | None:
        """Intend and send. Nothing left where it is too late, or (None) where the wave or its scope stopped."""
        async with self._width.berth() as berth:
            turn = await self._intend(held, known, berth)
            return await self._send(held, turn) if isinstance(turn, Turn) else turn

    async def _intend(self, held: Held, known: frozenset[str] | None, berth: Berth) -> Turn | Settle | None:
        """Make the intent durable, wait for a place and the slot. For what else it may return see `_ask`."""
        context, before = self._context, held.state
        intended = False
        try:
            async with self._governor.creates.pacer.turn() as turn:
                if (late := self._too_late(held)) is not None:
                    return late
                context.watch("intent queued")
                intended, began = True, context.clock.monotonic()
                await self._record_intent(held, before, known)
                context.watch("intent durable")
                intended_at = context.clock.monotonic()
                self._width.intended(intended_at - began)
                await berth.take()
                await turn.due()
                # The credential may have died during the wait, and while it is renewed the wave may be stopped.
                is_ready = await self._access.ready() and not self._governor.creates.pacer.closed
                if is_ready and context.clock.monotonic() - intended_at > _STALE_S:
                    await self._intend_anew(held, turn, before, known)
                late = self._too_late(held)
                if not is_ready or late is not None:
                    turn.ended(sent=False)
                    await self._retract(held, before=before)
                    return late
                return turn
        except Closed:
            if intended:
                await self._retract(held, before=before)
            return None

    async def _intend_anew(self, held: Held, turn: Turn, before: EntryState, known: frozenset[str] | None) -> None:
        """*held* waited for its place, or its scope paused. How late a request can land is counted from its intent.

        Raises `Closed` where the wave was stopped meanwhile.
        """
        why = "the scope had to wait: the request leaves later than was intended"
        try:
            await self._record_intent(held, before, known, Retracted(at=self._context.clock.now(), why=why))
            if self._governor.creates.pacer.closed:
                raise Closed
        except BaseException:
            turn.ended(sent=False)
            raise

    async def _record_intent(
        self, held: Held, before: EntryState, known: frozenset[str] | None, *instead_of: Retracted
    ) -> None:
        context, entry = self._context, held.entry
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
        )
        events: tuple[Event, ...] = (*instead_of, event)
        await context.record(*(Happened(index=entry.index, event=one) for one in events))
        held.state = fold(before, event)

    async def _retract(self, held: Held, *, before: EntryState) -> None:
        event = Retracted(at=self._context.clock.now(), why="the wave stopped before the request left")
        await self._context.record(Happened(index=held.entry.index, event=event))
        held.state = before

    async def _send(self, held: Held, turn: Turn) -> CreateOutcome:
        context, state = self._context, held.state
        intent = state.intent
        assert intent is not None  # noqa: S101 - `_intend` comes first
        body = held.entry.request_body(intent.asked, keep=intent.conflict_policy == "keep")

        def leaves() -> None:
            held.sent_at = context.clock.monotonic()
            turn.sent()

        held.sent_at = began = context.clock.monotonic()
        held.began(began)
        if held.first_at is None:
            held.first_at = began
        context.tally.sent(again=state.attempts > 1)
        self.in_flight += 1
        self.sent += 1
        sent, answered = True, False
        try:
            outcome = await self._cloud.create_comparisons(
                body,
                job_id=held.entry.job_id,
                asked=intent.asked,
                x_language=held.entry.x_language,
                on_sent=leaves,
            )
            sent, answered = outcome.left, outcome.answered
        finally:
            self.in_flight -= 1
            context.tally.in_flight -= 1
            turn.ended(sent=sent, answered=answered)
        context.watch("answer received")
        self._cloud_clock.heard(outcome.server_time, held.sent_at, context.clock.monotonic())
        return outcome

    async def _answered(self, held: Held, outcome: CreateOutcome) -> None:
        intent, now = held.state.intent, self._context.clock.monotonic()
        assert intent is not None  # noqa: S101 - an answer follows an intent
        self._governor.create_answered(held.entry.job_id, held.sent_at or 0.0, outcome.halves.values())
        event = Answered(
            at=self._context.clock.now(),
            sent_at=outcome.sent_at,
            halves=outcome.halves,
            http_status=outcome.http_status,
            request_id=outcome.request_id,
            monotonic=now,
            took_s=now - (now if held.sent_at is None else held.sent_at),
        )
        try:
            halves = await self._not_anothers(held, outcome)
        except BaseException:
            told = Happened(index=held.entry.index, event=event)
            self._context.unrecorded.append((what_is_known(held, [event]), (told,)))
            raise
        if halves is not event.halves:
            event = replace(event, halves=halves)
        whole = outcome.whole
        refused = whole is not None and whole.fate is Fate.NOT_LET_IN
        if outcome.http_status is not None and not refused and (whole is None or whole.foreign is None):
            self._access.let_in()
        if any(isinstance(verdict, Trouble) and verdict.fate is Fate.TURNED_AWAY for verdict in halves.values()):
            self._context.tally.throttled += 1
        if not any(isinstance(verdict, Made) for verdict in halves.values()):
            self._foresight.tells_nothing(held)
        if outcome.unasked:
            log.warning("comparison.unasked", key=held.entry.key, ids=outcome.unasked)
        if whole is not None and refused:
            await self._access.renew_or_halt(whole, held.sent_at or 0.0)
        if (created := Creation(held.entry, intent, event).known) is not None:
            self._cloud_clock.remember(created)
        await self._course.next(held, event)

    async def _not_anothers(self, held: Held, outcome: CreateOutcome) -> Mapping[Half, Made | Trouble]:
        """The verdicts, with a task id that is not this entry's turned into the conflict that it is."""
        if not (held.entry.shares_job or held.state.known):
            return outcome.halves
        halves = dict(outcome.halves)
        made = {half: v.compare_task_id for half, v in halves.items() if isinstance(v, Made)}
        if not made:
            return halves
        elsewhere = (await self._course.others(held.entry)).made | held.state.known
        for half, task_id in made.items():
            if task_id in elsewhere:
                halves[half] = Trouble(
                    fate=Fate.REFUSED,
                    kind=ErrorKind.CONFLICT,
                    error_msg=f"the cloud answered with comparison {task_id}, which was there before or belongs to "
                    "another entry of this job: nothing new was created. Wait until it ends, or use "
                    "conflict_policy cancel",
                )
        return halves

    @property
    def _must_glance(self) -> bool:
        """Until something was created that could tell the cloud's time, a doubt is settled by a snapshot only."""
        return self._glances < _GLANCES and not self._cloud_clock.can_be_told

    async def _glance(self, held: Held) -> frozenset[str] | None:
        """A snapshot, if it can be had at no risk: whoever may not look goes on without. It also tells that the
        credential is let in, and that it is the cloud that answers, before anything is sent."""
        while self._must_glance and self._access.halted is None:
            began = self._context.clock.monotonic()
            try:
                comparisons = await self._lister.glance(held.entry.job_id)
            except Closed:
                return None
            if comparisons is not None:
                self._glances = 0
                held.saw(comparisons, began)
                return held.listed if held.state.snapshot_due else None
            if self._governor.worked:
                self._glances += 1
        return None

    async def _snapshot(self, held: Held) -> frozenset[str] | None:
        """The ids of the job's comparisons before the first attempt; without them the window alone decides."""
        began = self._context.clock.monotonic()
        try:
            listed = await self._lister.comparisons(held.entry.job_id)
        except Closed:
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
        held.saw(listed.comparisons, began)
        return held.listed

    def _too_late(self, held: Held) -> Settle | None:
        """An entry whose start time has passed is not sent: how the cloud would take it is not known."""
        start = held.entry.start_time
        if start is None:
            return None
        known = self._cloud_clock.now() or self._cloud_clock.by_date(self._context.clock.monotonic())
        now = known.latest if known is not None else self._context.clock.now()
        if now * 1000 < start:
            return None
        trouble = Trouble(
            fate=Fate.REFUSED,
            kind=ErrorKind.VALIDATION,
            error_msg=f"start_time {start} passed before the request could be sent. Give a later one, or none",
        )
        return give_up(held.state, trouble, "its start time has passed")
