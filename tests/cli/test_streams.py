"""Whatever happens to standard input, output and error: the wave does its work, signals stop it, the code is right."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import clean_environment, lines_of, wait_until, write_manifest
from tests.cli.conftest import environment_for
from tests.forked import Forked, Plumbing, State, ran

ENTRIES = 12
SLOW = {"BATCHER_RATE": "6/s", "BATCHER_LOG_LEVEL": "info"}
RUN = ("run", "wave.csv", "-o", "results.jsonl")
TERRIBLE: tuple[State, ...] = ("closed", "full", "broken", "stuck")


@pytest.fixture(scope="module")
def simulator() -> Iterator[ThreadedSimulator]:
    with ThreadedSimulator(ServiceConfig()) as simulator:
        yield simulator


@pytest.fixture
def environ(simulator: ThreadedSimulator, tmp_path: Path) -> dict[str, str]:
    """The way to a cloud, and a manifest with jobs that it has never met."""
    own = uuid.uuid4().hex[:8]
    jobs = [f"job-{own}-{number}" for number in range(ENTRIES)]
    write_manifest(tmp_path / "wave.csv", jobs, **{"label.name": "schlüssel-→"})
    return environment_for(simulator)


def statuses(folder: Path) -> set[str]:
    """Those of the results, which are all there."""
    lines = lines_of(folder / "results.jsonl")
    assert len(lines) == ENTRIES
    return {line["status"] for line in lines}


@pytest.mark.parametrize(
    "plumbing",
    [
        *(Plumbing(stdout=state) for state in TERRIBLE),
        *(Plumbing(stderr=state) for state in TERRIBLE[:3]),
        Plumbing(stdin="closed"),
        Plumbing(stdin="closed", stdout="closed", stderr="closed"),
        Plumbing(stdout="broken", stderr="broken"),
    ],
)
def test_a_wave_that_nobody_reads_of_does_its_work(tmp_path: Path, environ: dict[str, str], plumbing: Plumbing) -> None:
    ended = ran(RUN, tmp_path, {**environ, "BATCHER_LOG_LEVEL": "debug"}, plumbing)
    assert ended.code == 0
    assert statuses(tmp_path) == {"created"}


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>&-"])
def test_streams_that_are_closed_from_the_beginning(tmp_path: Path, environ: dict[str, str], closed: str) -> None:
    """No file of the wave takes their numbers: what is written to standard error would be in the results."""
    command = f'exec "$0" -m batcher {" ".join(RUN)} --on-end "cat >&2; echo said" {closed}'
    environment = {**clean_environment(tmp_path), **environ}
    assert subprocess.run(["/bin/sh", "-c", command, sys.executable], cwd=tmp_path, env=environment).returncode == 0
    assert statuses(tmp_path) == {"created"}


CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize(("number", "state"), [*product(CODES, ["broken"]), (signal.SIGTERM, "stuck")])
def test_a_signal_stops_a_wave_that_nobody_reads_of(
    tmp_path: Path, environ: dict[str, str], number: signal.Signals, state: State
) -> None:
    """`run … 2>&1 | tee log` and Ctrl-C: tee is the first to die."""
    program = Forked(RUN, tmp_path, environ | SLOW, Plumbing(stdout=state, stderr=state))
    results = tmp_path / "results.jsonl"
    wait_until(lambda: results.exists() and results.stat().st_size > 0)
    assert program.process.pid is not None
    os.kill(program.process.pid, number)
    assert program.end().code == CODES[number]
    assert statuses(tmp_path) == {"created", "not_submitted"}


def ignore(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)


@pytest.mark.parametrize("number", CODES)
def test_a_signal_that_the_parent_ignores_stays_ignored(
    tmp_path: Path, environ: dict[str, str], number: signal.Signals
) -> None:
    """As nohup does it, and a shell with what a script sends to the background."""
    program = Forked(RUN, tmp_path, environ | SLOW, before=partial(ignore, number))
    results = tmp_path / "results.jsonl"
    wait_until(lambda: results.exists() and results.stat().st_size > 0)
    assert program.process.pid is not None
    os.kill(program.process.pid, number)
    assert program.end().code == 0
    assert statuses(tmp_path) == {"created"}


ASKED: tuple[tuple[str, ...], ...] = (
    (*RUN, "--json"),
    ("check", "wave.csv", "--json"),
    ("check", "wave.csv"),
    ("report", "results.jsonl"),
    ("report", "results.jsonl", "--json"),
    ("gate", "results.jsonl"),
    ("explain", "results.jsonl", "--index", "1"),
    ("select", "results.jsonl", "--status", "created", "-o", "-"),
    ("results", "results.jsonl.journal", "-o", "-"),
    ("schema", "result"),
    ("completion", "bash"),
    ("--help",),
)


def test_data_that_was_asked_for_and_not_taken_has_its_own_codes(tmp_path: Path, environ: dict[str, str]) -> None:
    """Never 1, which is a NO-GO of `gate`'s."""
    assert ran(RUN, tmp_path, environ).code == 0
    for arguments in ASKED:
        codes = [ran(arguments, tmp_path, environ, Plumbing(stdout=state)).code for state in TERRIBLE[:3]]
        assert codes == [141, 3, 141], arguments


def test_a_reader_who_leaves_a_wave_on_standard_output_ends_it_in_order(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    stream = ("run", "wave.csv", "-o", "-")
    ended = ran(stream, tmp_path, environ, Plumbing(stdout="broken"))
    assert ended.code == 141
    assert "the same again: it goes on where it stopped" in ended.err
    again = ran(stream, tmp_path, environ)
    assert (again.code, again.out.count("\n")) == (0, ENTRIES)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
def test_an_encoding_that_lacks_our_signs(tmp_path: Path, environ: dict[str, str], encoding: str) -> None:
    environment = {**clean_environment(tmp_path), **environ, "PYTHONIOENCODING": encoding}
    for arguments in (RUN, ("report", "results.jsonl"), ("check", "wave.csv")):
        command = [sys.executable, "-m", "batcher", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
        assert b"Traceback" not in done.stderr
        assert done.returncode == 0, done.stderr
        if arguments[0] == "report":
            assert "#########" in done.stdout.decode(encoding)
    manifest = subprocess.run(
        [sys.executable, "-m", "batcher", "select", "results.jsonl", "--status", "created", "-o", "-"],
        cwd=tmp_path, env=environment, capture_output=True, check=True,
    )  # fmt: skip
    assert "schlüssel-→" in manifest.stdout.decode(), "a manifest is UTF-8 wherever it goes"


CURSOR = ("\x1b[1A", "\x1b[2K", "\x1b[?25l", "\r")


def test_colour_can_be_forced_and_nothing_is_drawn_over(tmp_path: Path, environ: dict[str, str]) -> None:
    colourful = ran(RUN, tmp_path, {**environ, "FORCE_COLOR": "1"}).err
    assert "\x1b[32m" in colourful
    assert not [code for code in CURSOR if code in colourful]
    report = ran(("report", "results.jsonl"), tmp_path, {**environ, "FORCE_COLOR": "1"}).out
    assert "\x1b[32m" in report
    for arguments in (RUN, ("report", "results.jsonl"), ("report", "nowhere")):
        ended = ran(arguments, tmp_path, {**environ, "FORCE_COLOR": "1", "NO_COLOR": "1"})
        assert "\x1b" not in ended.out + ended.err


def test_what_is_piped_is_whole_lines(tmp_path: Path, environ: dict[str, str]) -> None:
    """No table breaks an id, however long, whatever COLUMNS says."""
    project = "0123456789abcdef" * 4
    for columns in ({}, {"COLUMNS": "60"}):
        ended = ran(("auth", "--project-id", project), tmp_path, {**environ, **columns})
        assert any(project in line and environ["BATCHER_ENDPOINT"] in line for line in ended.out.splitlines())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_standard_input_that_never_ends_is_not_waited_for_against_signals(
    tmp_path: Path, environ: dict[str, str], number: signal.Signals
) -> None:
    """As nothing was sent, the second signal ends it there and then."""
    stream = ("run", "-", "--format", "csv", "-o", "results.jsonl")
    program = Forked(stream, tmp_path, environ, Plumbing(stdin="silent"))
    assert program.process.pid is not None
    status = Path(f"/proc/{program.process.pid}/status")
    wait_until(lambda: catches(status.read_text(), signal.SIGHUP))
    os.kill(program.process.pid, number)
    wait_until(lambda: "nothing has been sent" in program.told)
    os.kill(program.process.pid, number)
    ended = program.end()
    assert (ended.code, ended.err.count("Traceback")) == (-number, 0)
    assert not (tmp_path / "results.jsonl").exists()


def catches(status: str, number: signal.Signals) -> bool:
    """Whether a process with this *status*, as /proc tells it, has a handler for the signal."""
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (number - 1) & 1)
