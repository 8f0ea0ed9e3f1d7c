"""The course of an entry: its last step is folded in and made durable with the decision on the next one."""

from collections.abc import Iterable
from functools import partial

from msgspec.structs import replace

from batcher.wave.agenda import Agenda, Held
from batcher.wave.clocks import CloudClock
from batcher.wave.context import Context
from batcher.wave.decide import Action, LookUp, Moment, Settle, decide
from batcher.wave.events import Answered, Event, LookedUp, task_ids
from batcher.wave.governor import Governor
from batcher.wave.life import fold, history
from batcher.wave.ops import Happened, Op
from batcher.wave.outcome import result_line
from batcher.wave.plan import PlannedEntry
from batcher.wave.reconcile import Others, rivals


class Course:
    """Leads the entries of one scope from step to step, until each is settled."""

    def __init__(self, context: Context, agenda: Agenda, cloud_clock: CloudClock, governor: Governor) -> None:
        self._context = context
        self._governor = governor
        self._agenda = agenda
        self._cloud_clock = cloud_clock
        self._began = context.clock.monotonic()
        self.settled = 0

    def take_up(self, held: Held) -> None:
        """Decide what comes next for an entry that an earlier run left open; a doubt is looked up at once."""
        held.action = self._decide(held)
        if held.state.in_doubt:
            self._context.tally.in_doubt += 1
        if isinstance(held.action, LookUp):
            held.action = LookUp(0.0, "may have been sent by an earlier run")
        self._agenda.add(held)

    def _decide(self, held: Held) -> Action:
        context = self._context
        moment = Moment(
            since_intent_s=self.since_intent(held),
            since_first_s=self._since_first(held),
            draw=context.rng.random(),
        )
        return decide(held.state, context.policy, moment)

    def _since_first(self, held: Held) -> float:
        """Seconds since this process first sent *held*. Neither the time of an outage counts nor any in which it
        waited for its scope: a deadline bounds an entry's own trouble."""
        if held.first_at is None or self._governor.out:
            return 0.0
        began = max(held.first_at, self._governor.sound_since)
        return max(0.0, self._context.clock.monotonic() - began - held.waited_s)

    async def next(self, held: Held, event: Answered | LookedUp) -> None:
        """Fold *event* in, decide, make both durable, and see to it that it is done."""
        context = self._context
        if self._governor.out:
            event = replace(event, spared=True)
        was_in_doubt = held.state.in_doubt and isinstance(event, LookedUp)
        held.state = state = fold(held.state, event)
        held.action = action = self._decide(held)
        happened = Happened(index=held.entry.index, event=replace(event, decided=action.why))
        context.tally.in_doubt += state.in_doubt - was_in_doubt
        if isinstance(action, Settle):
            await self.settle(held, action, happened)
        else:
            await context.record_surely(partial(what_is_known, held, [event]), happened)
            context.watch("outcome durable")
            self._agenda.again(held, action.after_s)

    async def settle(self, held: Held, action: Settle, *before: Op) -> None:
        """Settle *held* for good; *before* led to it and becomes durable with it."""
        context = self._context
        context.tally.in_doubt -= held.state.in_doubt
        entry, state = held.entry, held.state
        line = result_line(entry, state, action.status, action.trouble, context.clock.now())
        what = partial(what_is_known, held)
        await context.settle(entry.index, action.status, line, what, *before, recovered=state.recovered)
        self.settled += 1
        self._agenda.release(held)

    def since_intent(self, held: Held) -> float:
        """Seconds since the last request for *held* left, at least.

        One of an earlier process left before this one began. When exactly, only the cloud's clock can tell: it left
        soon after its intent, and the cloud's time at the intent is in the journal.
        """
        now = self._context.clock.monotonic()
        if held.sent_at is not None:
            return now - held.sent_at
        here = now - self._began
        intent, cloud_now = held.state.intent, self._cloud_clock.earliest(now)
        if intent is None or intent.cloud_at is None or cloud_now is None:
            return here
        policy = self._context.policy
        return max(here, cloud_now - intent.cloud_at - policy.leave_s - 2 * policy.slack_s)

    async def others(self, entry: PlannedEntry) -> Others:
        """What the other entries of the job made, or may have made."""
        if not entry.shares_job:
            return Others()
        sharing = await self._context.read(lambda store: store.sharing(entry))
        policy = self._context.policy
        return Others(
            made=frozenset(task_id for _, events in sharing for task_id in task_ids(events)),
            rivals=tuple(
                rival
                for other, events in sharing
                for rival in rivals(
                    other, history(other.asked, events), lands_within_s=policy.leave_s + policy.landing_s
                )
            ),
        )


def what_is_known(held: Held, events: Iterable[Event] | None = None) -> str:
    """What is known of an entry, for the case that it cannot be recorded."""
    ids = task_ids(events) if events is not None else {half.made for half in held.state.halves.values() if half.made}
    made = f"created {', '.join(sorted(ids))}" if ids else "nothing known to be created"
    return f"key {held.entry.key}, job {held.entry.job_id}: {made}"
