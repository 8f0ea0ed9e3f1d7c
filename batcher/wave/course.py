"""The course of an entry: its last step is folded in and made durable with the decision on the next one."""

from collections.abc import Iterable
from dataclasses import replace

from batcher.wave.agenda import Agenda, Held
from batcher.wave.clocks import CloudClock
from batcher.wave.context import Context
from batcher.wave.decide import Moment, Settle, decide
from batcher.wave.events import Answered, Event, LookedUp, task_ids
from batcher.wave.life import fold
from batcher.wave.outcome import result_of
from batcher.wave.plan import PlannedEntry
from batcher.wave.store import Happened, Op


class Course:
    """Leads the entries of one scope from step to step, until each is settled."""

    def __init__(self, context: Context, agenda: Agenda, cloud_clock: CloudClock) -> None:
        self._context = context
        self._agenda = agenda
        self._cloud_clock = cloud_clock
        self.settled = 0

    async def next(self, held: Held, event: Answered | LookedUp) -> None:
        """Fold *event* in, decide, make both durable, and see to it that it is done."""
        context = self._context
        was_in_doubt = held.state.in_doubt and isinstance(event, LookedUp)
        state = fold(held.state, event)
        action = decide(
            state,
            context.policy,
            Moment(
                since_intent_s=self.since_intent(held),
                since_first_s=0.0 if held.first_at is None else context.clock.monotonic() - held.first_at,
                draw=context.rng.random(),
            ),
        )
        held.state, held.action = state, action
        happened = Happened(index=held.entry.index, event=replace(event, decided=action.why))
        context.tally.in_doubt += state.in_doubt - was_in_doubt
        if isinstance(action, Settle):
            context.tally.in_doubt -= state.in_doubt
            await self.settle(held, action, happened)
        else:
            await context.record_surely(_what(held, [event]), happened)
            context.watch("outcome durable")
            self._agenda.again(held, action.after_s)

    async def settle(self, held: Held, action: Settle, *before: Op) -> None:
        """Settle *held* for good; *before* led to it and becomes durable with it."""
        context = self._context
        result = result_of(held.entry, held.state, action.status, action.trouble, context.clock.now())
        await context.settle(result, _what(held), *before)
        self.settled += 1
        self._agenda.release(held)

    def since_intent(self, held: Held) -> float | None:
        """Seconds since the last intent, at least; None: an earlier process made it, and nobody knows when."""
        now = self._context.clock.monotonic()
        if held.sent_at is not None:
            return now - held.sent_at
        intent, cloud_now = held.state.intent, self._cloud_clock.earliest(now)
        if intent is None or intent.cloud_at is None or cloud_now is None:
            return None
        return max(0.0, cloud_now - intent.cloud_at - 2 * self._context.policy.slack_s)

    async def ids_elsewhere(self, entry: PlannedEntry) -> frozenset[str]:
        """Task ids that belong to other entries of the job."""
        if not entry.shares_job:
            return frozenset()
        others = await self._context.journal.read(lambda store: store.sharing(entry))
        return frozenset(task_id for _, events in others for task_id in task_ids(events))


def _what(held: Held, events: Iterable[Event] | None = None) -> str:
    """What is known of an entry, for the case that it cannot be recorded."""
    ids = task_ids(events) if events is not None else {half.made for half in held.state.halves.values() if half.made}
    made = f"created {', '.join(sorted(ids))}" if ids else "nothing known to be created"
    return f"key {held.entry.key}, job {held.entry.job_id}: {made}"
