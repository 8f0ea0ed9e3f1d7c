"""What the gate is told of a wave: every entry of the manifest, and only verdicts on the comparisons there are."""

from pathlib import Path

import pytest

from batcher.gate.wave_entries import entries_of
from batcher.journal.files import WaveFiles
from batcher.report.gather import gather
from batcher.report.headline import headline
from tests.follow.make import half, line, result
from tests.report.waves import write_wave


def cut(results: Path, lines: int) -> None:
    """Leave of *results* what a wave killed early has: its first *lines*."""
    results.write_bytes(b"".join(results.read_bytes().splitlines(keepends=True)[:lines]))


def test_entries_that_only_the_journal_knows_are_told(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, 10)
    cut(results, 7)
    last = list(entries_of([results]))[7:]
    assert [(entry.index, entry.key, entry.status) for entry in last] == [
        (index, f"wave-7/{index:06}", None) for index in (7, 8, 9)
    ]
    assert all(entry.job_id for entry in last)


@pytest.mark.parametrize("journal", [None, b"not a journal"])
def test_without_a_journal_a_gap_is_told(tmp_path: Path, journal: bytes | None) -> None:
    results = tmp_path / "results.jsonl"
    results.write_bytes(result(0).to_line() + result(2).to_line())
    if journal is not None:
        WaveFiles.of(results).journal.write_bytes(journal)
    assert [(entry.index, entry.status is None) for entry in entries_of([results])] == [
        (0, False),
        (2, False),
        (1, True),
    ]


def test_a_verdict_on_the_comparison_of_an_earlier_wave_is_none(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_bytes(result(0).to_line())
    WaveFiles.of(results).verdicts.write_bytes(line(half(compare_task_id="an-earlier-one"), key="k0").to_line())
    assert [entry.verdict for entry in entries_of([results])] == [None]
    report = gather(results)
    assert headline(report.tally.by_status, report.gate, report.entries).title.startswith("NO-GO")
