"""The results file as the journal has it: every settled line, then one for each entry that is still open."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from msgspec import Struct

from batcher.drs.outcome import Trouble
from batcher.journal.port import Record
from batcher.life.decide import unfinished
from batcher.life.entry import PlannedEntry
from batcher.life.events import Event
from batcher.life.result import Status
from batcher.life.result_line import result_line
from batcher.life.state import fresh, history
from batcher.wave.older import refuse_untold
from batcher.wave.sink import SinkFailed, mend, write_all

_BATCH = 500
_UNTOUCHED = fresh(())  # a line tells nothing of what an entry asks for that nothing has happened to


class Rebuilt(Struct, frozen=True, kw_only=True):
    """What was written: lines that are final, lines of open entries by status, and what was kept aside, for people."""

    settled: int
    open: Counter[Status]
    said: str | None = None


def whole_file(record: Record, now: float) -> Iterator[bytes]:
    """Every line of the results file; *now* (Unix seconds) is when the open entries are said to stand so."""
    yield from record.lines()
    for _, line in open_lines(record, now):
        yield line


def open_lines(record: Record, now: float) -> Iterator[tuple[Status, bytes]]:
    """A provisional line for each entry without a final one, in manifest order, and the status that it tells; a resumed
    wave takes them off."""
    after = -1
    while batch := record.unfinished(after, _BATCH):
        after = batch[-1][0].index
        for entry, events in batch:
            yield provisional_line(entry, events, now)


def provisional_line(
    entry: PlannedEntry, events: list[Event], now: float, stopped: Trouble | None = None
) -> tuple[Status, bytes]:
    """What can be said of an open entry: it was not submitted, or it may have been taken. *stopped* is why its run
    ended before it was settled, where that is known."""
    state = history(entry.asked, events) if events else _UNTOUCHED
    stands = unfinished(state, stopped)
    return stands.status, result_line(entry, state, stands.status, stands.trouble, now)


def count_open(record: Record) -> Counter[Status]:
    """How many entries have no result, by the status that they are given. No line of them is made, nor are those read
    that nothing has happened to: of a million that takes a second."""
    doubts = count_doubts(record)
    untouched = record.entry_count() - sum(record.status_counts().values()) - doubts
    return +Counter({Status.UNSETTLED: doubts, Status.NOT_SUBMITTED: untouched})


def count_doubts(record: Record) -> int:
    """How many open entries may have been sent, and are looked up first when the wave goes on."""
    return sum(
        history(entry.asked, events).in_doubt
        for scope in record.scopes()
        for entry, events in every_open_entry(record, scope.number)
    )


def begun(record: Record) -> list[PlannedEntry]:
    """The open entries of which a comparison exists, or may exist."""
    return [
        entry
        for scope in record.scopes()
        for entry, events in every_open_entry(record, scope.number)
        if history(entry.asked, events).exists
    ]


def every_open_entry(record: Record, scope: int) -> Iterator[tuple[PlannedEntry, list[Event]]]:
    """The entries of *scope* that something has happened to and that have no result, with their events."""
    after = -1
    while batch := record.open_entries(scope, after, _BATCH):
        yield from batch
        after = batch[-1][0].index


def rebuild(record: Record, path: Path, now: float) -> Rebuilt:
    """Make the file at *path* say what the journal says. A file that says anything else is kept aside.

    Raises `OlderJournal` where the file knows more, `SinkFailed`, `JournalFailed`.
    """
    mended = mend(path, record.lines, refuse_untold(record, path))
    counts: Counter[Status] = Counter()

    def still_open() -> Iterator[bytes]:
        for status, line in open_lines(record, now):
            counts[status] += 1
            yield line

    try:
        write_all(path, chain(record.lines(), still_open()))
    except OSError as error:
        raise SinkFailed(f"cannot write results to {path}: {error.strerror}") from error
    return Rebuilt(
        settled=sum(record.status_counts().values()), open=counts, said=mended.said if mended.aside else None
    )
