"""What comparisons found: the three result blocks of query-compare-result, each of its lists cut to the page."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from batcher.simulator.chance import draw
from batcher.simulator.checks import QueryReq
from batcher.simulator.comparisons import OBJECT_COMPARISON, SimulatedJob, Task
from batcher.simulator.config import CloudConfig

T = TypeVar("T")

DEFAULT_DATABASE = "app"
DEFAULT_TABLES = ("accounts", "events", "orders")
OBJECT_COUNTS = {"DB": 1, "TABLE": 3, "VIEW": 2, "INDEX": 5, "ROUTINE": 1, "TRIGGER": 1}

CONSISTENT, INCONSISTENT, FAILED_TO_COMPARE = "CONSISTENT", "INCONSISTENT", "FAILED_TO_COMPARE"
COMPARING, WAITING = "COMPARING", "WAITING_FOR_COMPARISON"
_WORST_FIRST = (INCONSISTENT, FAILED_TO_COMPARE, COMPARING, WAITING)
_BLOCKS = {
    "object_level_compare_id": ("object_level_compare_results", OBJECT_COMPARISON),
    "line_compare_id": ("line_compare_results", "lines"),
    "content_compare_id": ("content_compare_results", "contents"),
}


def result_blocks(config: CloudConfig, seed: int, now: float, job: SimulatedJob, query: QueryReq) -> dict[str, Any]:
    """The blocks for the comparisons that *query* names, with an error of its own in each that cannot be had."""
    blocks: dict[str, Any] = {}
    for field, task_id in query.results.items():
        block, compare_type = _BLOCKS[field]
        task = job.find(task_id)
        if task is None or task.compare_type != compare_type:
            text = f"There is no {compare_type} comparison {task_id}."
            blocks[block] = {"compare_task_id": task_id, "error_code": "DRS.M00202", "error_msg": text}
        elif compare_type == OBJECT_COMPARISON:
            blocks[block] = _object_level(config, now, job, task, query)
        else:
            blocks[block] = _data_level(config, seed, now, job, task, query)
    return blocks


def _cut(rows: Iterable[T], query: QueryReq) -> list[T]:
    """The page's part of a list."""
    whole = list(rows)
    first = (query.current_page - 1) * query.per_page
    return whole[first : first + query.per_page]


def _object_level(config: CloudConfig, now: float, job: SimulatedJob, task: Task, query: QueryReq) -> dict[str, Any]:
    missing = config.differences.objects(job.job_id)
    done = _result(task, now, 0.0)
    overview, details = [], {}
    for kind, count in OBJECT_COUNTS.items():
        lacking = [rule for rule in missing if rule.object_type == kind] if done == CONSISTENT else []
        overview.append(
            {
                "object_type": kind,
                "object_compare_result": INCONSISTENT if lacking else done,
                "source_count": count + len(lacking),
                "target_count": count,
                "diff_count": len(lacking),
            }
        )
        if lacking:
            details[kind] = _cut(
                (
                    {
                        "source_db_name": DEFAULT_DATABASE if rule.database == "*" else rule.database,
                        "target_db_name": DEFAULT_DATABASE if rule.database == "*" else rule.database,
                        "source_db_value": rule.name,
                        "target_db_value": "",
                        "error_message": "",
                    }
                    for rule in lacking
                ),
                query,
            )
    return {
        "compare_task_id": task.compare_task_id,
        "object_compare_overview": _cut(overview, query),
        "object_compare_details": details,
    }


def _data_level(
    config: CloudConfig, seed: int, now: float, job: SimulatedJob, task: Task, query: QueryReq
) -> dict[str, Any]:
    kind = "line" if task.compare_type == "lines" else "content"
    databases = list(_databases(task))
    pairs = [(database, table) for database, tables in databases for table in tables]
    differing = config.differences.rows(seed, job.job_id, pairs)
    overview, details, diffs = [], [], []
    for database, tables in databases:
        rows = []
        for place, table in enumerate(tables):
            result = _result(task, now, (place + 1) / (len(tables) + 1))
            source_rows = int(10 ** (2 + 4 * draw(seed, "rows", job.job_id, database, table)))
            rows.append(_row(kind, database, table, result, source_rows, differing.get((database, table), 0)))
        results = {row[f"{kind}_compare_result"] for row in rows}
        whole = next((result for result in _WORST_FIRST if result in results), CONSISTENT)
        overview.append({"source_db_name": database, "target_db_name": database, f"{kind}_compare_result": whole})
        detail = {
            "source_db_name": database,
            f"{kind}_compare_detail": _cut(rows, query),
            f"{kind}_compare_detail_count": len(rows),
        }
        if kind == "content":
            detail |= {"content_uncompare_detail": [], "content_uncompare_detail_count": 0}
            diffs += [_content_diff(database, row, query) for row in rows if row["diff_row_num"]]
        details.append(detail)
    return {
        "compare_task_id": task.compare_task_id,
        f"{kind}_compare_overview": _cut(overview, query),
        f"{kind}_compare_overview_count": len(overview),
        # Each database's own tables are cut to the page; cut as a whole too, most of them could never be read.
        f"{kind}_compare_details": details,
        **({"content_compare_diffs": diffs} if kind == "content" else {}),
    }


def _databases(task: Task) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each database with its tables; one that was asked for without tables has the usual ones."""
    for database, tables in task.objects or ((DEFAULT_DATABASE, ()),):
        yield database, tables or DEFAULT_TABLES


def _row(kind: str, database: str, table: str, result: str, source_rows: int, differing: int) -> dict[str, Any]:
    """One table. A row comparison that finds *differing* rows finds them missing at the target."""
    finished = result == CONSISTENT
    differing = differing if finished else 0
    row = {
        "source_db_name": database,
        "target_db_name": database,
        "source_table_name": table,
        "target_table_name": table,
        "source_row_num": source_rows if finished else 0,
        "target_row_num": max(0, source_rows - (differing if kind == "line" else 0)) if finished else 0,
        "diff_row_num": differing,
        f"{kind}_compare_result": INCONSISTENT if differing else result,
        "message": "The connection to the target was lost." if result == FAILED_TO_COMPARE else "",
    }
    if kind == "content":
        row["line_compare_result"] = result
    return row


def _content_diff(database: str, row: dict[str, Any], query: QueryReq) -> dict[str, Any]:
    table = row["source_table_name"]
    shown = [
        {
            "source_select_sql": f"select * from `{database}`.`{table}` where id = {key}",  # noqa: S608 - shown, never run
            "target_select_sql": f"select * from `{database}`.`{table}` where id = {key}",  # noqa: S608 - shown, never run
            "source_key_value": [str(key)],
            "target_key_value": [str(key)],
        }
        for key in range(1, row["diff_row_num"] + 1)
    ]
    return {
        "source_db_name": database,
        "source_table_name": table,
        "content_compare_diff": _cut(shown, query),
        "content_compare_diff_count": len(shown),
    }


def _result(task: Task, now: float, needs: float) -> str:
    """What one part of *task* came to, which takes the share *needs* of its running time; CONSISTENT is: done."""
    if task.status_at(now) == "FAILED":
        return FAILED_TO_COMPARE
    if task.status_at(now) == "SUCCESSFUL" or (task.progress_at(now) > needs > 0):
        return CONSISTENT
    return COMPARING if task.finished_at(now) is None and now >= task.starts_at else WAITING
