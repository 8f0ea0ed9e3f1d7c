"""One scope of a wave: its entries, its workers, its pace, its credential, its fate."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from batcher.drs import guesses
from batcher.drs.answer import Answer, Stage
from batcher.drs.cloud import Cloud, Refusal
from batcher.drs.failures import server_time, sort_create, sort_list
from batcher.drs.outcome import Comparison, CreateOutcome, ErrorKind, Half, Made, Sort, Trouble
from batcher.rates import Rate
from batcher.wave.agenda import Agenda, Held
from batcher.wave.clocks import CloudClock
from batcher.wave.context import Context, log
from batcher.wave.decide import Action, LookUp, Moment, Settle, decide
from batcher.wave.events import Answered, Event, Intended, LookedUp, Retracted
from batcher.wave.journal import JournalFailed
from batcher.wave.life import EntryState, fold, fresh, history
from batcher.wave.outcome import result_of
from batcher.wave.pace import Closed, Pacer, Turn
from batcher.wave.plan import PlannedEntry, Scope
from batcher.wave.policy import Reconcile
from batcher.wave.reconcile import Look, judge, merge
from batcher.wave.result import Status
from batcher.wave.status import ScopeStatus
from batcher.wave.stop import Stop, StopKind
from batcher.wave.store import ClockNoted, Happened, Op, Store

_BATCH = 256  # entries read from the plan at a time
_MAX_PAGES = 1000  # of a job's comparisons: beyond that the list is not sound


class Lane:
    """Runs the entries of one scope to their results. `run` ends when all are settled, or after `stop`."""

    def __init__(self, scope: Scope, cloud: Cloud, context: Context, *, rate: Rate | None, read_rate: Rate | None):
        self.scope = scope
        self.halted: Trouble | None = None  # why the scope stopped for good
        self._cloud = cloud
        self._context = context
        self._agenda = Agenda(context.clock)
        self._pacer = Pacer(rate, context.clock)
        self._read_pacer = Pacer(read_rate, context.clock)
        self._cloud_clock = CloudClock()
        self._clock_noted = False
        self._let_in = False
        self._alone = asyncio.Lock()
        self._renewing = asyncio.Lock()
        self._renewed_at: float | None = None  # monotonic
        self._renewed = False  # since the cloud last let us in
        self._throttles = 0  # in a row
        self._stopping = False
        self._room = asyncio.Event()
        self.settled = 0

    # --- life -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take up what an earlier process left open, then everything planned."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._produce())
                for _ in range(self._context.policy.concurrency):
                    group.create_task(self._work())
        finally:
            self._pacer.close()
            self._read_pacer.close()

    def stop(self) -> None:
        """Send nothing new. What is in flight is awaited; a fresh doubt is looked up once."""
        self._stopping = True
        self._pacer.close()
        self._agenda.stop()
        self._room.set()

    def _halt(self, trouble: Trouble) -> None:
        """The credential is refused: nothing more can be sent or looked up in this scope."""
        if self.halted is not None:
            return
        self.halted = trouble
        log.error("scope stopped", scope=str(self.scope), error_code=trouble.error_code, reason=trouble.error_msg)
        self.stop()
        self._read_pacer.close()

    async def _produce(self) -> None:
        try:
            await self._read_plan()
        except JournalFailed as error:
            self._context.on_stop(Stop(StopKind.JOURNAL, str(error)))

    async def _read_plan(self) -> None:
        context = self._context
        for entry, events in await context.journal.read(lambda store: store.open_entries(self.scope.number)):
            state = history(entry.asked, events)
            held = Held(entry, state)
            if state.in_doubt:
                context.tally.in_doubt += 1
                held.action = LookUp(0.0, "may have been sent before")
            self._agenda.add(held)
        after = -1
        while not self._stopping:
            batch = await context.journal.read(
                partial(Store.planned, scope=self.scope.number, after=after, limit=_BATCH)
            )
            if not batch:
                break
            for entry in batch:
                self._agenda.add(Held(entry, fresh(entry.asked)))
            after = batch[-1].index
            await self._wait_for_room()
        self._agenda.complete()

    async def _wait_for_room(self) -> None:
        """Read on when the workers are about to run dry, unless too much waits already."""
        policy = self._context.policy
        while not self._stopping and (
            self._agenda.ready > max(_BATCH // 2, policy.concurrency) or self._agenda.size >= policy.held
        ):
            self._room.clear()
            await self._room.wait()

    async def _work(self) -> None:
        while (held := await self._agenda.next()) is not None:
            try:
                match held.action:
                    case LookUp():
                        await self._look_up(held)
                    case _:
                        await self._attempt(held)
            except JournalFailed:
                return  # the wave is stopping for it
            self._room.set()

    # --- an attempt -------------------------------------------------------------------------------------

    async def _attempt(self, held: Held) -> None:
        async with self._first_alone():
            if not await self._ready():
                return
            known: frozenset[str] = frozenset()
            if self._context.policy.reconcile is Reconcile.SNAPSHOT and held.state.attempts == 0:
                known = await self._snapshot(held)
            if self.halted is not None:
                return
            if (late := self._too_late(held.entry)) is not None:
                await self._settle(held, late)
                return
            turn = await self._intend(held, known)
            if turn is None:
                return
            answer = await self._send(held, turn)
            await self._answered(held, answer)

    async def _intend(self, held: Held, known: frozenset[str]) -> Turn | None:
        """Make the intent durable and wait for the slot; None: the wave stopped, and nothing will leave."""
        context = self._context
        state, entry = held.state, held.entry
        intended = False
        try:
            async with self._pacer.turn() as turn:
                event = Intended(
                    at=context.clock.now(),
                    cloud_at=self._cloud_clock.earliest(context.clock.monotonic()),
                    asked=state.to_ask,
                    conflict_policy="keep" if state.keep and entry.conflict_policy else entry.conflict_policy,
                    known=known,
                )
                context.watch("intent queued")
                intended = True
                await context.record(Happened(index=entry.index, event=event))
                held.state = fold(state, event)
                context.watch("intent durable")
                await turn.due()
                return turn
        except Closed:
            if intended:
                await self._retract(held, before=state)
            return None

    async def _retract(self, held: Held, *, before: EntryState) -> None:
        event = Retracted(at=self._context.clock.now(), why="the wave stopped before the request left")
        await self._context.record(Happened(index=held.entry.index, event=event))
        held.state = before

    async def _send(self, held: Held, turn: Turn) -> Answer:
        context = self._context
        state = held.state
        intent = state.intent
        assert intent is not None  # noqa: S101 - `_intend` comes first
        body = held.entry.request_body(intent.asked, keep=intent.conflict_policy == "keep")
        held.sent_at = context.clock.monotonic()
        if held.first_at is None:
            held.first_at = held.sent_at
        context.tally.sent(again=state.attempts > 1)
        sent = True
        try:
            answer = await self._cloud.create_compare_task(body, x_language=held.entry.x_language, on_sent=turn.sent)
            sent = answer.stage is Stage.SENT
        finally:
            context.tally.in_flight -= 1
            turn.ended(sent=sent)
        context.watch("answer received")
        self._learn_clock(answer, held.sent_at)
        return answer

    async def _answered(self, held: Held, answer: Answer) -> None:
        context = self._context
        intent = held.state.intent
        assert intent is not None  # noqa: S101 - an answer follows an intent
        outcome = sort_create(answer, asked=intent.asked, job_id=held.entry.job_id)
        halves = await self._not_anothers(held, outcome)
        event = Answered(
            at=context.clock.now(),
            sent_at=answer.sent_at,
            halves=halves,
            http_status=outcome.http_status,
            request_id=outcome.request_id,
        )
        whole = outcome.whole
        if outcome.http_status is not None and (whole is None or whole.sort is not Sort.NOT_LET_IN):
            self._let_in, self._renewed = True, False
        if any(isinstance(verdict, Trouble) and verdict.sort is Sort.TURNED_AWAY for verdict in halves.values()):
            self._throttled(next(v for v in halves.values() if isinstance(v, Trouble)), held)
        else:
            self._throttles = 0
        if outcome.unasked:
            log.warning("the cloud made what was not asked for", key=held.entry.key, ids=outcome.unasked)
        if whole is not None and whole.sort is Sort.NOT_LET_IN:
            await self._renew_or_halt(whole, held.sent_at or 0.0)
        await self._next(held, event)

    async def _not_anothers(self, held: Held, outcome: CreateOutcome) -> dict[Half, Made | Trouble]:
        """The verdicts, with a task id that is not this entry's turned into the conflict that it is."""
        halves = dict(outcome.halves)
        made = {half: v.compare_task_id for half, v in halves.items() if isinstance(v, Made)}
        if not made or not (held.entry.shares_job or held.state.known):
            return halves
        elsewhere = await self._ids_elsewhere(held.entry) | held.state.known
        for half, task_id in made.items():
            if task_id in elsewhere:
                halves[half] = Trouble(
                    sort=Sort.REFUSED,
                    kind=ErrorKind.CONFLICT,
                    error_msg=f"the cloud answered with comparison {task_id}, which was there before or belongs to "
                    "another entry of this job: nothing new was created. Wait until it ends, or use "
                    "conflict_policy cancel",
                )
        return halves

    def _throttled(self, trouble: Trouble, held: Held) -> None:
        """The whole scope waits: as long as the cloud said, else longer each time."""
        context = self._context
        context.tally.throttled += 1
        if self._pacer.paused_s is not None:
            return  # answers to what was under way when the first one came
        wait_s = trouble.retry_after_s
        if wait_s is None:
            growth = min(2.0**self._throttles, 8.0)
            wait_s = context.policy.throttle_wait_s * growth * (1 + context.rng.random() / 10)
        self._throttles += 1
        self._pacer.pause(wait_s, "turned away by the cloud's limit")
        log.warning(
            "turned away by the cloud's limit",
            scope=str(self.scope),
            wait_s=round(wait_s, 1),
            error_code=trouble.error_code,
        )

    # --- a look-up --------------------------------------------------------------------------------------

    async def _look_up(self, held: Held) -> None:
        async with self._first_alone():
            if not await self._ready():
                return
            try:
                listed = await self._list(held.entry)
            except Closed:
                return
        if listed is None:
            return
        comparisons, http_status, request_id = listed
        base = LookedUp(at=self._context.clock.now(), http_status=http_status, request_id=request_id)
        if isinstance(comparisons, Trouble):
            await self._next(held, replace(base, trouble=comparisons))
            return
        look = await self._as_look(held, comparisons)
        halves, blocked = judge(held.entry, held.state, look)
        await self._next(held, replace(base, halves=halves, blocked=blocked, listed=len(comparisons), since=look.since))

    async def _as_look(self, held: Held, comparisons: tuple[Comparison, ...]) -> Look:
        policy, now = self._context.policy, self._context.clock.monotonic()
        elapsed = self._since_intent(held)
        return Look(
            comparisons=comparisons,
            since=self._since(held),
            cloud_now=self._cloud_clock.latest(now),
            elsewhere=await self._ids_elsewhere(held.entry) if held.entry.shares_job else frozenset(),
            landed=elapsed is not None and elapsed >= policy.landing_s,
            slack_s=policy.slack_s,
        )

    def _since(self, held: Held) -> float | None:
        """The cloud's time from which a comparison may be this entry's; None: not known."""
        state = held.state
        intent = state.intent
        assert intent is not None  # noqa: S101 - a doubt follows an intent
        last = intent.cloud_at
        if last is None and held.sent_at is not None:
            last = self._cloud_clock.earliest(held.sent_at)
        if last is None or (state.timeless and state.attempts > 1):
            return None
        return last if state.since is None else min(state.since, last)

    def _since_intent(self, held: Held) -> float | None:
        """Seconds since the last intent, at least; None: an earlier process made it, and nobody knows when."""
        now = self._context.clock.monotonic()
        if held.sent_at is not None:
            return now - held.sent_at
        intent, cloud_now = held.state.intent, self._cloud_clock.earliest(now)
        if intent is None or intent.cloud_at is None or cloud_now is None:
            return None
        return max(0.0, cloud_now - intent.cloud_at - 2 * self._context.policy.slack_s)

    async def _ids_elsewhere(self, entry: PlannedEntry) -> frozenset[str]:
        """Task ids that belong to other entries of the job."""
        others = await self._context.journal.read(lambda store: store.sharing(entry))
        return frozenset(task_id for _, events in others for task_id in _ids(events))

    async def _list(
        self, entry: PlannedEntry
    ) -> tuple[tuple[Comparison, ...] | Trouble, int | None, str | None] | None:
        """All of the job's comparisons; trouble if they could not be had in full; None: the scope halted."""
        pages: list[tuple[Comparison, ...]] = []
        number = guesses.FIRST_PAGE
        while True:
            async with self._read_pacer.turn() as turn:
                await turn.due()
            sent_at = self._context.clock.monotonic()
            self._context.tally.look_ups += 1
            try:
                answer = await self._cloud.query_compare_result(
                    entry.job_id, current_page=number, per_page=guesses.LIST_PAGE_SIZE, on_sent=turn.sent
                )
            finally:
                turn.ended(sent=True)
            self._learn_clock(answer, sent_at)
            outcome = sort_list(answer)
            trouble = outcome.trouble
            if trouble is not None and trouble.sort is Sort.TURNED_AWAY:
                self._read_pacer.pause(
                    trouble.retry_after_s or self._context.policy.throttle_wait_s, "turned away by the cloud's limit"
                )
                continue
            if trouble is not None and trouble.sort is Sort.NOT_LET_IN:
                if await self._renew_or_halt(trouble, sent_at):
                    continue
                return None
            if trouble is not None or outcome.page is None:
                return trouble or _unsound(), outcome.http_status, outcome.request_id
            self._let_in, self._renewed = True, False
            if number == guesses.FIRST_PAGE and pages:
                pages.append(outcome.page.comparisons)
                return self._whole(pages, outcome.page.total), outcome.http_status, outcome.request_id
            pages.append(outcome.page.comparisons)
            seen = len(merge(pages))
            if seen >= outcome.page.total:
                if number == guesses.FIRST_PAGE:
                    return merge(pages), outcome.http_status, outcome.request_id
                number = guesses.FIRST_PAGE  # the list may have shifted while it was read
            elif not outcome.page.comparisons or number >= _MAX_PAGES:
                return _unsound(), outcome.http_status, outcome.request_id
            else:
                number += 1

    def _whole(self, pages: list[tuple[Comparison, ...]], total: int) -> tuple[Comparison, ...] | Trouble:
        comparisons = merge(pages)
        return comparisons if len(comparisons) >= total else _unsound()

    async def _snapshot(self, held: Held) -> frozenset[str]:
        """The ids of the job's comparisons before the first attempt; without them the window alone decides."""
        try:
            listed = await self._list(held.entry)
        except Closed:
            return frozenset()
        if listed is None:
            return frozenset()
        comparisons = listed[0]
        if isinstance(comparisons, Trouble):
            log.warning(
                "no snapshot of the job's comparisons",
                key=held.entry.key,
                error_code=comparisons.error_code,
                error_msg=comparisons.error_msg,
            )
            return frozenset()
        return frozenset(comparison.compare_task_id for comparison in comparisons)

    # --- what both have in common -----------------------------------------------------------------------

    async def _next(self, held: Held, event: Answered | LookedUp) -> None:
        """Fold *event* in, decide, make both durable, and see to it that it is done."""
        context = self._context
        was_in_doubt = held.state.in_doubt and isinstance(event, LookedUp)
        state = fold(held.state, event)
        action = decide(
            state,
            context.policy,
            Moment(
                since_intent_s=self._since_intent(held),
                since_first_s=0.0 if held.first_at is None else context.clock.monotonic() - held.first_at,
                draw=context.rng.random(),
            ),
        )
        held.state, held.action = state, action
        happened = Happened(index=held.entry.index, event=replace(event, decided=action.why))
        context.tally.in_doubt += state.in_doubt - was_in_doubt
        if isinstance(action, Settle):
            context.tally.in_doubt -= state.in_doubt
            await self._settle(held, action, happened)
        else:
            await context.record_surely(_what(held, event), happened)
            context.watch("outcome durable")
            self._again(held, action)

    def _again(self, held: Held, action: Action) -> None:
        if self.halted is None:
            self._agenda.again(held, 0.0 if isinstance(action, Settle) else action.after_s)

    async def _settle(self, held: Held, action: Settle, *before: Op) -> None:
        context = self._context
        result = result_of(held.entry, held.state, action.status, action.trouble, context.clock.now())
        await context.settle(result, _what(held), *before)
        self.settled += 1
        self._agenda.release(held)

    def _too_late(self, entry: PlannedEntry) -> Settle | None:
        """An entry whose start time has passed is not sent: how the cloud would take it is not known."""
        start = entry.start_time
        if start is None:
            return None
        now = self._cloud_clock.latest(self._context.clock.monotonic()) or self._context.clock.now()
        if now * 1000 < start:
            return None
        trouble = Trouble(
            sort=Sort.REFUSED,
            kind=ErrorKind.VALIDATION,
            error_msg=f"start_time {start} passed before the request could be sent. Give a later one, or none",
        )
        return Settle(Status.FAILED, trouble, "its start time has passed")

    async def _ready(self) -> bool:
        """Whether the scope may send: not halted, and the credential is at hand."""
        if self.halted is not None:
            return False
        refusal = await self._cloud.prepare()
        if refusal is not None:
            self._refused(refusal)
        return self.halted is None

    def _refused(self, refusal: Refusal) -> None:
        self._halt(
            Trouble(
                sort=Sort.NOT_LET_IN,
                kind=ErrorKind.AUTH,
                error_code=refusal.error_code,
                error_msg=refusal.error_msg,
            )
        )

    async def _renew_or_halt(self, trouble: Trouble, sent_at: float) -> bool:
        """After a refusal: True if there is a newer credential than at *sent_at*, not refused yet."""
        async with self._renewing:
            if self._renewed_at is not None and sent_at < self._renewed_at:
                return True
            if trouble.kind is ErrorKind.AUTH and not self._renewed and await self._cloud.renew():
                self._renewed, self._renewed_at = True, self._context.clock.monotonic()
                return True
        self._halt(trouble)
        return False

    @asynccontextmanager
    async def _first_alone(self) -> AsyncIterator[None]:
        """Until the cloud has let us in, one request at a time: a wrong credential costs one refusal."""
        if not self._let_in:
            await self._alone.acquire()
            if not self._let_in:
                try:
                    yield
                finally:
                    self._alone.release()
                return
            self._alone.release()
        yield

    def _learn_clock(self, answer: Answer, sent_at: float) -> None:
        date = server_time(answer)
        if date is not None:
            self._cloud_clock.learn(date, sent_at, self._context.clock.monotonic())

    @property
    def waiting(self) -> int:
        """Entries that wait for their next step."""
        return self._agenda.waiting

    async def note_clock(self) -> None:
        """Keep in the journal how far the cloud's clock is ahead of ours."""
        offset = self._cloud_clock.offset(self._context.clock)
        if offset is not None:
            await self._context.record(ClockNoted(scope=self.scope.number, offset_s=round(offset, 3)))

    def status(self, entries: int, settled_before: int) -> ScopeStatus:
        """Where the scope stands."""
        return ScopeStatus(
            endpoint=self.scope.endpoint,
            project_id=self.scope.project_id,
            entries=entries,
            settled=settled_before + self.settled,
            in_flight=0,
            rate_text="off" if self._pacer.rate is None else str(self._pacer.rate),
            paused_until_s=self._pacer.paused_s,
            reason=self.halted.error_msg if self.halted else self._pacer.pause_reason if self._pacer.paused_s else None,
        )


def _unsound() -> Trouble:
    return Trouble(
        sort=Sort.MAYBE, kind=ErrorKind.PROTOCOL, error_msg="the job's list of comparisons could not be read in full"
    )


def _ids(events: list[Event]) -> set[str]:
    ids: set[str] = set()
    for event in events:
        match event:
            case Answered():
                ids |= {v.compare_task_id for v in event.halves.values() if isinstance(v, Made)}
            case LookedUp():
                ids |= {seen.ids[0] for seen in event.halves.values() if seen.sight.value == "found"}
            case _:
                pass
    return ids


def _what(held: Held, event: Event | None = None) -> str:
    """What is known of an entry, for the case that it cannot be recorded."""
    ids = _ids([event]) if event else {half.made for half in held.state.halves.values() if half.made}
    made = f"created {', '.join(sorted(i for i in ids if i))}" if ids else "nothing known to be created"
    return f"key {held.entry.key}, job {held.entry.job_id}: {made}"
