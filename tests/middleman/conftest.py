"""The same clean environment, simulated cloud and commands as for the command line, and a middleman before it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from batcher.simulator.server import ThreadedSimulator
from tests.cli.conftest import _elsewhere, batcher, cloud, manifest
from tests.middleman.middleman import Middleman, ThreadedMiddleman

__all__ = ["_elsewhere", "batcher", "cloud", "manifest"]

Gateway = Callable[..., Middleman]


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """Puts a middleman before a simulator and points the environment at it: `gateway(simulator, date=…)`."""
    with ExitStack() as stack:

        def start(simulator: ThreadedSimulator, **behaviour: Any) -> Middleman:
            middleman = stack.enter_context(ThreadedMiddleman(Middleman(simulator.url, **behaviour)))
            monkeypatch.setenv("BATCHER_ENDPOINT", middleman.url)
            return middleman

        yield start
