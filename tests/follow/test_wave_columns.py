"""Entries in columns: what the gate says of them is what it says of the same entries, each put together by hand."""

import tracemalloc
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.errors import UserError
from batcher.follow.verdict import Verdict, VerdictLine
from batcher.gate.accepted import Acceptance
from batcher.gate.entry_code import code_of, code_of_verdict, status_of, verdict_of
from batcher.gate.entry_table import _maybe_repeated
from batcher.gate.line_places import LinePlaces, LineReader
from batcher.gate.result import GateResult, WaveEntry, evaluate
from batcher.gate.wave_columns import WaveColumns, digest_of
from batcher.gate.wave_entries import entries_of
from batcher.journal.files import WaveFiles
from batcher.life.result import Result, Status
from batcher.manifest.labels import ANY_LABELS, LabelFilter
from tests.follow.make import TODAY, accept, difference, half, line, result

IDS = st.sampled_from(["task-1", "task-1", "task-1", "task-2"])
KEYS = st.sampled_from(["a", "b", "c"])
LABELS = st.sampled_from([{}, {"team": "pay"}, {"team": "ship"}])
STATUSES = st.sampled_from([Status.CREATED] * 5 + [Status.FAILED, Status.PARTIAL])

halves = st.builds(
    lambda tables, edited, **changes: half(*map(difference, tables), **changes, **edited),
    st.sampled_from([(), (), (), ("orders",), ("orders", "items")]),
    st.sampled_from([{}, {}, {"verdict": Verdict.UNKNOWN}, {"verdict": Verdict.CONSISTENT}]),
    compare_task_status=st.sampled_from(["SUCCESSFUL", "SUCCESSFUL", "CANCELLED"]),
    complete=st.booleans(),
    compare_task_id=IDS,
)
results = st.builds(
    result,
    st.integers(0, 5),
    object_id=st.none() | IDS,
    data_id=IDS | st.none(),
    key=KEYS,
    job_id=st.just("job-1"),
    status=STATUSES,
    labels=LABELS,
    endpoint=st.sampled_from(["http://127.0.0.1:1", "http://127.0.0.1:2"]),
    wave_entries=st.just(6),
)
verdicts = st.builds(
    lambda objects, data, **changes: line(
        data,
        object_level_compare_result=objects,
        **({"data_level_compare_result": None} if data is None else {}),
        **changes,
    ),
    st.none() | halves,
    halves | st.none(),
    index=st.integers(0, 5),
    key=KEYS,
    status=STATUSES,
    verdict=st.sampled_from([Verdict.CONSISTENT, Verdict.CONSISTENT, Verdict.INCONSISTENT, Verdict.UNKNOWN]),
    final=st.sampled_from([True, True, True, False]),
)
waves = st.lists(st.tuples(st.lists(results, max_size=8), st.lists(verdicts, max_size=8)), min_size=1, max_size=3)


def by_hand(
    names: list[str], given: list[tuple[list[Result], list[VerdictLine]]], labels: LabelFilter
) -> list[WaveEntry]:
    """The entries as the gate has to see them, joined in the plainest way."""
    entries: list[WaveEntry] = []
    for file, (made, told) in zip(names, given, strict=True):
        last = {one.index: one for one in told}
        others = {one.index for one in made if not labels.takes(one.labels)}
        nth: Counter[Any] = Counter()
        for one in made:
            verdict = last.get(one.index)
            ids = [task and task.compare_task_id for task in (
                one.object_level_compare_create_result, one.data_level_compare_create_result) if task]  # fmt: skip
            if verdict is not None and (verdict.key, [h.compare_task_id for h in verdict.halves]) != (one.key, ids):
                verdict = None
            if one.index in others:
                continue
            entry = WaveEntry(
                file=file, index=one.index, key=one.key, job_id=one.job_id, scope=(one.endpoint, one.project_id),
                nth=nth[one.endpoint, one.key], status=one.status, verdict=verdict, said=one.error_msg,
                finished_at=one.finished_at,
            )  # fmt: skip
            nth[one.endpoint, one.key] += 1
            entries.append(entry)
        for index in range(6 if made else 0):
            if index not in {one.index for one in made}:
                entries.append(
                    WaveEntry(file=file, index=index, key=f"entry {index}", job_id=None, scope=(None, None),
                              status=None, verdict=None)
                )  # fmt: skip
    return entries


def told(gate: GateResult) -> dict[str, Any]:
    """All that it says, but for what only files know: whether they are whole."""
    said = gate.as_json() | {"counted": dict(gate.blocked), "replaced": list(gate.replaced)}
    for name in ("waves", "unproven", "verdict", "labels", "unused_acceptances"):
        del said[name]
    return said | {"blocked": sorted(map(str, said["blocked"])), "passing": list(gate.passing)}


@settings(max_examples=150, deadline=None)
@given(waves, st.booleans(), st.booleans())
def test_the_gate_over_columns_is_that_over_entries_joined_by_hand(
    given: list[tuple[list[Result], list[VerdictLine]]], accepts: bool, chooses: bool
) -> None:
    acceptances: tuple[Acceptance, ...] = (accept(),) if accepts else ()
    labels = LabelFilter.parse(["team=pay"]) if chooses else ANY_LABELS
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.jsonl") for number in range(len(given))]
        for path, (made, said) in zip(paths, given, strict=True):
            path.write_bytes(b"".join(one.to_line() for one in made))
            WaveFiles.of(path).verdicts.write_bytes(b"".join(one.to_line() for one in said))
        held = by_hand([str(path) for path in paths], given, labels)
        read = entries_of(paths, labels=labels)
        assert list(read) == held
        assert told(evaluate(read, acceptances, TODAY)) == told(evaluate(held, acceptances, TODAY))
        differing = [(at, n) for at, e in enumerate(held) if (n := sum(len(h.differences) for h in _halves(e)))]
        assert list(read.table.differing()) == differing


def _halves(entry: WaveEntry) -> tuple[Any, ...]:
    return entry.verdict.halves if entry.verdict else ()


@pytest.mark.parametrize("status", Status)
def test_a_code_tells_status_and_verdict(status: Status) -> None:
    assert status_of(code_of(status, 0)) is status
    assert verdict_of(code_of(status, 0)) is None


# --- lines again ----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=70), st.data())
def test_a_line_is_found_by_its_number_in_whatever_order(lengths: list[int], data: st.DataObject) -> None:
    lines = [b"%d:" % number + b"x" * length + b"\n" for number, length in enumerate(lengths)]
    places = LinePlaces()
    for one in lines:
        places.add(one)
    asked = data.draw(st.lists(st.integers(0, len(lines) - 1), max_size=40))
    with TemporaryDirectory() as folder:
        path = Path(folder, "lines")
        path.write_bytes(b"".join(lines))
        with path.open("rb") as file:
            reader = LineReader(file, path, places)
            assert [reader.read(number, lambda _, at, raw: (at, raw)) for number in asked] == [
                (number + 1, lines[number]) for number in asked
            ]
        path.write_bytes(b"".join(lines)[:-1])
        with path.open("rb") as file, pytest.raises(UserError, match="written anew"):
            LineReader(file, path, places).read(len(lines) - 1, lambda *_: None)


# --- keys that occur twice ------------------------------------------------------------------------------------

DIGESTS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.builds(lambda low, high: high << 28 | low, st.integers(0, 3), st.integers(0, 3)),  # marks that collide
)


@given(st.lists(st.lists(DIGESTS, max_size=12), max_size=3))
def test_no_key_that_occurs_twice_is_passed_over(waves: list[list[int]]) -> None:
    digests = [digest for wave in waves for digest in wave]
    found = list(_maybe_repeated(waves, len(digests)))
    assert found == sorted(set(found))
    counts = Counter(digests)
    assert {place for place, digest in enumerate(digests) if counts[digest] > 1} <= set(found)


def test_few_that_occur_once_are_taken_for_others() -> None:
    digests = [digest_of(f"key-{number}") for number in range(50_000)]
    assert len(list(_maybe_repeated([digests], len(digests)))) < 0.05 * len(digests)


# --- how much they take ---------------------------------------------------------------------------------------


def test_an_entry_takes_thirty_bytes_while_it_is_read() -> None:
    """Two numbers by index, one by line, a digest of its comparisons, one of its key, and four single bytes."""
    columns, entries = WaveColumns(), 1 << 16
    tracemalloc.start()
    try:
        for index in range(entries):
            columns.verdicts.places.add(b"{}\n")
            columns.verdicts.add(index, hash(index), 1, 2)
        for index in range(entries):
            columns.places.add(b"{}\n")
            columns.add_result(index, f"key-{index}", hash(index), Status.CREATED)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 33 * entries


@pytest.mark.parametrize("differences", [254, 255, 256, 100_000])
def test_differences_beyond_a_byte_are_counted(differences: int) -> None:
    columns = WaveColumns()
    for index, differing in enumerate((0, differences, 1)):
        columns.verdicts.add(index, 7, code_of_verdict(line()), differing)
    for index in range(3):
        columns.add_result(index, "k", 7, Status.CREATED)
    columns.verdicts.settle()
    columns.settle()
    assert [columns.differences_at(at) for at in range(3)] == [0, differences, 1]
    assert list(columns.differing()) == [1, 2]
