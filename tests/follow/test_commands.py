"""preflight, run --wait, watch, gate and select --recheck, as an operator uses them."""

import asyncio
import hashlib
import hmac
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import orjson
import pytest
from aiohttp import web

from batcher.simulator.differences import Differences, SimulatedDifference
from batcher.simulator.faults import Script
from batcher.simulator.jobs import JobRule
from batcher.simulator.ledger import AnswerSent, Effect, RequestSeen
from batcher.simulator.server import ThreadedSimulator
from tests.cli.commands import Program, created_jobs, lines_of, wait_until, write_manifest
from tests.cli.conftest import Batcher
from tests.follow.conftest import Fleet

ORDERS_DIFFER = Differences(rules=(SimulatedDifference(job_id="job-2", table="orders", rows=3),))


def verdicts_of(results: Path) -> dict[str, str]:
    """The verdict on each job."""
    lines = lines_of(results.with_name(f"{results.stem}.verdicts.jsonl"))
    return {line["job_id"]: line["verdict"] for line in lines}


# --- preflight --------------------------------------------------------------------------------------------


def test_preflight_is_content_only_if_all_are_ready(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet()
    ended = batcher("preflight", manifest)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split() == ["ready", "3", "entries", "3", "jobs"]


def test_preflight_says_what_keeps_each_job(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    sim = fleet(jobs=(JobRule(pattern="job-1", status="FULL_TRANSFER_STARTED"), JobRule(pattern="job-3", exists=False)))
    ended = batcher("preflight", manifest)
    assert ended.code == 1
    assert "job-1  FULL_TRANSFER_STARTED the full transfer is running" in ended.out
    assert "job-3  DRS.M00289" in ended.out
    said = batcher("preflight", manifest, "--json").json
    assert said["ready"] is False
    assert [job["readiness"] for job in said["jobs"]] == ["not yet", "ready", "unknown"]
    assert said["counts"]["ready"] == {"jobs": 1, "entries": 1}
    assert not created_jobs(sim.ledger)


def test_preflight_takes_only_a_sound_manifest(batcher: Batcher, fleet: Fleet, tmp_path: Path) -> None:
    sim = fleet()
    path = tmp_path / "bad.csv"
    path.write_text("job_id,compare_type\njob-1,rows\n")
    ended = batcher("preflight", path)
    assert ended.code == 2
    assert "compare_type" in ended.err
    assert not sim.ledger


# --- run --wait -------------------------------------------------------------------------------------------


def test_run_waits_for_the_verdicts(batcher: Batcher, fleet: Fleet, manifest: Path, tmp_path: Path) -> None:
    fleet()
    ended = batcher("run", manifest, "-o", tmp_path / "r.jsonl", "--wait")
    assert ended.code == 0, ended.err
    assert "GO  3 entries: nothing stands in the way" in ended.err
    assert verdicts_of(tmp_path / "r.jsonl") == dict.fromkeys(("job-1", "job-2", "job-3"), "consistent")


def test_run_ends_with_the_gates_code(batcher: Batcher, fleet: Fleet, manifest: Path, tmp_path: Path) -> None:
    fleet(differences=ORDERS_DIFFER)
    ended = batcher("run", manifest, "-o", tmp_path / "r.jsonl", "--wait", "--json")
    assert ended.code == 1
    assert (ended.json["exit_code"], ended.json["gate"]["verdict"]) == (1, "NO-GO")
    assert verdicts_of(tmp_path / "r.jsonl")["job-2"] == "inconsistent"


def test_accepted_differences_let_it_pass(batcher: Batcher, fleet: Fleet, manifest: Path, tmp_path: Path) -> None:
    fleet(differences=ORDERS_DIFFER)
    accepted = tmp_path / "accepted.csv"
    accepted.write_text("job_id,database,table,reason,expires\njob-2,shop,orders,purged nightly,2999-12-31\n")
    ended = batcher("run", manifest, "-o", tmp_path / "r.jsonl", "--wait", "--allow-inconsistent", accepted)
    assert ended.code == 0, ended.err
    assert "purged nightly (until 2999-12-31)" in ended.err


def test_a_file_of_acceptances_that_is_wrong_ends_it_before_anything_is_sent(
    batcher: Batcher, fleet: Fleet, manifest: Path, tmp_path: Path
) -> None:
    sim = fleet()
    accepted = tmp_path / "accepted.csv"
    accepted.write_text("job_id,database\njob-2,shop\n")
    ended = batcher("run", manifest, "-o", tmp_path / "r.jsonl", "--wait", "--allow-inconsistent", accepted)
    assert ended.code == 2
    assert "reason is missing" in ended.err
    assert not sim.ledger


def test_verdicts_need_a_file_to_lie_beside(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet()
    ended = batcher("run", manifest, "-o", "-", "--wait")
    assert ended.code == 2
    assert "name a file with -o" in ended.err


def running_at_most(simulator: ThreadedSimulator) -> int:
    """The most comparisons that ran at the same time, by the cloud's own clock."""
    cloud = simulator.simulator.service.cloud
    jobs = {event.job_id for event in simulator.ledger if isinstance(event, Effect)}
    tasks = [task for job_id in jobs for task in cloud.job(0.0, "project-a", job_id).tasks]
    changes = [(task.starts_at, 1) for task in tasks] + [(task.ends_at or 0.0, -1) for task in tasks]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def test_no_more_run_than_allowed(batcher: Batcher, fleet: Fleet, tmp_path: Path) -> None:
    sim = fleet()
    manifest = write_manifest(tmp_path / "wave.csv", [f"job-{n}" for n in range(9)])
    ended = batcher("run", manifest, "-o", tmp_path / "r.jsonl", "--max-running", "3")
    assert ended.code == 0, ended.err
    assert len(created_jobs(sim.ledger)) == 9
    assert running_at_most(sim) == 3


def test_no_more_of_a_source_than_allowed_and_others_go_ahead(batcher: Batcher, fleet: Fleet, tmp_path: Path) -> None:
    sim = fleet()
    manifest = tmp_path / "wave.csv"
    rows = [f'a-{n},keep,lines,"shop: orders",one' for n in range(3)] + ['b-0,keep,lines,"shop: orders",two']
    manifest.write_text("\n".join(["job_id,conflict_policy,compare_type,compare_object_infos,label.source", *rows]))
    ended = batcher("run", manifest, "-o", tmp_path / "r.jsonl", "--max-running-per", "label.source=1")
    assert ended.code == 0, ended.err
    assert set(created_jobs(sim.ledger)[:2]) == {"a-0", "b-0"}


@pytest.mark.slow
def test_thousands_held_back_do_not_hold_up_those_behind_them(batcher: Batcher, fleet: Fleet, tmp_path: Path) -> None:
    sim = fleet(jobs=(JobRule(pattern="*", runs_s=1e6),))
    rows = [f'a-{n},keep,lines,"shop: orders",one' for n in range(4500)] + ['b-0,keep,lines,"shop: orders",two']
    (tmp_path / "wave.csv").write_text(
        "\n".join(["job_id,conflict_policy,compare_type,compare_object_infos,label.source", *rows])
    )
    command = ["run", "wave.csv", "-o", "r.jsonl", "--max-running-per", "label.source=1"]
    program = Program(command, folder=tmp_path, environment=os.environ)
    wait_until(lambda: created_jobs(sim.ledger) == ["a-0", "b-0"])
    program.signal(signal.SIGINT)
    assert program.end().code == 130


def test_who_may_not_look_lets_nobody_wait_for_ever(batcher: Batcher, fleet: Fleet, tmp_path: Path) -> None:
    """Also where that is found out before anybody waits for a place."""
    sim = fleet(denied=frozenset({"query-compare-result"}))
    manifest = write_manifest(tmp_path / "wave.csv", [f"job-{n}" for n in range(4)])
    options = ("--max-running", "2", "--concurrency", "1", "--rate", "40/min", "--read-rate", "off")
    ended = batcher("run", manifest, "-o", tmp_path / "r.jsonl", *options)
    assert ended.code == 3, ended.err
    assert "how many comparisons are running cannot be told any more" in ended.err
    assert len(created_jobs(sim.ledger)) == 2


def test_entries_are_held_until_their_jobs_are_ready(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    later = JobRule(pattern="job-1", status="FULL_TRANSFER_STARTED", becomes=((1.5, "INCRE_TRANSFER_STARTED"),))
    sim = fleet(jobs=(later,))
    ended = batcher("run", manifest, "-o", "r.jsonl", "--wait-ready", "1m")
    assert ended.code == 0, ended.err
    assert created_jobs(sim.ledger)[2] == "job-1"
    assert all(event.http_status == 200 for event in sim.ledger if isinstance(event, AnswerSent))


# --- watch ------------------------------------------------------------------------------------------------


def test_watch_goes_on_after_a_kill(batcher: Batcher, fleet: Fleet, tmp_path: Path) -> None:
    """SIGKILL in the middle: what had fallen is in the file, and is not asked about again."""
    sim = fleet(jobs=(JobRule(pattern="endless", ends="NEVER"),))
    manifest = write_manifest(tmp_path / "wave.csv", ["job-1", "job-2", "endless"])
    results = tmp_path / "r.jsonl"
    assert batcher("run", manifest, "-o", results).code == 0
    program = Program(["watch", results], folder=tmp_path, environment=os.environ)
    verdicts = tmp_path / "r.verdicts.jsonl"
    wait_until(lambda: verdicts.exists() and verdicts.read_bytes().count(b"\n") == 2)
    program.signal(signal.SIGKILL)
    assert program.end().code == -signal.SIGKILL
    before, kept = len(sim.ledger), verdicts.read_bytes()
    assert batcher("watch", results, "--watch-timeout", "500ms").code == 1
    asked = {event.job_id for event in sim.ledger[before:] if isinstance(event, RequestSeen)}
    assert asked == {"endless"}
    assert verdicts.read_bytes().startswith(kept)
    assert [line["final"] for line in lines_of(verdicts)] == [True, True, False]


def test_a_signal_ends_watch_in_order(batcher: Batcher, fleet: Fleet, manifest: Path, tmp_path: Path) -> None:
    fleet(jobs=(JobRule(pattern="*", runs_s=1e6),))
    results = tmp_path / "r.jsonl"
    assert batcher("run", manifest, "-o", results).code == 0
    program = Program(["watch", results], folder=tmp_path, environment=os.environ)
    wait_until(lambda: "watch.progress" in program.told)
    program.signal(signal.SIGTERM)
    ended = program.end()
    assert ended.code == 143
    assert "the same command goes on where this one ended" in ended.err
    assert [line["final"] for line in lines_of(tmp_path / "r.verdicts.jsonl")] == [False] * 3


def test_a_signal_during_run_wait_leaves_both_resumable(batcher: Batcher, fleet: Fleet, tmp_path: Path) -> None:
    sim = fleet()
    manifest = write_manifest(tmp_path / "wave.csv", [f"job-{n}" for n in range(12)])
    command = ["run", manifest, "-o", tmp_path / "r.jsonl", "--max-running", "2"]
    program = Program(command, folder=tmp_path, environment=os.environ)
    wait_until(lambda: len(created_jobs(sim.ledger)) >= 4)
    program.signal(signal.SIGINT)
    assert program.end().code == 130
    assert len(created_jobs(sim.ledger)) < 12
    assert batcher(*command).code == 0
    assert sorted(created_jobs(sim.ledger)) == sorted(f"job-{n}" for n in range(12))
    assert set(verdicts_of(tmp_path / "r.jsonl").values()) == {"consistent"}


def test_a_signal_while_only_verdicts_are_missing(
    batcher: Batcher, fleet: Fleet, manifest: Path, tmp_path: Path
) -> None:
    fleet(jobs=(JobRule(pattern="*", runs_s=1e6),))
    program = Program(["run", manifest, "-o", tmp_path / "r.jsonl", "--wait"], folder=tmp_path, environment=os.environ)
    wait_until(lambda: "watch.progress" in program.told)
    program.signal(signal.SIGINT)
    ended = program.end()
    assert ended.code == 130, ended.err
    assert [line["final"] for line in lines_of(tmp_path / "r.verdicts.jsonl")] == [False] * 3


@pytest.mark.parametrize("body", [b"job_id\njob-1\n", b'{"\xff":1}\n', b'{"key":"\xff"}\n'])
def test_watch_tells_what_is_no_results_file(batcher: Batcher, fleet: Fleet, tmp_path: Path, body: bytes) -> None:
    fleet()
    (tmp_path / "r.jsonl").write_bytes(body)
    ended = batcher("watch", tmp_path / "r.jsonl")
    assert ended.code == 2
    assert "is no results file" in ended.err
    assert batcher("watch", tmp_path / "none.jsonl").code == 2


# --- gate and rerun ---------------------------------------------------------------------------------------


def test_from_no_go_to_go_by_a_rerun_of_what_differed(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    """A table differed since the link lagged behind; compared again, it agrees."""
    sim = fleet(differences=ORDERS_DIFFER)
    assert batcher("run", manifest, "-o", "wave.jsonl", "--wait").code == 1
    assert batcher("gate", "wave.jsonl").code == 1
    chosen = batcher("select", "wave.jsonl", "--recheck", "inconsistent", "-o", "again.jsonl")
    assert chosen.err == "1 entry in again.jsonl, cut down to 1 table\n"
    (again,) = map(orjson.loads, Path("again.jsonl").read_bytes().splitlines())
    assert again["data_level_compare_info"]["compare_object_infos"] == [{"db_name": "shop", "table_name": ["orders"]}]
    fleet()  # the same jobs, and nothing differs any more
    endpoint = os.environ["BATCHER_ENDPOINT"]
    text = Path("again.jsonl").read_text().replace(sim.url, endpoint)
    Path("again.jsonl").write_text(text)
    assert batcher("run", "again.jsonl", "-o", "rerun.jsonl", "--wait").code == 0
    for path in (Path("rerun.jsonl"), Path("rerun.verdicts.jsonl")):
        path.write_text(path.read_text().replace(endpoint, sim.url))
    ended = batcher("gate", "rerun.jsonl", "wave.jsonl")
    assert ended.code == 0, ended.out
    assert "1 earlier verdict replaced" in ended.out


def test_the_gate_gives_junit_and_json(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet(differences=ORDERS_DIFFER)
    batcher("run", manifest, "-o", "wave.jsonl", "--wait")
    ended = batcher("gate", "wave.jsonl", "--json", "--junit", "gate.xml")
    assert ended.code == 1
    assert [blocker["job_id"] for blocker in ended.json["blockers"]] == ["job-2"]
    root = ElementTree.parse("gate.xml").getroot()  # noqa: S314 - our own file
    assert [case.get("name", "").split()[0] for case in root.iter("testcase") if case.find("failure") is not None] == [
        "job-2"
    ]


def test_verdicts_files_that_a_glob_catches_do_no_harm(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet()
    batcher("run", manifest, "-o", "wave.jsonl", "--wait")
    assert batcher("gate", *sorted(Path().glob("wave*.jsonl"))).code == 0
    ended = batcher("gate", "wave.verdicts.jsonl")
    assert (ended.code, "Name the results files" in ended.err) == (2, True)


def test_a_wave_that_nobody_followed_is_no_go(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet()
    batcher("run", manifest, "-o", "wave.jsonl")
    ended = batcher("gate", "wave.jsonl")
    assert ended.code == 1
    assert "3 not followed yet\n    jobs job-1, job-2, job-3\n" in ended.out
    assert "\n    batcher watch wave.jsonl\n" in ended.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--recheck", "inconsistent"), "has no verdicts yet"),
        (("--recheck", "inconsistant"), "Did you mean inconsistent?"),
        (("--recheck", "failed", "--status", "failed"), "leave --status and --kind out"),
    ],
)
def test_a_recheck_that_cannot_be_is_told(
    batcher: Batcher, fleet: Fleet, manifest: Path, arguments: tuple[str, ...], said: str
) -> None:
    fleet()
    batcher("run", manifest, "-o", "wave.jsonl")
    ended = batcher("select", "wave.jsonl", *arguments, "-o", "again.jsonl")
    assert ended.code == 2
    assert said in ended.err


# --- at the end -------------------------------------------------------------------------------------------


def test_the_command_at_the_end_has_the_summary(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet(differences=ORDERS_DIFFER)
    ended = batcher("run", manifest, "-o", "wave.jsonl", "--wait", "--on-end", "cat > end.json; exit 3")
    assert ended.code == 1
    assert "the command of --on-end ended with exit code 3" in ended.err
    said = json.loads(Path("end.json").read_text())
    assert (said["event"], said["gate"]["verdict"]) == ("run", "NO-GO")
    assert "1 of 3 entries stands in the way" in said["text"]


class Hook:
    """Takes what is posted to it; the first answers are those it was told to give."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.posts: list[tuple[dict[str, str], bytes]] = []

    async def take(self, request: web.BaseRequest) -> web.Response:
        self.posts.append((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@contextmanager
def serving(hook: Hook) -> Iterator[str]:
    """The URL at which *hook* takes posts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_serve(hook), loop).result()
    try:
        yield f"http://127.0.0.1:{server.addresses[0][1]}/hook/secret-path"
    finally:
        asyncio.run_coroutine_threadsafe(server.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve(hook: Hook) -> web.ServerRunner:
    runner = web.ServerRunner(web.Server(hook.take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


def test_the_summary_is_posted_and_signed(
    batcher: Batcher, fleet: Fleet, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet()
    hook = Hook(503)
    monkeypatch.setenv("BATCHER_NOTIFY_SECRET", "a-secret-of-ours")
    with serving(hook) as url:
        ended = batcher("run", manifest, "-o", "wave.jsonl", "--wait", "--notify", url)
    assert ended.code == 0, ended.err
    assert len(hook.posts) == 2  # the first was answered with 503
    headers, body = hook.posts[-1]
    stamp = headers["X-Batcher-Timestamp"].encode()
    expected = hmac.new(b"a-secret-of-ours", stamp + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Batcher-Signature"] == f"sha256={expected}"
    assert json.loads(body)["gate"]["verdict"] == "GO"
    for text in (ended.err, ended.out, Path("wave.jsonl.journal").read_bytes().decode("latin-1")):
        assert "a-secret-of-ours" not in text
        assert "secret-path" not in text


def test_a_summary_that_is_refused_changes_nothing_else(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet()
    assert batcher("run", manifest, "-o", "wave.jsonl", "--wait").code == 0
    hook = Hook(404)
    with serving(hook) as url:
        ended = batcher("gate", "--notify", url, "wave.jsonl")
    assert (ended.code, len(hook.posts)) == (0, 1)
    assert "the summary could not be posted to 127.0.0.1: status 404" in ended.err
    assert "secret-path" not in ended.err


def test_a_summary_does_not_travel_without_tls(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    sim = fleet()
    ended = batcher("run", manifest, "-o", "wave.jsonl", "--notify", "http://hooks.example.com/x")
    assert ended.code == 2
    assert "write https://" in ended.err
    assert not sim.ledger


def test_faults_of_the_cloud_change_no_verdict(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet(faults=Script(reads=("500-before", "reset-before", "garbage", "truncated")))
    assert batcher("run", manifest, "-o", "wave.jsonl", "--wait").code == 0
