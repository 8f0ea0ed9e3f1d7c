"""A wave runs on uvloop where the extra is installed, and on asyncio's own loop where it is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from batcher.simulator.server import ThreadedSimulator
from tests.cli.commands import clean_environment, write_manifest
from tests.cli.conftest import environment_for

JOBS = [f"job-{number}" for number in range(40)]

_TOLD = """
import asyncio, sys
if sys.argv[1] == "without":
    sys.modules["uvloop"] = None  # as if it were not installed
from batcher.api import Wave
from batcher.cli.main import run
whole = Wave.run
async def told(self):
    print(type(asyncio.get_running_loop()).__module__)
    return await whole(self)
Wave.run = told
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.parametrize(("given", "module"), [("with", "uvloop"), ("without", "asyncio.unix_events")])
def test_the_loop_that_is_there_is_used(tmp_path: Path, given: str, module: str) -> None:
    write_manifest(tmp_path / "wave.csv", JOBS)
    command = [sys.executable, "-c", _TOLD, given, "run", "wave.csv", "-o", "results.jsonl", "--quiet"]
    with ThreadedSimulator() as simulator:
        environment = {**clean_environment(tmp_path), **environment_for(simulator)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{module}\n"
    assert len((tmp_path / "results.jsonl").read_bytes().splitlines()) == len(JOBS)
