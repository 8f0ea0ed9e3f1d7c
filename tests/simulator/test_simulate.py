"""`batcher simulate` as people use it: a process that says where it serves, and ends cleanly when told to."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from batcher.cli.main import cli, run
from batcher.simulator.faults import FAULTS, PROFILES
from batcher.simulator.ledger import Effect, read_ledger
from tests.simulator import bodies

DESCRIBED = {profile.name: profile.description for profile in PROFILES.values()} | {
    fault.name: fault.description for fault in FAULTS.values()
}


@contextmanager
def simulating(*options: str) -> Iterator[subprocess.Popen[str]]:
    """`batcher simulate` on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "batcher", "simulate", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def create(url: str, job_id: str) -> int:
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{url}/v3/p/jobs/create-compare-task",
        data=bodies.create(job_id),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=90) as response:  # noqa: S310 - loopback
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_told_to_end_and_sums_up(tmp_path: Path, number: signal.Signals) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with simulating("--json", "--limit", "2/min", "--ledger", str(ledger), "--verbose") as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["environment"]["BATCHER_ENDPOINT"] == told["url"]
        assert told["environment"]["BATCHER_RATE"] == "2/min"
        assert [create(told["url"], f"jb{n}") for n in range(3)] == [200, 200, 429]
        assert sum(isinstance(event, Effect) for event in read_ledger(ledger)) == 2
        process.send_signal(number)
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0
    summary = json.loads(out)
    assert summary["requests"] == {"create-compare-task": 3}
    assert summary["answers"] == {"200": 2, "429 APIGW.0308": 1}
    assert summary["busiest_window"] == {"seconds": 60.0, "create_requests": {"p": 3}}
    lines = err.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} (UTC|[+-]\d\d:\d\d) create-compare-task jb0 200", lines[0])
    assert lines[2].endswith("create-compare-task jb2 429 APIGW.0308")


def test_it_says_what_to_type_and_what_came_of_it() -> None:
    with simulating("--faults", "throttled=100%", "--auth", "aksk") as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            lines.append(process.stdout.readline())
        exports = dict(re.findall(r"export (\w+)=(.*)", "".join(lines)))
        assert {"BATCHER_ENDPOINT", "BATCHER_PROJECT_ID", "BATCHER_AK", "BATCHER_SK"} <= exports.keys()
        assert "faults throttled=100%: 100% of requests: 429 APIGW.0308 without Retry-After" in lines[0]
        assert create(exports["BATCHER_ENDPOINT"], "jb1") == 401  # nobody signed it
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (0, "")
    assert "Requests: create-compare-task (1)." in out
    assert "Answers: 401 APIGW.0301 (1)." in out
    assert "Comparisons created: 0; cancelled by a later request: 0." in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device here that is always full")
def test_a_ledger_that_cannot_be_written_ends_it() -> None:
    with simulating("--json", "--ledger", "/dev/full") as process:
        assert process.stdout is not None
        assert create(json.loads(process.stdout.readline())["url"], "jb1") == 500
        _, err = process.communicate(timeout=90)
    assert process.returncode == 3
    assert err == "error: cannot write /dev/full: No space left on device. Make room, or write somewhere else.\n"


def test_a_taken_port_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(["simulate", "--port", str(taken.getsockname()[1])]) == 2
    assert re.fullmatch(r"error: port \d+ on 127.0.0.1 is taken: choose another .*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--faults", "flakey"], "did you mean flaky?"),
        (["--jobs", "no-such-file.json"], "no-such-file.json: cannot be read"),
        (["--ledger", "no/such/folder"], "--ledger no/such/folder: cannot be written"),
        (["--limit", "10"], "--limit: '10' is no rate"),
        (["--clock-ahead", "soon"], "--clock-ahead: 'soon' is no duration"),
    ],
)
def test_wrong_options_end_with_code_2_and_the_mend(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", "--port", "0", *options]) == 2
    assert said in capsys.readouterr().err


def test_all_faults_and_profiles_are_listed() -> None:
    shown = CliRunner().invoke(cli, ["simulate", "--list-faults"], env={"COLUMNS": "160"})
    listed = json.loads(CliRunner().invoke(cli, ["simulate", "--list-faults", "--json"]).output)
    for name, description in DESCRIBED.items():
        assert re.search(rf"^{re.escape(name)}\s+{re.escape(description)}", shown.output, re.MULTILINE)
    assert listed["profiles"].keys() == PROFILES.keys()
    assert listed["faults"].keys() == FAULTS.keys()


def test_the_user_page_has_every_profile_and_fault_and_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    for name, description in DESCRIBED.items():
        assert f"| `{name}` | {description} |" in page
    command = cli.get_command(None, "simulate")  # type: ignore[arg-type]
    assert command is not None
    for option in command.params:
        assert f"`{max(option.opts, key=len)}" in page, option.opts
