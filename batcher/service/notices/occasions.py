"""Of what others are told: what a change of a wave means to people who do not look. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from batcher import exits
from batcher.service.kept.register import WaveRow
from batcher.service.models import State
from batcher.service.notices.targets import Event
from batcher.service.running.view import wave_told
from batcher.text import counted, printable


def occasions(before: WaveRow | None, after: WaveRow) -> Iterator[Event]:
    """What is to be told of a wave that was *before* (None: it is new) and is now *after*."""
    if before is None:
        if after.state is State.HELD and after.needs_approval:
            yield Event.APPROVAL_ASKED
        return
    if before.state is State.STOPPED and after.state is State.HELD and not after.is_approved:
        yield Event.APPROVAL_ASKED  # again: it was stopped before anybody approved it
    if before.state is after.state or not after.is_final:
        return
    yield Event.ENDED if after.state is State.ENDED else Event.STOPPED
    if after.to_rule:
        yield Event.UNSETTLED
    if after.state is State.ENDED and after.verdicts and after.exit_code == exits.INCOMPLETE:
        yield Event.NO_GO


def sentence(event: Event, row: WaveRow) -> str:
    """*event* of the wave *row* for people: one sentence, and what to do."""
    wave = f"Wave {row.id} ({printable(row.name, 80)})"
    of_all = f"of {counted(row.entries, 'entry', 'entries')}"
    match event:
        case Event.APPROVAL_ASKED:
            return (
                f"{wave} with {counted(row.entries, 'entry', 'entries')}, handed in by {row.submitted_by}, waits for "
                f"somebody else's approval. Its digest: {row.digest}"
            )
        case Event.ENDED:
            return f"{wave} has ended: {_counts(row)} {of_all}. Exit code {row.exit_code}."
        case Event.STOPPED:
            return f"{wave} has stopped: {_counts(row)} {of_all}. {printable(row.reason or '', 300)}"
        case Event.UNSETTLED:
            unsettled = counted(row.to_rule, "entry is", "entries are")
            return f"{wave}: {unsettled} unsettled. Somebody has to look at each: batcher explain, then batcher settle."
        case Event.NO_GO:
            verdicts = ", ".join(f"{count:,} {name}" for name, count in row.verdicts.items() if count)
            return f"{wave}: NO-GO. Verdicts: {verdicts or 'none'}."


def data_of(row: WaveRow) -> Mapping[str, Any]:
    """What a webhook gets to know: the wave, as the API tells it."""
    return {"wave": wave_told(row)}


def _counts(row: WaveRow) -> str:
    told = [f"{count:,} {name.replace('_', ' ')}" for name, count in row.counts.items() if count]
    return ", ".join(told) or "nothing settled"
