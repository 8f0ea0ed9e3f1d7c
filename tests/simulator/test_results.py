"""What comparisons found: consistent unless told otherwise, and every list cut to its page."""

import random
from typing import Any

import orjson

from batcher.simulator.config import CloudConfig
from batcher.simulator.differences import Differences, SimulatedDifference
from batcher.simulator.jobs import JobRule
from batcher.simulator.model import SimulatedCloud
from tests.simulator import bodies

NOW = 1_767_225_600.0
LATER = NOW + 100_000


class Asking:
    """A cloud with one comparison of job jb1, and its results."""

    def __init__(self, body: bytes, *, seed: int = 1, **config: Any) -> None:
        self.cloud = SimulatedCloud(CloudConfig(**config), random.Random(seed))
        answer = orjson.loads(self.cloud.create(NOW, "p", body).body)
        halves = (answer.get(f"{half}_level_compare_create_result") for half in ("object", "data"))
        self.task_id = next(half["compare_task_id"] for half in halves if half)

    def block(self, name: str, now: float = LATER, **page: int) -> dict[str, Any]:
        ids = {f"{name}_compare_id": self.task_id}
        reply = self.cloud.query(now, "p", bodies.query("jb1", **page, **ids))  # type: ignore[arg-type]
        found: dict[str, Any] = orjson.loads(reply.body)[f"{name}_compare_results"]
        return found


def test_nothing_differs_unless_told() -> None:
    lines = Asking(bodies.create()).block("line")
    (overview,) = lines["line_compare_overview"]
    assert overview == {"source_db_name": "shop", "target_db_name": "shop", "line_compare_result": "CONSISTENT"}
    (details,) = lines["line_compare_details"]
    assert [row["source_table_name"] for row in details["line_compare_detail"]] == ["orders", "items"]
    assert all(row["source_row_num"] == row["target_row_num"] > 0 for row in details["line_compare_detail"])


def test_a_table_differs_where_a_rule_says_so() -> None:
    told = Differences((SimulatedDifference(job_id="jb*", table="items", rows=3),))
    lines = Asking(bodies.create(), differences=told).block("line")
    assert lines["line_compare_overview"][0]["line_compare_result"] == "INCONSISTENT"
    orders, items = lines["line_compare_details"][0]["line_compare_detail"]
    assert orders["line_compare_result"] == "CONSISTENT"
    assert (items["line_compare_result"], items["diff_row_num"]) == ("INCONSISTENT", 3)
    assert items["source_row_num"] - items["target_row_num"] == 3


def test_values_differ_with_the_rows_that_do() -> None:
    told = Differences((SimulatedDifference(table="items", rows=3),))
    contents = Asking(bodies.create(compare_type="contents"), differences=told).block("content")
    (diff,) = contents["content_compare_diffs"]
    assert (diff["source_table_name"], diff["content_compare_diff_count"]) == ("items", 3)
    assert len(diff["content_compare_diff"]) == 3
    assert contents["content_compare_details"][0]["content_compare_detail"][1]["content_compare_result"] == (
        "INCONSISTENT"
    )


def test_an_object_is_missing_where_a_rule_says_so() -> None:
    told = Differences((SimulatedDifference(object_type="INDEX", name="ix_orders", database="shop"),))
    objects = Asking(bodies.create(object_level=True, data_level=False), differences=told).block("object_level")
    results = {row["object_type"]: row for row in objects["object_compare_overview"]}
    assert results["INDEX"]["object_compare_result"] == "INCONSISTENT"
    assert results["INDEX"]["source_count"] == results["INDEX"]["target_count"] + 1
    assert results["TABLE"]["object_compare_result"] == "CONSISTENT"
    (missing,) = objects["object_compare_details"]["INDEX"]
    assert (missing["source_db_name"], missing["source_db_value"], missing["target_db_value"]) == (
        "shop",
        "ix_orders",
        "",
    )


def test_a_share_of_the_jobs_differs_in_one_table_each() -> None:
    differences = Differences(share=0.25)
    pairs = [("shop", "orders"), ("shop", "items")]
    found = [differences.rows(7, f"jb{n}", pairs) for n in range(400)]
    assert 60 <= sum(map(bool, found)) <= 140
    assert all(len(tables) <= 1 for tables in found)
    assert found == [differences.rows(7, f"jb{n}", pairs) for n in range(400)]


def test_details_are_paged_by_table() -> None:
    tables = [f"t{n}" for n in range(5)]
    asking = Asking(bodies.create(objects=[{"db_name": "shop", "table_name": tables}]))
    read = []
    for page in (1, 2, 3):
        (details,) = asking.block("line", page=page, per_page=2)["line_compare_details"]
        assert details["line_compare_detail_count"] == 5
        read += [row["source_table_name"] for row in details["line_compare_detail"]]
    assert read == tables


def test_a_running_comparison_has_results_in_part() -> None:
    asking = Asking(bodies.create(), jobs=(JobRule(ends="NEVER"),))
    rows = asking.block("line", now=NOW + 5)["line_compare_details"][0]["line_compare_detail"]
    assert [row["line_compare_result"] for row in rows] == ["CONSISTENT", "COMPARING"]


def test_a_failed_comparison_compared_nothing() -> None:
    asking = Asking(bodies.create(), jobs=(JobRule(ends="FAILED"),))
    lines = asking.block("line")
    assert lines["line_compare_overview"][0]["line_compare_result"] == "FAILED_TO_COMPARE"
    assert all(row["message"] for row in lines["line_compare_details"][0]["line_compare_detail"])


def test_results_of_another_comparison_are_an_error_of_that_block_alone() -> None:
    asking = Asking(bodies.create())
    reply = asking.cloud.query(LATER, "p", bodies.query("jb1", content_compare_id=asking.task_id))
    answer = orjson.loads(reply.body)
    assert reply.status == 200
    assert answer["content_compare_results"]["error_code"]
    assert answer["compare_task_list_results"]["compare_task_list_count"] == 1
