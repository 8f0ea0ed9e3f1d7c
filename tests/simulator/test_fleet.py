"""The simulated list of jobs: its pages and filters, as the API has them."""

from typing import Any

import orjson
import pytest

from batcher.simulator.checks import BadRequest, read_fleet
from batcher.simulator.fleet import listed
from batcher.simulator.jobs import READY, Fleet, JobRule

FLEET = Fleet(
    [
        JobRule(pattern="jb1", name="pay", kind="sync", tags={"team": "pay"}, source_instance="in1"),
        JobRule(pattern="jb2", kind="sync", engine="postgresql", status="PAUSING", target_instance="in2"),
        JobRule(pattern="jb3", kind="sync", enterprise_project_id="e1"),
        JobRule(pattern="jb4"),
    ]
)


def ids(**asked: Any) -> list[str]:
    body = orjson.dumps({"db_use_type": "sync", "engine_type": "", **asked})
    told = listed(FLEET, "p", read_fleet("list-jobs", body), lambda rule: rule.status, 1e9)
    return [job["id"] for job in told["jobs"]]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["jb1", "jb2", "jb3"]),
        ({"db_use_type": "migration"}, ["jb4"]),
        ({"engine_type": "postgresql"}, ["jb2"]),
        ({"status": READY}, ["jb1", "jb3"]),
        ({"name": "pay"}, ["jb1"]),
        ({"name": "jb3,DRS-jb2"}, ["jb2", "jb3"]),
        ({"tags": {"team": "pay"}}, ["jb1"]),
        ({"enterprise_project_id": "e1"}, ["jb3"]),
        ({"instance_ids": ["in1", "in2"]}, ["jb1", "jb2"]),
        ({"net_type": "vpn"}, []),
        ({"per_page": 2, "cur_page": 2}, ["jb3"]),
        ({"per_page": 0}, ["jb1", "jb2", "jb3"]),
        ({"cur_page": 0, "per_page": 1}, ["jb1", "jb2", "jb3"]),
    ],
)
def test_what_is_asked_for_is_told(asked: dict[str, Any], found: list[str]) -> None:
    assert ids(**asked) == found


def test_an_engine_left_out_is_mysql_as_one_edition_has_it() -> None:
    told = listed(FLEET, "p", read_fleet("list-jobs", b'{"db_use_type": "sync"}'), lambda rule: rule.status, 1e9)
    assert [job["id"] for job in told["jobs"]] == ["jb1", "jb3"]


@pytest.mark.parametrize(
    "asked",
    [
        {"per_page": 101},
        {"per_page": 0, "cur_page": 2},
        {"db_use_type": "verify"},
        {"name": ",".join(map(str, range(101)))},
        {"instance_ids": ["in"] * 11},
        {"owner": "me"},
        {"name": 5},
        {"tags": ["a"]},
        {"service_name": "s"},
    ],
)
def test_what_the_api_does_not_take_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        ids(**asked)
