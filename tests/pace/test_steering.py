"""A hand on the running wave: the control socket, the deadline, and what is said about them, over real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from batcher import Status, StopKind, UserError, Wave
from batcher.cli.commands.control import command
from batcher.clock import SystemClock
from batcher.drs.v3.create_compare_task import CREATE_COMPARE_TASK
from batcher.journal.files import WaveFiles
from batcher.simulator.ledger import RequestSeen
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.control import ask

pytestmark = pytest.mark.usefixtures("elsewhere")
SLOW: dict[str, Any] = {"rate": "1/h", "read_rate": "off", "landing_time": 1.0}
ENTRIES = 40


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A simulated cloud."""
    async with Simulator(ServiceConfig(latency_s=(0.0, 0.01))) as serving:
        monkeypatch.setenv("BATCHER_ENDPOINT", serving.url)
        yield serving.url


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """A manifest of forty jobs."""
    path = tmp_path / "jobs.csv"
    rows = "".join(f"job-{number},objects\n" for number in range(ENTRIES))
    path.write_text(f"job_id,object_level_compare_type\n{rows}")
    return path


async def _asked(wave: Wave, do: str, value: str | None = None) -> dict[str, Any]:
    assert wave.journal_path is not None
    return await asyncio.to_thread(ask, WaveFiles.of_journal(wave.journal_path), do, value)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not holds():  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(0.01)


async def test_a_wave_is_steered_by_its_socket(endpoint: str, jobs: Path) -> None:
    """Status, pause, resume, rate and concurrency take effect, and are remembered."""
    async with Wave(jobs, "results.jsonl", **SLOW) as wave:
        task = asyncio.create_task(wave.run())
        await _until(lambda: wave.status().created == 1)
        assert (await _asked(wave, "status"))["status"]["entries"] == ENTRIES
        assert (await _asked(wave, "pause"))["said"] == "paused"
        assert (await _asked(wave, "rate", "500/s"))["said"] == "rate 500/s in each scope"
        await asyncio.sleep(0.1)
        status = wave.status()
        assert status.created == 1
        assert "by the operator" in (status.scopes[0].reason or "")
        assert (await _asked(wave, "concurrency", "2"))["said"] == "concurrency 2 in each scope"
        await _asked(wave, "resume")
        end = await asyncio.wait_for(task, 90)
    assert end.status.created == ENTRIES
    assert [change.split(" (at")[0] for change in end.status.changed] == [
        "paused",
        "rate 500/s in each scope",
        "concurrency 2 in each scope",
        "resumed",
    ]


async def test_a_wave_is_stopped_by_its_socket(endpoint: str, jobs: Path) -> None:
    """As by a signal: the rest is `not_submitted`, and the same command goes on."""
    async with Wave(jobs, "results.jsonl", **SLOW) as wave:
        task = asyncio.create_task(wave.run())
        await _until(lambda: wave.status().created == 1)
        await _asked(wave, "stop")
        end = await asyncio.wait_for(task, 90)
    assert end.stop is not None
    assert end.stop.kind is StopKind.ASKED
    assert (end.status.created, end.status.not_submitted) == (1, ENTRIES - 1)
    async with Wave(jobs, "results.jsonl", rate="500/s", landing_time=1.0) as wave:
        assert (await wave.run()).status.created == ENTRIES


@pytest.mark.parametrize(
    ("do", "value", "said"),
    [
        ("rate", "9", "rate 9 is no rate"),
        ("concurrency", "0", "from 1 to 1000"),
        ("concurrency", "9" * 24, "concurrency 9{24} is none"),
        ("concurrency", "9" * 900, "9… is none"),
        ("concurrency", "٣", "from 1 to 1000"),
        ("rate", f"{'9' * 24}/s", "counts more than 1,000,000 requests"),
        ("rate", f"{'9' * 900}/s", "9… counts more than 1,000,000 requests"),
        ("rate", "5/s\x1b[31m", r"rate 5/s\\x1b\[31m is no rate"),
        ("rate", "9" * 70_000, "rate takes no value of 70,000 characters"),
        ("dance", None, "cannot dance"),
    ],
)
async def test_what_cannot_be_done_says_why(endpoint: str, jobs: Path, do: str, value: str | None, said: str) -> None:
    """Nothing changes, and the mend is named."""
    async with Wave(jobs, "results.jsonl", **SLOW) as wave:
        with pytest.raises(UserError, match=said):
            await _asked(wave, do, value)
        assert wave.status().changed == ()


async def test_after_the_deadline_nothing_new_is_sent(endpoint: str, jobs: Path) -> None:
    """The rest is `not_submitted` and can be resumed; the exit code says that the wave stopped early."""
    async with Wave(jobs, "results.jsonl", deadline="1s", **SLOW) as wave:
        end = await wave.run()
    assert end.stop is not None
    assert end.stop.kind is StopKind.DEADLINE
    assert end.exit_code == 3
    assert end.status.created <= 1  # none, where it was slow to begin
    assert end.status.created + end.status.not_submitted == ENTRIES
    lines = [orjson.loads(line) for line in Path("results.jsonl").read_bytes().splitlines()]
    open_lines = [line for line in lines if line["status"] == Status.NOT_SUBMITTED]
    assert len(open_lines) == end.status.not_submitted
    assert all("deadline" in line["error_msg"] for line in open_lines)


async def test_a_deadline_that_is_past_sends_nothing(endpoint: str, jobs: Path) -> None:
    """Started too late, the wave is planned and can be resumed."""
    async with Wave(jobs, "results.jsonl", deadline="2020-01-01T00:00:00Z", **SLOW) as wave:
        end = await wave.run()
    assert end.status.not_submitted == ENTRIES


class LeapingClock(SystemClock):
    """The machine's clock, which can be set forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return time.time() + self.ahead_s

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


def scheduled_jobs(folder: Path, in_s: float) -> Path:
    """A manifest of four comparisons that are to start so many seconds from now."""
    data = {
        "compare_type": "lines",
        "conflict_policy": "keep",
        "compare_object_infos": [{"db_name": "shop"}],
        "start_time": str(int((time.time() + in_s) * 1000)),
    }
    path = folder / "jobs.jsonl"
    path.write_bytes(
        b"\n".join(orjson.dumps({"job_id": f"job-{nth}", "data_level_compare_info": data}) for nth in range(4))
    )
    return path


@pytest.mark.parametrize(
    ("rate", "boundary"),
    [
        pytest.param("12/min", "outcome durable", id="before its intent, while it waits for its turn"),
        pytest.param("off", "intent durable", id="after its intent, right before it leaves"),
    ],
)
async def test_what_comes_to_its_turn_after_its_start_time_is_not_sent(
    tmp_path: Path, rate: str, boundary: str
) -> None:
    """The clock leaps behind the first request's outcome, or behind the second intent."""
    clock, seen = LeapingClock(), 0

    def watch(passed: str) -> None:
        nonlocal seen
        seen += passed == boundary
        if seen == (1 if boundary == "outcome durable" else 2) and not clock.ahead_s:
            clock.ahead_s = 1000.0
            wave.hand.pause()
            wave.hand.resume()  # so that those who wait look at the clock

    settings: dict[str, Any] = {"rate": rate, "landing_time": 1.0, "concurrency": 1}
    async with Simulator(ServiceConfig(latency_s=(0.0, 0.01)), clock=clock.now) as serving:
        jobs = scheduled_jobs(tmp_path, 500)
        wave = Wave(jobs, "results.jsonl", endpoint=serving.url, clock=clock, watch=watch, **settings)
        async with wave:
            results = {result.index: result async for result in wave}
    sent = [it.job_id for it in serving.ledger if isinstance(it, RequestSeen) and it.call == CREATE_COMPARE_TASK]
    assert sent == ["job-0"]
    assert {index: result.attempts for index, result in results.items()} == {0: 1, 1: 0, 2: 0, 3: 0}
    assert results[3].status is Status.FAILED
    assert "passed before the request could be sent" in (results[3].error_msg or "")


async def test_the_command_line(endpoint: str, jobs: Path) -> None:
    """`batcher control` prints where the wave stands, or JSON."""
    async with Wave(jobs, "results.jsonl", **SLOW) as wave:
        asked = CliRunner()
        shown = await asyncio.to_thread(asked.invoke, command, ["results.jsonl", "status"], standalone_mode=False)
        assert shown.return_value == 0
        assert "0 of 40 entries settled" in shown.output
        assert "1/h" in shown.output
        as_json = ["results.jsonl", "pause", "--json"]
        shown = await asyncio.to_thread(asked.invoke, command, as_json, standalone_mode=False)
        printed = shown.output[
            shown.output.index("{") :
        ]  # log lines of the wave, which is in this process, come before
        assert orjson.loads(printed)["said"] == "paused"
        assert wave.hand.changed[0].startswith("paused")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["rate"], "needs a value"), (["pause", "now"], "takes no value"), (["status"], "no wave is running")],
)
def test_the_command_line_says_what_is_wrong(arguments: list[str], said: str) -> None:
    """Bad usage, and no wave, are one sentence each."""
    ended = CliRunner().invoke(command, ["results.jsonl", *arguments], standalone_mode=False)
    assert said in str(ended.exception)
