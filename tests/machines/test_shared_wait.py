"""`run --wait` of a wave in a database: verdicts are found by whoever has the scopes, and brought to whoever asked."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batcher.rates import Rate
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import JobRule
from batcher.simulator.ledger import AnswerSent, RequestSeen
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import Ended, Program, created_jobs, wait_until
from tests.cli.conftest import environment_for
from tests.journal.postgres.cluster import Cluster, needed
from tests.machines.test_shared_run import Fleet, fleet_of

JOBS = [f"job-{number}" for number in range(12)]
BAD = JobRule(pattern="bad-*", ends="FAILED")
READS = Rate(20, 1.0)


@pytest.fixture
def cluster() -> Cluster:
    return needed()


def config(speed: float, **more: Any) -> ServiceConfig:
    return ServiceConfig(cloud=CloudConfig(speed=speed, jobs=(BAD,), **more))


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHER_POLL", "50ms")


@pytest.fixture
def fleet(cluster: Cluster, tmp_path: Path) -> Iterator[Fleet]:
    """In whose cloud a comparison takes a third of a second."""
    yield from fleet_of(cluster, tmp_path, config(1000.0))


@pytest.fixture
def slow(cluster: Cluster, tmp_path: Path) -> Iterator[Fleet]:
    """Likewise ten seconds to half a minute, and look-ups have a limit."""
    yield from fleet_of(cluster, tmp_path, config(15.0, read_limit=READS))


def verdicts(fleet: Fleet, machine: str) -> list[dict[str, Any]]:
    path = fleet.folder / machine / "results.verdicts.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def typed(fleet: Fleet, machine: str, *arguments: str) -> Ended:
    """A command that is typed there."""
    return Program(arguments, folder=fleet.folder / machine, environment=environment_for(fleet.simulator)).end()


def looks(simulator: ThreadedSimulator) -> list[RequestSeen]:
    return [e for e in simulator.ledger if isinstance(e, RequestSeen) and e.call == "query-compare-result"]


def place(fleet: Fleet) -> str:
    """That of the only wave."""
    standing = json.loads(typed(fleet, "one", "status", "--journal", fleet.database, "--json").out)
    return str(standing["waves"][0]["place"])


def test_it_waits_for_the_verdicts_and_whoever_comes_later_has_them(fleet: Fleet) -> None:
    """The cloud is not asked again: not by the same command elsewhere, nor by watch and gate."""
    first = fleet.run("one", "--wait", jobs=[*JOBS, "bad-1"])
    assert first.code == 1, first.err
    assert "NO-GO" in first.err
    found = verdicts(fleet, "one")
    assert {line["job_id"]: line["verdict"] for line in found} == dict.fromkeys(JOBS, "consistent") | {
        "bad-1": "failed"
    }
    before = len(looks(fleet.simulator))
    second = fleet.run("two", "--wait", "--json", jobs=[*JOBS, "bad-1"])
    assert (second.code, second.json["exit_code"]) == (1, 1), second.err
    assert verdicts(fleet, "two") == found
    assert fleet.lines("one") == fleet.lines("two")
    at = place(fleet)
    (fleet.folder / "three").mkdir()
    for command in ("gate", "watch"):
        ended = typed(fleet, "three", command, "results.jsonl", "--journal", at)
        assert ended.code == 1, ended.err
        assert verdicts(fleet, "three") == found
        (fleet.folder / "three" / "results.verdicts.jsonl").unlink()
    assert len(looks(fleet.simulator)) == before
    said = typed(fleet, "one", "status", "--journal", at)
    assert "13 of 13 settled have a verdict  failed 1  consistent 12" in said.out
    shown = json.loads(typed(fleet, "one", "status", "--journal", at, "--json").out)["waves"][0]
    assert (shown["stage"], shown["verdicts"]) == ("ended", {"consistent": 12, "failed": 1})


def test_a_worker_follows_what_was_left_to_it(fleet: Fleet) -> None:
    """With --submit-only --wait; `watch` shows it, and looks at nothing itself."""
    worker = Program(
        ("worker", "--database", fleet.database),
        folder=fleet.folder,
        environment=environment_for(fleet.simulator) | {"BATCHER_LOG_FORMAT": "json"},
    )
    submitted = fleet.run("one", "--submit-only", "--wait")
    assert submitted.code == 0, submitted.err
    wait_until(lambda: len(created_jobs(fleet.simulator.ledger)) > 0)
    ended = typed(fleet, "one", "watch", "results.jsonl", "--journal", submitted.out.strip())
    assert ended.code == 0, ended.err
    assert len(verdicts(fleet, "one")) == len(fleet.lines("one")) == 40
    worker.signal(signal.SIGTERM)
    assert worker.end().code in (0, 143)


def test_invalid_and_failed_entries_have_a_verdict_as_well(cluster: Cluster, tmp_path: Path) -> None:
    gone = JobRule(pattern="gone-*", exists=False)
    for fleet in fleet_of(cluster, tmp_path, ServiceConfig(cloud=CloudConfig(speed=1000.0, jobs=(gone,)))):
        ended = fleet.run("one", "--wait", "--skip-invalid", jobs=["job-1", "gone-1", "no job at all!" * 9])
        assert ended.code == 1, ended.err
        assert {line["status"]: line["verdict"] for line in verdicts(fleet, "one")} == {
            "created": "consistent", "failed": "unknown", "invalid": "unknown",
        }  # fmt: skip
        assert fleet.run("two", "--wait", "--skip-invalid", jobs=["job-1", "gone-1", "no job at all!" * 9]).code == 1
        assert verdicts(fleet, "two") == verdicts(fleet, "one")


@pytest.mark.slow
def test_where_one_is_killed_while_it_follows_the_other_goes_on(slow: Fleet) -> None:
    """All verdicts are there, each once, nothing is created twice, and look-ups keep their pace over both."""
    jobs = [f"job-{number}" for number in range(30)]
    options = ("--wait", "--rate", "20/s", "--read-rate", "10/s")
    one = slow.start("one", *options, jobs=jobs)
    wait_until(lambda: len(verdicts(slow, "one")) > 3)
    other = slow.start("two", *options, jobs=jobs)
    wait_until(lambda: "running already" in other.told or "its verdicts are being found already" in other.told)
    one.signal(signal.SIGKILL)
    assert one.end().code == -signal.SIGKILL
    kept = verdicts(slow, "one")
    assert len(kept) < 30
    before = len(looks(slow.simulator))
    ended = other.end()
    assert ended.code == 0, ended.err
    found = verdicts(slow, "two")
    assert sorted(line["index"] for line in found) == [*range(30)]
    assert {look.job_id for look in looks(slow.simulator)[before:]}.isdisjoint(line["job_id"] for line in kept)
    assert slow.created() == sorted(jobs)
    at = [look.at for look in looks(slow.simulator)]
    most = max(sum(0 <= later - first < 1.0 for later in at) for first in at)
    assert most <= 14  # two who looked at once would be 20; on busy cores the cloud stamps some late
    assert [e for e in slow.simulator.ledger if isinstance(e, AnswerSent) and e.http_status == 429] == []
    again = slow.run("one", *options, jobs=jobs)
    assert again.code == 0, again.err
    assert verdicts(slow, "one") == found


@pytest.mark.slow
def test_told_to_stop_while_it_follows_it_hands_on(slow: Fleet) -> None:
    """What has no verdict has a line that says so; the same command elsewhere goes on, and here as well."""
    one = slow.start("one", "--wait")
    wait_until(lambda: len(verdicts(slow, "one")) > 2)
    one.signal(signal.SIGINT)
    stopped = one.end()
    assert stopped.code == 130, stopped.err
    finals = [line["final"] for line in verdicts(slow, "one")]
    assert len(finals) == 40
    assert 2 < sum(finals) < 40
    ended = slow.run("two", "--wait")
    assert ended.code == 0, ended.err
    assert slow.run("one", "--wait").code == 0
    assert verdicts(slow, "one") == verdicts(slow, "two")
    assert len(verdicts(slow, "one")) == 40


@pytest.mark.slow
def test_verdicts_may_be_wanted_of_a_wave_that_runs_without(slow: Fleet) -> None:
    one = slow.start("one", "--rate", "20/min")
    wait_until(lambda: len(created_jobs(slow.simulator.ledger)) > 0)
    other = slow.start("two", "--wait", "--rate", "20/min")
    wait_until(lambda: "its comparisons are followed to their verdicts from now on" in other.told)
    slow.hurry()
    without = one.end()
    assert (without.code, "the wave stops" in without.err) == (0, False), without.err  # it goes on, at the other
    assert not (slow.folder / "one" / "results.verdicts.jsonl").exists()
    ended = other.end()
    assert ended.code == 0, ended.err
    assert len(verdicts(slow, "two")) == 40


@pytest.mark.slow
def test_it_waits_for_no_longer_than_was_said(slow: Fleet) -> None:
    ended = slow.run("one", "--wait", "--watch-timeout", "1s")
    assert ended.code == 1, ended.err
    assert re.search("(--watch-timeout 1s|the --watch-timeout of the wave) is over", ended.err), ended.err
    assert not all(line["final"] for line in verdicts(slow, "one"))
    # The database counts the time by itself, from when it was told that all is settled.
    status = ("status", "--journal", slow.database)
    wait_until(lambda: "the rest is not followed any more" in typed(slow, "one", *status).out)
    assert slow.run("one", "--wait").code == 0


def test_how_many_run_is_bounded_where_the_wave_has_one_scope(fleet: Fleet) -> None:
    ended = fleet.run("one", "--max-running", "3", jobs=JOBS)
    assert ended.code == 0, ended.err
    assert len(verdicts(fleet, "one")) == 12
    folder = fleet.folder / "two"
    folder.mkdir()
    rows = [f'{job},keep,lines,"shop: orders",project-{job[-1]}' for job in JOBS]
    head = "job_id,conflict_policy,compare_type,compare_object_infos,project_id"
    (folder / "wave.csv").write_text("\n".join([head, *rows]) + "\n")
    refused = typed(fleet, "two", "run", "wave.csv", "--journal", fleet.database, "--max-running", "3")
    assert refused.code == 2, refused.err
    assert "this one has several scopes" in refused.err
    assert "Traceback" not in refused.err
    assert len(created_jobs(fleet.simulator.ledger)) == 12
    told = json.loads(typed(fleet, "two", "status", "--journal", fleet.database, "--json").out)
    assert len(told["waves"]) == 1


@pytest.mark.slow
def test_a_bound_is_not_forgotten_by_who_attaches(slow: Fleet) -> None:
    """A wave that runs goes on by its own settings, so another bound is refused."""
    one = slow.start("one", "--rate", "20/min")
    wait_until(lambda: len(created_jobs(slow.simulator.ledger)) > 0)
    refused = slow.run("two", "--max-running", "3", "--rate", "20/min")
    assert refused.code == 2, refused.err
    assert "is running without the --max-running" in refused.err
    one.signal(signal.SIGINT)
    assert one.end().code == 130


def test_verdicts_need_a_file(fleet: Fleet) -> None:
    folder = fleet.folder / "one"
    folder.mkdir()
    (folder / "wave.csv").write_text("job_id\n")
    ended = typed(fleet, "one", "run", "wave.csv", "-o", "-", "--wait", "--journal", fleet.database)
    assert (ended.code, ended.out) == (2, "")
    assert "name a file with -o, or leave --wait out" in ended.err
    assert not list(folder.glob("*.jsonl"))


@pytest.mark.slow
def test_what_is_to_be_sent_does_not_wait_for_verdicts_elsewhere(slow: Fleet) -> None:
    """A worker of one lane has three scopes: it goes on to the next while comparisons of the first run."""
    folder = slow.folder / "one"
    folder.mkdir()
    rows = [f'job-{number},keep,lines,"shop: orders",project-{number % 3}' for number in range(6)]
    head = "job_id,conflict_policy,compare_type,compare_object_infos,project_id"
    (folder / "wave.csv").write_text("\n".join([head, *rows]) + "\n")
    submitted = typed(slow, "one", "run", "wave.csv", "--journal", slow.database, "--submit-only", "--wait")
    assert submitted.code == 0, submitted.err
    worker = Program(
        ("worker", "--database", slow.database, "--lanes", "1", "--lease", "5"),
        folder=slow.folder,
        environment=environment_for(slow.simulator),
    )
    wait_until(lambda: len(created_jobs(slow.simulator.ledger)) == 6)
    told = json.loads(typed(slow, "one", "status", "--journal", slow.database, "--json").out)["waves"][0]
    assert sum(told["verdicts"].values()) < 6
    ended = typed(slow, "one", "watch", "results.jsonl", "--journal", submitted.out.strip())
    assert ended.code == 0, ended.err
    worker.signal(signal.SIGTERM)
    assert worker.end().code == 0
