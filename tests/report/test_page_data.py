"""What the page says, looked at without a browser: reruns, what to do, what came from outside, what was counted."""

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.follow.verdict import Verdict
from batcher.gate.accepted import Acceptance
from batcher.journal.files import WaveFiles
from batcher.life.result import Status
from batcher.report.differing import folded
from batcher.report.html import page
from batcher.report.page_data import PageData, gather_page
from batcher.report.page_rows import payload
from batcher.report.state import ReviewState
from batcher.report.steps import steps
from tests.cli.conftest import Batcher
from tests.cli.conftest import _elsewhere as _elsewhere
from tests.cli.conftest import batcher as batcher
from tests.report.waves import write_wave

HOUR = timedelta(hours=1)


def entries_on(data: PageData) -> list[dict[str, Any]]:
    """What the page's scripts get, unpacked as they do it."""
    told = orjson.loads("".join(payload(data)))
    pooled = set(told["pooled"])
    return [
        {n: told["pool"][cell] if n in pooled else cell for n, cell in zip(told["columns"], row, strict=True)}
        for row in told["rows"]
    ]


def test_every_entry_is_listed_once_the_gravest_first_and_the_counts_are_those_of_the_list(tmp_path: Path) -> None:
    write_wave(tmp_path / "r.jsonl", 400)
    data = gather_page([tmp_path / "r.jsonl"])
    listed = entries_on(data)
    assert sorted(entry["index"] for entry in listed) == list(range(400))
    ranks = [list(ReviewState).index(ReviewState(entry["state"])) for entry in listed]
    assert ranks == sorted(ranks)
    for status in Status:
        assert data.by_status.get(status, 0) == sum(entry["status"] == status for entry in listed)
    for verdict in Verdict:
        assert data.by_verdict.get(verdict, 0) == sum(entry["verdict"] == verdict for entry in listed)
    assert sum(ReviewState(entry["state"]).grave for entry in listed) == len(data.gate.blockers)


def test_of_several_waves_each_entry_is_there_once_as_the_gate_sees_it(tmp_path: Path) -> None:
    first, again = tmp_path / "first.jsonl", tmp_path / "again.jsonl"
    write_wave(first, 300)
    write_wave(again, 120, seed=5, after=HOUR)
    data = gather_page([first, again])
    listed = entries_on(data)
    assert len(listed) == data.gate.entries == 300
    assert {entry["wave"] for entry in listed if entry["index"] < 120} == {1}
    assert {entry["wave"] for entry in listed if entry["index"] >= 120} == {0}
    assert all(bool(entry["earlier"]) == (entry["index"] < 120) for entry in listed)
    assert data.standing.lines == 300  # what went wrong in a run that was replaced went wrong no more
    assert data.replaced == {0: 120}
    html = page(data)
    assert "first.jsonl and 1 more wave" in html
    assert "of 300 consistent" in html


def test_an_entry_without_a_result_is_listed_and_counted(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    write_wave(results, 40)
    results.write_bytes(b"".join(results.read_bytes().splitlines(keepends=True)[:30]))
    data = gather_page([results])
    missing = [entry for entry in entries_on(data) if entry["status"] is None]
    assert len(missing) == data.by_status[None] == 10
    assert {entry["state"] for entry in missing} == {"no_result"}
    assert all(entry["key"].startswith("wave-7/") for entry in missing)


def test_the_steps_are_over_every_entry_in_the_way_and_their_commands_are_real(tmp_path: Path) -> None:
    results = tmp_path / "it's; here.jsonl"
    write_wave(results, 400)
    data = gather_page([results])
    found = list(steps(data))
    assert sum(step.count for step in found) == len(data.gate.blockers)
    assert [step.state for step in found][:2] == [ReviewState.UNSETTLED, ReviewState.INCONSISTENT]
    commands = [command for step in found for command in step.commands if command.startswith("batcher select ")]
    outputs = re.findall(r" -o ('.*?jsonl'|\S+)", "\n".join(commands))
    assert len(outputs) == len(set(outputs))  # one step's manifest is not in the way of the next one's
    (partial,) = [step for step in found if step.state is ReviewState.PARTIAL]
    assert partial.commands[0].endswith(" --retry-failed")  # which sends the half that is missing
    for step in found:
        for command in step.commands:
            assert "it'\"'\"'s; here" in command or command.startswith("batcher run wave-7.csv ")


def test_differences_are_folded_by_job_and_what_was_not_counted_has_no_zeros(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    write_wave(results, 400)
    verdicts = WaveFiles.of(results).verdicts
    failed = '"result":"FAILED_TO_COMPARE","source_count":0,"target_count":0,"diff_count":0'
    text = re.sub(
        r'"result":"INCONSISTENT","source_count":\d+,"target_count":\d+,"diff_count":2',
        failed,
        verdicts.read_text(),
        count=1,
    )
    verdicts.write_text(text)
    data = gather_page([results])
    entries = folded(data).entries
    assert len(entries) == len(data.differing) > 1
    assert all(len(one.differences) == 2 and one.key.startswith("wave-7/") for one in entries)
    counts = [(d["source"], d["target"], d["differ"]) for d in entries[0].differences]
    assert counts[1] == (None, None, None)
    assert entries[0].said == "1 differs, 1 not compared"
    assert page(data).count("not counted</td>") == 1


def accepted(job_id: str) -> Acceptance:
    expires = date(2126, 1, 1)
    return Acceptance(line=2, job_id=job_id, database="*", table="*", reason="a <known> lag", expires=expires)


def test_what_was_accepted_is_told_with_its_reason(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    write_wave(results, 400)
    plain = gather_page([results])
    job_id = folded(plain).entries[0].job_id
    assert job_id is not None
    data = gather_page([results], [accepted(job_id)])
    (entry,) = [entry for entry in entries_on(data) if entry["state"] == "accepted"]
    assert entry["job_id"] == job_id
    assert entry["accepted"] == "a <known> lag"
    assert "accepted: a &lt;known&gt; lag" in page(data)


def test_what_came_from_outside_stays_text(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, 300, journal=False)
    for path in (results, WaveFiles.of(results).verdicts):
        text = (
            path.read_text()
            .replace("wave-7/", "</script><i>harmless</i><!--/")
            .replace("mysql-0", "</script><i>label</i>")
        )
        path.write_text(text.replace("shop1", "</script><i>shop</i>"))
    data = gather_page([results])
    html = page(data)
    assert "<i>harmless" not in html
    assert "<i>label" not in html
    assert "<i>shop" not in html
    assert html.count("</script>") == 3  # of the first line, the data and the code
    assert any(entry["key"].startswith("</script><i>harmless</i>") for entry in entries_on(data))


def test_a_wave_without_journal_and_verdicts_says_what_is_missing(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, 400, journal=False, verdicts=False)
    data = gather_page([results])
    html = page(data)
    assert "There is no journal beside it" in html
    created = data.by_status[Status.CREATED]
    assert data.states[ReviewState.CREATED, 0] == created  # nobody followed them, which is no trouble of theirs
    assert {entry["state"] for entry in entries_on(data) if entry["status"] == "created"} == {"created"}
    assert [step.commands for step in steps(data) if step.commands] == []  # all of them need the journal


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--csv", "x.csv", "--html", "x.html"], "--csv takes one results file"),
        (["--json", "--html", "x.html"], "--json takes one results file"),
        (["--journal", "a.jsonl.journal", "--html", "x.html"], "--journal names the journal of one results file"),
        (["c.jsonl"], "or several with --html"),
        (["--html", "a.jsonl"], "would replace"),
    ],
)
def test_what_a_page_over_several_waves_cannot_do_is_said(args: list[str], said: str, batcher: Batcher) -> None:
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        write_wave(Path(name), 5)
    ended = batcher("report", "a.jsonl", "b.jsonl", *args)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert not list(Path().glob("x.*"))


def test_one_page_over_several_waves_is_written_and_verdicts_files_are_passed_over(batcher: Batcher) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        write_wave(Path(name), 5)
    ended = batcher("report", "a.jsonl", "a.verdicts.jsonl", "b.jsonl", "--html", "x.html")
    assert (ended.code, ended.err) == (0, "wrote x.html\n")
    assert "a.jsonl and 1 more wave" in Path("x.html").read_text(encoding="utf-8")
