"""Commands over a wave in a database that machines share, against a real PostgreSQL: what is typed and what is read.

The wave ran on a file and was copied: so what each command says of the one is what it has to say of the other.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batcher.clock import SystemClock
from batcher.journal.beside import reading
from batcher.journal.files import WaveFiles
from batcher.journal.place import WavePlace
from batcher.journal.port import Record
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper, PostgresWrittenRecord
from batcher.journal.postgres.leases import Leases
from batcher.journal.postgres.link import DatabaseLink, Patience
from batcher.journal.postgres.orders import Orders, hold_until_ordered, order_wave, orders_of
from batcher.journal.postgres.verdicts import want_verdicts
from batcher.life.result import Status
from batcher.life.ruling import Ruling
from batcher.machines.found_verdicts import FoundVerdicts
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import Script
from batcher.simulator.service import ServiceConfig
from batcher.wave.settling import settle_all
from tests.cli.commands import Program, lines_of, wait_until, write_manifest
from tests.cli.conftest import Batcher, Cloud
from tests.journal.made import plan
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.journal.postgres.shared import copied, settle
from tests.journal.postgres.wire import Wire
from tests.ports import free_port

JOBS = [f"job-{number}" for number in range(6)]


@dataclass
class Shared:
    """The wave in the database, and the results file of the one that it was copied from."""

    place: WavePlace
    keeper: PostgresKeeper
    record: PostgresWrittenRecord
    file: Path
    source: Record

    @property
    def url(self) -> str:
        return str(self.place)

    @property
    def key(self) -> str:
        """The first entry's."""
        entry = self.record.entry(0)
        assert entry is not None
        return entry.key


@pytest.fixture
def cluster() -> Cluster:
    return needed()


@pytest.fixture
def shared(batcher: Batcher, cloud: Cloud, cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Shared]]:
    """Makes the wave: it ran on a file, met *fault* at each request, and was copied up to its result *settled*."""
    with ExitStack() as stack:

        def make(settled: int | None = None, fault: str | None = None) -> Shared:
            faults = Script(creates=() if fault is None else (fault,))
            cloud(ServiceConfig(cloud=CloudConfig(speed=10_000.0), faults=faults))
            results = tmp_path / "local.jsonl"
            manifest = write_manifest(tmp_path / "night-3.csv", JOBS if fault is None else JOBS[:2])
            batcher("run", manifest, "-o", results, *(() if fault is None else ("--reconcile", "off")))
            source = stack.enter_context(reading(WaveFiles.of(results).journal))
            address = prepared(cluster)
            keeper = PostgresKeeper(address)
            stack.callback(keeper.close)
            record = keeper.new_wave("night-3")
            copied(source, record, settled=settled)
            return Shared(WavePlace(address, "night-3"), keeper, record, results, source)

        yield make


def held(shared: Shared, owner: str = "worker-1", lasts_s: float = 60.0) -> None:
    """Have *owner* take every scope of the wave, until its lease runs out."""
    shared.keeper.link.do(
        lambda c: c.execute(
            "UPDATE scopes SET epoch = epoch + 1, owner = %s, "
            "lease_until = clock_timestamp() + make_interval(secs => %s)",
            (owner, lasts_s),
        )
    )


# --- results --------------------------------------------------------------------------------------------


def test_results_are_the_bytes_of_a_wave_on_a_file(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    wave = shared()
    told = batcher("results", "--journal", wave.url, "-o", "copy.jsonl")
    assert (told.code, "copy.jsonl: 6 settled results" in told.err) == (0, True)
    assert Path("copy.jsonl").read_bytes() == wave.file.read_bytes()
    again = batcher("results", "--journal", wave.url, "-o", "copy.jsonl")
    assert (again.code, Path("copy.jsonl").read_bytes()) == (0, wave.file.read_bytes())


def test_results_to_standard_output(shared: Callable[..., Shared], tmp_path: Path) -> None:
    wave = shared()
    program = Program(["results", "--journal", wave.url, "-o", "-"], folder=tmp_path, environment={})
    assert program.end().out == wave.file.read_text()


def test_what_is_open_stands_at_the_end_and_goes_when_it_is_settled(
    batcher: Batcher, shared: Callable[..., Shared]
) -> None:
    wave = shared(settled=2)
    batcher("results", "--journal", wave.url, "-o", "copy.jsonl")
    statuses = [line["status"] for line in lines_of(Path("copy.jsonl"))]
    assert statuses == ["created"] * 2 + ["not_submitted"] * 4
    settle(wave.source, wave.record, 2)
    batcher("results", "--journal", wave.url, "-o", "copy.jsonl")
    assert Path("copy.jsonl").read_bytes() == wave.file.read_bytes()


def test_what_somebody_has_written_there_is_kept_aside(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    wave = shared()
    edited = wave.file.read_text().replace("job-1", "job-one")
    Path("copy.jsonl").write_text(edited)
    told = batcher("results", "--journal", wave.url, "-o", "copy.jsonl")
    (aside,) = Path().glob("copy.jsonl.edited-*")
    assert (told.code, aside.read_text(), aside.name in told.err) == (0, edited, True)
    assert Path("copy.jsonl").read_bytes() == wave.file.read_bytes()


def test_the_results_of_a_wave_with_its_own_journal_are_left_alone(
    batcher: Batcher, shared: Callable[..., Shared]
) -> None:
    wave = shared()
    before = wave.file.read_bytes()
    told = batcher("results", "--journal", wave.url, "-o", wave.file)
    assert (told.code, "is the results file of another wave" in told.err) == (2, True)
    assert wave.file.read_bytes() == before


def test_what_is_no_file_takes_no_results(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    """Of /dev/full there was no end: it was read first, to go on where it ends."""
    wave = shared()
    for follow in ((), ("--follow",)):
        done = batcher("results", "--journal", wave.url, "-o", "/dev/null", *follow)
        assert done.code == 2
        assert "/dev/null is no ordinary file: choose another -o" in done.err


@pytest.mark.parametrize("output", ["copy.jsonl", "-"])
def test_follow_ends_with_the_wave_and_has_every_line(
    shared: Callable[..., Shared], tmp_path: Path, output: str
) -> None:
    """Also while a ruling takes a line back."""
    wave = shared(settled=1, fault="reset-after")
    copy = tmp_path / output
    program = Program(["results", "--journal", wave.url, "-o", output, "--follow"], folder=tmp_path, environment={})
    if output != "-":
        wait_until(lambda: copy.exists() and copy.stat().st_size > 0)
        settle_all(wave.record, None, {first_of(wave): Ruling.parse("failed")}, 0.0)
    settle(wave.source, wave.record, 1)
    ended = program.end()
    assert ended.code == 4, ended.err
    assert (copy.read_bytes() if output != "-" else ended.out.encode()) == b"".join(wave.record.lines())


def first_of(wave: Shared) -> int:
    """Of the entry that was settled first."""
    return next(index for index in range(wave.record.entry_count()) if wave.record.result_of(index))


def test_follow_ends_with_a_wave_that_is_stopped(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    wave = shared(settled=2)
    batcher("control", "--journal", wave.url, "stop")
    told = batcher("results", "--journal", wave.url, "-o", "copy.jsonl", "--follow")
    assert told.code == 3
    assert [line["status"] for line in lines_of(Path("copy.jsonl"))] == ["created"] * 2 + ["not_submitted"] * 4


def test_a_wave_whose_planner_has_not_given_its_orders_yet_is_not_stopped(
    batcher: Batcher, cluster: Cluster, tmp_path: Path
) -> None:
    """Whoever follows it at that moment goes on to do so, and nobody is told that it was stopped."""
    keeper = PostgresKeeper(prepared(cluster))
    record = keeper.new_wave("night-3")
    hold_until_ordered(keeper.link, record.number)
    plan(record, 3)
    place = WavePlace(keeper.link.address, "night-3")
    told = batcher("status", "--journal", str(place))
    assert (told.code, "night-3  planning" in told.out, "stopped" in told.out) == (0, True, False)
    assert "nobody takes it yet" in told.out
    batcher("control", "--journal", str(place), "rate", "2/s")
    told = batcher("control", "--journal", str(place), "pause")
    assert "nobody takes it yet" in told.out
    assert "paused (by the operator)" in told.out
    assert "rate 2/s, ordered" in told.out
    told = batcher("status", "--journal", str(place), "--json")
    assert [told.json["waves"][0]["orders"][name] for name in ("stop", "are_awaited")] == [None, True]
    follow = ["results", "--journal", str(place), "-o", "c.jsonl", "--follow"]
    program = Program(follow, folder=tmp_path, environment={})
    order_wave(keeper.link, record.number, paused="by hand")
    wait_until(lambda: "nobody takes the wave yet" in program.told)
    order_wave(keeper.link, record.number, stop=None)
    wait_until(lambda: "the wave is paused (by hand)" in program.told)
    order_wave(keeper.link, record.number, stop="by hand")
    assert program.end().code == 3
    keeper.close()


def test_follow_says_why_nothing_comes(shared: Callable[..., Shared], batcher: Batcher, tmp_path: Path) -> None:
    wave = shared(settled=2)
    batcher("control", "--journal", wave.url, "pause")
    program = Program(["results", "--journal", wave.url, "-o", "c.jsonl", "--follow"], folder=tmp_path, environment={})
    wait_until(lambda: "the wave is paused (by the operator): `batcher control … resume` goes on" in program.told)
    batcher("control", "--journal", wave.url, "resume")
    wait_until(lambda: "no worker has taken 1 scope of the wave" in program.told)
    batcher("control", "--journal", wave.url, "stop")
    ended = program.end()
    assert ended.code == 3
    assert ended.err.count("note:") == 2


# --- explain, settle ------------------------------------------------------------------------------------


def test_explain_says_what_it_says_of_a_file(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    wave = shared()
    there = batcher("explain", "--journal", wave.url, "--key", wave.key)
    assert there.code == 0
    assert there.out == batcher("explain", wave.file, "--key", wave.key).out
    as_json = batcher("explain", "--journal", wave.url, "--job", "job-1", "--json")
    assert as_json.json == batcher("explain", wave.file, "--job", "job-1", "--json").json


def test_a_ruling_is_recorded_for_all_machines(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    wave = shared(fault="reset-after")
    told = batcher("settle", "--journal", wave.url, "--key", wave.key, "--as", "failed", "--offline")
    assert (told.code, "is failed now" in told.err) == (0, True)
    assert (wave.record.result_of(0) or (0, None))[1] is Status.FAILED
    batcher("results", "--journal", wave.url, "-o", "copy.jsonl")
    told = batcher("settle", "copy.jsonl", "--journal", wave.url, "--key", wave.key, "--undo")
    assert told.code == 0
    assert {line["status"] for line in lines_of(Path("copy.jsonl"))} == {"unsettled"}


def test_no_ruling_while_a_worker_has_the_scope_and_its_name_is_told(
    batcher: Batcher, shared: Callable[..., Shared]
) -> None:
    wave = shared(fault="reset-after")
    held(wave, "worker-1 at db-7")
    told = batcher("settle", "--journal", wave.url, "--key", wave.key, "--as", "failed", "--offline")
    assert (told.code, "nothing was decided: worker-1 at db-7 has project project-a" in told.err) == (2, True)
    assert told.err.count("\n") == 1
    assert (wave.record.result_of(0) or (0, None))[1] is Status.UNSETTLED


def test_a_lease_that_has_run_out_is_in_nobodys_way_and_its_owner_is_fenced_out(
    batcher: Batcher, shared: Callable[..., Shared]
) -> None:
    wave = shared(fault="reset-after")
    held(wave, lasts_s=-1.0)
    before = Leases(wave.keeper, "one", lambda: 0.0).look()
    told = batcher("settle", "--journal", wave.url, "--key", wave.key, "--as", "failed", "--offline")
    assert told.code == 0, told.err
    (now,) = Leases(wave.keeper, "one", lambda: 0.0).look()
    assert (now.owner, now.epoch) == (None, before[0].epoch + 1)


# --- report, gate, watch, select ------------------------------------------------------------------------


def test_report_reads_the_lines_in_the_database_or_brings_a_copy_in_line(
    batcher: Batcher, shared: Callable[..., Shared]
) -> None:
    wave = shared()
    there = batcher("report", "--journal", wave.url, "--json").json
    local = batcher("report", wave.file, "--json").json
    assert there["by_status"] == local["by_status"]
    assert (there["wave"]["entries"], there["wave"]["entries_known_from"]) == (6, "journal")
    told = batcher("report", "copy.jsonl", "--journal", wave.url, "--html", "page.html")
    assert (told.code, Path("page.html").exists()) == (0, True)
    assert Path("copy.jsonl").read_bytes() == wave.file.read_bytes()
    told = batcher("report", "--journal", wave.url, "--html", "there.html", "--csv", "there.csv")
    assert (told.code, Path("there.html").exists(), Path("there.csv").exists()) == (0, True, True)


def test_what_is_open_in_a_wave_that_goes_on_is_not_taken_for_not_submitted(
    batcher: Batcher, shared: Callable[..., Shared]
) -> None:
    """Whoever chose it as the next manifest would have it created twice."""
    wave = shared(settled=2)
    for results in ((), ("copy.jsonl",)):
        told = batcher("select", *results, "--journal", wave.url, "-o", "next.jsonl")
        assert (told.code, Path("next.jsonl").exists()) == (1, False)
        assert "4 entries have no result line (yet)" in told.err
    batcher("control", "--journal", wave.url, "stop")
    told = batcher("select", "copy.jsonl", "--journal", wave.url, "-o", "next.jsonl")
    assert (told.code, len(lines_of(Path("next.jsonl")))) == (0, 4)


def test_watch_writes_the_results_first_and_gate_judges_by_what_stands_beside_them(
    batcher: Batcher, shared: Callable[..., Shared]
) -> None:
    wave = shared()
    told = batcher("watch", "copy.jsonl", "--journal", wave.url, "--poll", "0.1s", "--read-rate", "off")
    assert told.code == 0, told.err
    assert Path("copy.verdicts.jsonl").exists()
    gate = batcher("gate", "copy.jsonl", "--journal", wave.url, "--json")
    assert (gate.code, gate.json["verdict"]) == (0, "GO"), gate.out


def test_what_a_watch_finds_every_machine_has(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    """Nobody followed the wave: who watches it asks the cloud, and puts what it found beside the results there."""
    wave = shared()
    told = batcher("watch", "copy.jsonl", "--journal", wave.url, "--poll", "0.1s", "--read-rate", "off")
    assert (told.code, "6 verdicts kept in the database" in told.err) == (0, True), told.err
    status = batcher("status", "--journal", wave.url)
    assert "6 of 6 settled have a verdict  consistent 6" in status.out
    gate = batcher("gate", "elsewhere.jsonl", "--journal", wave.url, "--json")
    assert (gate.code, gate.json["verdict"]) == (0, "GO"), gate.out
    assert Path("elsewhere.verdicts.jsonl").read_bytes() == Path("copy.verdicts.jsonl").read_bytes()
    again = batcher("watch", "elsewhere.jsonl", "--journal", wave.url)
    assert (again.code, "kept in the database" in again.err) == (0, False), again.err


def test_a_verdicts_file_that_was_put_together_by_hand_is_kept_as_one_verdict_for_each(
    batcher: Batcher, shared: Callable[..., Shared]
) -> None:
    wave = shared()
    place = ("--journal", wave.url, "--poll", "0.1s", "--read-rate", "off")
    assert batcher("watch", "copy.jsonl", *place).code == 0
    verdicts = Path("copy.verdicts.jsonl")
    verdicts.write_bytes(2 * verdicts.read_bytes())
    wave.keeper.link.do(lambda c: c.execute("DELETE FROM verdicts"))
    found = FoundVerdicts(wave.keeper.verdicts(wave.record.number), Path("copy.jsonl"), SystemClock())
    found.go_on()
    assert (found.failure, found.kept) == (None, 6)


def test_what_a_watch_cannot_keep_stops_it_in_nothing(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    wave = shared()
    wave.keeper.link.do(lambda c: c.execute("ALTER FUNCTION record_found_verdicts RENAME TO gone"))
    told = batcher("watch", "copy.jsonl", "--journal", wave.url, "--poll", "0.1s", "--read-rate", "off")
    assert (told.code, "note: not all verdicts are in the database" in told.err) == (0, True), told.err
    assert batcher("gate", "copy.jsonl", "--journal", wave.url).code == 0


def test_what_needs_verdicts_needs_a_file(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    wave = shared()
    for command in (("gate",), ("watch",), ("select", "--recheck", "failed", "-o", "next.jsonl")):
        told = batcher(*command, "--journal", wave.url)
        assert (told.code, "Missing argument 'RESULTS" in told.err) == (2, True), told.err


# --- control, status ------------------------------------------------------------------------------------


def test_orders_hold_on_every_machine_and_the_answer_is_the_new_status(
    batcher: Batcher, shared: Callable[..., Shared]
) -> None:
    wave = shared(settled=2)
    for words, forbids in ((("pause",), "paused"), (("resume",), None), (("stop",), "stopped"), (("resume",), None)):
        told = batcher("control", "--journal", wave.url, *words, "--json")
        assert (told.code, told.json["status"]["waves"][0]["orders"]["forbids"]) == (0, forbids)
    told = batcher("control", "--journal", wave.url, "rate", "5/s")
    assert (told.code, "rate 5/s in each scope" in told.out, "2 of 6 created" in told.out) == (0, True, True)
    batcher("control", "--journal", wave.url, "concurrency", "8")
    orders = orders_of(wave.keeper.link, wave.record.number)
    assert (orders.rate, orders.concurrency) == ("5/s", 8)


def test_orders_for_a_scope_hold_for_all_its_waves(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    wave = shared(settled=2)
    database = str(WavePlace(wave.place.address))
    (place,) = wave.keeper.link.row("SELECT id FROM scopes") or ()

    def ordered(*words: str, scope: str = "project-a") -> Orders:
        told = batcher("control", "--journal", database, "--scope", scope, *words)
        assert told.code == 0, told.err
        assert "night-3" in told.out
        return orders_of(wave.keeper.link, wave.record.number, place)

    assert ordered("pause").forbids == "scope paused"
    assert "paused (by the operator)" in batcher("status", "--journal", database).out
    assert ordered("resume").forbids is None
    endpoint = wave.record.scopes()[0].endpoint.partition("://")[2]
    assert ordered("rate", "2/s", scope=f"project-a@{endpoint}").scope_rate == "2/s"
    assert "rate 2/s over all waves, ordered" in batcher("status", "--journal", database).out
    assert ordered("rate", "off").scope_rate is None


@pytest.mark.parametrize(
    ("at", "words", "why"),
    [
        ("", ["--scope", "another", "pause"], "has a scope another"),
        ("", ["--scope", "project-a", "stop"], "stop is for a wave: a scope takes status, pause, resume, rate"),
        ("", ["--scope", "project-a", "rate", "much"], "rate much is no rate"),
        ("night-3", ["--scope", "project-a", "pause"], "name that with --journal, without a wave"),
    ],
)
def test_orders_for_a_scope_that_are_none(
    batcher: Batcher, shared: Callable[..., Shared], at: str, words: list[str], why: str
) -> None:
    place = shared(settled=2).place.address
    told = batcher("control", "--journal", str(WavePlace(place, at or None)), *words)
    assert (told.code, why in told.err) == (2, True), told.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["rate", "much"], "rate much is no rate"),
        (["concurrency", "0"], "concurrency 0 is none"),
        (["rate"], "rate needs a value"),
        (["pause", "now"], "pause takes no value"),
        (["copy.jsonl", "pause"], "leave copy.jsonl out"),
        (["approve", "x"], "approve is for waves of a service"),
        (["halt"], "'halt' is not one of"),
        ([], "Missing argument"),
    ],
)
def test_orders_that_are_none(batcher: Batcher, cluster: Cluster, words: list[str], why: str) -> None:
    address = prepared(cluster)
    keeper = PostgresKeeper(address)
    plan(keeper.new_wave("night-3"), 3)
    keeper.close()
    told = batcher("control", "--journal", str(WavePlace(address, "night-3")), *words)
    assert (told.code, why in told.err) == (2, True), told.err


def test_status_tells_who_has_each_scope_and_what_nobody_takes(batcher: Batcher, shared: Callable[..., Shared]) -> None:
    wave = shared(settled=2)
    database = str(WavePlace(wave.place.address))
    wave.keeper.link.do(lambda c: c.execute("UPDATE waves SET planned_at = planned_at - interval '1 minute'"))
    told = batcher("status", "--journal", database)
    assert (told.code, "waiting" in told.out) == (0, True)
    assert "no worker is there for 1 scope: start another one, batcher worker" in told.out
    (scope,) = wave.record.scopes()
    refuses = json.dumps([{"endpoint": scope.endpoint, "project_id": scope.project_id, "why": "it has no credential"}])
    wave.keeper.link.do(
        lambda c: c.execute(
            "INSERT INTO workers (name, host, pid, lanes, refuses) VALUES ('w-2', 'h', 1, 4, %s::jsonb)", (refuses,)
        )
    )
    told = batcher("status", "--journal", database)
    assert "no worker is free for 1 scope" in told.out
    assert "w-2 does not take project-a: it has no credential" in told.out
    held(wave, "w-1")
    told = batcher("status", "--journal", wave.url)
    assert "w-1, epoch 1, lease 60 s left" in told.out
    assert ("running" in told.out, "no worker" in told.out) == (True, False)
    said = batcher("status", "--journal", database, "--json").json
    assert [(one["place"], one["stage"]) for one in said["waves"]] == [(wave.url, "running")]


def test_status_of_a_database_without_waves(batcher: Batcher, cluster: Cluster) -> None:
    told = batcher("status", "--journal", str(WavePlace(prepared(cluster))))
    assert (told.code, "there are no waves in" in told.err) == (1, True)


# --- what is in the way ---------------------------------------------------------------------------------

COMMANDS: list[tuple[str, ...]] = [
    ("results", "-o", "copy.jsonl"),
    ("results", "-o", "copy.jsonl", "--follow"),
    ("explain", "--index", "0"),
    ("settle", "--index", "0", "--as", "failed"),
    ("report",),
    ("report", "copy.jsonl"),
    ("gate", "copy.jsonl"),
    ("watch", "copy.jsonl"),
    ("select", "-o", "next.jsonl"),
    ("control", "pause"),
    ("status",),
]


@pytest.fixture(scope="module")
def in_the_way() -> dict[str, str]:
    """Places of which none can be used, and what is to be said of each."""
    cluster = needed()
    newer, older, empty = (prepared(cluster) for _ in range(3))
    for address, version in ((newer, "99"), (older, "0")):
        link = DatabaseLink(address, Patience())
        link.do(lambda c, version=version: c.execute("UPDATE meta SET value = %s WHERE name = 'version'", (version,)))  # type: ignore[misc]
        link.close()
    return {
        f"postgresql://batcher@127.0.0.1:{free_port()}/postgres/w": "cannot reach the database",
        f"postgresql://nobody-at-all@127.0.0.1:{cluster.port}/postgres/w": "Make it with CREATE ROLE",
        f"{cluster.url()}/w?schema=nothing_here": "has no tables of batcher yet: batcher database prepare",
        str(WavePlace(newer, "w")): "a newer one",
        str(WavePlace(older, "w")): "older than this batcher's",
        str(WavePlace(empty, "w")): "there is no wave w in",
        "postgresql://me:hunter22@127.0.0.1/postgres/w": "holds a password",
    }


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_whatever_is_in_the_way_is_one_message(
    batcher: Batcher, in_the_way: dict[str, str], command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback, nothing written, and what to do."""
    for url, why in in_the_way.items():
        told = batcher(*command, "--journal", url)
        is_away = "cannot reach" in why and command[0] != "gate"
        assert (told.code, why in told.err) == (3 if is_away else 2, True), told.err
        assert (told.err.count("\n"), told.out, "hunter22" in told.err) == (1, "", False), told.err
    for package in ("procrastinate", "psycopg"):  # a half-installed extra is none
        monkeypatch.setitem(sys.modules, package, None)
        told = batcher(*command, "--journal", "postgresql://127.0.0.1/postgres/w")
        assert (told.code, package in told.err, told.err.count("\n")) == (2, True, 1)
        assert "pip install 'drs-batcher[fleet]'" in told.err
    assert list(Path().glob("*.jsonl")) == []


def test_a_database_that_goes_away_meanwhile_is_one_message(
    batcher: Batcher, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever statement: the same command again may do, so it is no bad usage."""
    address = prepared(cluster)
    keeper = PostgresKeeper(address)
    plan(keeper.new_wave("night-3"), 3)
    keeper.close()
    monkeypatch.setattr(DatabaseLink, "do", do_impatiently(DatabaseLink.do))
    for number, command in enumerate(COMMANDS):
        wire = Wire(cluster.port, 4 + number % 2)  # the session is set up with three
        place = WavePlace(Address(cluster.url(port=wire.port), address.schema), "night-3")
        told = batcher(*command, "--journal", str(place))
        assert told.code == (2 if command[0] == "gate" else 3), told.err
        (said,) = [line for line in told.err.splitlines() if line.startswith("error: ")]
        assert "Run the same command again once it answers." in said
        assert "Traceback" not in told.err
        wire.close()


def do_impatiently(do: Callable[..., Any]) -> Callable[..., Any]:
    """*do* of a link that waits for nothing."""

    def impatient(link: DatabaseLink, *work: Any, **more: Any) -> Any:
        link._patience = Patience(answer_s=2.0, grace_s=0.0)
        return do(link, *work, **more)

    return impatient


def test_a_watch_that_waits_for_its_database_says_so_and_ends_when_told(
    batcher: Batcher, shared: Callable[..., Shared], tmp_path: Path
) -> None:
    wave = shared()
    want_verdicts(wave.keeper.link, wave.record.number)
    held(wave)
    wire = Wire(needed().port)
    place = WavePlace(Address(needed().url(port=wire.port), wave.place.address.schema), "night-3")
    watching = ["watch", "copy.jsonl", "--journal", str(place)]
    program = Program(watching, folder=tmp_path, environment={"BATCHER_TOKEN": "of-nobody"})
    wait_until((tmp_path / "copy.verdicts.jsonl").exists)
    wire.close()
    wait_until(lambda: "the database is away: it is waited for" in program.told)
    program.signal(signal.SIGTERM)
    ended = program.end()
    assert (ended.code, "Traceback" in ended.err) == (143, False), ended.err


def test_a_database_alone_is_no_wave(batcher: Batcher, cluster: Cluster) -> None:
    database = str(WavePlace(prepared(cluster)))
    told = batcher("explain", "--journal", database, "--index", "0")
    assert (told.code, "is a database of many waves: say which" in told.err) == (2, True)
