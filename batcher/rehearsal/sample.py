"""The demo's manifest: 300 entries in all shapes there are, over a fleet in which not every job is well."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta

import orjson

from batcher.rates import Rate
from batcher.simulator.config import CloudConfig
from batcher.simulator.differences import Differences
from batcher.simulator.faults import FaultProfile
from batcher.simulator.jobs import ExistingComparison, JobRule
from batcher.simulator.service import ServiceConfig

PROJECTS = ("demo-finance", "demo-retail")
ENTRIES = 300
LIMIT = Rate(25, 1.0)

_HEADER = (
    "job_id", "project_id", "object_level_compare_type", "conflict_policy", "compare_type", "compare_mode",
    "start_time", "compare_object_infos", "compare_object_infos_with_token", "label.wave", "label.team",
)  # fmt: skip
_SHORT_FORM = "shop: orders, items; billing: invoices; audit"
_JSON_FORM = orjson.dumps(
    [{"db_name": "shop:eu", "table_name": ["orders, archived", "items"]}, {"db_name": "billing"}]
).decode()
_TOKENS = orjson.dumps(
    [
        {
            "db_name": "sensors",
            "table_name_with_token": [
                {"table_name": "readings", "min_token": "-9223372036854775808", "max_token": "0"},
                {"table_name": "stations"},
            ],
        }
    ]
).decode()

# What goes wrong: a bad day, in which about one request in six meets something.
_FAULTS = FaultProfile(
    name="demo",
    description="lost answers, gateway errors, throttling, halves refused",
    chances={
        "reset-after": 0.03,  # created, and the answer lost: found again in the cloud's list
        "reset-before": 0.02,
        "504-after": 0.02,
        "500-before": 0.02,
        "502-html-before": 0.02,
        "truncated": 0.01,
        "throttled-told": 0.005,
        "partial-final": 0.01,
        "slow": 0.04,
    },
    late_s=(0.2, 1.0),
    slow_s=(0.3, 1.2),
)

_FLEET = (
    JobRule(pattern="*-gone-*", exists=False),
    JobRule(pattern="*-full-*", status="FULL_TRANSFER_STARTED"),
    JobRule(pattern="*-parent-*", status="CHILD_TRANSFER_STARTED", children=("demo-child-1", "demo-child-2")),
    JobRule(pattern="*-busy-*", existing=(ExistingComparison(compare_type="lines", status="RUNNING", age_s=7200.0),)),
)


def cloud(seed: int, *, speed: float = 1.0) -> ServiceConfig:
    """The cloud that the demo runs against; comparisons run *speed* times as fast as the cloud's."""
    return ServiceConfig(
        cloud=CloudConfig(limit=LIMIT, jobs=_FLEET, differences=Differences(share=0.05), speed=speed),
        faults=_FAULTS,
        seed=seed,
        latency_s=(0.02, 0.12),
    )


def manifest_csv(now: datetime, *, scheduled: bool = True) -> str:
    """The manifest as CSV, semicolons and all, as a spreadsheet saves it; some comparisons start a day after *now*.

    Without *scheduled* those are left out.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, _HEADER, delimiter=";", lineterminator="\r\n")
    writer.writeheader()
    for number in range(ENTRIES):
        row = dict(_row(number, now))
        if scheduled or "start_time" not in row:
            writer.writerow(row)
    return out.getvalue()


def _row(number: int, now: datetime) -> Iterator[tuple[str, str]]:
    yield "job_id", f"{_kind(number)}-{number:04d}"
    yield "project_id", PROJECTS[number % 2]
    yield "label.wave", "night-1"
    yield "label.team", ("orders", "billing", "search")[number % 3]
    yield from _shape(number, now)


def _kind(number: int) -> str:
    """Most jobs are well; nine are not."""
    return {
        40: "mysql-gone", 41: "mysql-gone", 130: "mysql-gone",
        60: "mysql-full", 61: "mysql-full",
        90: "mysql-parent", 200: "mysql-parent",
        150: "mysql-busy", 151: "mysql-busy",
    }.get(number, "cassandra" if number % 30 == 7 else "mysql")  # fmt: skip


def _shape(number: int, now: datetime) -> Iterator[tuple[str, str]]:
    """One of the ways in which a comparison can be asked for."""
    if number % 30 == 7:
        yield from _data("cancel", "lines")
        yield "compare_object_infos_with_token", _TOKENS
        return
    match number % 10:
        case 0:
            yield "object_level_compare_type", "objects"
        case 1 | 2:
            yield "object_level_compare_type", "objects"
            yield from _data("keep", "lines")
            yield "compare_object_infos", _SHORT_FORM
        case 3:
            yield from _data("keep", "contents")
            yield "compare_object_infos", _JSON_FORM
        case 4:
            yield from _data("keep", "lines")
            yield "compare_mode", "quick_comparison"
        case 5:
            yield from _data("keep", "contents")
            yield "start_time", (now + timedelta(days=1)).isoformat(timespec="seconds")
            yield "compare_object_infos", "warehouse"
        case _:
            yield from _data("cancel" if number % 2 else "keep", "lines")
            yield "compare_object_infos", _SHORT_FORM


def _data(policy: str, compare_type: str) -> Iterator[tuple[str, str]]:
    yield "conflict_policy", policy
    yield "compare_type", compare_type
