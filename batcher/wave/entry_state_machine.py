"""The state machine of an entry: its last step is folded in and made durable with the decision on the next one.

What holds here:

- `HeldEntry.state` is the fold of what the journal has of the entry, and of nothing else: an event is folded in,
  decided upon and recorded in one step. The decision itself is made in `batcher.life`.
- What the cloud told is recorded, however often that takes, before anything is done by it.
- A result is durable before its line is written and before the entry's job is free for another.
- Whether a comparison is another's is asked of all who can know: the journal, of all waves of its database; the
  channel, of all waves of the process; and the journals of waves that earlier processes ran beside this one. Where one
  of those cannot be read, nothing that may be another's is taken for ours.
"""

from collections.abc import Coroutine, Iterable
from typing import Any

from msgspec.structs import replace

from batcher.channel.job_claims import ClaimedEntry
from batcher.channel.passes import Pass
from batcher.clock import Instant
from batcher.drs import guesses
from batcher.drs.outcome import Half, Made
from batcher.journal.ops import Happened, Op, Settled
from batcher.journal.port import EntryWithEvents, Record
from batcher.life.decide import Moment, Settle, at_once, decide, decide_resumed
from batcher.life.entry import PlannedEntry
from batcher.life.events import Answered, Event, Intended, LookedUp, Suspected, task_ids
from batcher.life.reconcile import Bounds, Others, Rival, rivals, without_anothers
from batcher.life.result import Status
from batcher.life.result_line import result_line
from batcher.life.state import anew, fold, history, is_unclear
from batcher.wave.agenda import Agenda, HeldEntry
from batcher.wave.context import Context, log

# One who may have made anything, at any time: nobody can say what other waves did.
_UNKNOWN = Rival(types=guesses.OBJECT_LEVEL_TYPES | guesses.DATA_LEVEL_TYPES, since=None, until=None)


class EntryStateMachine:
    """Leads the entries of one scope from step to step, until each is settled."""

    def __init__(self, context: Context, agenda: Agenda, through: Pass) -> None:
        self._context = context
        self._pass = through
        self._governor = through.governor
        self._agenda = agenda
        self._cloud_clock = through.cloud_clock
        self._taken_up_at = context.clock.monotonic()
        self._began = max(self._taken_up_at, context.others_sent_until)
        self.settled = 0
        self._unclear: set[int] = set()  # entries that wait for something to tell the cloud's time

    def take_up(self, held: HeldEntry) -> None:
        """Decide what comes next for an entry that an earlier run left open; a doubt is looked up at once."""
        held.state = state = anew(held.state)
        if state.intent is not None:
            self._cloud_clock.heard_then(state.intent)
        held.action = decide_resumed(held.state, self._context.policy, self._moment(held))
        if state.in_doubt:
            self._context.counts.in_doubt += 1
        self._agenda.add(held)

    def _moment(self, held: HeldEntry) -> Moment:
        context = self._context
        return Moment(
            since_intent_s=self.since_intent(held),
            since_taken_up_s=context.clock.monotonic() - (self._taken_up_at if held.sent_at is None else held.sent_at),
            since_first_s=self._since_first(held),
            draw=context.rng.random(),
            time_may_be_told=self._time_may_be_told(held),
        )

    def _time_may_be_told(self, held: HeldEntry) -> bool:
        """Whether the cloud's time may still be told: something of the scope may be created yet, other than by entries
        that wait for that themselves; or what was created could tell it, and a look at it has only failed so far."""
        if not is_unclear(held.state):
            self._unclear.discard(held.entry.index)
            return self._agenda.may_send(len(self._unclear))
        self._unclear.add(held.entry.index)
        return self._agenda.may_send(len(self._unclear)) or self._could_learn(held.state.may_be_ours_since)

    def _could_learn(self, intent: Intended | None) -> bool:
        """Whether something is remembered that would tell what the cloud's clock showed at *intent*, once looked up."""
        if intent is None or intent.monotonic is None:
            return False
        return self._cloud_clock.wanted(Instant(intent.timebase, intent.monotonic)) is not None

    def _since_first(self, held: HeldEntry) -> float:
        """Seconds since this process first sent *held*. Neither the time of an outage counts nor any in which it
        waited for its scope: a deadline bounds an entry's own trouble."""
        if held.first_at is None or self._governor.out:
            return 0.0
        began = max(held.first_at, self._governor.sound_since)
        return max(0.0, self._context.clock.monotonic() - began - held.waited_s)

    def is_to_sift(self, held: HeldEntry) -> bool:
        """Whether an answer to *held* may bring ids that it cannot have made; see `sifted`."""
        return bool(held.state.known) or self.shares_job(held.entry)

    async def sifted(self, held: HeldEntry, event: Answered) -> Answered:
        """*event*, an answer to *held*, without the ids that it cannot have made: they were there before, or others of
        its job have them."""
        if not self.is_to_sift(held):
            return event
        if not any(isinstance(verdict, Made) for verdict in event.halves.values()):
            return event
        told, _ = await self._told_by_others(held.entry)
        elsewhere = self._made_by_others(held.entry, told) | held.state.known
        return replace(event, halves=without_anothers(event.halves, elsewhere))

    def next(
        self, held: HeldEntry, event: Answered | LookedUp | Suspected, *, late: bool = False
    ) -> Coroutine[Any, Any, None]:
        """Fold *event* in, decide, make both durable, and see to it that it is done; to be awaited at once. *late*: it
        is an answer to an earlier process, and *held* was in doubt until it was found."""
        context = self._context
        if self._governor.out and not isinstance(event, Suspected):
            event = replace(event, spared=True)
        was_in_doubt = (late or isinstance(event, LookedUp)) and held.state.in_doubt
        held.state = state = fold(held.state, event)
        held.action = action = at_once(state) or decide(state, context.policy, self._moment(held))
        happened = Happened(index=held.entry.index, event=replace(event, decided=action.why))
        context.counts.in_doubt += state.in_doubt - was_in_doubt
        if isinstance(action, Settle):
            return self.settle(held, action, happened)
        return self._go_on(held, action.after_s, happened)

    async def _go_on(self, held: HeldEntry, after_s: float, happened: Happened) -> None:
        await self._context.record_surely(lambda: what_is_known(held, [happened.event]), happened)
        self._context.watch("outcome durable")
        self._agenda.again(held, after_s)

    async def settle(self, held: HeldEntry, action: Settle, *before: Op) -> None:
        """Settle *held* for good; *before* led to it and becomes durable with it.

        Nothing is left to a person of which the answer is there: one that came late is taken in instead.
        """
        context, entry, state = self._context, held.entry, held.state
        if action.status is Status.UNSETTLED and (late := await self.late_answer(held)) is not None:
            if before:
                await context.record_surely(lambda: what_is_known(held), *before)
            await self.next(held, late, late=True)
            return
        in_doubt = state.in_doubt
        context.counts.in_doubt -= in_doubt
        line = result_line(entry, state, action.status, action.trouble, context.clock.now())
        settled = Settled(index=entry.index, status=action.status, line=line)
        receipt = await context.record_surely(lambda: what_is_known(held), *before, settled)
        context.watch("outcome durable")
        delivering = context.settled(settled, receipt, recovered=state.recovered)
        if delivering is not None:
            await delivering
        self.settled += 1
        self._unclear.discard(entry.index)
        jobs, who = self._pass.jobs, (self._pass.wave, entry.index)
        if in_doubt:
            jobs.leave_in_doubt(who, held, self.lands_within_s(held))
        else:
            jobs.after(who, held)
        self._agenda.release(held)

    async def late_answer(self, held: HeldEntry) -> Answered | None:
        """What the cloud answered to the last request for *held* where whoever sent it had lost the scope by then; None
        where that ends no doubt."""
        intent = held.state.intent
        if not held.state.in_doubt or intent is None or intent.lease is None or intent.lease == held.lease:
            return None
        answers = await self._context.ask(Record.late_answers, held.entry.index, intent.lease)
        if not answers:
            return None
        late = await self.sifted(held, answers[-1])
        # One that leaves all in doubt (a time-out, say) tells less than the look-up, and would be found at each.
        if fold(held.state, late).doubtful >= held.state.doubtful:
            return None
        log.info("answer.late", key=held.entry.key)
        return late

    def since_intent(self, held: HeldEntry) -> float:
        """Seconds since the last request for *held* left, at least.

        One of an earlier process left soon after its intent, and before this process began, or shortly after it took
        the scope over (`Context.others_sent_until`). How long ago that was tells our own clock, where the machine was
        not started anew; else the cloud's, where it is known at both ends.
        """
        clock, policy = self._context.clock, self._context.policy
        now = clock.monotonic()
        if held.sent_at is not None:
            return now - held.sent_at
        here, intent = max(0.0, now - self._began), held.state.intent
        if intent is None or intent.monotonic is None:
            return here
        if intent.timebase == clock.timebase:
            return max(here, now - intent.monotonic - policy.leave_s)
        then, cloud_now = self.when(intent), self._cloud_clock.now()
        if then is None or cloud_now is None:
            return here
        return max(here, cloud_now.earliest - then.latest - policy.leave_s - 2 * policy.slack_s)

    @property
    def doubts_end_in_s(self) -> float:
        """Seconds until nothing can land any more of what was looked for and is not there."""
        landing_s = self._context.policy.landing_s
        return max(
            (landing_s - self.since_intent(held) for held in self._agenda.doubts() if held.state.looks), default=0.0
        )

    def when(self, intent: Intended) -> Bounds | None:
        """What the cloud's clock showed at *intent*; None: not known, or it was set back since then."""
        if intent.monotonic is None:
            return None
        then = self._cloud_clock.at(Instant(intent.timebase, intent.monotonic))
        now = self._cloud_clock.now()
        return None if then is not None and now is not None and now.latest < then.earliest else then

    def lands_within_s(self, held: ClaimedEntry) -> float:
        """Seconds until the last request for *held* can land no more, at most."""
        policy = self._context.policy
        since_s = self.since_intent(held) if isinstance(held, HeldEntry) else 0.0
        return max(0.0, policy.leave_s + policy.landing_s - since_s)

    def shares_job(self, entry: PlannedEntry) -> bool:
        """Whether there may be another entry of the job, of whichever wave."""
        return entry.shares_job or not self._pass.channel.private

    async def others(self, entry: PlannedEntry) -> Others:
        """What the other entries of the job made, or may have made: of all waves of the database by the journal, of the
        other waves of the process by what the channel knows of them, of those of earlier processes by theirs."""
        if not self.shares_job(entry):
            return Others()
        told, are_all = await self._told_by_others(entry)
        sharing = [(other, history(other.asked, events)) for other, events in told]
        jobs, wave = self._pass.jobs, self._pass.wave
        sharing += [(work.entry, work.state) for work in jobs.doubts(entry.job_id, wave)]
        policy = self._context.policy
        return Others(
            made=self._made_by_others(entry, told),
            unsure=jobs.unsure(entry.job_id, wave).union(*(kept_ids(events) for _, events in told)),
            rivals=tuple(
                rival
                for other, state in sharing
                for rival in rivals(other, state, self.when, lands_within_s=policy.leave_s + policy.landing_s)
            )
            + (() if are_all else (_UNKNOWN,)),
        )

    async def _told_by_others(self, entry: PlannedEntry) -> tuple[list[EntryWithEvents], bool]:
        """What journals know of the other entries of the job, and whether that is all: one may be unreadable."""
        # A record that knows of no other entry of the job need not be asked: it says so, where it has one wave alone.
        told = await self._context.ask(Record.others_of_job, entry) if entry.shares_job else []
        elsewhere = [] if self._pass.others is None else await self._pass.others.of_job(entry)
        return told + (elsewhere or []), elsewhere is not None

    def _made_by_others(self, entry: PlannedEntry, told: Iterable[EntryWithEvents]) -> frozenset[str]:
        """The ids that other entries of the job have, by what was *told* of them and by what the channel knows."""
        made = self._pass.jobs.made(entry.job_id, self._pass.wave)
        return made.union(*(task_ids(events) for _, events in told))


def kept_ids(events: Iterable[Event]) -> frozenset[str]:
    """The ids that were got by an answer to `keep`: of what was made then, or of what was there."""
    ids, policy = set(), None
    for event in events:
        match event:
            case Intended():
                policy = event.conflict_policy
            case Answered() if policy == "keep" and isinstance(made := event.halves.get(Half.DATA), Made):
                ids.add(made.compare_task_id)
    return frozenset(ids)


def what_is_known(held: HeldEntry, events: Iterable[Event] | None = None) -> str:
    """What is known of an entry, for the case that it cannot be recorded."""
    ids = task_ids(events) if events is not None else {half.made for half in held.state.halves.values() if half.made}
    made = f"created {', '.join(sorted(ids))}" if ids else "nothing known to be created"
    return f"key {held.entry.key}, job {held.entry.job_id}: {made}"
