"""`batcher run`: exit codes, what is said where, and that it goes on where it stopped."""

import json
from pathlib import Path

import pytest

from batcher.simulator.config import CloudConfig
from batcher.simulator.iam import IamConfig
from batcher.simulator.jobs import JobRule
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import Ended, created_jobs, lines_of, write_manifest
from tests.cli.conftest import Batcher, Cloud

GONE = ServiceConfig(cloud=CloudConfig(jobs=(JobRule(pattern="gone-*", exists=False),)))


# --- exit codes -----------------------------------------------------------------------------------------


def test_0_every_entry_is_created(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud()
    ended = batcher("run", manifest, "-o", "results.jsonl")
    assert ended.code == 0
    assert ended.out == ""
    assert [line["status"] for line in lines_of(Path("results.jsonl"))] == ["created"] * 3
    assert sorted(created_jobs(simulator.ledger)) == ["job-1", "job-2", "job-3"]


def test_1_the_wave_ended_and_some_are_not_created(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(GONE)
    ended = batcher("run", write_manifest(tmp_path / "w.csv", ["job-1", "gone-1"]), "-o", "results.jsonl")
    assert ended.code == 1
    assert "batcher select results.jsonl --status failed,partial" in ended.err


def test_2_a_manifest_with_findings_sends_nothing(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud()
    manifest.write_text(manifest.read_text().replace("lines", "rows").replace("keep", "spare"))
    ended = batcher("run", manifest, "-o", "results.jsonl")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("line 4") == 2
    assert "nothing was sent" in ended.err
    assert "Traceback" not in ended.err
    assert simulator.ledger == []
    assert {path.name for path in Path().iterdir()} <= {"wave.csv", "home"}


def test_2_a_manifest_that_is_not_there(batcher: Batcher, cloud: Cloud) -> None:
    cloud()
    ended = batcher("run", "nowhere.csv", "-o", "results.jsonl")
    assert ended.code == 2
    assert "nowhere.csv: there is no such file" in ended.err
    assert not Path("results.jsonl.journal").exists()


def test_2_no_credential_leaves_nothing_behind(
    batcher: Batcher, cloud: Cloud, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud()
    monkeypatch.delenv("BATCHER_TOKEN")
    ended = batcher("run", manifest, "-o", "results.jsonl")
    assert ended.code == 2
    assert "BATCHER_TOKEN" in ended.err
    assert not Path("results.jsonl.journal").exists()
    monkeypatch.setenv("BATCHER_TOKEN", "simulated-token")
    manifest.write_text(manifest.read_text().replace("job-3", "job-4"))  # nothing was sent: it may change
    assert batcher("run", manifest, "-o", "results.jsonl").code == 0


def test_2_settings_that_cannot_be_used(batcher: Batcher, manifest: Path) -> None:
    ended = batcher("run", manifest, "-o", "results.jsonl", "--rate", "fast", "--attempts", "0")
    assert ended.code == 2
    assert "--rate fast is no rate" in ended.err
    assert "--attempts 0 must be at least 1" in ended.err


def test_2_an_option_that_is_not_there(batcher: Batcher, manifest: Path) -> None:
    ended = batcher("run", manifest, "-o", "results.jsonl", "--max-failure", "3")
    assert ended.code == 2
    assert "--max-failures" in ended.err


def test_3_a_refused_credential_is_tried_once(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud(ServiceConfig(iam=IamConfig(mode="token", tokens=frozenset({"another-token"}))))
    ended = batcher("run", manifest, "-o", "results.jsonl")
    assert ended.code == 3
    assert len(created_jobs(simulator.ledger)) <= 1
    assert {line["error_kind"] for line in lines_of(Path("results.jsonl"))} == {"auth"}
    assert "simulated-token" not in ended.err


@pytest.mark.parametrize("most", ["2", "5%"])
def test_3_too_many_failures(batcher: Batcher, cloud: Cloud, tmp_path: Path, most: str) -> None:
    cloud(GONE)
    manifest = write_manifest(tmp_path / "w.csv", [f"gone-{number}" for number in range(40)])
    ended = batcher("run", manifest, "-o", "results.jsonl", "--max-failures", most, "--rate", "20/s")
    assert ended.code == 3
    assert "--max-failures" in ended.err
    statuses = [line["status"] for line in lines_of(Path("results.jsonl"))]
    assert len(statuses) == 40
    assert statuses.count("not_submitted") > 20


def test_3_a_cloud_that_turns_everything_away_is_given_up(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    """As long as nothing is let in, `--give-up-after` counts."""
    cloud(creates=("throttled",) * 1000)
    ended = batcher("run", manifest, "-o", "results.jsonl", "--give-up-after", "1s")
    assert ended.code == 3
    assert "the cloud has turned every request away for 1s, which is what --give-up-after allows" in ended.err
    assert [line["status"] for line in lines_of(Path("results.jsonl"))] == ["not_submitted"] * 3


def test_4_what_is_not_known_is_unsettled(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud(creates=("reset-after",))
    ended = batcher("run", manifest, "-o", "results.jsonl", "--reconcile", "off")
    assert ended.code == 4
    key = next(line["key"] for line in lines_of(Path("results.jsonl")))
    assert f"batcher settle results.jsonl --key {key} --as" in ended.err
    assert len(created_jobs(simulator.ledger)) == 3


# --- what is said, and where ----------------------------------------------------------------------------


def test_results_to_standard_output_are_nothing_but_results(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud()
    ended = batcher("run", manifest, "-o", "-")
    assert ended.code == 0
    assert ended.out.count("\n") == 3
    assert all(line.startswith('{"key":') for line in ended.out.splitlines())
    assert "entries" in ended.err


def test_going_on_to_standard_output_gives_every_line_again(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    """A pipe has no memory: whoever reads it gets the whole wave, whenever it was settled."""
    simulator = cloud()
    first = batcher("run", manifest, "-o", "-")
    again = batcher("run", manifest, "-o", "-")
    assert (first.out, again.code) == (again.out, 0)
    assert len(created_jobs(simulator.ledger)) == 3


def test_the_summary_as_json(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud()
    said = batcher("run", manifest, "-o", "results.jsonl", "--json").json
    assert said["entries"] == sum(said["by_status"].values()) == 3
    assert (said["exit_code"], said["problems"], said["stopped"]) == (0, [], None)


def test_json_and_results_do_not_share_standard_output(batcher: Batcher, manifest: Path) -> None:
    assert batcher("run", manifest, "-o", "-", "--json").code == 2


def test_the_start_says_what_was_found(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud()
    said = batcher("run", manifest, "-o", "results.jsonl", "--rate", "2/s").err
    assert "a new wave: 3 to go" in said
    assert f"project project-a at {simulator.url}: at most 2/s, token from BATCHER_TOKEN" in said
    assert "the wave has ended: all 3 are settled" in batcher("run", manifest, "-o", "results.jsonl").err


def test_quiet_is_quiet(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud()
    assert batcher("run", manifest, "-o", "results.jsonl", "--quiet") == Ended(0, "", "")


def test_a_log_for_machines_names_the_credential(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud()
    ended = batcher("run", manifest, "-o", "results.jsonl", "--log-format", "json")
    (found,) = [line for line in ended.err.splitlines() if "credential.found" in line]
    assert json.loads(found)["used"] == "token from BATCHER_TOKEN"


def test_the_command_to_go_on_with_is_the_one_that_was_typed(
    batcher: Batcher, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud(GONE)
    manifest = write_manifest(tmp_path / "my wave.csv", [f"gone-{number}" for number in range(10)])
    typed = ["run", str(manifest), "-o", "results.jsonl", "--max-failures", "1", "--rate", "5/s", "--restart"]
    monkeypatch.setattr("sys.argv", ["batcher", *typed])
    said = batcher(*typed).err
    assert f"batcher run '{manifest}' -o results.jsonl --max-failures 1 --rate 5/s\n" in said


# --- going on -------------------------------------------------------------------------------------------


def test_the_same_command_again_sends_nothing_twice(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud()
    assert batcher("run", manifest, "-o", "results.jsonl").code == 0
    before = Path("results.jsonl").read_bytes()
    assert batcher("run", manifest, "-o", "results.jsonl").code == 0
    assert Path("results.jsonl").read_bytes() == before
    assert len(created_jobs(simulator.ledger)) == 3


def test_a_changed_manifest_is_refused(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud()
    batcher("run", manifest, "-o", "results.jsonl")
    manifest.write_text(manifest.read_text().replace("job-3", "job-4"))
    ended = batcher("run", manifest, "-o", "results.jsonl")
    assert ended.code == 2
    assert "is not the manifest that this wave was begun with" in ended.err


def test_restart_keeps_the_old_files(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud()
    batcher("run", manifest, "-o", "results.jsonl")
    ended = batcher("run", manifest, "-o", "results.jsonl", "--restart")
    assert "the old wave is kept as" in ended.err
    assert len(list(Path().glob("results.jsonl.2*"))) == 1
    assert len(created_jobs(simulator.ledger)) == 6


def test_retry_failed_takes_up_what_failed(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    rules = (JobRule(pattern="late", status="FULL_TRANSFER_STARTED", becomes=((0.3, "INCRE_TRANSFER_STARTED"),)),)
    cloud(ServiceConfig(cloud=CloudConfig(jobs=rules)))
    manifest = write_manifest(tmp_path / "w.csv", ["late"])
    assert batcher("run", manifest, "-o", "results.jsonl").code == 1
    retried = [batcher("run", manifest, "-o", "results.jsonl", "--retry-failed").code for _ in range(3)]
    assert 0 in retried
    assert [line["status"] for line in lines_of(Path("results.jsonl"))] == ["created"]


def test_the_manifest_is_not_overwritten_with_its_results(batcher: Batcher, manifest: Path) -> None:
    before = manifest.read_bytes()
    ended = batcher("run", manifest, "-o", manifest, "--restart")
    assert ended.code == 2
    assert "is the manifest itself" in ended.err
    assert manifest.read_bytes() == before


def test_only_the_approved_manifest_runs(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud()
    ended = batcher("run", manifest, "-o", "results.jsonl", "--digest", "sha256:" + "0" * 64)
    assert ended.code == 2
    assert "is not the manifest that was approved" in ended.err
    assert simulator.ledger == []


def test_two_projects_are_two_scopes(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud()
    manifest = tmp_path / "w.jsonl"
    manifest.write_text(
        "".join(
            f'{{"job_id": "job-{number}", "object_level_compare_type": "objects", "project_id": "project-{number}"}}\n'
            for number in (1, 2)
        )
    )
    said = batcher("run", manifest, "-o", "results.jsonl")
    assert said.code == 0
    assert {line["project_id"] for line in lines_of(Path("results.jsonl"))} == {"project-1", "project-2"}


def test_a_refused_credential_is_told_once(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    """The line of the log says that it happened, the summary what it means, and what comes next what to type."""
    cloud(ServiceConfig(iam=IamConfig(mode="token", tokens=frozenset({"another"}))))
    ended = batcher("run", manifest, "-o", "results.jsonl")
    assert ended.code == 3
    assert ended.err.count("Fetch one from the IAM of the endpoint's own region") == 1
    assert ended.err.count("batcher auth") == 1
    assert "partial" not in ended.err


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        (("--landing-time", "3s"), True),
        (("--landing-time", "80s", "--timeout", "90s"), True),  # a request may be under way for longer than that
        (("--landing-time", "60s", "--timeout", "60s"), False),
        ((), False),
    ],
)
def test_a_landing_time_of_a_simulator_is_warned_of_before_a_real_cloud(
    batcher: Batcher, manifest: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], warned: bool
) -> None:
    monkeypatch.setenv("BATCHER_TOKEN", "t")
    real = ("--endpoint", "http://drs.example.invalid", "--insecure-http", "--project-id", "p", "--deadline", "0.2s")
    ended = batcher("run", manifest, "-o", "results.jsonl", *real, *given, "--quiet")
    assert ended.code == 3
    assert ("landing_time is" in ended.err) is warned


def test_a_landing_time_of_a_simulator_is_right_for_one(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud()
    assert "landing_time is" not in batcher("run", manifest, "-o", "results.jsonl", "--landing-time", "1s").err


def test_results_lie_beside_the_manifest_where_nobody_says_where(
    batcher: Batcher, cloud: Cloud, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From whichever folder the same command is typed again, it goes on with the same wave."""
    cloud()
    ended = batcher("run", "wave.csv")
    assert ended.code == 0
    assert "wave.csv  3 entries, results in wave.results.jsonl" in ended.err
    assert len(lines_of(tmp_path / "wave.results.jsonl")) == 3
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = batcher("run", manifest)
    assert again.code == 0
    assert "the wave has ended: all 3 are settled" in again.err
    assert "results in" not in batcher("run", manifest, "-o", manifest.with_name("wave.results.jsonl")).err


def test_a_manifest_that_is_no_file_needs_a_name_for_the_results(batcher: Batcher, cloud: Cloud) -> None:
    cloud()
    ended = batcher("run", "/dev/null")
    assert ended.code == 2
    assert "name one with -o" in ended.err
