"""What the simulated cloud tells of its fleet: the list of jobs, their details, the objects of each. Pure."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from batcher.simulator.jobs import DELETED, Fleet, JobRule

MAX_TABLES_TOLD = 2000
"""db-object leaves the tables of a database out where it has more."""

_PRIVATE = {"ip": "192.0.2.1", "db_user": "repl"}  # what an endpoint tells, and no manifest may hold

_NET_TYPE = "vpc"

StatusOf = Callable[[JobRule], str]


def listed(
    fleet: Fleet, project_id: str, wanted: Mapping[str, Any], status_of: StatusOf, began_at: float
) -> dict[str, Any]:
    """The answer to a call for the list of jobs: parents with their subtasks within them, newest last."""
    kids = {child for rule in fleet.in_project(project_id) for child in rule.children}
    mine = (rule for rule in fleet.in_project(project_id) if rule.pattern not in kids)
    rules = [rule for rule in mine if _is_wanted(rule, wanted, status_of)]
    first = (wanted["cur_page"] - 1) * wanted["per_page"]
    page = rules[first : first + wanted["per_page"]] if wanted["per_page"] else rules
    jobs = []
    for number, rule in enumerate(page, first):
        created = datetime.fromtimestamp(began_at - 86_400 * 30 + number, UTC)
        job = _job(rule, status_of) | {
            "create_time": f"{created:%Y-%m-%d %H:%M:%S}",
            "description": "",
            "children": [_job(fleet.rule_for(child), status_of) for child in rule.children],
        }
        jobs.append(job)
    return {"total_record": len(rules), "jobs": jobs}


def _is_wanted(rule: JobRule, wanted: Mapping[str, Any], status_of: StatusOf) -> bool:
    tags = wanted.get("tags") or {}
    names = {name.strip() for name in (wanted.get("name") or "").split(",")} - {""}
    instances = set(wanted.get("instance_ids") or ())
    return (
        rule.kind == wanted["db_use_type"]
        and wanted.get("engine_type", "mysql") in ("", rule.engine)  # left out: as one edition of the API has it
        and wanted.get("enterprise_project_id") in (None, rule.enterprise_project_id)
        and wanted.get("status") in (None, "", status_of(rule))
        and wanted.get("net_type") in (None, "", _NET_TYPE)
        and wanted.get("instance_ip") in (None, "", _PRIVATE["ip"])
        and (not names or not names.isdisjoint({_name(rule), rule.pattern}))
        and (not instances or not instances.isdisjoint({rule.source_instance, rule.target_instance}))
        and tags.items() <= rule.tags.items()
    )


def _name(rule: JobRule) -> str:
    return rule.name or f"DRS-{rule.pattern}"


def _job(rule: JobRule, status_of: StatusOf) -> dict[str, Any]:
    return {
        "id": rule.pattern,
        "name": _name(rule),
        "status": status_of(rule),
        "engine_type": rule.engine,
        "net_type": _NET_TYPE,
        "billing_tag": True,
        "job_direction": rule.direction,
        "db_use_type": rule.kind,
        "task_type": rule.task_type,
    }


def batch_item(job_id: str, rule: JobRule, status: str, *, detailed: bool) -> dict[str, Any]:
    """What batch-status, or batch-detail, tells of one job."""
    if not rule.exists:
        return {"id": job_id, "error_code": "DRS.M00289", "error_msg": "The job does not exist."}
    if status == DELETED:
        return {"id": job_id, "error_code": "DRS.M05004", "error_msg": "The job has been deleted or released."}
    return {"id": job_id, "status": status, **(detail(rule) if detailed else {})}


def detail(rule: JobRule) -> dict[str, Any]:
    """A job's details as far as they follow from its rule; what a manifest must not take is among them."""
    return {
        "name": _name(rule),
        "parent_id": rule.parent_id or "",
        "master_job_id": rule.master_job_id or (rule.children[0] if rule.children else ""),
        "is_multi_az": rule.master_job_id is not None,
        "task_type": rule.task_type,
        "db_use_type": rule.kind,
        "job_direction": rule.direction,
        "object_switch": not rule.takes_all,
        "source_endpoint": {"inst_id": rule.source_instance, **_PRIVATE},
        "target_endpoint": {"inst_id": rule.target_instance, **_PRIVATE},
        "object_infos": list(_object_infos(rule)) if "batch-detail" in rule.tells else [],
        "children": [],
    }


def _object_infos(rule: JobRule) -> Iterator[dict[str, str]]:
    """Its objects in the flat form of batch-detail, where a schema goes by the name of database."""
    for database, schema, tables in rule.objects:
        parent = schema or database
        yield {"id": parent, "parent_id": "", "type": "database", "name": parent, "alias_name": parent}
        for table in tables:
            place = {"id": f"{parent}-*-*-{table}", "parent_id": parent}
            yield {**place, "type": "table", "name": table, "alias_name": table}


def mappings(rule: JobRule, offset: int, limit: int) -> dict[str, Any]:
    """The answer to object-mappings."""
    rows = [
        {
            "source_db_name": database,
            "source_schema_name": schema or "",
            "source_table_name": table,
            "target_db_name": database,
            "target_schema_name": schema or "",
            "target_table_name": table,
            "has_column_info": False,
        }
        for database, schema, tables in rule.objects
        for table in tables
    ]
    return {"count": len(rows), "object_mapping_list": rows[offset : offset + limit]}


def db_object(rule: JobRule) -> dict[str, Any]:
    """The answer to db-object: a map of maps, without the tables of databases that have very many."""
    found: dict[str, Any] = {}
    for database, schema, tables in rule.objects:
        info = found.setdefault(database, {"name": database, "all": not tables, "total_table_num": 0})
        info["total_table_num"] += len(tables)
        part = info if schema is None else info.setdefault("schemas", {}).setdefault(schema, {"name": schema})
        part["tables"] = {table: {"name": table, "all": True} for table in tables}
    for info in found.values():
        if info["total_table_num"] > MAX_TABLES_TOLD:
            info.pop("tables", None)
            info.pop("schemas", None)
    return {"object_info": found, "max_table_num": MAX_TABLES_TOLD, "object_scope": "table", "status": "success"}


def told_by(call: str, rule: JobRule) -> bool:
    """Whether *call* serves the objects of such a job: mappings are there for synchronization only."""
    return call in rule.tells and (call != "object-mappings" or rule.kind == "sync")
