"""Small waves for the tests of journals, and all that a record says."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from batcher.drs.outcome import ErrorKind, Fate
from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Settled
from batcher.journal.port import MutableRecord, Record
from batcher.journal.sqlite.schema import ROWS, schema_of
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Intended, Reopened
from batcher.life.result import Status
from tests.wave.made import DATA, NOON, SCOPE, entry, trouble

OTHER = Scope(1, SCOPE.endpoint, "another")
INTENT = Intended(at=NOON, asked=frozenset({DATA}))
ANSWER = Answered(at=NOON, sent_at=NOON, halves={}, http_status=200, request_id=None)
REFUSED = Answered(
    at=NOON + 1, sent_at=NOON, halves={DATA: trouble(Fate.REFUSED, ErrorKind.STATE)}, http_status=400, request_id="r"
)
AGAIN = Reopened(at=NOON + 2, was="failed", why="--retry-failed", fresh=True)

# What is recorded of a wave, a group at a time: each is durable as a whole before the next.
GROUPS: tuple[tuple[Op, ...], ...] = (
    (Happened(index=0, event=INTENT),),
    (Happened(index=0, event=REFUSED), Settled(index=0, status=Status.FAILED, line=b'{"index":0}\n')),
    (Noted(name="told", value={"a": [1, None]}), Happened(index=1, event=INTENT), Happened(index=2, event=INTENT)),
    (Happened(index=2, event=ANSWER), Settled(index=2, status=Status.CREATED, line=b'{"index":2}\n')),
    (Noted(name="rewriting", value=True), Happened(index=0, event=AGAIN)),
    (Happened(index=0, event=INTENT), ClockNoted(scope=0, offset_s=1.5)),
    (Settled(index=0, status=Status.CREATED, line=b'{"index":0,"again":true}\n'), Noted(name="rewriting", value=False)),
)


def plan(
    record: MutableRecord,
    entries: int | Iterable[PlannedEntry],
    scopes: Iterable[Scope] = (SCOPE,),
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Plan a wave: so many entries, or these."""
    with record.planning() as writes:
        for scope in scopes:
            writes.add_scope(scope)
        writes.add_entries(map(entry, range(entries)) if isinstance(entries, int) else entries)
        writes.finish(facts or {"digest": "sha256:0"})


def in_rows(path: Path) -> None:
    """Make a journal at *path* of the format that has a row for each entry, as earlier versions made them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(schema_of(ROWS))


def everything(record: Record) -> dict[str, Any]:
    """What *record* answers to every question there is."""
    if not record.is_planned():
        return {"planned": False}
    count = record.entry_count()
    entries = {index: record.entry(index) for index in range(-1, count + 1)}
    scopes = [scope.number for scope in record.scopes()]
    return {
        "facts": {name: value for name, value in record.facts().items() if name not in ("wave", "generation")},
        "scopes": record.scopes(),
        "entry_count": count,
        "scope_sizes": record.scope_sizes(),
        "is_settled": record.is_settled(),
        "status_counts": record.status_counts(),
        "settled_counts": record.settled_counts(),
        "last_event_at": record.last_event_at(),
        "planned": [record.planned(scope, after, 3) for scope in scopes for after in range(-1, count)],
        "one at least": [record.planned(scope, -1, 3, 0) for scope in scopes],
        "open_entries": [record.open_entries(scope, after, 3) for scope in scopes for after in range(-1, count)],
        "unfinished": [record.unfinished(after, 3) for after in range(-1, count)],
        "with_status": {status: record.with_status([status, Status.INVALID]) for status in Status},
        "entry": entries,
        "events": [record.events(index) for index in entries],
        "result_of": [record.result_of(index) for index in entries],
        "line_of": [record.line_of(index) for index in entries],
        "indexes_of_key": [record.indexes_of_key(f"key-{index}") for index in entries],
        "others_of_job": [record.others_of_job(one) for one in entries.values() if one is not None],
        "of_job": [
            sorted((other.index, events) for other, events in record.of_job(one.scope, one.job_id))
            for one in entries.values()
            if one is not None
        ],
        "sent_since": [sorted((one.index, events) for one, events in record.sent_since(NOON + s)) for s in (-1, 1)],
        "answered_around": [
            sorted((other.index, events) for other, events in record.answered_around(one))
            for one in entries.values()
            if one is not None
        ],
        "next_seq": record.next_seq(),
        "lines": list(record.lines()),
        "lines_from": [record.lines_from(seq) for seq in range(3)],
        "first_created": [record.first_created(scope, 2) for scope in scopes],
        "answers": list(record.answers()),
        "outline": list(record.outline()),
        "holds": [record.holds(ops) for ops in GROUPS],
    }
