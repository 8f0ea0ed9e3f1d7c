"""Entries named by their job, their key and their labels, as an operator has them at hand."""

import json
from pathlib import Path

import pytest

from batcher.journal.wave_lock import WaveLock
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import JobRule
from batcher.simulator.service import ServiceConfig
from tests.cli.conftest import Batcher, Cloud

RESULTS = Path("results.jsonl")
NEXT = Path("next.jsonl")
ENTRIES = (
    ("one", "job-1", {"team": "pay", "tier": "1"}),
    ("two", "job-1", {"team": "pay"}),
    ("three", "job-2", {"team": "shop"}),
    ("four", "gone-1", {"team": "shop"}),
)
TWICE = "".join(
    json.dumps({"job_id": job, "key": key, "object_level_compare_type": "objects", "labels": labels}) + "\n"
    for key, job, labels in ENTRIES
)


@pytest.fixture
def wave(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    """Two entries of job-1, one of job-2, and one of a job that is not there."""
    cloud(ServiceConfig(cloud=CloudConfig(jobs=(JobRule(pattern="gone-*", exists=False),))))
    (tmp_path / "wave.jsonl").write_text(TWICE)
    assert batcher("run", "wave.jsonl", "-o", RESULTS, "--allow-duplicates").code == 1


def keys(text: str) -> list[str]:
    return [json.loads(line)["key"] for line in text.splitlines()]


# --- explain --------------------------------------------------------------------------------------------


def test_explain_shows_every_entry_of_a_job(batcher: Batcher, wave: None) -> None:
    said = batcher("explain", RESULTS, "--job", "job-1").out
    assert said.index("one job job-1") < said.index("two job job-1")
    assert "three" not in said
    told = batcher("explain", RESULTS, "--job", "job-2", "--json").json
    assert [entry["key"] for entry in told] == ["three"]
    assert told[0]["steps"][0]["what"] == "request"


def test_a_job_that_the_wave_does_not_have(batcher: Batcher, wave: None) -> None:
    ended = batcher("explain", RESULTS, "--job", "job-9")
    assert (ended.code, "no entry of the wave compares the job 'job-9'" in ended.err) == (2, True)


@pytest.mark.parametrize("named", [(), ("--job", "job-1", "--key", "one"), ("--key", "one", "--index", "0")])
def test_an_entry_is_named_in_one_way(batcher: Batcher, wave: None, named: tuple[str, ...]) -> None:
    ended = batcher("explain", RESULTS, *named)
    assert (ended.code, "give --key, --job or --index" in ended.err) == (2, True)


def test_an_open_entry_of_a_wave_that_runs_is_in_hand(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud(creates=("reset-after",))
    batcher("run", manifest, "-o", RESULTS, "--reconcile", "off")
    batcher("settle", RESULTS, "--job", "job-1", "--as", "retry")
    assert "not settled yet: `batcher run` goes on with it" in batcher("explain", RESULTS, "--job", "job-1").out
    lock = WaveLock(Path("results.jsonl.journal"))
    try:
        said = batcher("explain", RESULTS, "--job", "job-1").out
    finally:
        lock.release()
    assert "not settled yet: the wave is running" in said


# --- settle ---------------------------------------------------------------------------------------------


def test_settle_takes_the_one_entry_of_a_job_that_is_in_doubt(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(creates=("reset-after",) * 4)
    (tmp_path / "wave.jsonl").write_text(TWICE)
    batcher("run", "wave.jsonl", "-o", RESULTS, "--allow-duplicates", "--reconcile", "off")
    several = batcher("settle", RESULTS, "--job", "job-1", "--as", "failed")
    assert several.code == 2
    assert "2 entries of the job are in doubt: say which, --key with one of one, two" in several.err
    assert "three is failed now" in batcher("settle", RESULTS, "--job", "job-2", "--as", "failed").err
    assert batcher("settle", RESULTS, "--key", "one", "--as", "failed").code == 0
    assert "two is failed now" in batcher("settle", RESULTS, "--job", "job-1", "--as", "failed").err
    assert "no entry of the job is in doubt" in batcher("settle", RESULTS, "--job", "job-1", "--as", "failed").err


# --- select ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "chosen"),
    [
        ((), ["four"]),
        (("--status", "created"), ["one", "two", "three"]),
        (("--status", "created", "--job", "job-1"), ["one", "two"]),
        (("--status", "created", "--job", "job-2", "--key", "one"), ["one", "three"]),
        (("--status", "created", "--label", "team=pay"), ["one", "two"]),
        (("--status", "created", "--label", "team=pay", "--label", "tier=1"), ["one"]),
        (("--status", "created", "--label", "team=pay", "--label", "team=shop"), ["one", "two", "three"]),
        (("--status", "created,failed", "--label", "team=shop"), ["three", "four"]),
    ],
)
def test_a_selection_by_name(batcher: Batcher, wave: None, named: tuple[str, ...], chosen: list[str]) -> None:
    ended = batcher("select", RESULTS, *named, "-o", "-")
    assert (ended.code, sorted(keys(ended.out))) == (0, sorted(chosen))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (("--status", "partial"), "no entry has ended partial (there are: created 3, failed 1)"),
        (("--job", "job-1"), "no entry of job-1 has ended other than created (there are: created 2)"),
        (("--kind", "auth"), "no entry has ended other than created, of the kind auth"),
        (("--label", "team=pay"), "no entry with label team=pay has ended other than created (there are: created 2)"),
        (("--label", "team=nobody"), "no entry with label team=nobody has ended other than created"),
    ],
)
def test_a_selection_of_nothing_is_said(batcher: Batcher, wave: None, named: tuple[str, ...], said: str) -> None:
    ended = batcher("select", RESULTS, *named, "-o", NEXT)
    assert (ended.code, NEXT.exists()) == (1, False)
    assert said in ended.err
    assert "next.jsonl is not written" in ended.err
    NEXT.write_text("of before")
    assert "choose another file" in batcher("select", RESULTS, *named, "-o", NEXT).err
    assert NEXT.read_text() == "of before"
    assert "next.jsonl is removed: it was of before" in batcher("select", RESULTS, *named, "-o", NEXT, "--force").err
    assert not NEXT.exists()
    assert [path.name for path in Path().glob(".*draft*")] == []


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (("--job", "job-9"), "no line of the results has the job_id 'job-9'"),
        (("--status", "created", "--key", "one", "--key", "on"), "no line of the results has the key 'on'"),
        (("--label", "team"), "--label 'team' is no label: write NAME=VALUE"),
        (("--label", "=pay"), "--label '=pay' is no label: write NAME=VALUE"),
    ],
)
def test_what_is_named_and_not_there(batcher: Batcher, wave: None, named: tuple[str, ...], said: str) -> None:
    ended = batcher("select", RESULTS, *named, "-o", NEXT)
    assert (ended.code, NEXT.exists(), said in ended.err) == (2, False, True), ended.err
