"""A wave of any size: gate and report hold a few bytes of an entry, and say all of it when asked."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from batcher.errors import UserError
from batcher.gate.junit import write_junit
from batcher.gate.result import GateResult, evaluate
from batcher.gate.wave_entries import entries_of
from batcher.journal.files import WaveFiles
from batcher.report.gather import gather
from batcher.report.html import page, write_page
from batcher.report.json_pieces import json_pieces
from batcher.report.page_data import gather_page
from batcher.report.tables import write_differences, write_entries
from tests.follow.make import TODAY
from tests.report.waves import write_wave

SMALL, LARGE = 300, 1500
MOST_BYTES = 400  # of each further entry, at the peak (some are sorted); one that is held takes thousands


def gate_of(results: Path) -> GateResult:
    return evaluate(entries_of([results]), (), TODAY)


def to_json(results: Path) -> None:
    for _ in json_pieces(gate_of(results).told()):
        pass


def to_junit(results: Path) -> None:
    entries = entries_of([results])
    write_junit(results.with_suffix(".xml"), evaluate(entries, (), TODAY), entries)


def to_csv(results: Path) -> None:
    report = gather(results)
    assert report.verdicts is not None
    with results.with_suffix(".csv").open("w", encoding="utf-8") as out:
        write_entries(out, results, report.verdicts)
        write_differences(out, report.verdicts)


def to_page(results: Path) -> None:
    write_page(results.with_suffix(".html"), gather_page([results], most_rows=100))


def peak(work: Callable[[Path], object], results: Path) -> int:
    tracemalloc.start()
    try:
        work(results)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("work", [gate_of, to_json, to_junit, to_csv, to_page, gather])
def test_memory_hardly_grows_with_the_entries(work: Callable[[Path], object], tmp_path: Path) -> None:
    waves = [tmp_path / "small.jsonl", tmp_path / "large.jsonl"]
    for wave, entries in zip(waves, (SMALL, LARGE), strict=True):
        write_wave(wave, entries, journal=False)
    work(waves[0])  # what is loaded once does not count
    small, large = (peak(work, wave) for wave in waves)
    assert large - small < MOST_BYTES * (LARGE - SMALL)


def test_json_in_pieces_is_what_orjson_writes(tmp_path: Path) -> None:
    write_wave(tmp_path / "r.jsonl", 300)
    gate = gate_of(tmp_path / "r.jsonl")
    whole = orjson.dumps({"a": [], "gate": gate.as_json()}, option=orjson.OPT_INDENT_2)
    assert b"".join(json_pieces({"a": iter(()), "gate": gate.told()})) == whole


def test_what_is_cut_for_a_hook_is_counted(tmp_path: Path) -> None:
    write_wave(tmp_path / "r.jsonl", 300)
    gate = gate_of(tmp_path / "r.jsonl")
    said = gate.as_json(2)
    assert len(said["blockers"]) == 2
    assert said["left_out"] == {"blockers": len(gate.blockers) - 2, "accepted": 0}


def test_a_file_written_anew_while_it_is_read_is_told(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    write_wave(results, 300)
    gate = gate_of(results)
    WaveFiles.of(results).verdicts.write_bytes(b"")
    with pytest.raises(UserError, match="written anew"):
        list(gate.blockers)


def test_a_verdict_on_another_comparison_put_in_while_it_is_read_is_told(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    write_wave(results, 300)
    gate = gate_of(results)
    verdicts = WaveFiles.of(results).verdicts
    verdicts.write_bytes(verdicts.read_bytes().replace(b"-data", b"-atad"))
    with pytest.raises(UserError, match="written anew"):
        list(gate.blockers)


def test_results_written_anew_while_they_are_read_are_told(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    write_wave(results, 300)
    gate, data = gate_of(results), gather_page([results])
    results.write_bytes(results.read_bytes().replace(b'"index":1', b'"index":2'))
    with pytest.raises(UserError, match="written anew"):
        list(gate.blockers)
    results.write_bytes(b"")
    with pytest.raises(UserError, match="written anew"):
        list(data.listed())


def test_the_page_says_what_it_leaves_out_and_that_is_never_trouble_while_there_is_room(tmp_path: Path) -> None:
    write_wave(tmp_path / "r.jsonl", 400)
    data = gather_page([tmp_path / "r.jsonl"], most_rows=10)
    write_page(tmp_path / "r.html", data)
    grave = len(data.gate.blockers)
    assert data.omitted_grave == grave - 10
    said = f"390 more entries, {grave - 10} of them with trouble, are left out"
    assert said in page(data)
    assert said in (tmp_path / "r.html").read_text(encoding="utf-8")
    rows = list(gather_page([tmp_path / "r.jsonl"], most_rows=grave + 5).listed())
    assert [row.state.grave for row in rows] == [True] * grave + [False] * 5


def test_only_the_same_name_makes_two_lines_runs_of_one_entry(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write_wave(first, 4, journal=False)
    write_wave(second, 4, journal=False)
    for path in (second, WaveFiles.of(second).verdicts):
        path.write_text(path.read_text().replace("wave-7/000001", "wave-8/000001"))
    gate = evaluate(entries_of([first, second]), (), TODAY)
    assert (gate.entries, len(gate.replaced)) == (5, 3)
