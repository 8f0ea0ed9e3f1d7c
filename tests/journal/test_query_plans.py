"""No query of the journal costs more as the wave grows: each goes by an index, and none sorts what it reads."""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from batcher.journal.ops import ClockNoted, Happened, Noted, Settled
from batcher.journal.port import Record
from batcher.journal.sqlite.database import Row
from batcher.journal.sqlite.keeper import SqliteKeeper, WrittenRecord
from batcher.journal.sqlite.schema import PACKED
from batcher.life.result import Status
from tests.journal.made import AGAIN, ANSWER, INTENT, OTHER, in_rows, plan
from tests.wave.made import SCOPE, entry

BEGUN = Happened(index=0, event=INTENT)

# Every question, and how it is asked.
CALLS: dict[str, Callable[[Record], object]] = {
    "is_planned": lambda record: record.is_planned(),
    "facts": lambda record: record.facts(),
    "scopes": lambda record: record.scopes(),
    "scope_sizes": lambda record: record.scope_sizes(),
    "entry_count": lambda record: record.entry_count(),
    "is_settled": lambda record: record.is_settled(),
    "status_counts": lambda record: record.status_counts(),
    "settled_counts": lambda record: record.settled_counts(),
    "next_seq": lambda record: record.next_seq(),
    "planned": lambda record: record.planned(0, 1, 256),
    "open_entries": lambda record: record.open_entries(0, 0, 256),
    "events": lambda record: record.events(0),
    "answers": lambda record: list(record.answers()),
    "answered_around": lambda record: record.answered_around(entry(1)),
    "others_of_job": lambda record: record.others_of_job(entry(2)),
    "of_job": lambda record: record.of_job(SCOPE, "job-2"),
    "sent_since": lambda record: record.sent_since(0.0),
    "entry": lambda record: record.entry(2),
    "outline": lambda record: list(record.outline()),
    "line_of": lambda record: record.line_of(2),
    "indexes_of_key": lambda record: record.indexes_of_key("key-2"),
    "result_of": lambda record: record.result_of(1),
    "lines": lambda record: list(record.lines()),
    "first_created": lambda record: record.first_created(0, 1),
    "lines_from": lambda record: record.lines_from(0),
    "holds": lambda record: record.holds([BEGUN, Settled(index=1, status=Status.CREATED, line=b"{}\n")]),
    "last_event_at": lambda record: record.last_event_at(),
    "unfinished": lambda record: record.unfinished(-1, 256),
    "with_status": lambda record: record.with_status([Status.CREATED, Status.FAILED]),
}
# What is about the whole wave, and called once in a run, may walk over all of it; what is called for each entry not.
OF_ALL = {"facts", "scopes", "scope_sizes", "entry_count", "is_settled", "status_counts", "settled_counts"}
OF_ALL |= {"answers", "lines", "last_event_at", "outline"}
# Tables of a few rows; that of invalid entries is empty as a rule.
FEW = r"CONSTANT|meta\b|scopes\b|sqlite_master\b|plan_invalid\b|json_each\b"
SORTS = {"settled_counts"}  # by scope, of which there are few: quicker than any index would be, and once in a run


@pytest.fixture(params=["one scope", "two scopes", "far apart", "one scope, in rows", "two, in rows", "many waves"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteKeeper]:
    """Keepers of each format; *far apart*: a scope has an entry in a hundred."""
    scopes = [SCOPE] if request.param.startswith("one") else [SCOPE, OTHER]
    entries, apart = (2000, 100) if request.param == "far apart" else (20, 2)
    if "in rows" in request.param:
        in_rows(tmp_path / "journal")
    if request.param == "many waves":
        keeper = SqliteKeeper(tmp_path / "journal", many=True)
        plan(keeper.new_wave("first"), 5)
        record = keeper.new_wave("second")
    else:
        keeper = SqliteKeeper(tmp_path / "journal")
        record = keeper.wave()
    first, second = scopes[0], scopes[-1]
    plan(record, (replace(entry(n), scope=second if n % apart else first) for n in range(entries)), scopes)
    record.commit([BEGUN, Happened(index=1, event=ANSWER)])
    record.commit([Settled(index=1, status=Status.CREATED, line=b"{}\n"), Noted(name="a", value=1)])
    record.commit([ClockNoted(scope=0, offset_s=1.0)])
    yield keeper
    keeper.close()


def asked_of(keeper: SqliteKeeper) -> WrittenRecord:
    """The wave that is asked."""
    return keeper.wave("second" if keeper.file.has_many else None)


def plans(keeper: SqliteKeeper, call: Callable[[Record], object]) -> list[str]:
    """The steps by which SQLite answers what *call* asks."""
    asked: list[str] = []
    db = keeper.file.database.connection
    db.set_trace_callback(asked.append)
    call(asked_of(keeper))
    db.set_trace_callback(None)
    assert asked
    finding = [text for text in asked if text.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))]
    return [step for text in finding for *_, step in db.execute(f"EXPLAIN QUERY PLAN {text}")]


def test_every_query_is_known_here(keeper: SqliteKeeper) -> None:
    public = {name for name, _ in inspect.getmembers(Record, callable) if not name.startswith("_")}
    assert public == CALLS.keys() | {"late_answers"}
    assert asked_of(keeper).late_answers(1, 1) == []  # nobody shares it, so nothing is asked


@pytest.mark.parametrize("name", CALLS)
def test_none_sorts_and_each_goes_by_an_index(name: str, keeper: SqliteKeeper) -> None:
    steps = plans(keeper, CALLS[name])
    assert name in SORTS or [step for step in steps if "TEMP B-TREE" in step or "AUTOMATIC" in step] == []
    scanned = [step for step in steps if re.match(rf"SCAN (?!{FEW})", step)]
    allowed = name in OF_ALL or all("COVERING INDEX" in step for step in scanned)  # `is_settled` counts by indexes
    assert allowed or not scanned, steps


def test_what_is_recorded_is_put_in_its_place_by_an_index(keeper: SqliteKeeper) -> None:
    record = asked_of(keeper)

    def recorded(_: Record) -> None:
        record.commit([Happened(index=1, event=AGAIN), Noted(name="a", value=2), ClockNoted(scope=0, offset_s=2.0)])
        record.commit([Happened(index=1, event=INTENT), Settled(index=1, status=Status.FAILED, line=b"{}\n")])

    steps = plans(keeper, recorded)
    assert any("results" in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN ") and "COVERING INDEX" not in step] == []


def test_a_batch_of_the_plan_is_read_where_the_last_one_ended(keeper: SqliteKeeper) -> None:
    """Not by the index of jobs, which would be read and sorted whole for each."""
    if keeper.file.database.format == PACKED:
        pattern = r"^SEARCH plan_chunks USING "
        expected = {
            "COVERING INDEX plan_chunks_by_scope (scope=? AND first<?)",
            "COVERING INDEX plan_chunks_by_scope (scope=? AND first>?)",
            "INTEGER PRIMARY KEY (rowid=?)",
        }
    else:
        pattern = r"^SEARCH e USING "
        several = len(asked_of(keeper).scopes()) > 1
        in_scope, alone = (
            "INDEX entries_by_scope (scope=? AND rowid>? AND rowid<?)",
            "INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        )
        expected = {in_scope if several else alone}
    found = [step for step in plans(keeper, CALLS["planned"]) if re.match(pattern, step)]
    assert {re.sub(pattern, "", step) for step in found} == expected


def test_entries_that_are_asked_for_in_turn_are_looked_for_once(tmp_path: Path) -> None:
    """As whoever follows a wave asks for them; in a plan of two scopes, whose chunks lie between each other."""
    keeper = SqliteKeeper(tmp_path / "in turn")
    record = keeper.wave()
    plan(record, (replace(entry(n), scope=OTHER if n % 2 else SCOPE) for n in range(600)), [SCOPE, OTHER])
    asked: list[str] = []
    db = keeper.file.database.connection
    db.set_trace_callback(asked.append)
    found = [record.entry(index) for index in range(600)]
    db.set_trace_callback(None)
    assert [item and (item.index, item.scope) for item in found] == [(n, OTHER if n % 2 else SCOPE) for n in range(600)]
    assert record.entry(600) is record.entry(601) is None
    assert len(asked) < 30  # four chunks, and where they are
    keeper.close()


def test_what_is_settled_or_untouched_is_passed_by_the_chunk(tmp_path: Path) -> None:
    """As whoever goes on with a wave of which half is done passes it several times."""
    keeper = SqliteKeeper(tmp_path / "half")
    record = keeper.wave()
    plan(record, 1024)  # four chunks
    record.commit([Settled(index=index, status=Status.CREATED, line=b"{}\n") for index in range(512)])
    record.commit([Happened(index=700, event=INTENT)])
    read = keeper.file.database.rows
    asked: list[int] = []

    def rows(sql: str, values: Sequence[object] = ()) -> list[Row]:
        found = read(sql, values)
        asked.append(len(found))
        return found

    keeper.file.database.rows = rows  # type: ignore[method-assign]
    try:
        assert [item.index for item, _ in record.open_entries(0, -1, 256)] == [700]
        assert (len(asked) < 20, sum(asked) < 20) == (True, True), asked
        assert [(item.index, bool(events)) for item, events in record.unfinished(-1, 512)] == [
            (index, index == 700) for index in range(512, 1024)
        ]
        assert (len(asked) < 40, sum(asked) < 40) == (True, True), asked
    finally:
        keeper.file.database.rows = read  # type: ignore[method-assign]
        keeper.close()


def test_a_batch_is_bounded_in_bytes_as_well(tmp_path: Path) -> None:
    keeper = SqliteKeeper(tmp_path / "large")
    record = keeper.wave()
    plan(record, (replace(entry(index), labels={"why": "x" * 1_000_000}) for index in range(12)))
    assert [item.index for item in record.planned(0, -1, 256)] == [0, 1, 2, 3, 4]
    assert [item.index for item in record.planned(0, 4, 256, 1)] == [5]  # one at least
    assert [item.index for item, _ in record.unfinished(9, 256)] == [10, 11]
    record.commit([Happened(index=index, event=INTENT) for index in range(12)])
    assert [item.index for item, _ in record.open_entries(0, 2, 256)] == [3, 4, 5, 6, 7]
    keeper.close()
