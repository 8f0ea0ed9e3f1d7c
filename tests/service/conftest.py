"""A simulated cloud for the service, and an environment that leads there."""

from collections.abc import AsyncIterator

import pytest

from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.service.serving import PROJECT


@pytest.fixture
async def cloud(elsewhere: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """A simulated cloud, which the environment names, with a credential."""
    monkeypatch.setenv("BATCHER_PROJECT_ID", PROJECT)
    monkeypatch.setenv("BATCHER_RATE", "200/s")
    monkeypatch.setenv("BATCHER_LANDING_TIME", "0.5s")
    async with Simulator(ServiceConfig(latency_s=(0.0, 0.01))) as simulator:
        monkeypatch.setenv("BATCHER_ENDPOINT", simulator.url)
        yield simulator
