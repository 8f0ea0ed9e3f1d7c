"""The simulated cloud as a state machine: no sockets, no clock, every rule told by the reference or by its config."""

import random
from typing import Any

import orjson
import pytest

from batcher.drs.outcome import Half
from batcher.rates import Rate
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import ExistingComparison, JobRule
from batcher.simulator.ledger import Effect, ListLedger, RequestSeen
from batcher.simulator.model import Intent, SimulatedCloud
from batcher.simulator.replies import Reply
from tests.simulator import bodies

NOW = 1_767_225_600.0


def cloud(seed: int = 1, **config: Any) -> SimulatedCloud:
    return SimulatedCloud(CloudConfig(**config), random.Random(seed))


def said(reply: Reply) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(reply.body)
    return answer


def data_id(reply: Reply) -> str:
    found: str = said(reply)["data_level_compare_create_result"]["compare_task_id"]
    return found


def listed(of: SimulatedCloud, now: float, job_id: str = "jb1", **page: int) -> list[dict[str, Any]]:
    reply = of.query(now, "p", bodies.query(job_id, **page))  # type: ignore[arg-type]
    assert reply.status == 200
    found: list[dict[str, Any]] = said(reply)["compare_task_list_results"]["compare_task_list"]
    return found


def test_both_halves_are_created_and_listed() -> None:
    of = cloud()
    reply = of.create(NOW, "p", bodies.create(object_level=True))
    answer = said(reply)
    assert reply.status == 200
    assert answer["job_id"] == "jb1"
    entries = listed(of, NOW + 1)
    assert {entry["compare_task_id"] for entry in entries} == {
        answer["object_level_compare_create_result"]["compare_task_id"],
        answer["data_level_compare_create_result"]["compare_task_id"],
    }
    assert {entry["compare_type"] for entry in entries} == {"lines", "object_comparison"}
    assert {entry["create_time"] for entry in entries} == {"1767225600000"}
    assert {entry["compare_task_status"] for entry in entries} == {"RUNNING"}


def test_neither_half_asked_for_creates_nothing() -> None:
    of = cloud()
    reply = of.create(NOW, "p", bodies.create(data_level=False))
    assert (reply.status, said(reply)) == (200, {"job_id": "jb1"})
    assert listed(of, NOW) == []


def test_a_comparison_runs_and_finishes_in_scaled_time() -> None:
    of = cloud(speed=100.0, runs_s={"lines": 300.0})
    of.create(NOW, "p", bodies.create())
    assert listed(of, NOW + 1)[0]["compare_task_status"] == "RUNNING"
    (entry,) = listed(of, NOW + 4.5)
    assert entry["compare_task_status"] == "SUCCESSFUL"
    assert NOW * 1000 + 1500 <= int(entry["end_time"]) <= NOW * 1000 + 4500


def test_a_scheduled_comparison_waits_and_counts_as_unfinished() -> None:
    of = cloud()
    start = str(round((NOW + 60) * 1000))
    of.create(NOW, "p", bodies.create(start_time=start))
    (entry,) = listed(of, NOW + 59)
    assert entry["compare_task_status"] == "WAITING_FOR_RUNNING"
    assert "compare_task_id" not in said(of.create(NOW + 1, "p", bodies.create()))["data_level_compare_create_result"]
    assert listed(of, NOW + 61)[0]["compare_task_status"] == "RUNNING"


def test_create_time_of_a_scheduled_one_can_be_its_start() -> None:
    of = cloud(listed_at_start=True)
    start = str(round((NOW + 60) * 1000))
    of.create(NOW, "p", bodies.create(start_time=start))
    assert listed(of, NOW)[0]["create_time"] == start


def test_keep_leaves_the_unfinished_one_alone() -> None:
    of = cloud()
    first = data_id(of.create(NOW, "p", bodies.create()))
    second = said(of.create(NOW + 1, "p", bodies.create(policy="keep")))
    assert second["data_level_compare_create_result"]["error_code"]
    assert [entry["compare_task_id"] for entry in listed(of, NOW + 2)] == [first]


@pytest.mark.parametrize(
    ("keep_answer", "half"),
    [("existing", "an id"), ("empty", ""), ("absent", None)],
)
def test_what_keep_answers_can_be_chosen(keep_answer: str, half: str | None) -> None:
    of = cloud(keep_answer=keep_answer)
    first = data_id(of.create(NOW, "p", bodies.create()))
    answer = said(of.create(NOW + 1, "p", bodies.create())).get("data_level_compare_create_result")
    expected = {"an id": {"compare_task_id": first}, "": {"compare_task_id": ""}, None: None}[half]
    assert answer == expected


def test_cancel_ends_the_unfinished_one_and_creates() -> None:
    of = cloud()
    first = data_id(of.create(NOW, "p", bodies.create()))
    second = data_id(of.create(NOW + 1, "p", bodies.create(policy="cancel")))
    states = {entry["compare_task_id"]: entry["compare_task_status"] for entry in listed(of, NOW + 2)}
    assert states == {first: "CANCELLED", second: "RUNNING"}


def test_keep_creates_once_the_first_has_finished() -> None:
    of = cloud(runs_s={"lines": 10.0})
    first = data_id(of.create(NOW, "p", bodies.create()))
    assert data_id(of.create(NOW + 20, "p", bodies.create())) != first


def test_an_unfinished_object_level_comparison_hinders_nothing() -> None:
    of = cloud()
    for second in range(2):
        assert said(of.create(NOW + second, "p", bodies.create(object_level=True, data_level=False)))[
            "object_level_compare_create_result"
        ]["compare_task_id"]
    assert len(listed(of, NOW + 2)) == 2


def test_a_half_refused_leaves_the_other_made() -> None:
    of = cloud()
    intent = of.admit(NOW, "p", bodies.create(object_level=True))
    assert isinstance(intent, Intent)
    answer = said(of.apply(NOW, intent, refuse=Half.OBJECT, code="DRS.M01503"))
    assert answer["object_level_compare_create_result"]["error_code"] == "DRS.M01503"
    assert answer["data_level_compare_create_result"]["compare_task_id"]
    assert [entry["compare_type"] for entry in listed(of, NOW)] == ["lines"]


def test_an_effect_can_come_late_and_meets_the_job_as_it_is_then() -> None:
    of = cloud(jobs=(JobRule(pattern="jb1", becomes=((30.0, "PAUSING"),)),))
    early, late = (of.admit(NOW, "p", bodies.create()) for _ in range(2))
    assert isinstance(early, Intent)
    assert isinstance(late, Intent)
    assert listed(of, NOW + 1) == []
    assert of.apply(NOW + 29, early).status == 200
    assert listed(of, NOW + 29)[0]["create_time"] == str(round((NOW + 29) * 1000))
    refused = of.apply(NOW + 31, late)
    assert (refused.status, refused.error_code) == (400, "DRS.M00304")


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (JobRule(exists=False), "DRS.M05003"),
        (JobRule(status="DELETED"), "DRS.M05004"),
        (JobRule(status="FULL_TRANSFER_STARTED"), "DRS.M00304"),
        (JobRule(children=("jb1c1", "jb1c2")), "DRS.M00307"),
    ],
)
def test_a_job_that_cannot_be_compared_is_refused(rule: JobRule, code: str) -> None:
    of = cloud(jobs=(rule,))
    reply = of.create(NOW, "p", bodies.create())
    assert (reply.status, reply.error_code) == (400, code)
    assert not any(isinstance(event, Effect) for event in of.ledger)  # type: ignore[attr-defined]


def test_a_job_becomes_ready() -> None:
    of = cloud(jobs=(JobRule(status="FULL_TRANSFER_STARTED", becomes=((60.0, "INCRE_TRANSFER_STARTED"),)),))
    assert of.create(NOW, "p", bodies.create()).status == 400
    assert of.create(NOW + 60, "p", bodies.create()).status == 200


def test_comparisons_that_were_there_before_are_listed_and_count() -> None:
    existing = (ExistingComparison(status="SUCCESSFUL", age_s=7200), ExistingComparison(status="RUNNING", age_s=600))
    of = cloud(jobs=(JobRule(existing=existing),))
    entries = listed(of, NOW)
    assert [entry["compare_task_status"] for entry in entries] == ["RUNNING", "SUCCESSFUL"]
    assert entries[0]["create_time"] == str(round((NOW - 600) * 1000))
    assert "error_code" in said(of.create(NOW + 1, "p", bodies.create()))["data_level_compare_create_result"]


@pytest.mark.parametrize(
    ("ends", "final"),
    [
        ("SUCCESSFUL", "SUCCESSFUL"),
        ("FAILED", "FAILED"),
        ("TIMEOUT_INTERRUPT", "TIMEOUT_INTERRUPT"),
        ("CANCELLED", "CANCELLED"),
        ("NEVER", "RUNNING"),
    ],
)
def test_comparisons_end_as_their_job_is_told(ends: str, final: str) -> None:
    of = cloud(jobs=(JobRule(ends=ends, runs_s=100.0),))
    of.create(NOW, "p", bodies.create())
    assert listed(of, NOW + 10)[0]["compare_task_status"] == "RUNNING"
    assert listed(of, NOW + 1000)[0]["compare_task_status"] == final


def test_somebody_else_creates_and_cancels() -> None:
    of = cloud()
    task_id = of.someone_creates(NOW, "p", "jb1", "lines")
    assert of.someone_cancels(NOW + 1, "p", "jb1", task_id)
    assert not of.someone_cancels(NOW + 2, "p", "jb1", task_id)
    assert listed(of, NOW + 3)[0]["compare_task_status"] == "CANCELLED"


def test_the_list_is_newest_first_and_cut_to_pages() -> None:
    of = cloud()
    ids = [of.someone_creates(NOW + n, "p", "jb1", "object_comparison") for n in range(5)]
    pages = [listed(of, NOW + 9, page=page, per_page=2) for page in (1, 2, 3, 4)]
    assert [[entry["compare_task_id"] for entry in page] for page in pages] == [
        [ids[4], ids[3]],
        [ids[2], ids[1]],
        [ids[0]],
        [],
    ]


def test_an_empty_list_can_be_an_error() -> None:
    of = cloud(empty_list_is_error=True)
    assert of.query(NOW, "p", bodies.query()).status == 422
    of.create(NOW, "p", bodies.create())
    assert of.query(NOW, "p", bodies.query()).status == 200


def test_batch_status_cuts_to_five_unless_told() -> None:
    of = cloud()
    jobs = [f"jb{n}" for n in range(7)]
    cut = said(of.batch_status(NOW, "p", bodies.batch(*jobs)))
    assert (cut["count"], len(cut["results"])) == (7, 5)
    whole = said(of.batch_status(NOW, "p", bodies.batch(*jobs, page_req={"cur_page": 1, "per_page": 0})))
    assert [item["id"] for item in whole["results"]] == jobs
    second = said(of.batch_status(NOW, "p", bodies.batch(*jobs, page_req={"cur_page": 2, "per_page": 5})))
    assert [item["id"] for item in second["results"]] == jobs[5:]


def test_batch_status_has_codes_for_single_items() -> None:
    of = cloud(jobs=(JobRule(pattern="gone", exists=False), JobRule(pattern="parent", children=("kid",))))
    mixed = of.batch_status(NOW, "p", bodies.batch("gone", "parent", "jb1"))
    gone, parent, ready = said(mixed)["results"]
    assert mixed.status == 200
    assert gone["error_code"] == "DRS.M00289"
    assert parent["status"] == "CHILD_TRANSFER_STARTED"
    assert ready == {"id": "jb1", "status": "INCRE_TRANSFER_STARTED"}
    alone = of.batch_status(NOW, "p", bodies.batch("gone"))
    assert alone.status == 400
    assert "error_code" not in said(alone)
    assert said(alone)["results"][0]["error_code"] == "DRS.M00289"


def test_batch_detail_tells_a_subtask_from_its_parent() -> None:
    rules = (JobRule(pattern="parent", children=("kid",)), JobRule(pattern="kid", parent_id="parent"))
    parent, kid = said(cloud(jobs=rules).batch_detail(NOW, "p", bodies.batch("parent", "kid")))["results"]
    assert parent["master_job_id"] == "kid"
    assert kid["parent_id"] == "parent"


def test_the_limit_counts_creates_per_project_and_look_ups_apart() -> None:
    of = cloud(limit=Rate(2, 1.0), read_limit=Rate(1, 1.0))
    statuses = [of.create(NOW + n / 10, "p", bodies.create(f"jb{n}")).status for n in range(3)]
    assert statuses == [200, 200, 429]
    assert of.create(NOW + 0.3, "other", bodies.create()).status == 200
    assert of.query(NOW + 0.4, "p", bodies.query()).status == 200
    refused = of.batch_status(NOW + 0.5, "p", bodies.batch("jb1"))
    assert (refused.status, refused.error_code) == (429, "APIGW.0308")
    assert refused.headers["Retry-After"] == "1"
    assert "limit:1,time:1 second" in said(refused)["error_msg"]
    assert of.create(NOW + 1.0, "p", bodies.create("jb9")).status == 200


def test_projects_and_permissions() -> None:
    of = cloud(projects=frozenset({"p"}), denied=frozenset({"create-compare-task"}))
    assert of.query(NOW, "stranger", bodies.query()).error_code == "DRS.M00261"
    assert of.create(NOW, "p", bodies.create()).error_code == "DRS.M00102"
    assert of.query(NOW, "p", bodies.query()).status == 200


def test_a_door_that_is_shut_comes_before_the_limit() -> None:
    of = cloud(limit=Rate(1, 60.0))
    shut = Reply(status=401, body=b"{}", request_id="r", error_code="APIGW.0301")
    assert of.admit(NOW, "p", bodies.create(), door=lambda _: shut) is shut
    assert isinstance(of.admit(NOW, "p", bodies.create()), Intent)


def test_the_same_job_in_two_projects_is_two_jobs() -> None:
    of = cloud()
    assert data_id(of.create(NOW, "p", bodies.create())) != data_id(of.create(NOW, "q", bodies.create()))


def test_ids_follow_from_the_seed_and_the_job_not_from_the_order_of_arrival() -> None:
    jobs = [f"jb{n}" for n in range(20)]
    forward, backward, other = cloud(1), cloud(1), cloud(2)
    first = {job: data_id(forward.create(NOW, "p", bodies.create(job))) for job in jobs}
    second = {job: data_id(backward.create(NOW, "p", bodies.create(job))) for job in reversed(jobs)}
    third = {job: data_id(other.create(NOW, "p", bodies.create(job))) for job in jobs}
    assert first == second
    assert not set(first.values()) & set(third.values())


def test_the_ledger_has_every_request_and_effect() -> None:
    ledger = ListLedger()
    of = SimulatedCloud(CloudConfig(), random.Random(1), ledger=ledger)
    first = of.create(NOW, "p", bodies.create(object_level=True))
    of.create(NOW + 1, "p", bodies.create(policy="cancel"))
    of.create(NOW + 2, "p", b"{")
    seen = [event for event in ledger if isinstance(event, RequestSeen)]
    effects = [event for event in ledger if isinstance(event, Effect)]
    assert [(event.at, event.job_id, event.asked) for event in seen] == [
        (NOW, "jb1", (Half.OBJECT, Half.DATA)),
        (NOW + 1, "jb1", (Half.DATA,)),
        (NOW + 2, None, ()),
    ]
    assert effects[0].request_id == first.request_id
    assert effects[0].created[Half.DATA] == data_id(first)
    assert effects[1].cancelled == (data_id(first),)
