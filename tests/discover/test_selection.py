"""Which jobs are taken, and the reason for each of the others."""

from typing import Any

import pytest

from batcher.discover.selection import JobSelection, LeftOutReason, flattened, sift, standby
from batcher.discover.support import Support, support_of
from batcher.drs.fleet import JobDetail, ListedJob

READY = "INCRE_TRANSFER_STARTED"
NOW = JobSelection(statuses=frozenset({READY}))


def job(**given: Any) -> ListedJob:
    usual = {"id": "jb1", "name": "pay-1", "status": READY, "kind": "migration", "engine": "mysql", "direction": "up"}
    return ListedJob(**{**usual, **given})


@pytest.mark.parametrize(
    ("given", "selection", "reason"),
    [
        ({}, NOW, None),
        ({"children": (job(id="kid", parent_id="jb1"),)}, NOW, LeftOutReason.PARENT),
        ({"status": "CHILD_TRANSFER_STARTED"}, NOW, LeftOutReason.PARENT),
        ({"engine": "mysql-to-kafka", "kind": "sync"}, NOW, LeftOutReason.NO_TABLES_THERE),
        ({"task_type": "FULL_TRANS"}, NOW, LeftOutReason.FULL_ONLY),
        ({"status": "PAUSING"}, NOW, LeftOutReason.STATUS),
        ({"status": "PAUSING"}, JobSelection(), None),
        ({}, JobSelection(statuses=frozenset({"PAUSING"})), LeftOutReason.STATUS),
        ({"id": ".."}, NOW, LeftOutReason.NOT_TOLD),
        ({"id": "a/b"}, NOW, LeftOutReason.NOT_TOLD),
        ({}, JobSelection(engines=("postgres*",)), LeftOutReason.ENGINE),
        ({}, JobSelection(engines=("MY*",)), None),
        ({}, JobSelection(names=("ord-*",)), LeftOutReason.NAME),
        ({}, JobSelection(names=("ord-*", "pay-?")), None),
        ({}, JobSelection(job_ids=frozenset({"other"})), LeftOutReason.NOT_NAMED),
        ({"parent_id": "p"}, JobSelection(job_ids=frozenset({"p"})), None),
        ({}, JobSelection(excluded=frozenset({"jb1"})), LeftOutReason.EXCLUDED),
        ({"parent_id": "p"}, JobSelection(excluded=frozenset({"p"})), LeftOutReason.EXCLUDED),
    ],
)
def test_sifting(given: dict[str, Any], selection: JobSelection, reason: LeftOutReason | None) -> None:
    left_out = sift(job(**given), selection)
    assert (left_out.reason if left_out else None) == reason


def test_subtasks_stand_behind_their_parent() -> None:
    kids = (job(id="k1", parent_id="p"), job(id="k2", parent_id="p"))
    assert [one.id for one in flattened([job(id="p", children=kids), job(id="q")])] == ["p", "k1", "k2", "q"]


def test_of_a_pair_the_master_is_taken() -> None:
    listed = {"m": job(id="m"), "s": job(id="s")}
    assert standby(JobDetail(id="m", is_multi_az=True, master_job_id="m"), listed) is None
    assert standby(JobDetail(id="s", is_multi_az=False, master_job_id="m"), listed) is None
    left_out = standby(JobDetail(id="s", is_multi_az=True, master_job_id="m"), listed)
    assert left_out is not None
    assert left_out.reason is LeftOutReason.STANDBY
    unlisted = standby(JobDetail(id="s", is_multi_az=True, master_job_id="gone"), listed)
    assert unlisted is not None
    assert "gone" in unlisted.why


@pytest.mark.parametrize(
    ("kind", "direction", "engine", "values"),
    [
        ("migration", "up", "mysql", Support.YES),
        ("cloudDataGuard", "down", "cloudDataGuard-mysql", Support.YES),
        ("cloudDataGuard", "up", "cloudDataGuard-mysql-to-taurus", Support.YES),
        ("cloudDataGuard", "down", "cloudDataGuard-mysql-to-taurus", Support.SILENT),
        ("cloudDataGuard", "up", "cloudDataGuard-ddm", Support.NO),
        ("sync", "up", "mysql-to-postgresql", Support.NO),
        ("sync", "down", "mysql-to-postgresql", Support.SILENT),
        ("sync", "up", "mongodb", Support.SILENT),
        ("sync", "up", "gaussdbv5", Support.NO),
    ],
)
def test_the_table_of_links(kind: str, direction: str, engine: str, values: Support) -> None:
    assert support_of(kind, direction, engine).contents is values
