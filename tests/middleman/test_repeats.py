"""A middleman that repeats requests: what is in the way of the repeat is the comparison that the first one made."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import ExistingComparison, JobRule
from batcher.simulator.ledger import Effect
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import lines_of, write_manifest
from tests.cli.conftest import Batcher, environment_for
from tests.middleman.conftest import Gateway

CREATE = "create-compare-task"
JOBS = [f"job-{number}" for number in range(8)]
OLDER = JobRule(existing=(ExistingComparison(compare_type="lines", status="SUCCESSFUL", age_s=900.0),))


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedSimulator]:
    busy = JobRule(pattern="job-7", existing=(ExistingComparison(compare_type="lines", status="RUNNING", age_s=900.0),))
    with ThreadedSimulator(ServiceConfig(cloud=CloudConfig(jobs=(busy, OLDER)))) as simulator:
        for name, value in environment_for(simulator).items():
            monkeypatch.setenv(name, value)
        yield simulator


@pytest.mark.parametrize("object_level", [False, True], ids=["data level", "both levels"])
def test_what_is_in_the_way_is_ours(
    object_level: bool, simulator: ThreadedSimulator, gateway: Gateway, batcher: Batcher, tmp_path: Path
) -> None:
    """It is found in the list and reported as created; what somebody else has unfinished still refuses the entry."""
    gateway(simulator, repeats=lambda asked: asked.target.endswith(CREATE))
    more = {"object_level_compare_type": "objects"} if object_level else {}
    wave = write_manifest(tmp_path / "wave.csv", JOBS, **more)
    ended = batcher("run", wave, "-o", tmp_path / "results.jsonl", "--log-format", "json")
    lines = {line["job_id"]: line for line in lines_of(tmp_path / "results.jsonl")}
    busy = lines.pop("job-7")
    assert busy["status"] == ("partial" if object_level else "failed")
    assert Counter(line["status"] for line in lines.values()) == {"created": 7}
    assert all(line["recovered"] and line["attempts"] == 1 for line in lines.values())
    data_level = [
        task_id
        for event in simulator.ledger
        if isinstance(event, Effect) and event.request_id
        for half, task_id in event.created.items()
        if half == "data_level"
    ]
    assert {line["data_level_compare_create_result"]["compare_task_id"] for line in lines.values()} == set(data_level)
    assert ended.code == 1
    assert ended.err.count('"event":"request.repeated"') == 7
    explained = batcher("explain", tmp_path / "results.jsonl", "--key", lines["job-1"]["key"])
    assert "repeats requests" in explained.out
