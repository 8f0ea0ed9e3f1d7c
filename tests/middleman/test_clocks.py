"""A gateway that puts its own clock in the place of the cloud's: what it shows proves nothing about an entry."""

import time
from collections import Counter
from pathlib import Path

import pytest

from batcher.drs.outcome import Half
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import parse_profile
from batcher.simulator.jobs import ExistingComparison, JobRule
from batcher.simulator.ledger import Effect
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import lines_of, write_manifest
from tests.cli.conftest import Batcher, environment_for
from tests.middleman.conftest import Gateway

JOBS = [f"job-{number}" for number in range(30)]
# Each job has comparisons of the same type already, finished: one from last night and one a quarter of an hour old.
OLDER = JobRule(
    existing=(
        ExistingComparison(compare_type="lines", status="SUCCESSFUL", age_s=40_000.0),
        ExistingComparison(compare_type="lines", status="SUCCESSFUL", age_s=900.0),
    )
)
LOSES_ANSWERS = "creates:reset-after=25%,reset-before=10%"


@pytest.mark.parametrize("ahead_s", [-7.0, 1200.0], ids=["7 s ahead", "20 min behind"])
@pytest.mark.parametrize("policy", ["cancel", "keep"])
def test_nothing_is_created_twice_nor_left_to_a_person(
    ahead_s: float, policy: str, gateway: Gateway, batcher: Batcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the answers is lost, of what was made and of what was not; the gateway's clock is off."""
    config = ServiceConfig(cloud=CloudConfig(jobs=(OLDER,)), faults=parse_profile(LOSES_ANSWERS))
    with ThreadedSimulator(config, clock_offset_s=ahead_s) as simulator:
        for name, value in environment_for(simulator).items():
            monkeypatch.setenv(name, value)
        gateway(simulator, date=time.time)
        wave = write_manifest(tmp_path / "wave.csv", JOBS)
        wave.write_text(wave.read_text().replace("keep", policy))
        ended = batcher("run", wave, "-o", tmp_path / "results.jsonl")
        created = [event for event in simulator.ledger if isinstance(event, Effect) and event.request_id]
        assert Counter(event.job_id for event in created) == Counter(JOBS)
        lines = lines_of(tmp_path / "results.jsonl")
        ids = {line["data_level_compare_create_result"]["compare_task_id"] for line in lines}
        assert ids == {event.created[Half.DATA] for event in created}
        assert any(line["recovered"] for line in lines)
        assert any(line["attempts"] > 1 for line in lines)
        assert ended.code == 0
