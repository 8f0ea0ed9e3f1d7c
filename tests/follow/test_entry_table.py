"""The table of entries: what it tells is what the files hold, entry by entry, however they were put together."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from batcher.errors import UserError
from batcher.follow.fast_lines import decoder_of
from batcher.follow.verdict import VerdictLine
from batcher.gate import entry_database
from batcher.gate.accepted import Acceptance
from batcher.gate.entry_database import EntryDatabase
from batcher.gate.result import GateResult, WaveEntry, evaluate
from batcher.gate.wave_entries import entries_of
from batcher.journal.files import WaveFiles
from batcher.life.result import Result, Status
from tests.follow.make import TODAY, accept, difference, half, line, result

# --- the result over the table is that over the entries, held in a list and judged one by one ---------------


def told(gate: GateResult) -> dict[str, Any]:
    return gate.as_json() | {"word": gate.verdict, "blocked": dict(gate.blocked), "replaced": list(gate.replaced)}


halves = st.builds(
    lambda tables, **changes: half(*map(difference, tables), **changes),
    st.sampled_from([(), (), (), ("orders",), ("orders", "items")]),
    compare_task_status=st.sampled_from(["SUCCESSFUL", "SUCCESSFUL", "CANCELLED"]),
    complete=st.booleans(),
    compare_task_id=st.sampled_from(["task-1", "task-1", "task-of-before"]),
)
runs = st.fixed_dictionaries(
    {
        "index": st.integers(0, 3),
        "key": st.sampled_from(["a", "b", "c"]),
        "status": st.sampled_from([Status.CREATED] * 4 + [Status.FAILED]),
        "half": halves | st.none(),
        "final": st.sampled_from([True, True, True, False]),
    }
)


def write(path: Path, entries: list[dict[str, Any]]) -> None:
    results, verdicts = [], []
    for one in entries:
        made = result(one["index"], key=one["key"], job_id="job-1", status=one["status"])
        results.append(made.to_line())
        if one["half"] is not None:
            about = {"key": one["key"], "index": one["index"], "final": one["final"], "status": one["status"]}
            verdicts.append(line(one["half"], endpoint=made.endpoint, **about).to_line())
    path.write_bytes(b"".join(results))
    WaveFiles.of(path).verdicts.write_bytes(b"".join(verdicts))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(runs, max_size=5), min_size=1, max_size=3), st.booleans())
def test_what_is_only_counted_is_what_would_have_been_judged(waves: list[list[dict[str, Any]]], accepts: bool) -> None:
    acceptances: tuple[Acceptance, ...] = (accept(),) if accepts else ()
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.jsonl") for number in range(len(waves))]
        for path, entries in zip(paths, waves, strict=True):
            write(path, entries)
        read = entries_of(paths)
        held: list[WaveEntry] = list(read)
        by_table, by_list = evaluate(read, acceptances, TODAY), evaluate(held, acceptances, TODAY)
        same = {"waves", "unproven", "verdict", "word"}  # a list does not know whether it is whole
        assert {n: v for n, v in told(by_table).items() if n not in same} == {
            n: v for n, v in told(by_list).items() if n not in same
        }


def test_a_lines_verdict_is_the_last_that_is_on_its_comparisons(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    results.write_bytes(result(0, wave_entries=1).to_line())
    WaveFiles.of(results).verdicts.write_bytes(
        line(half(difference()), key="k0").to_line() + line(half(), key="k0").to_line()
    )
    assert evaluate(entries_of([results]), (), TODAY).go


# --- quick decoding -----------------------------------------------------------------------------------------

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | st.text(max_size=3)
    | st.sampled_from(["2026-03-01T01:30:00Z", "2026-03-01", "created", "consistent", "1", "2026-03-01T01:30:00.1+02"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=300)
@pytest.mark.parametrize("model", [Result, VerdictLine])
@given(data=st.data())
def test_nothing_is_decoded_quickly_that_the_model_refuses(model: type[BaseModel], data: st.DataObject) -> None:
    sound: BaseModel = result(3, wave_entries=9) if model is Result else line(half(difference()))
    plain = sound.model_dump(mode="json")
    at = plain
    while inner := [name for name, value in at.items() if isinstance(value, dict) and value]:
        if not data.draw(st.booleans()):
            break
        at = at[data.draw(st.sampled_from(inner))]
    name = data.draw(st.sampled_from([*at, "other"]))
    if data.draw(st.booleans()):
        at.pop(name, None)
    else:
        at[name] = data.draw(VALUES)
    raw = msgspec.json.encode(plain)
    try:
        quick = decoder_of(model).decode(raw)
    except msgspec.MsgspecError:
        return
    try:
        slow = model.model_validate_json(raw)
    except ValidationError as error:
        pytest.fail(f"only the model refuses {raw!r}: {error}")
    for field in model.model_fields:
        known, found = getattr(slow, field), getattr(quick, field)
        assert isinstance(known, BaseModel) or known == found


@pytest.mark.parametrize("sound", [result(3, wave_entries=9), result(0), line(half(difference())), line()])
def test_what_we_write_ourselves_is_decoded_quickly(sound: Result | VerdictLine) -> None:
    assert decoder_of(type(sound)).decode(sound.to_line()).key == sound.key


# --- what is asked of each entry goes by a key, and what is asked of all of them looks each up by one ----------------


@pytest.mark.parametrize(
    ("sql", "scanned"),
    [
        (entry_database._MISSING, set()),
        (entry_database._NTH, set()),
        (entry_database._RUNS_OF, set()),
        (entry_database._SEVERAL, {"runs"}),
        (entry_database._FIRST_OF_SEVERAL, {"runs"}),
        (entry_database._RANKED, {"ranks"}),
    ],
)
def test_no_query_grows_faster_than_the_entries(sql: str, scanned: set[str]) -> None:
    database = EntryDatabase()
    database.add_runs(())
    steps = [row[3] for row in database._db.execute(f"EXPLAIN QUERY PLAN {sql}", _any(sql))]
    walked = {found[1] for step in steps if (found := re.match(r"SCAN (?:TABLE )?([a-z]+)\b", step))}
    assert walked <= scanned, steps


def _any(sql: str) -> list[int]:
    return [0] * sql.count("?")


# --- it is nobody else's, and leaves nothing ------------------------------------------------------------------


def test_the_database_has_no_name_and_is_gone_with_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batcher.gate.entry_database._CACHE_KB", 64)
    database = EntryDatabase()
    database.add_missing(0, ((n, f"key-{n}", "job", 0) for n in range(20_000)))
    files = [path for path in _open_files() if "etilqs" in path]  # as SQLite calls its temporary ones
    assert files  # it did outgrow memory
    assert all(path.endswith(" (deleted)") for path in files)
    assert database.missing(0, 19_999).key == "key-19999"


def _open_files() -> Iterator[str]:
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder's own
            yield str(link.readlink())


def test_no_room_for_it_is_told_with_the_way_out() -> None:
    database = EntryDatabase()
    database._run("PRAGMA max_page_count = 40")
    with pytest.raises(UserError, match=r"database or disk is full.*TMPDIR"):
        database.add_missing(0, ((n, f"key-{n}", "job", 0) for n in range(20_000)))


def test_a_fault_of_the_journal_is_not_told_as_one_of_the_database() -> None:
    def torn() -> Any:
        yield 0, "key", "job", 0
        raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.raises(sqlite3.DatabaseError):
        EntryDatabase().add_missing(0, torn())
