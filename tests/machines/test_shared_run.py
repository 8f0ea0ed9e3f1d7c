"""`batcher run` with a journal in a database: on one machine, on two at once, and on one where another died."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from batcher.journal.postgres.address import Address
from batcher.journal.postgres.link import DatabaseLink, Patience
from batcher.journal.postgres.orders import order_wave
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import JobRule
from batcher.simulator.ledger import Effect
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import Ended, Program, clean_environment, created_jobs, lines_of, wait_until, write_manifest
from tests.cli.conftest import environment_for
from tests.journal.postgres.cluster import Cluster, needed, prepared

JOBS = [f"job-{number}" for number in range(40)]
LASTING = [f"job-{number}" for number in range(400)]
"""Of a wave that outlasts at 5/s whatever is waited for: `Fleet.hurry` ends it."""
GONE = ServiceConfig(cloud=CloudConfig(jobs=(JobRule(pattern="gone-*", exists=False),)))


@pytest.fixture
def cluster() -> Cluster:
    return needed()


@dataclass
class Fleet:
    """Machines with one database and one cloud: each a folder, in which the same command is typed."""

    folder: Path
    database: str
    simulator: ThreadedSimulator

    def start(
        self, machine: str, *options: str, jobs: list[str] = JOBS, wave: str = "", is_let_in: bool = True
    ) -> Program:
        """Run the wave on *machine*, which has a credential where it *is_let_in*."""
        folder = self.folder / machine
        if not folder.exists():
            folder.mkdir()
            write_manifest(folder / "wave.csv", jobs)
        at = self.database.replace("?", f"/{wave}?") if wave else self.database
        typed = ("run", "wave.csv", "-o", "results.jsonl", "--journal", at, *options)
        environment = environment_for(self.simulator) | ({} if is_let_in else {"BATCHER_TOKEN": ""})
        return Program(typed, folder=folder, environment=environment)

    def run(self, machine: str, *options: str, jobs: list[str] = JOBS, wave: str = "") -> Ended:
        """The same, to its end."""
        return self.start(machine, *options, jobs=jobs, wave=wave).end()

    def hurry(self) -> None:
        """Take the pace from its waves: they were to last until now, and no longer."""
        with closing(DatabaseLink(Address.of(self.database), Patience())) as link:
            for (number,) in link.rows("SELECT number FROM waves"):
                order_wave(link, number, rate="off", read_rate="off")

    def lines(self, machine: str) -> list[bytes]:
        """The result lines that it has."""
        return (self.folder / machine / "results.jsonl").read_bytes().splitlines()

    def created(self) -> list[str]:
        """The job of each comparison that the cloud made."""
        return sorted(event.job_id for event in self.simulator.ledger if isinstance(event, Effect) and event.created)


def fleet_of(cluster: Cluster, folder: Path, config: ServiceConfig) -> Iterator[Fleet]:
    address = prepared(cluster)
    with ThreadedSimulator(config) as simulator:
        yield Fleet(folder, f"{cluster.url()}?schema={address.schema}", simulator)


@pytest.fixture
def fleet(cluster: Cluster, tmp_path: Path) -> Iterator[Fleet]:
    yield from fleet_of(cluster, tmp_path, ServiceConfig())


@pytest.fixture
def failing(cluster: Cluster, tmp_path: Path) -> Iterator[Fleet]:
    yield from fleet_of(cluster, tmp_path, GONE)


def test_the_same_command_on_another_machine_has_the_same_wave(fleet: Fleet) -> None:
    """It sends nothing again, and gets the same file, line for line."""
    first = fleet.run("one")
    assert first.code == 0, first.err
    assert "a new wave: 40 to go" in first.err
    assert f"batcher watch results.jsonl --journal '{fleet.database.partition('?')[0]}/wave-" in first.err
    second = fleet.run("two", "--json")
    assert second.code == 0, second.err
    assert "the wave has ended: all 40 are settled" in second.err
    assert (second.json["entries"], second.json["exit_code"], second.json["problems"]) == (40, 0, [])
    assert fleet.lines("one") == fleet.lines("two")
    assert fleet.created() == sorted(JOBS)
    assert len(created_jobs(fleet.simulator.ledger)) == 40


def test_two_at_once_run_it_together(fleet: Fleet) -> None:
    """Each writes its own file, and neither sends what the other does."""
    running = [fleet.start(machine, "--rate", "20/s") for machine in ("one", "two")]
    ended = [one.end() for one in running]
    assert [one.code for one in ended] == [0, 0], [one.err for one in ended]
    assert fleet.lines("one") == fleet.lines("two")
    assert len(fleet.lines("one")) == 40
    assert fleet.created() == sorted(JOBS)


@pytest.mark.slow
def test_where_one_is_killed_the_other_goes_on(fleet: Fleet) -> None:
    one = fleet.start("one", "--rate", "5/s", jobs=LASTING)
    wait_until(lambda: len(created_jobs(fleet.simulator.ledger)) > 5)
    other = fleet.start("two", "--rate", "5/s", jobs=LASTING)
    wait_until(lambda: "running already" in other.told)
    one.signal(signal.SIGKILL)
    assert one.end().code == -signal.SIGKILL
    assert len(created_jobs(fleet.simulator.ledger)) < len(LASTING)
    fleet.hurry()
    ended = other.end()
    assert ended.code == 0, ended.err
    assert fleet.created() == sorted(LASTING)
    again = fleet.run("one", "--rate", "5/s", jobs=LASTING)
    assert again.code == 0, again.err
    assert fleet.lines("one") == fleet.lines("two")


def test_submitted_only_it_is_left_to_others(fleet: Fleet) -> None:
    submitted = fleet.run("one", "--submit-only")
    assert submitted.code == 0, submitted.err
    place = submitted.out.strip()
    assert place.startswith(fleet.database.partition("?")[0] + "/wave-")
    assert "40 to go" in submitted.err
    assert not (fleet.folder / "one" / "results.jsonl").exists()
    assert created_jobs(fleet.simulator.ledger) == []
    folder = fleet.folder / "two"
    folder.mkdir()
    write_manifest(folder / "wave.csv", JOBS)
    typed = ("run", "wave.csv", "-o", "results.jsonl", "--journal", place)
    ended = Program(typed, folder=folder, environment=environment_for(fleet.simulator)).end()
    assert ended.code == 0, ended.err
    assert "goes on where it stopped: 0 settled, 40 to go" in ended.err
    assert fleet.created() == sorted(JOBS)


def test_told_to_stop_it_hands_on_what_it_has(fleet: Fleet) -> None:
    """With nobody else there, its file says what stays open; the same command on another machine goes on."""
    one = fleet.start("one", "--rate", "20/s")
    wait_until(lambda: len(created_jobs(fleet.simulator.ledger)) > 5)
    one.signal(signal.SIGINT)
    stopped = one.end()
    assert stopped.code == 130, stopped.err
    statuses = [line["status"] for line in lines_of(fleet.folder / "one" / "results.jsonl")]
    assert len(statuses) == 40
    assert set(statuses) == {"created", "not_submitted"}
    ended = fleet.run("two")
    assert ended.code == 0, ended.err
    again = fleet.run("one")
    assert again.code == 0, again.err
    assert fleet.lines("one") == fleet.lines("two")
    assert fleet.created() == sorted(JOBS)


@pytest.mark.slow
def test_of_two_one_that_is_told_to_stop_says_that_the_other_goes_on(fleet: Fleet) -> None:
    one = fleet.start("one", "--rate", "5/s", jobs=LASTING)
    wait_until(lambda: len(created_jobs(fleet.simulator.ledger)) > 5)
    other = fleet.start("two", "--rate", "5/s", jobs=LASTING)
    wait_until(lambda: "running already" in other.told)
    wait_until(lambda: "run by" in other.told)
    assert "to go" in other.told
    assert "goes on where it stopped" not in other.told  # it never did
    one.signal(signal.SIGTERM)
    stopped = one.end()
    assert stopped.code == 143, stopped.err
    assert "This run was stopped: SIGTERM received; other machines go on with it" in stopped.err
    assert "the same again: it shows how the wave goes on" in stopped.err
    assert {line["status"] for line in lines_of(fleet.folder / "one" / "results.jsonl")} == {"created"}
    fleet.hurry()
    assert other.end().code == 0
    assert fleet.created() == sorted(LASTING)


def test_a_pace_that_is_ordered_holds_though_another_was_typed(fleet: Fleet) -> None:
    """It was the wave's, and not this machine's: an order that raised it was shown, and nothing came of it."""
    one = fleet.start("one", "--rate", "1/h", "--read-rate", "off")
    wait_until(lambda: "the scope is taken" in one.told)
    fleet.hurry()
    ended = one.end()
    assert ended.code == 0, ended.err
    assert fleet.created() == sorted(JOBS)


def test_too_many_failures_stop_it_on_all_machines(cluster: Cluster, failing: Fleet) -> None:
    jobs = [f"gone-{number}" for number in range(40)]
    first = failing.run("one", "--max-failures", "5", "--rate", "20/s", jobs=jobs)
    assert first.code == 3, first.err
    assert "--max-failures" in first.err
    sent = len(created_jobs(failing.simulator.ledger))
    assert sent < 40
    schema = failing.database.partition("schema=")[2]
    cluster.ask(  # as if its machine had died
        f"UPDATE {schema}.scopes SET owner = 'dead', lease_until = clock_timestamp() - interval '1 s'"  # noqa: S608
    )
    ended = failing.run("two", "--retry-failed", jobs=jobs)
    assert ended.code == 1, ended.err
    assert {line["status"] for line in lines_of(failing.folder / "two" / "results.jsonl")} == {"failed"}
    assert len(created_jobs(failing.simulator.ledger)) == sent + 40


def test_after_its_deadline_nothing_is_sent_anywhere(fleet: Fleet) -> None:
    first = fleet.run("one", "--deadline", "2s", "--rate", "5/s")
    assert first.code == 3, first.err
    assert "the deadline is reached" in first.err
    assert len(created_jobs(fleet.simulator.ledger)) < 40
    ended = fleet.run("two")
    assert ended.code == 0, ended.err
    assert fleet.created() == sorted(JOBS)


def test_those_who_cannot_run_it_do_not_wait_for_each_other(fleet: Fleet) -> None:
    """Without a credential nothing is sent from here, and whoever has none either does not go on with it."""
    running = [fleet.start(machine, "--grace", "5s", is_let_in=False) for machine in ("one", "two")]
    ended = [one.end() for one in running]
    assert [one.code for one in ended] == [3, 3], [one.err for one in ended]
    assert "other machines" not in "".join(one.err + one.out for one in ended)
    assert created_jobs(fleet.simulator.ledger) == []


def test_a_worker_that_is_for_other_scopes_is_not_waited_for(fleet: Fleet) -> None:
    """It says which scopes it leaves out: whoever waits for it without a credential would wait for ever."""
    one = fleet.folder
    typed = ("worker", "--database", fleet.database, "--scopes", "project=another*", "--lease", "5")
    other = Program(typed, folder=one, environment=environment_for(fleet.simulator))
    wait_until(lambda: "looks for work" in other.told)
    ended = fleet.start("two", is_let_in=False).end()
    assert ended.code == 3, ended.err
    assert "nor does any worker take it that is there" in ended.err
    assert "other machines" not in ended.err
    status = Program(("status", "--json", "--journal", fleet.database), folder=one, environment={}).end()
    assert "its --scopes leave it out" in status.out
    other.signal(signal.SIGTERM)
    assert other.end().code == 0
    assert created_jobs(fleet.simulator.ledger) == []


def test_results_go_to_standard_output_as_well(fleet: Fleet) -> None:
    assert fleet.run("one").code == 0
    folder = fleet.folder / "one"
    typed = ("run", "wave.csv", "-o", "-", "--quiet", "--journal", fleet.database)
    ended = Program(typed, folder=folder, environment=environment_for(fleet.simulator)).end()
    assert ended.code == 0, ended.err
    assert ended.out.encode().splitlines() == fleet.lines("one")


def test_a_new_wave_can_take_the_place_of_an_old_one(fleet: Fleet) -> None:
    assert fleet.run("one").code == 0
    anew = fleet.run("one", "--restart")
    assert anew.code in (0, 1), anew.err  # the comparisons of the old one may be unfinished
    assert "the old wave is kept as wave-" in anew.err
    assert "the old wave created 40 entries" in anew.err
    assert len(created_jobs(fleet.simulator.ledger)) == 80


def test_a_database_that_restarts_is_waited_for(cluster: Cluster, fleet: Fleet) -> None:
    one = fleet.start("one", "--rate", "20/s")
    wait_until(lambda: len(created_jobs(fleet.simulator.ledger)) > 5)
    cluster.stop("immediate")
    cluster.start()
    ended = one.end()
    assert ended.code == 0, ended.err
    assert fleet.created() == sorted(JOBS)
    assert len(fleet.lines("one")) == 40


def test_whoever_waits_for_a_database_can_be_told_to_stop(cluster: Cluster, fleet: Fleet) -> None:
    """What is in flight has its grace; then what the cloud told and could not be recorded is said."""
    one = fleet.start("one", "--rate", "5/s", "--grace", "1s", jobs=LASTING)
    wait_until(lambda: len(created_jobs(fleet.simulator.ledger)) > 5)
    cluster.stop("immediate")
    try:
        one.signal(signal.SIGINT)
        ended = one.end()
    finally:
        cluster.start()
    assert ended.code == 130, ended.err
    assert "Traceback" not in ended.err, ended.err
    again = fleet.run("two", jobs=LASTING)
    assert again.code == 0, again.err
    assert fleet.created() == sorted(LASTING)


def test_another_manifest_is_refused_in_its_place(fleet: Fleet) -> None:
    assert fleet.run("one", wave="tonight").code == 0
    ended = fleet.run("two", wave="tonight", jobs=["another"])
    assert (ended.code, fleet.created()) == (2, sorted(JOBS))
    assert "is not the manifest that this wave was begun with" in ended.err


def broken(database: str) -> Iterator[tuple[str, int, str]]:
    """Addresses at which no wave can be kept, each with the exit code and what is said."""
    yield database.replace("?schema=b", "?schema=c"), 2, "has no tables of batcher yet: batcher database prepare"
    yield "postgresql://nobody@127.0.0.1:1/fleet", 3, "cannot reach the database"
    yield "postgresql://me:secret@127.0.0.1/fleet", 2, "holds a password"


def test_a_database_that_cannot_be_had_is_told_in_one_message(fleet: Fleet) -> None:
    for number, (address, code, said) in enumerate(broken(fleet.database)):
        ended = Fleet(fleet.folder, address, fleet.simulator).run(f"machine-{number}")
        assert ended.code == code, ended.err
        assert said in ended.err
        assert "Traceback" not in ended.err
        assert "secret" not in ended.err
    assert created_jobs(fleet.simulator.ledger) == []


def test_a_folder_that_is_not_there_is_told_before_there_is_a_wave(fleet: Fleet) -> None:
    """Else workers would run a wave whose submitter was refused."""
    ended = fleet.run("one", "-o", "nowhere/results.jsonl")
    assert (ended.code, "there is no folder" in ended.err, ".lock" in ended.err) == (2, True, False), ended.err
    status = Program(("status", "--journal", fleet.database), folder=fleet.folder, environment={}).end()
    assert "there are no waves" in status.err


def test_submit_only_needs_a_database(fleet: Fleet) -> None:
    folder = fleet.folder / "one"
    folder.mkdir()
    write_manifest(folder / "wave.csv", JOBS)
    typed = ("run", "wave.csv", "--submit-only")
    ended = Program(typed, folder=folder, environment=environment_for(fleet.simulator)).end()
    assert (ended.code, created_jobs(fleet.simulator.ledger)) == (2, [])
    assert "--journal postgresql://" in ended.err


def test_a_run_on_a_file_loads_nothing_of_it(tmp_path: Path) -> None:
    """It is an extra, which need not be installed."""
    write_manifest(tmp_path / "wave.csv", ["job-1"])
    with ThreadedSimulator() as simulator:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "batcher", "run", "wave.csv"],
            cwd=tmp_path, env={**clean_environment(tmp_path), **environment_for(simulator)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert "batcher.wave.engine" in done.stderr
    for foreign in ("psycopg", "procrastinate", "batcher.machines"):
        assert foreign not in done.stderr
