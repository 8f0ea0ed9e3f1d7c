"""What an earlier process may have left of a wave, for the channels to know before anything of any wave is sent: until
when it sent, and which requests can still land.

It is read from the newest event of the journal back; the wave is not opened for it.
"""

from datetime import datetime

from msgspec import Struct

from batcher.channel.channel import Channels
from batcher.journal.port import Record
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.policy import Policy
from batcher.life.state import EntryState, history

CLOCK_LEEWAY_S = 600.0  # by which our clock may have been set since then


class LeftDoubt(Struct):
    """An entry that an earlier process left in doubt; *state* is as its journal has it."""

    entry: PlannedEntry
    state: EntryState


class LeftOver(Struct, frozen=True):
    """What is left of the wave with this *name*. *last_sign_s* is how long ago something was recorded of it."""

    name: str
    scopes: list[Scope]
    last_sign_s: float
    doubts: list[LeftDoubt]

    def tell(self, channels: Channels, policy: Policy) -> None:
        """Have *channels* know it: what was sent counts for the limits, and a job in doubt is in hand until the request
        can land no more, or until the wave is opened and knows better."""
        for scope in self.scopes:
            channels.to(scope.endpoint, scope.project_id).go_on(self.name, self.last_sign_s, policy.leave_s)
        for doubt in self.doubts:
            channel = channels.to(doubt.entry.scope.endpoint, doubt.entry.scope.project_id)
            channel.jobs.was_left((self.name, doubt.entry.index), doubt, policy.leave_s + policy.landing_s)


def left_over(record: Record, name: str, now: float, policy: Policy) -> LeftOver:
    """What is left by *record*, at *now*, Unix seconds. Raises `JournalFailed`."""
    since = now - policy.leave_s - policy.landing_s - CLOCK_LEEWAY_S
    sent = [LeftDoubt(entry, history(entry.asked, events)) for entry, events in record.sent_since(since)]
    doubts = [one for one in sent if one.state.in_doubt]
    return LeftOver(name, record.scopes(), now - last_sign(record), doubts)


def last_sign(record: Record) -> float:
    """When an earlier run last recorded something, Unix seconds by the clock it had."""
    facts = record.facts()
    stamps = [facts[name] for name in ("begun_at", "resumed_at", "looked_at", "ended_at") if name in facts]
    return max([record.last_event_at() or 0.0, *(datetime.fromisoformat(stamp).timestamp() for stamp in stamps)])
