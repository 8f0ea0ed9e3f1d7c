"""The report's pure parts: timeline, chart, headline, changes, cells."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.follow.verdict import Verdict
from batcher.gate.result import WaveEntry, evaluate
from batcher.journal.files import WaveFiles
from batcher.life.result import Status
from batcher.report.changes import ChangeKind, EntryStanding, changes
from batcher.report.chart import HEIGHT, WIDTH, chart
from batcher.report.gather import gather, read_verdicts
from batcher.report.headline import headline
from batcher.report.markdown import markdown
from batcher.report.tables import write_differences, write_entries
from batcher.report.timeline import RequestKind, SentRequest, timeline
from tests.follow.make import TODAY, accept, waved_entries
from tests.report.waves import write_wave

requests = st.lists(
    st.builds(SentRequest, st.floats(1.7e9, 1.7e9 + 40 * 86400), st.sampled_from(RequestKind)), min_size=1, max_size=50
)


@given(requests)
def test_every_request_is_in_exactly_one_bar(sent: list[SentRequest]) -> None:
    line = timeline(sent, whole=True)
    assert line is not None
    assert sum(line.totals.values()) == len(sent)
    assert len(line.bars) <= 122
    assert [bar.at for bar in line.bars] == [line.bars[0].at + line.width_s * n for n in range(len(line.bars))]
    for kind in RequestKind:
        assert line.totals[kind] == sum(request.kind is kind for request in sent)
    for bar in line.bars:
        assert bar.total == sum(bar.at <= int(request.at) < bar.at + line.width_s for request in sent)


def test_nothing_sent_has_no_timeline() -> None:
    assert timeline([], whole=True) is None


@given(requests, st.none() | st.floats(0.001, 1000))
def test_the_drawing_stays_in_its_box(sent: list[SentRequest], limit: float | None) -> None:
    line = timeline(sent, whole=True)
    assert line is not None
    drawn = chart(line, limit_per_s=limit, limit_text=None)
    for block in drawn.blocks:
        assert 0 <= block.x <= block.x + block.width <= WIDTH
        assert 0 <= block.y <= block.y + block.height <= HEIGHT
    assert drawn.limit_y is None or 0 <= drawn.limit_y <= HEIGHT
    assert 1 <= len(drawn.rates) <= 6


@pytest.mark.parametrize(
    ("by_status", "title", "tone"),
    [
        ({}, "No results", "doubt"),
        ({Status.CREATED: 3}, "All created", "good"),
        ({Status.CREATED: 3, Status.FAILED: 1}, "3 of 4 created", "bad"),
        ({Status.CREATED: 3, Status.UNSETTLED: 1}, "3 of 4 created", "doubt"),
    ],
)
def test_the_headline_of_a_wave_that_nobody_followed(by_status: dict[Status, int], title: str, tone: str) -> None:
    head = headline(by_status, None, sum(by_status.values()))
    assert (head.title, head.tone) == (title, tone)


@given(waved_entries(), st.booleans())
def test_the_headline_says_what_the_gate_says_and_counts_every_entry_in_the_way(
    entries: list[WaveEntry], accepts: bool
) -> None:
    acceptances = (accept("*"),) if accepts else ()
    gate = evaluate(entries, acceptances, TODAY)
    head = headline(Counter(entry.status for entry in entries if entry.status), gate, len(entries))
    if entries:
        assert head.title.startswith("GO" if gate.go else "NO-GO")
        assert (head.tone == "good") == gate.go
        counts = [int(reason.text.split()[0]) for reason in head.reasons]
        assert sum(counts) == len(gate.blockers)
    else:
        assert head.tone == "doubt"


def standing(
    key: str, verdict: Verdict | None = Verdict.CONSISTENT, status: Status = Status.CREATED, job_id: str = "j"
) -> EntryStanding:
    return EntryStanding(key=key, job_id=job_id, project_id="p", asked="data", status=status, verdict=verdict)


def test_changes_are_told_by_kind_the_gravest_first() -> None:
    first = [
        standing("same"),
        standing("gone", job_id="g"),
        standing("ill", Verdict.INCONSISTENT),
        standing("worse"),
        standing("differs"),
        standing("still", Verdict.INCONSISTENT),
    ]
    second = [
        standing("same"),
        standing("ill"),
        standing("worse", Verdict.FAILED),
        standing("differs", Verdict.INCONSISTENT),
        standing("still", Verdict.INCONSISTENT),
        standing("fresh", job_id="f"),
    ]
    found = [(change.kind, change.entry.key) for change in changes(first, second)]
    assert found == [
        (ChangeKind.NEWLY_INCONSISTENT, "differs"),
        (ChangeKind.WORSE, "worse"),
        (ChangeKind.MISSING, "gone"),
        (ChangeKind.HEALED, "ill"),
        (ChangeKind.NEW, "fresh"),
    ]


def test_a_recheck_under_another_key_is_the_same_entry() -> None:
    (change,) = changes([standing("a", Verdict.INCONSISTENT)], [standing("b")])
    assert change.kind is ChangeKind.HEALED
    assert changes([standing("a")], [standing("a")]) == []


def test_cells_are_never_formulas(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, 400, journal=False)
    for path in (results, WaveFiles.of(results).verdicts):
        path.write_text(path.read_text().replace("wave-7/", "=HYPERLINK/"))
    verdicts = read_verdicts(results)
    assert verdicts is not None
    entries, differences = io.StringIO(), io.StringIO()
    write_entries(entries, results, verdicts)
    write_differences(differences, verdicts)
    for text in (entries.getvalue(), differences.getvalue()):
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) > 2
        assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)
    assert "'=HYPERLINK/000000" in entries.getvalue()
    assert "'=order_items" in differences.getvalue()
    assert "label.source" in entries.getvalue().splitlines()[0]


def test_markdown_escapes_what_would_act(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, 400)
    text = markdown(gather(results))
    assert text.startswith("## NO-GO")
    assert "<b>" not in text.replace("\\<b\\>", "")
    assert "| inconsistent |" in text
