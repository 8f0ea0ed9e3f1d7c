"""A create request that was answered with a task id: its comparison can tell the cloud's time."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from batcher.channel.cloud_clock import StampedComparison
from batcher.drs.outcome import Half, Made
from batcher.life.entry import PlannedEntry
from batcher.life.events import Answered, Event, Intended


class Creation(Struct, frozen=True):
    """The *entry*, and its last request with the *answer* to it."""

    entry: PlannedEntry
    intent: Intended
    answer: Answered

    @property
    def known(self) -> StampedComparison | None:
        """When the comparison was created, by our clock; None where nothing was, or its `create_time` may be a planned
        start.
        """
        answer = self.answer
        if answer.monotonic is None:
            return None
        for half in (Half.OBJECT,) if self.entry.start_time is not None else (Half.OBJECT, Half.DATA):
            verdict = answer.halves.get(half)
            if isinstance(verdict, Made):
                return StampedComparison(
                    task_id=verdict.compare_task_id,
                    job_id=self.entry.job_id,
                    timebase=self.intent.timebase,
                    after=answer.monotonic - answer.took_s,
                    before=answer.monotonic,
                    sure=half is Half.OBJECT or self.intent.conflict_policy != "keep",
                )
        return None


def creations(entry: PlannedEntry, events: Iterable[Event]) -> Iterator[Creation]:
    """The requests for *entry* that were answered, oldest first."""
    intent = None
    for event in events:
        if isinstance(event, Intended):
            intent = event
        elif isinstance(event, Answered) and intent is not None:
            yield Creation(entry, intent, event)
