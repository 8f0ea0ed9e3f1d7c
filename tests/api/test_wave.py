"""The Python face: a wave from a script, as the README has it."""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import batcher
from batcher import BadManifest, OpeningStopped, RunSettings, Status, Stop, StopKind, UserError, Wave
from batcher.cli.signals import stopping
from batcher.drs.auth.none import NO_CREDENTIAL
from batcher.drs.cloud import Credential
from batcher.journal.sqlite.keeper import SqliteReader
from batcher.journal.sqlite.record import SqliteRecord
from batcher.life.entry import Scope
from batcher.simulator.ledger import RequestSeen
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.context import log
from batcher.wave.rebuild import open_lines

pytestmark = pytest.mark.usefixtures("elsewhere")
ROOT = Path(__file__).parents[2]
HASTE: dict[str, Any] = {"rate": "200/s", "landing_time": 1.0}


@pytest.fixture
async def simulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    async with Simulator(ServiceConfig(latency_s=(0.0, 0.01))) as serving:
        monkeypatch.setenv("BATCHER_ENDPOINT", serving.url)
        yield serving


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.csv"
    rows = "".join(f"job-{number},objects\n" for number in range(30))
    path.write_text(f"job_id,object_level_compare_type\n{rows}")
    return path


def requests_of(simulator: Simulator) -> int:
    return sum(isinstance(event, RequestSeen) and event.call == "create-compare-task" for event in simulator.ledger)


async def test_the_results_come_as_they_settle(simulator: Simulator, jobs: Path) -> None:
    async with Wave(jobs, "results.jsonl", **HASTE) as wave:
        assert wave.found is not None
        assert (wave.found.resumed, wave.found.to_go) == (False, 30)
        keys = [result.key async for result in wave if result.status is Status.CREATED]
    assert len(set(keys)) == 30
    assert wave.end.stop is None
    assert wave.end.status.created == 30


async def test_a_script_has_its_standard_output_to_itself(
    simulator: Simulator, jobs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody has set structlog up, only warnings are logged, and to stderr."""
    async with Wave(jobs, "results.jsonl", **HASTE) as wave:
        await wave.run()
        log.warning("something to know")
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split("warning ")[-1] for line in told.err.splitlines()] == ["something to know"]


async def test_run_needs_no_iteration(simulator: Simulator, jobs: Path) -> None:
    async with Wave(jobs, "results.jsonl", **HASTE) as wave:
        end = await wave.run()
    assert (end.status.created, end) == (30, wave.end)


async def test_a_wave_that_ends_at_once_reads_none_of_what_was_not_begun(
    simulator: Simulator, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C: of a million entries that are open their lines would take a quarter of a minute."""
    read: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(SqliteRecord, "unfinished", lambda _, after, __: read.append(after))
        async with Wave(jobs, "results.jsonl", rate="50/s", concurrency=2) as wave:
            async for _ in wave:
                wave.abandon()
                break
    status = wave.end.status
    assert (read, status.open) == ([], 0)
    assert status.created >= 1
    assert len(Path("results.jsonl").read_bytes().splitlines()) == status.created  # there was no time for the others
    record = SqliteReader(Path("results.jsonl.journal")).wave()
    left = Counter(said for said, _ in open_lines(record, 0.0))
    assert (status.unsettled, status.not_submitted) == (left[Status.UNSETTLED], left[Status.NOT_SUBMITTED])
    assert left[Status.NOT_SUBMITTED] > 0


async def test_leaving_early_stops_in_order_and_the_same_call_goes_on(simulator: Simulator, jobs: Path) -> None:
    async with Wave(jobs, "results.jsonl", rate="50/s") as wave:
        async for _ in wave:
            break
    assert wave.end.stop is not None
    assert wave.end.stop.kind is StopKind.ASKED
    assert 0 < wave.end.status.created < 30
    async with Wave(jobs, "results.jsonl", **HASTE) as again:
        assert again.found is not None
        assert again.found.resumed
        await again.run()
    assert again.end.status.created == 30
    assert requests_of(simulator) == 30


async def test_an_error_in_the_loop_stops_the_wave_and_comes_out(simulator: Simulator, jobs: Path) -> None:
    wave = Wave(jobs, "results.jsonl", rate="50/s")

    async def fail() -> None:
        async with wave:
            async for _ in wave:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert wave.end.stop is not None
    assert requests_of(simulator) < 30


async def test_a_bad_manifest_has_all_its_findings(simulator: Simulator, jobs: Path) -> None:
    jobs.write_text(jobs.read_text().replace("objects", "tables"))
    with pytest.raises(BadManifest) as caught:
        async with Wave(jobs, "results.jsonl"):
            pass
    assert len(caught.value.findings) == 30
    assert not Path("results.jsonl.journal").exists()


async def test_a_stop_while_the_manifest_is_read_leaves_nothing(simulator: Simulator, jobs: Path) -> None:
    wave = Wave(jobs, "results.jsonl")
    wave.stop(Stop(StopKind.ASKED, "never mind"))
    with pytest.raises(OpeningStopped, match="nothing was sent"):
        async with wave:
            pass
    assert not Path("results.jsonl").exists()
    assert not Path("results.jsonl.journal").exists()


async def test_a_stop_while_credentials_are_looked_for_sends_nothing(simulator: Simulator, jobs: Path) -> None:
    def stop_and_find(scope: Scope) -> Credential:
        wave.stop(Stop(StopKind.ASKED, "never mind"))
        return NO_CREDENTIAL

    wave = Wave(jobs, "results.jsonl", credential_for=stop_and_find, **HASTE)
    async with wave:
        end = await wave.run()
    assert end.stop is not None
    assert requests_of(simulator) == 0
    assert end.status.not_submitted == 30


async def test_a_signal_while_credentials_are_looked_for_is_answered(
    simulator: Simulator, jobs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where they are not found: what the handler says then must not fail."""
    said: list[str] = []

    def wait_and_fail(scope: Scope) -> Credential:
        signal.raise_signal(signal.SIGINT)
        raise UserError("nobody has written to the pipe")

    wave = Wave(jobs, "results.jsonl", credential_for=wait_and_fail, **HASTE)
    with stopping(wave, said.append), pytest.raises(UserError):
        async with wave:
            pass
    await asyncio.sleep(0)
    assert said == ["SIGINT: nothing has been sent"]
    assert not caplog.records


async def test_settings_or_keywords(jobs: Path) -> None:
    with pytest.raises(TypeError):
        Wave(jobs, "results.jsonl", settings=RunSettings(), rate="5/s")
    with pytest.raises(UserError, match="--rate fast is no rate"):
        Wave(jobs, "results.jsonl", rate="fast")


async def test_a_wave_runs_once(simulator: Simulator, jobs: Path) -> None:
    async with Wave(jobs, "results.jsonl", **HASTE) as wave:
        with pytest.raises(RuntimeError):
            _ = wave.end
        await wave.run()
        with pytest.raises(RuntimeError):
            await wave.run()


def test_every_name_of_the_face_is_there_and_no_other() -> None:
    for name in batcher.__all__:
        assert getattr(batcher, name) is not None
    with pytest.raises(AttributeError):
        _ = batcher.Waves


async def test_the_example_of_the_readme_runs_as_it_stands(
    simulator: Simulator, jobs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs.write_text("".join(jobs.read_text().splitlines(keepends=True)[:7]))  # six entries: the example is in no hurry
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert sum(bool(line.strip()) for line in example.splitlines()) <= 10
    lines, main = example.split("asyncio.run(")
    names: dict[str, object] = {}
    exec(compile(lines, "README.md", "exec"), names)  # noqa: S102 - it is our own page
    await names[main.split("(")[0]]()  # type: ignore[operator]
    assert "created 6 of 6" in capsys.readouterr().out
