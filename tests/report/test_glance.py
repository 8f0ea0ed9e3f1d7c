"""`batcher status`: several waves on one screen, whatever each of them is doing."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from batcher.follow.verdict import Verdict
from batcher.journal.files import WaveFiles
from batcher.life.result import Status
from batcher.report.glance import Glance, Looker, Stage, next_steps
from tests.cli.commands import Program, wait_until
from tests.cli.conftest import Batcher, Cloud
from tests.cli.conftest import _elsewhere as _elsewhere
from tests.cli.conftest import batcher as batcher
from tests.cli.conftest import cloud as cloud
from tests.cli.conftest import manifest as manifest
from tests.report.waves import write_wave

RESULTS = Path("wave.jsonl")


def wave_of(batcher: Batcher, *paths: object) -> dict[str, Any]:
    (wave,) = batcher("status", *paths, "--json").json["waves"]
    return dict(wave)


# --- what comes next ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "commands"),
    [
        ({"stage": Stage.RUNNING, "by_status": {Status.FAILED: 2}}, []),
        ({"stage": Stage.PAUSED}, ["batcher control 'a b.jsonl' resume"]),
        ({"stage": Stage.STOPPED, "command": "batcher run a.csv -o r"}, ["batcher run a.csv -o r"]),
        (
            {"stage": Stage.STOPPED, "command": "C", "by_status": {Status.UNSETTLED: 1}, "example": "job;1"},
            ["C", "batcher explain 'a b.jsonl' --job 'job;1'"],
        ),
        ({"stage": Stage.ENDED, "by_status": {Status.CREATED: 9}}, ["batcher watch 'a b.jsonl'"]),
        (
            {"stage": Stage.ENDED, "by_status": {Status.CREATED: 8, Status.FAILED: 1}},
            ["batcher report 'a b.jsonl'", "batcher watch 'a b.jsonl'"],
        ),
        ({"stage": Stage.FOLLOWING, "by_status": {Status.CREATED: 9}, "verdicts": {Verdict.INCONSISTENT: 1}}, []),
        (
            {"stage": Stage.ENDED, "by_status": {Status.CREATED: 2}, "verdicts": {Verdict.CONSISTENT: 1}},
            ["batcher watch 'a b.jsonl'"],
        ),
        ({"stage": Stage.ENDED, "by_status": {Status.CREATED: 1}, "verdicts": {Verdict.CONSISTENT: 1}}, []),
        (
            {"stage": Stage.ENDED, "by_status": {Status.CREATED: 1}, "verdicts": {Verdict.TIMEOUT: 1}},
            ["batcher gate 'a b.jsonl'"],
        ),
        ({"stage": Stage.UNREADABLE}, []),
    ],
)
def test_what_to_do_next(told: dict[str, Any], commands: list[str]) -> None:
    glance = Glance(results=Path("a b.jsonl"), entries=9, **told)
    assert [step.command for step in next_steps(glance)] == commands


# --- waves that nobody runs -----------------------------------------------------------------------------


def test_a_folder_shows_its_waves(batcher: Batcher) -> None:
    Path("night").mkdir()
    write_wave(Path("night/one.jsonl"), 40)
    write_wave(Path("night/two.jsonl"), 30, verdicts=False)
    write_wave(Path("night/copied.jsonl"), 20, journal=False)
    Path("night/wave.csv").write_text("job_id\njob-1\n")
    ended = batcher("status", "night", "--json")
    stages = {Path(wave["results"]).name: (wave["stage"], wave["entries"]) for wave in ended.json["waves"]}
    assert stages == {"copied.jsonl": ("ended", None), "one.jsonl": ("ended", 40), "two.jsonl": ("ended", 30)}
    assert ended.code == 0
    said = batcher("status", "night").out
    assert "3 waves: 3 ended" in said
    assert "batcher watch night/two.jsonl" in said
    assert batcher("status", "night/one.jsonl", "night/one.verdicts.jsonl", "--json").json["waves"][0]["entries"] == 40


def test_verdicts_are_counted_of_what_was_made(batcher: Batcher) -> None:
    write_wave(RESULTS, 200)
    wave = wave_of(batcher, RESULTS)
    made = wave["by_status"]["created"] + wave["by_status"]["partial"]
    assert made < 200
    assert sum(wave["verdicts"].values()) == made
    assert wave["undecided"] == 0
    assert [step["command"] for step in wave["next"]][-1] == "batcher gate wave.jsonl"


def test_the_gate_over_all_is_offered_when_all_have_ended(batcher: Batcher) -> None:
    write_wave(Path("a.jsonl"), 40)
    write_wave(Path("b.jsonl"), 40)
    assert batcher("status", "a.jsonl", "b.jsonl", "--json").json["gate"] == "batcher gate a.jsonl b.jsonl"
    WaveFiles.of(Path("b.jsonl")).verdicts.unlink()
    assert batcher("status", "a.jsonl", "b.jsonl", "--json").json["gate"] is None


def test_somebody_follows_it(batcher: Batcher) -> None:
    write_wave(RESULTS, 40)
    fd = os.open(WaveFiles.of(RESULTS).verdicts, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert wave_of(batcher, RESULTS)["stage"] == "following"
    finally:
        os.close(fd)
    assert wave_of(batcher, RESULTS)["stage"] == "ended"


def test_what_grows_is_counted_once(batcher: Batcher) -> None:
    """A watch that goes on takes off the lines that are not final, and writes others in their place."""
    write_wave(RESULTS, 40)
    verdicts = WaveFiles.of(RESULTS).verdicts
    lines = verdicts.read_bytes().splitlines(keepends=True)
    passing = [json.dumps({**json.loads(line), "final": False}).encode() + b"\n" for line in lines[20:]]
    looker, counted = Looker(), []
    for body in ([], lines[:10], lines[:20] + passing, lines[:20] + passing, lines[:30], [*lines[:39], lines[39][:50]]):
        verdicts.write_bytes(b"".join(body))
        (glance,) = looker.look([RESULTS])
        counted.append(sum(glance.verdicts.values()))
    made = [sum(json.loads(line)["status"] in ("created", "partial") for line in lines[:n]) for n in range(41)]
    assert counted == [made[0], made[10], made[20], made[20], made[30], made[39]]


def test_what_cannot_be_read_keeps_no_other_from_being_shown(batcher: Batcher) -> None:
    write_wave(Path("a.jsonl"), 40)
    write_wave(Path("b.jsonl"), 40)
    WaveFiles.of(Path("b.jsonl")).journal.write_bytes(b"no journal")
    ended = batcher("status")
    assert ended.code == 2
    assert "a.jsonl  ended" in ended.out
    assert "b.jsonl  unreadable" in ended.out
    assert "is not a batcher journal" in ended.out
    assert "there is no file c.jsonl" in batcher("status", "c.jsonl").out


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ((), 1, "there are no waves here"),
        (("home",), 1, "there are no waves in home"),
        (("--watch",), 2, "--watch draws on a terminal"),
        (("--watch", "--json"), 2, "use one of the two"),
    ],
)
def test_where_there_is_nothing_to_show(batcher: Batcher, asked: tuple[str, ...], code: int, said: str) -> None:
    Path("home").mkdir(exist_ok=True)
    ended = batcher("status", *asked)
    assert (ended.code, ended.out, said in ended.err) == (code, "", True), ended.err
    assert batcher("status", "--json").json == {"waves": [], "gate": None}


# --- waves that run -------------------------------------------------------------------------------------


def test_a_wave_is_asked_while_it_runs(batcher: Batcher, cloud: Cloud, manifest: Path, tmp_path: Path) -> None:
    cloud()
    program = Program(["run", manifest, "-o", RESULTS, "--rate", "1/h"], folder=tmp_path, environment=os.environ)
    wait_until(lambda: RESULTS.exists() and RESULTS.read_bytes().count(b"\n") == 1)
    wait_until(lambda: wave_of(batcher, RESULTS)["by_status"]["created"] == 1)
    assert "1 of 3 created" in batcher("status").out
    assert wave_of(batcher, RESULTS)["stage"] == "running"
    assert wave_of(batcher, RESULTS)["next"] == []
    batcher("control", RESULTS, "pause")
    paused = wave_of(batcher, RESULTS)
    assert (paused["stage"], paused["next"][0]["command"]) == ("paused", "batcher control wave.jsonl resume")
    batcher("control", RESULTS, "stop")
    program.end()
    stopped = wave_of(batcher, RESULTS)
    assert stopped["stage"] == "stopped"
    assert stopped["next"][0] == {
        "why": "2 entries are open",
        "command": f"batcher run {manifest} -o wave.jsonl --rate 1/h",
    }


def test_an_unsettled_entry_is_named(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud(creates=("reset-after",) * 3)
    batcher("run", manifest, "-o", RESULTS, "--reconcile", "off")
    (step, *_) = wave_of(batcher, RESULTS)["next"]
    job = json.loads(RESULTS.read_text().splitlines()[0])["job_id"]
    assert step == {
        "why": "3 unsettled: look in the console",
        "command": f"batcher explain wave.jsonl --job {job}",
    }
