"""The command as a program: signals, streams, a terminal, and how little it takes to start."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from batcher.cli.main import SECTIONS
from batcher.simulator.faults import Script
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import Program, clean_environment, created_jobs, lines_of, wait_until, write_manifest
from tests.cli.conftest import environment_for

JOBS = [f"job-{number}" for number in range(40)]


def started(folder: Path, environment: dict[str, str], *more: object) -> Program:
    return Program(["run", "wave.csv", "-o", "results.jsonl", *more], folder=folder, environment=environment)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_in_order_and_the_same_command_goes_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    write_manifest(tmp_path / "wave.csv", JOBS)
    results = tmp_path / "results.jsonl"
    with ThreadedSimulator(ServiceConfig(latency_s=(0.05, 0.1))) as simulator:
        environment = environment_for(simulator) | {"BATCHER_RATE": "20/s"}
        program = started(tmp_path, environment)
        wait_until(lambda: results.exists() and results.stat().st_size > 0)
        program.signal(number)
        ended = program.end()
        assert ended.code == code
        assert ended.err.count("nothing more is sent") == 1
        assert ended.err.count(f"{number.name} received") == 1
        assert ended.err.count("the same again: it goes on") == 1
        assert "the same again: it goes on where it stopped" in ended.err
        lines = lines_of(results)
        assert len(lines) == len(JOBS)
        assert {line["status"] for line in lines} == {"created", "not_submitted"}
        environment["BATCHER_RATE"] = "200/s"
        again = started(tmp_path, environment).end()
        assert again.code == 0
        assert "goes on where it stopped" in again.err
        assert sorted(created_jobs(simulator.ledger)) == sorted(JOBS)
    assert [line["status"] for line in lines_of(results)] == ["created"] * len(JOBS)


def test_a_second_signal_leaves_at_once_and_loses_nothing(tmp_path: Path) -> None:
    write_manifest(tmp_path / "wave.csv", ["job-1"])
    with ThreadedSimulator(ServiceConfig(faults=Script(creates=("silent-after",)))) as simulator:
        environment = environment_for(simulator)
        program = started(tmp_path, environment)
        wait_until(lambda: created_jobs(simulator.ledger) == ["job-1"])
        program.signal(signal.SIGINT)
        wait_until(lambda: "A second signal leaves at once" in program.told)
        program.signal(signal.SIGTERM)
        ended = program.end()
        assert ended.code == 130
        assert "leaving at once" in ended.err
        again = started(tmp_path, environment).end()
        assert again.code == 0
        assert "1 in doubt and looked up first" in again.err
        assert created_jobs(simulator.ledger) == ["job-1"]
    (line,) = lines_of(tmp_path / "results.jsonl")
    assert (line["status"], line["recovered"]) == ("created", True)


def test_a_full_disk_behind_standard_output_stops_the_wave(tmp_path: Path) -> None:
    write_manifest(tmp_path / "wave.csv", JOBS)
    with ThreadedSimulator() as simulator, Path("/dev/full").open("w") as full:
        ended = Program(
            ["run", "wave.csv", "-o", "-"], folder=tmp_path, environment=environment_for(simulator), stdout=full
        ).end()
    assert ended.code == 3
    assert "cannot write results to standard output" in ended.err
    assert "the same again: it goes on where it stopped" in ended.err
    assert "the results hold" not in ended.err  # of course they do not
    assert "Traceback" not in ended.err


def test_a_journal_that_cannot_be_there(tmp_path: Path) -> None:
    write_manifest(tmp_path / "wave.csv", JOBS)
    with ThreadedSimulator() as simulator:
        ended = started(tmp_path, environment_for(simulator), "--journal", tmp_path / "no" / "such" / "folder").end()
        assert ended.code == 2
        assert "make it, or choose another" in ended.err
        assert simulator.ledger == []


# --- a terminal -----------------------------------------------------------------------------------------


def seen_on_a_terminal(folder: Path, environment: dict[str, str]) -> str:
    """What `batcher run` writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "batcher", "run", "wave.csv", "-o", "results.jsonl"],
        cwd=folder, env={**clean_environment(folder), **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
    ):  # fmt: skip
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not piece:
                break
            seen += piece
    os.close(ours)
    return seen.decode()


def test_a_terminal_shows_a_live_line_in_colour_unless_asked_not_to(tmp_path: Path) -> None:
    write_manifest(tmp_path / "wave.csv", JOBS)
    with ThreadedSimulator(ServiceConfig(latency_s=(0.15, 0.25))) as simulator:
        environment = environment_for(simulator)
        colourful = seen_on_a_terminal(tmp_path, environment)
        assert "━" in colourful
        assert "\x1b[32m" in colourful
        (tmp_path / "results.jsonl").unlink()
        (tmp_path / "results.jsonl.journal").unlink()
        plain = seen_on_a_terminal(tmp_path, {**environment, "NO_COLOR": "1"})
    assert "━" in plain
    assert not [code for code in ("31", "32", "33", "35", "36") if f"\x1b[{code}m" in plain]


# --- a light start --------------------------------------------------------------------------------------

HEAVY = (
    "aiohttp",
    "pydantic",
    "rich",
    "structlog",
    "sqlite3",
    "orjson",
    "msgspec",
    "asyncio",
    "json",
    "batcher.masking",
)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["completion", "bash"]])
def test_the_front_door_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom batcher.cli.main import run\n"
        f"code = run({arguments!r})\n"
        f"print('HEAVY', code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "HEAVY 0 []"


def test_no_command_imports_anything_heavy_to_tell_of_itself() -> None:
    """`--help` of each, one after the other; what one imports is blamed on it, and on those behind it."""
    code = (
        "import contextlib, io, sys\nfrom batcher.cli.main import cli, run\n"
        "import click\nfor name in sorted(cli.list_commands(click.Context(cli))):\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n        code = run([name, '--help'])\n"
        f"    print(name, code, [heavy for heavy in {HEAVY!r} if heavy in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) > 25
    assert [line for line in said if not line.endswith(" 0 []")] == []


def test_importing_batcher_imports_nothing_heavy_until_a_name_is_used() -> None:
    code = (
        "import sys, batcher\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], 'Wave' in dir(batcher), batcher.Wave)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[] True <class 'batcher.api.Wave'>"


# What a run loads where it needs it, each with all that is in it: for a terminal, a line to log, a config file, a
# following, a look-up, another credential than a token, another manifest than CSV, a journal of other waves.
LATER = (
    "batcher.cli.show.live",
    "batcher.client",
    "batcher.discover",
    "batcher.doctor",
    "batcher.drs.auth.access_key",
    "batcher.drs.auth.iam",
    "batcher.drs.auth.login",
    "batcher.drs.auth.projects",
    "batcher.drs.fleet",
    "batcher.drs.v3.batch_status",
    "batcher.drs.v3.query_compare_result",
    "batcher.follow",
    "batcher.gate",
    "batcher.journal.beside",
    "batcher.journal.postgres",
    "batcher.machines",
    "batcher.manifest.formats.guess_encoding",
    "batcher.manifest.formats.read_json",
    "batcher.manifest.formats.read_jsonl",
    "batcher.manifest.write",
    "batcher.notify",
    "batcher.rehearsal",
    "batcher.report.html",
    "batcher.report.summary",
    "batcher.service",
    "batcher.simulator",
    "click.shell_completion",
    "getpass",
    "html",
    "jinja2",
    "pygments",
    "rich",
    "rich.console",
    "structlog",
    "tomllib",
)
AT_THE_END = ("batcher.cli.show.ending", "batcher.report.read", "batcher.report.tally")
_WATCHED = """
import json, sys
from batcher.cli.main import run
first = set()
def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not first:
        first.update(sys.modules)
sys.addaudithook(watch)
code = run(sys.argv[1:])
print(json.dumps([code, sorted(first), sorted(sys.modules)]))
"""


def loaded_by_a_run(folder: Path, *options: str) -> tuple[set[str], set[str]]:
    """What of `LATER` and `AT_THE_END` is there when the first request of a wave leaves, and when it has ended well."""
    write_manifest(folder / "wave.csv", JOBS)
    command = [sys.executable, "-c", _WATCHED, "run", "wave.csv", "-o", "results.jsonl", *options]
    with ThreadedSimulator() as simulator:
        environment = {**clean_environment(folder), **environment_for(simulator)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    code, first, last = json.loads(done.stdout)
    assert code == 0
    assert "aiohttp" in first
    return _of_those(first), _of_those(last)


def _of_those(modules: list[str]) -> set[str]:
    return {name for name in (*LATER, *AT_THE_END) if any(f"{module}.".startswith(f"{name}.") for module in modules)}


def test_a_run_loads_nothing_before_its_first_request_that_it_does_not_need_for_it(tmp_path: Path) -> None:
    first, last = loaded_by_a_run(tmp_path)
    assert first == set()
    assert "batcher.report.summary" in last
    assert "rich.console" not in last  # nobody watches
    assert "structlog" not in last  # nothing was logged


def test_a_quiet_run_that_goes_well_never_loads_what_shows_things(tmp_path: Path) -> None:
    assert loaded_by_a_run(tmp_path, "--quiet") == (set(), set(AT_THE_END))


def test_a_check_that_nobody_watches_loads_nothing_that_sends_or_draws(tmp_path: Path) -> None:
    """Its reader is a pipe or a log: what it finds is written as it is."""
    write_manifest(tmp_path / "sound.csv", JOBS)
    (tmp_path / "unsound.csv").write_text("job_id,object_level_compare_type\na b,objects\n,tables\n")
    needless = (*LATER, "aiohttp", "asyncio", "rich", "sqlite3", "structlog", "tomllib", "batcher.wave", "batcher.api")
    code = (
        "import sys\nfrom batcher.cli.main import run\ncode = run(sys.argv[1:])\n"
        f"print([code, *(name for name in {needless!r} if name in sys.modules)])"
    )
    for name, ends in (("sound.csv", 0), ("unsound.csv", 2)):
        command = [sys.executable, "-c", code, "check", name, "--region", "eu-west-101", "--project-id", "p"]
        environment = clean_environment(tmp_path)
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == f"[{ends}]"


def test_what_reads_a_wave_from_its_files_loads_no_http_client_and_no_console(tmp_path: Path) -> None:
    """Nobody watches: what is told is written as it is. One command after the other; what one loads is blamed on it,
    and on those behind it."""
    write_manifest(tmp_path / "wave.csv", JOBS)
    with ThreadedSimulator() as simulator:
        environment = {**clean_environment(tmp_path), **environment_for(simulator)}
        run = [sys.executable, "-m", "batcher", "run", "wave.csv", "-o", "results.jsonl"]
        subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, check=True)
    commands = [
        "status results.jsonl",
        "explain results.jsonl --index 0",
        "select results.jsonl --status created -o next.jsonl",
        "results results.jsonl.journal -o again.jsonl",
        "journal check results.jsonl.journal",
        "control results.jsonl status",
        "gate results.jsonl",
        "report results.jsonl --csv entries.csv",
        "report results.jsonl --html page.html",
    ]
    code = (
        "import contextlib, io, sys\nfrom batcher.cli.main import run\nfor line in sys.argv[1:]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        "        code = run(line.split())\n"
        "    print(line, code, [name for name in ('aiohttp', 'batcher.client', 'rich.console') if name in sys.modules])"
    )
    environment = clean_environment(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code, *commands],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    ends = [line.removeprefix(command) for command, line in zip(commands, done.stdout.splitlines(), strict=True)]
    assert ends == [" 0 []"] * 5 + [" 2 []"] + [" 1 []"] + [" 0 []"] * 2, done.stdout


def test_the_collector_stays_away_until_all_is_loaded_and_is_as_eager_as_ever_after() -> None:
    code = (
        "import gc\nfrom batcher.cli.main import calm_collector\n"
        "calm_collector(); calm_collector()\nbefore = gc.get_threshold()\n"
        "gc.collect()\nprint(before, gc.get_threshold(), gc.callbacks)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "(100000, 20, 20) (20000, 20, 20) []"


def test_the_shell_completes_commands_and_options() -> None:
    def completed(*words: str) -> str:
        environment = {
            **os.environ,
            "_BATCHER_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["batcher", *words]),
            "COMP_CWORD": str(len(words)),
        }
        program = [sys.executable, "-m", "batcher"]
        return subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout

    assert {line.split(",")[1] for line in completed("s").splitlines()} == {
        "select",
        "settle",
        "simulate",
        "schema",
    } | {name for section in SECTIONS.values() for name in section if name.startswith("s")}
    assert "plain,--max-failures" in completed("run", "--max-f")
    assert completed("run", "--reconcile", "w").strip() == "plain,window"
