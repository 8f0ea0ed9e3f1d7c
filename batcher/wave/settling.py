"""The operator's word on an unsettled entry, on record: what became of it, or that it is to be sent again."""

from pathlib import Path

from msgspec import Struct

from batcher.journal.ops import Happened, Noted, Op, Settled
from batcher.journal.port import MutableRecord
from batcher.life.result import Result
from batcher.life.result_line import result_of
from batcher.life.ruling import NotSettled, Ruling, rule
from batcher.life.state import history
from batcher.wave.older import refuse_untold
from batcher.wave.rebuild import whole_file
from batcher.wave.sink import mend, write_all


class Recorded(Struct, frozen=True, kw_only=True):
    """What the entry's *result* is now; *said* is what else had to be done to the results file, for people."""

    result: Result
    said: str | None


def settle(record: MutableRecord, results: Path | None, index: int, ruling: Ruling, now: float) -> Recorded:
    """Record *ruling* for the entry at *index* and bring the file *results* in line.

    The caller holds the wave's lock. Raises `NotSettled`, `OlderJournal`, `SinkFailed`, `JournalFailed`.
    """
    entry = record.entry(index)
    if entry is None:
        raise NotSettled("an invalid entry was never sent: mend it in the manifest.")
    settled = record.result_of(index)
    effect = rule(
        entry,
        history(entry.asked, record.events(index)),
        settled[1] if settled else None,
        ruling,
        record.others_of_job(entry),
        now,
    )
    said = None
    if results is not None and not record.facts().get("rewriting"):
        said = mend(results, record.lines, refuse_untold(record, results)).said
    ops: list[Op] = [Noted(name="rewriting", value=True)]
    ops += (Happened(index=index, event=event) for event in effect.events)
    result = result_of(entry, effect.state, effect.stands.status, effect.stands.trouble, now)
    if effect.is_final:
        ops.append(Settled(index=index, status=result.status, line=result.to_line()))
    record.commit(ops)
    if results is not None:
        write_all(results, whole_file(record, now))
    record.commit([Noted(name="rewriting", value=False)])
    return Recorded(result=result, said=said)
