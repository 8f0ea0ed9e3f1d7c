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
from batcher.life.result import Result, Status
from batcher.life.result_line import result_of
from batcher.life.state import history
from batcher.wave.older import refuse_untold
from batcher.wave.sink import SinkFailed, mend, write_all

_BATCH = 500


class Rebuilt(Struct, frozen=True, kw_only=True):
    """What was written: lines that are final, lines of open entries by status, and what was kept aside, for people."""

    settled: int
    open: Counter[Status]
    said: str | None = None


def whole_file(record: Record, now: float) -> Iterator[bytes]:
    """Every line of the results file; *now* (Unix seconds) is when the open entries are said to stand so."""
    yield from record.lines()
    for result in open_results(record, now):
        yield result.to_line()


def open_results(record: Record, now: float) -> Iterator[Result]:
    """A provisional result for each entry without a final one, in manifest order; a resumed wave takes them off."""
    after = -1
    while batch := record.unfinished(after, _BATCH):
        after = batch[-1][0].index
        for entry, events in batch:
            yield provisional(entry, events, now)


def provisional(entry: PlannedEntry, events: list[Event], now: float, stopped: Trouble | None = None) -> Result:
    """What can be said of an open entry: it was not submitted, or it may have been taken. *stopped* is why its run
    ended before it was settled, where that is known."""
    state = history(entry.asked, events)
    stands = unfinished(state, stopped)
    return result_of(entry, state, stands.status, stands.trouble, now)


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
        for result in open_results(record, now):
            counts[result.status] += 1
            yield result.to_line()

    try:
        write_all(path, chain(record.lines(), still_open()))
    except OSError as error:
        raise SinkFailed(f"cannot write results to {path}: {error.strerror}") from error
    return Rebuilt(
        settled=sum(record.status_counts().values()), open=counts, said=mended.said if mended.aside else None
    )
