"""Troubles are grouped by what they say, and each is told with advice that fits it, once."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from batcher.drs.outcome import ErrorKind
from batcher.life.result import Status
from batcher.report.advice import advice
from batcher.report.said import said
from batcher.report.tally import Tally
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import JobRule
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import write_manifest
from tests.cli.conftest import Batcher, Cloud
from tests.cli.conftest import _elsewhere as _elsewhere
from tests.cli.conftest import batcher as batcher
from tests.cli.conftest import cloud as cloud

LINE = {"job_id": "cut1-007", "key": "wave 7", "request_id": None, "status": "failed"}


def line_of(index: int, message: str | None, **more: Any) -> dict[str, Any]:
    base = {
        **{"key": f"k{index}", "index": index, "job_id": f"job-{index}", "project_id": "p", "endpoint": "e"},
        **{"status": "failed", "attempts": 1, "recovered": False, "error_code": "DRS.M00304", "error_msg": message},
        **{"object_level_compare_create_result": None, "data_level_compare_create_result": None},
        **{"error_kind": "state", "http_status": 400, "request_id": None, "submitted_at": None, "finished_at": None},
        **{"labels": {}},
    }
    return {**base, **more}


@pytest.mark.parametrize(
    ("message", "status", "told"),
    [
        (None, "failed", None),
        ("", "failed", None),
        ("Not allowed in status PAUSING.", "failed", "Not allowed in status PAUSING."),
        ("job cut1-007 of wave 7 is gone", "failed", "job … of … is gone"),
        ("comparison 5f0c1d22-aa is in the way, 3 of 12", "failed", "comparison … is in the way, … of …"),
        ('wave.csv, line 3, index 1: compare_type "lins" must be lines', "invalid",
         "wave.csv, line …, index …: compare_type … must be lines"),
        ('state "PAUSING"', "failed", 'state "PAUSING"'),
        ("任务 0a1b2c3d4e5f 不存在", "failed", "任务 … 不存在"),
        ("no answer within 60 s", "failed", "no answer within … s"),
    ],
)  # fmt: skip
def test_what_differs_from_entry_to_entry_is_left_out(message: str | None, status: str, told: str | None) -> None:
    assert said({**LINE, "status": status}, message) == told


def test_a_long_message_is_cut() -> None:
    told = said(LINE, "word " * 100_000)
    assert told is not None
    assert len(told) == 160


def test_paused_jobs_do_not_hide_behind_unfinished_comparisons(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    """The cloud has one code for both."""
    cloud(ServiceConfig(cloud=CloudConfig(speed=0.01, jobs=(JobRule(pattern="paused-*", status="PAUSING"),))))
    busy, paused = ["busy-1", "busy-2", "busy-3"], ["paused-1", "paused-2"]
    assert batcher("run", write_manifest(tmp_path / "first.csv", busy), "-o", "first.jsonl").code == 0
    manifest = write_manifest(tmp_path / "wave.csv", [*busy, *paused])
    ended = batcher("run", manifest, "-o", "wave.jsonl", "--attempts", 1)
    for text in (ended.err, batcher("report", "wave.jsonl").out):
        assert "3 failed  state  DRS.M00304" in text
        assert "An unfinished comparison task exists." in text
        assert "2 failed  state  DRS.M00304" in text
        assert "status PAUSING" in text
        assert " ".join(text.split()).count("Have the jobs in INCRE_TRANSFER_STARTED") == 1  # told once
    told = batcher("report", "wave.jsonl", "--json").json["errors"]
    assert [(error["count"], error["error_code"]) for error in told] == [(3, "DRS.M00304"), (2, "DRS.M00304")]
    assert batcher("report", "wave.jsonl", "--html", "page.html").code == 0
    page = Path("page.html").read_text()
    assert "&amp;said=An+unfinished+comparison+task+exists" in page or "said=An+unfinished" in page


def test_invalid_entries_are_grouped_by_what_is_wrong(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud()
    manifest = write_manifest(tmp_path / "w.csv", [f"job-{n}" for n in range(5)])
    with manifest.open(newline="") as file:
        rows = list(csv.reader(file))
    rows[1][2], rows[2][2], rows[3][1] = "linse", "lins", "abort"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    batcher("run", manifest, "-o", "wave.jsonl", "--skip-invalid")
    told = batcher("report", "wave.jsonl", "--json").json["errors"]
    assert sorted((error["status"], error["count"]) for error in told) == [("invalid", 1), ("invalid", 2)]


def test_a_code_that_says_a_thousand_things_is_not_a_thousand_groups() -> None:
    tally = Tally()
    words = ["".join(chr(97 + (number // 26**place) % 26) for place in range(3)) for number in range(1000)]
    groups = [tally.add(line_of(index, f"because of {word}")) for index, word in enumerate(words)]
    assert len(tally.troubles) == 13
    assert sum(trouble.count for trouble in tally.troubles) == 1000
    assert {group for group in groups if group} == {trouble.group for trouble in tally.troubles}


@pytest.mark.parametrize(
    ("line", "told", "never"),
    [
        ({"error_kind": "validation", "error_msg": "db_name is empty"}, "as error_msg says", "check MANIFEST"),
        ({"error_kind": "validation", "error_msg": None}, "batcher check MANIFEST --key KEY", "as error_msg says"),
        ({"error_kind": None, "error_code": None, "error_msg": None}, "batcher explain", "See error_msg"),
        ({"error_kind": "stopped", "error_code": None}, "--retry-failed", "it goes on from here"),
        ({"error_kind": "auth", "status": "not_submitted"}, "then run the same command again.", "--retry-failed"),
        ({"error_kind": "state"}, "again with --retry-failed", "lower --rate"),
        ({"error_kind": "throttled", "error_code": "DRS.M01503"}, "asked for too often at once", "lower --rate"),
        ({"error_kind": "throttled", "error_code": "APIGW.0308"}, "lower --rate", "asked for too often"),
        ({"error_kind": "state", "error_code": "DRS.M01504"}, "Another operation", "INCRE_TRANSFER_STARTED"),
        ({"status": "unsettled", "error_kind": "timeout"}, "batcher settle", "AGAIN"),
    ],
)
def test_the_advice_fits_the_cause(batcher: Batcher, line: dict[str, Any], told: str, never: str) -> None:
    Path("r.jsonl").write_text(json.dumps(line_of(0, "it says so") | line, separators=(",", ":")) + "\n")
    said = batcher("report", "r.jsonl", "--json").json["errors"][0]["advice"]
    assert told in said
    assert never not in said


def test_there_is_advice_for_everything() -> None:
    for status in Status:
        for kind in (None, *ErrorKind):
            for says in (True, False):
                said = advice(status, kind, says=says)
                assert "AGAIN" not in said
                assert said[0].isupper()
