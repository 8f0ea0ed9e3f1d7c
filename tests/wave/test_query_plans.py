"""No query of the journal costs more as the wave grows: each goes by an index, and none sorts what it reads."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from batcher.journal.ops import ClockNoted, Happened, Noted, Settled
from batcher.journal.sqlite.store import Store
from batcher.life.entry import Scope
from batcher.life.events import Answered, Intended
from batcher.life.result import Status
from tests.wave.made import DATA, NOON, SCOPE, entry

OTHER = Scope(1, SCOPE.endpoint, "another")
INTENT = Happened(index=0, event=Intended(at=NOON, asked=frozenset({DATA})))
ANSWER = Answered(at=NOON, sent_at=NOON, halves={}, http_status=200, request_id=None)

# Every public method that asks the database, and how it is called.
CALLS: dict[str, Callable[[Store], object]] = {
    "identity": Store.identity,
    "is_planned": Store.is_planned,
    "facts": Store.facts,
    "scopes": Store.scopes,
    "scope_sizes": Store.scope_sizes,
    "entry_count": Store.entry_count,
    "is_settled": Store.is_settled,
    "status_counts": Store.status_counts,
    "settled_counts": Store.settled_counts,
    "next_seq": Store.next_seq,
    "planned": lambda store: store.planned(0, 1, 256),
    "open_entries": lambda store: store.open_entries(0, 0, 256),
    "events": lambda store: store.events(0),
    "answers": lambda store: list(store.answers()),
    "answered_around": lambda store: store.answered_around(entry(1)),
    "sharing": lambda store: store.sharing(entry(2)),
    "entry": lambda store: store.entry(2),
    "outline": lambda store: list(store.outline()),
    "line_of": lambda store: store.line_of(2),
    "indexes_of_key": lambda store: store.indexes_of_key("key-2"),
    "result_of": lambda store: store.result_of(1),
    "lines": lambda store: list(store.lines()),
    "first_created": lambda store: store.first_created(0, 1),
    "lines_from": lambda store: store.lines_from(0),
    "holds": lambda store: store.holds([INTENT, Settled(index=1, seq=0, status=Status.CREATED, line=b"{}\n")]),
    "last_event_at": Store.last_event_at,
    "unfinished": lambda store: store.unfinished(-1, 256),
    "with_status": lambda store: store.with_status([Status.CREATED, Status.FAILED]),
}
# What only writes, or asks the file system.
OTHERS = {
    "open", "open_to_read", "relax", "is_there", "rescue", "close", "begin", "rollback", "add_scope", "add_entries",
    "add_invalid", "add_result", "finish_plan", "commit", "keep_sign",
}  # fmt: skip
# What is about the whole wave, and called once in a run, may walk over all of it; what is called for each entry not.
OF_ALL = {"facts", "scopes", "scope_sizes", "entry_count", "is_settled", "status_counts", "settled_counts"}
OF_ALL |= {"answers", "lines", "last_event_at", "outline"}
SORTS = {"settled_counts"}  # by scope, of which there are few: quicker than any index would be, and once in a run


@pytest.fixture(params=[1, 2], ids=["one scope", "two scopes"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    scopes = [SCOPE, OTHER][: request.param]
    store = Store.open(tmp_path / "journal")
    store.begin()
    for scope in scopes:
        store.add_scope(scope)
    store.add_entries(replace(entry(index), scope=scopes[index % len(scopes)]) for index in range(20))
    store.finish_plan({})
    store.commit([INTENT, Happened(index=1, event=ANSWER)])
    store.commit([Settled(index=1, seq=0, status=Status.CREATED, line=b"{}\n"), Noted(name="a", value=1)])
    store.commit([ClockNoted(scope=0, offset_s=1.0)])
    yield store
    store.close()


def plans(store: Store, call: Callable[[Store], object]) -> list[str]:
    """The steps by which SQLite answers what *call* asks."""
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)
    call(store)
    store._db.set_trace_callback(None)
    assert asked
    selects = [text for text in asked if text.lstrip().startswith("SELECT")]
    return [step for text in selects for *_, step in store._db.execute(f"EXPLAIN QUERY PLAN {text}")]


def test_every_query_is_known_here() -> None:
    public = {name for name, _ in inspect.getmembers(Store, callable) if not name.startswith("_")}
    assert public == CALLS.keys() | OTHERS


@pytest.mark.parametrize("name", CALLS)
def test_none_sorts_and_each_goes_by_an_index(name: str, store: Store) -> None:
    steps = plans(store, CALLS[name])
    assert name in SORTS or [step for step in steps if "TEMP B-TREE" in step or "AUTOMATIC" in step] == []
    scanned = [step for step in steps if re.match(r"SCAN (?!CONSTANT|meta\b|scopes\b|sqlite_master\b)", step)]
    allowed = name in OF_ALL or all("COVERING INDEX" in step for step in scanned)  # `is_settled` counts by indexes
    assert allowed or not scanned, steps


def test_a_batch_of_the_plan_is_read_where_the_last_one_ended(store: Store) -> None:
    """Not by the index of jobs, which would be read and sorted whole for each."""
    steps = [step for step in plans(store, CALLS["planned"]) if " e " in f"{step} "]
    several = len(store.scopes()) > 1
    assert [re.sub(r"^SEARCH e USING ", "", step) for step in steps if step.startswith("SEARCH e")] == [
        "INDEX entries_by_scope (scope=? AND rowid>?)" if several else "INTEGER PRIMARY KEY (rowid>?)"
    ]


def large(count: int) -> Iterable[object]:
    return (replace(entry(index), labels={"why": "x" * 1_000_000}) for index in range(count))


def test_a_batch_is_bounded_in_bytes_as_well(tmp_path: Path) -> None:
    with_labels = Store.open(tmp_path / "large")
    with_labels.begin()
    with_labels.add_scope(SCOPE)
    with_labels.add_entries(large(12))  # type: ignore[arg-type]
    with_labels.finish_plan({})
    assert [item.index for item in with_labels.planned(0, -1, 256)] == [0, 1, 2, 3, 4]
    assert [item.index for item in with_labels.planned(0, 4, 256, 1)] == [5]  # one at least
    assert [item.index for item, _ in with_labels.unfinished(9, 256)] == [10, 11]
    with_labels.commit(Happened(index=index, event=INTENT.event) for index in range(12))
    assert [item.index for item, _ in with_labels.open_entries(0, 2, 256)] == [3, 4, 5, 6, 7]
    with_labels.close()
