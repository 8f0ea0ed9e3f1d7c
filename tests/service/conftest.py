"""A simulated cloud for the service, and an environment that leads there."""

from collections.abc import AsyncIterator

import pytest

from batcher.simulator.config import CloudConfig
from batcher.simulator.differences import Differences, SimulatedDifference
from batcher.simulator.jobs import JobRule
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.ports import free_port
from tests.service.serving import PROJECT

CLOUD = CloudConfig(
    speed=2000.0,
    jobs=(
        JobRule(pattern="gone-*", status="FULL_TRANSFER_FAILED"),
        JobRule(pattern="differs-*", objects=(("shop", None, ("orders", "goods")),)),
    ),
    differences=Differences((SimulatedDifference(job_id="differs-*", table="orders", rows=3),)),
)
"""The jobs gone-… are compared no more, differs-… have a table that differs, and comparisons take a moment."""


@pytest.fixture
def port() -> int:
    """Of a server that is not there, or not there yet."""
    return free_port()


@pytest.fixture
async def cloud(elsewhere: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """A simulated cloud, which the environment names, with a credential."""
    monkeypatch.setenv("BATCHER_PROJECT_ID", PROJECT)
    monkeypatch.setenv("BATCHER_RATE", "200/s")
    monkeypatch.setenv("BATCHER_LANDING_TIME", "0.5s")
    monkeypatch.setenv("BATCHER_POLL", "0.1s")
    async with Simulator(ServiceConfig(cloud=CLOUD, latency_s=(0.0, 0.01))) as simulator:
        monkeypatch.setenv("BATCHER_ENDPOINT", simulator.url)
        yield simulator
