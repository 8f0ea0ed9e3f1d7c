"""The operator's word on an unsettled entry, on record: what became of it, or that it is to be sent again."""

from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import Struct

from batcher.drs.outcome import Comparison
from batcher.journal.ops import Happened, Noted, Op, Settled
from batcher.journal.port import MutableRecord, Record
from batcher.life.entry import PlannedEntry
from batcher.life.events import Ruled
from batcher.life.result import Result
from batcher.life.result_line import result_of
from batcher.life.ruling import NotSettled, Ruling, RulingEffect, rule, take_back
from batcher.life.state import history
from batcher.wave.older import refuse_untold
from batcher.wave.rebuild import whole_file
from batcher.wave.sink import mend, write_all


class Recorded(Struct, frozen=True, kw_only=True):
    """What the entry's *result* is now; *said* is what else had to be done to the results file, for people."""

    result: Result
    said: str | None


Listed = Mapping[int, Collection[Comparison]]
"""The comparisons that the cloud lists for the job of an entry, by the entry's index, where it was asked."""


def settle(record: MutableRecord, results: Path | None, index: int, ruling: Ruling, now: float) -> Recorded:
    """Record *ruling* for the entry at *index* and bring the file *results* in line; see `settle_all`."""
    return settle_all(record, results, {index: ruling}, now)[0]


def settle_all(
    record: MutableRecord, results: Path | None, rulings: Mapping[int, Ruling], now: float, listed: Listed | None = None
) -> list[Recorded]:
    """Record the *rulings* on entries, by their indexes, and bring the file *results* in line: all of them, or none.

    The caller holds the wave's lock. *listed* is what the cloud lists. Raises `NotSettled`, whose text has a line for
    each ruling that cannot be; `OlderJournal`, `SinkFailed`, `JournalFailed`.
    """
    ops: list[Op] = []
    settled: list[Result] = []
    wrong: list[str] = []
    named: dict[str, int] = {}
    for index, ruling in rulings.items():
        try:
            entry, effect = _effect(record, index, ruling, now, (listed or {}).get(index))
            for task_id in (id for event in effect.events if isinstance(event, Ruled) for id in event.halves.values()):
                if named.setdefault(task_id, index) != index:
                    raise NotSettled(f"{task_id} is named for two entries: look again at which is which.")
        except NotSettled as error:
            wrong.append(error.message)
            continue
        result = result_of(entry, effect.state, effect.stands.status, effect.stands.trouble, now)
        settled.append(result)
        ops += (Happened(index=index, event=event) for event in effect.events)
        if effect.is_final:
            ops.append(Settled(index=index, status=result.status, line=result.to_line()))
    if wrong:
        raise NotSettled("\n".join(wrong))
    said = None
    if results is not None and not record.facts().get("rewriting"):
        said = mend(results, record.lines, refuse_untold(record, results)).said
    record.commit([Noted(name="rewriting", value=True), *ops])
    if results is not None:
        write_all(results, whole_file(record, now))
    record.commit([Noted(name="rewriting", value=False)])
    return [Recorded(result=result, said=None if number else said) for number, result in enumerate(settled)]


def _effect(
    record: Record, index: int, ruling: Ruling, now: float, listed: Collection[Comparison] | None
) -> tuple[PlannedEntry, RulingEffect]:
    entry = record.entry(index)
    if entry is None:
        raise NotSettled("an invalid entry was never sent: mend it in the manifest.")
    events, found = record.events(index), record.result_of(index)
    status = found[1] if found else None
    if ruling.undo:
        return entry, take_back(entry, events, status, now)
    state = history(entry.asked, events)
    return entry, rule(entry, state, status, ruling, record.others_of_job(entry), now, listed)
