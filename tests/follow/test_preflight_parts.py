"""`preflight --ready-to --rest-to --label`: which entries can go now, as files."""

import json
from pathlib import Path

import pytest

from batcher.simulator.jobs import JobRule
from tests.cli.commands import created_jobs
from tests.cli.conftest import Batcher
from tests.follow.conftest import Fleet

LATE = (JobRule(pattern="late-*", status="FULL_TRANSFER_STARTED"),)
READY, REST = Path("ready.csv"), Path("rest.jsonl")
PARTS = ("--ready-to", READY, "--rest-to", REST)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Four entries; one team's in another project."""
    rows = [("job-1", "pay", None), ("late-1", "pay", None), ("late-2", "shop", "project-b"), ("job-2", "shop", None)]
    path = tmp_path / "wave.jsonl"
    entries = [
        {"job_id": job, "object_level_compare_type": "objects", "labels": {"team": team}, "project_id": project}
        for job, team, project in rows
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_the_two_parts_are_the_whole(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    sim = fleet(jobs=LATE)
    ended = batcher("preflight", manifest, *PARTS)
    assert (ended.code, ended.err) == (1, "2 entries in ready.csv\n2 entries in rest.jsonl\n")
    whole = batcher("preflight", manifest, "--json").json["jobs"]
    ready, rest = (batcher("preflight", part, "--json").json["jobs"] for part in (READY, REST))
    assert [job["job_id"] for job in ready] == ["job-1", "job-2"]
    assert [job["job_id"] for job in rest] == ["late-1", "late-2"]
    assert sorted(whole, key=str) == sorted([*ready, *rest], key=str)  # keys and projects, too
    assert not created_jobs(sim.ledger)


def test_the_lists_have_keys_and_projects(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet(jobs=LATE)
    keys = {job["job_id"]: job["keys"][0] for job in batcher("preflight", manifest, "--json").json["jobs"]}
    out = batcher("preflight", manifest).out
    assert f"late-1  FULL_TRANSFER_STARTED the full transfer is running  key {keys['late-1']}  project project-a" in out
    assert f"key {keys['late-2']}  project project-b" in out


def test_labels_choose_whose_jobs_are_asked_for(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet(jobs=LATE)
    ended = batcher("preflight", manifest, "--label", "team=pay", *PARTS)
    assert ended.out.split()[:5] == ["ready", "1", "entry", "1", "job"]
    assert ended.err == "1 entry in ready.csv\n1 entry in rest.jsonl\n"
    nobody = batcher("preflight", manifest, "--label", "team=nobody")
    assert (nobody.code, "has the label team=nobody: nothing was asked" in nobody.err) == (2, True)


def test_a_part_without_entries_is_no_file(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet()
    ended = batcher("preflight", manifest, *PARTS)
    assert (ended.code, REST.exists()) == (0, False)
    assert "every entry is ready: rest.jsonl is not written" in ended.err
    REST.write_text('{"job_id": "of-before"}\n')
    assert batcher("preflight", manifest, *PARTS).code == 2
    again = batcher("preflight", manifest, *PARTS, "--force")
    assert "rest.jsonl is removed: it was of before" in again.err
    assert not REST.exists()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("--ready-to", "wave.jsonl"), "wave.jsonl exists: choose another file"),
        (("--ready-to", "wave.jsonl", "--force"), "would replace"),
        (("--ready-to", "a.csv", "--rest-to", "./a.csv"), "name the same file"),
        (("--ready-to", "ready.xlsx"), "the format cannot be told from the name"),
        (("--rest-to", "w.verdicts.jsonl", "--force"), "would replace"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_asked(
    batcher: Batcher, fleet: Fleet, manifest: Path, parts: tuple[str, ...], said: str
) -> None:
    sim = fleet()
    Path("w.verdicts.jsonl").write_text("")
    ended = batcher("preflight", manifest, *parts)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert not sim.ledger
    assert "job-1" in manifest.read_text()
