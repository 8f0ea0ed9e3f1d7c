"""Commands run in this process against a simulated cloud whose comparisons take a moment."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import NO_FAULTS, FaultSource
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.conftest import _elsewhere, batcher, environment_for, manifest

__all__ = ["_elsewhere", "batcher", "manifest"]


Fleet = Callable[..., ThreadedSimulator]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """Starts a cloud in which a row comparison takes a third of a second, and points the environment at it."""
    with ExitStack() as stack:

        def start(faults: FaultSource = NO_FAULTS, speed: float = 1000.0, **config: Any) -> ThreadedSimulator:
            made = ServiceConfig(cloud=CloudConfig(speed=speed, **config), faults=faults)
            simulator = stack.enter_context(ThreadedSimulator(made))
            for name, value in {**environment_for(simulator), "BATCHER_POLL": "50ms"}.items():
                monkeypatch.setenv(name, value)
            return simulator

        yield start
