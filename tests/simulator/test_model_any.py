"""Whatever is asked in whatever order, with effects as late as may be: the cloud's own rules hold, and its ledger
says the same as its lists."""

import random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.simulator.config import CloudConfig
from batcher.simulator.ledger import ListLedger, cancelled, creations
from batcher.simulator.model import Intent, SimulatedCloud
from tests.simulator import bodies

NOW = 1_767_225_600.0
JOBS = ("jb1", "jb2")

REQUESTS = st.fixed_dictionaries(
    {
        "job_id": st.sampled_from(JOBS),
        "object_level": st.booleans(),
        "data_level": st.booleans(),
        "policy": st.sampled_from(["keep", "cancel"]),
        "start_time": st.none() | st.integers(0, 400).map(lambda ahead_s: str(round((NOW + ahead_s) * 1000))),
    }
)
STEPS = st.lists(st.tuples(st.integers(0, 120), REQUESTS, st.integers(0, 3)), max_size=25)


def lists(cloud: SimulatedCloud, now: float) -> dict[str, dict[str, str]]:
    """Of each job, id and status of its comparisons, read page by page."""
    found: dict[str, dict[str, str]] = {}
    for job_id in JOBS:
        states = found[job_id] = {}
        for page in range(1, 100):
            reply = cloud.query(now, "p", bodies.query(job_id, page=page, per_page=3))
            block: dict[str, Any] = orjson.loads(reply.body)["compare_task_list_results"]
            states.update((task["compare_task_id"], task["compare_task_status"]) for task in block["compare_task_list"])
            if page * 3 >= block["compare_task_list_count"]:
                assert len(states) == block["compare_task_list_count"]
                break
    return found


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_one_unfinished_comparison_per_job_and_a_ledger_that_agrees(
    steps: list[tuple[int, dict[str, Any], int]],
) -> None:
    ledger = ListLedger()
    cloud = SimulatedCloud(CloudConfig(runs_s={"lines": 100.0}), random.Random(1), ledger=ledger)
    now = NOW
    late: list[tuple[int, Intent]] = []
    for number, (gap_s, request, steps_late) in enumerate(steps):
        now += gap_s
        admitted = cloud.admit(now, "p", bodies.create(**request))
        assert isinstance(admitted, Intent)
        late.append((number + steps_late, admitted))
        for due in [item for item in late if item[0] <= number]:
            late.remove(due)
            assert cloud.apply(now, due[1]).status == 200
        states = lists(cloud, now)
        made = {creation.compare_task_id: creation for creation in creations(ledger)}
        assert {task_id for job in states.values() for task_id in job} == made.keys()
        for job_id, tasks in states.items():
            assert all(made[task_id].job_id == job_id for task_id in tasks)
            running = [task_id for task_id, status in tasks.items() if status in ("RUNNING", "WAITING_FOR_RUNNING")]
            assert sum(made[task_id].half == "data_level" for task_id in running) <= 1
        ended = {task_id for job in states.values() for task_id, status in job.items() if status == "CANCELLED"}
        assert ended == cancelled(ledger)
