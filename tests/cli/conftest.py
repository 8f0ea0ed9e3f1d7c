"""A clean environment, a simulated cloud to point at, and batcher's commands run in this process."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from batcher.cli.main import run
from batcher.simulator.faults import Script
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import FOREIGN, Ended, clean_environment, write_manifest

Batcher = Callable[..., Ended]
Cloud = Callable[..., ThreadedSimulator]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    for name, value in clean_environment(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def batcher(capsys: pytest.CaptureFixture[str]) -> Batcher:
    """Runs a command in this process: `batcher("run", manifest, "-o", results)`."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run(list(map(str, arguments)))
        told = capsys.readouterr()
        return Ended(code, told.out, told.err)

    return call


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Starts a simulated cloud and points the environment at it; `creates` are the faults of each job's requests."""
    with ExitStack() as stack:

        def start(config: ServiceConfig | None = None, *, creates: tuple[str, ...] = ()) -> ThreadedSimulator:
            config = config or ServiceConfig(faults=Script(creates=creates))
            simulator = stack.enter_context(ThreadedSimulator(config))
            for name, value in environment_for(simulator).items():
                monkeypatch.setenv(name, value)
            return simulator

        yield start


def environment_for(simulator: ThreadedSimulator) -> dict[str, str]:
    """The variables that point batcher at *simulator*, in a hurry."""
    return {
        "BATCHER_ENDPOINT": simulator.url,
        "BATCHER_PROJECT_ID": "project-a",
        "BATCHER_TOKEN": "simulated-token",
        "BATCHER_RATE": "200/s",
        "BATCHER_LANDING_TIME": "1s",
        "BATCHER_ENTRY_DEADLINE": "30s",
    }


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Three entries, for three jobs."""
    return write_manifest(tmp_path / "wave.csv", ["job-1", "job-2", "job-3"])
