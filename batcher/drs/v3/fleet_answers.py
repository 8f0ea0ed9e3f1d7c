"""What the answers of the calls that tell a fleet mean: each becomes an outcome of `batcher.drs.fleet`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from msgspec.structs import replace

from batcher.drs.answer import Answer
from batcher.drs.error_body import Json, error_of, read_object, text
from batcher.drs.failures import classify_call, classify_item, unsound, went
from batcher.drs.fleet import FleetOutcome, JobDetail, JobPage, ListedJob, ObjectPage, SelectedObject
from batcher.drs.outcome import Trouble

T = TypeVar("T")


def classify_job_page(answer: Answer) -> FleetOutcome[JobPage]:
    """A page of the list of jobs."""
    return _read(answer, _job_page)


def classify_object_mappings(answer: Answer) -> FleetOutcome[ObjectPage]:
    """A page of a job's object mappings."""
    return _read(answer, _mappings)


def classify_db_object(answer: Answer) -> FleetOutcome[ObjectPage]:
    """The objects of a job, in one piece. Of databases with too many tables the answer leaves the tables out."""
    return _read(answer, _db_object)


def classify_batch_detail(answer: Answer, *, asked: Iterable[str]) -> FleetOutcome[Mapping[str, JobDetail | Trouble]]:
    """The details of each *asked* job; an id that the answer leaves out is trouble of that id."""

    def read(body: Json) -> Mapping[str, JobDetail | Trouble] | None:
        details: dict[str, JobDetail | Trouble] = {}
        for item in _objects_in(body.get("results")):
            job_id = text(item.get("id"))
            if job_id is None:
                continue
            error = error_of(item, answer.http_status or 0)
            failed = error is not None and error.code is not None
            details[job_id] = classify_item(answer, item) if failed else _detail(job_id, item)
        return details

    told = _read(answer, read, items=True)
    if told.value is None:
        return told
    missing = unsound("the answer leaves this job out")
    return replace(told, value={job_id: told.value.get(job_id, missing) for job_id in asked})


def _read(answer: Answer, read: Callable[[Json], T | None], *, items: bool = False) -> FleetOutcome[T]:
    body = read_object(answer.body)
    trouble = classify_call(answer)
    if items and trouble is not None and body is not None and answer.http_status == 400:
        trouble = None if list(_objects_in(body.get("results"))) else trouble  # each item speaks of its own job
    value = None
    if trouble is None:
        assert body is not None  # noqa: S101 - else there is trouble
        value = read(body)
        trouble = unsound("the answer is not as documented") if value is None else None
    return FleetOutcome(value=value, trouble=trouble, **went(answer, body))


# --- jobs -----------------------------------------------------------------------------------------------------


def _job_page(body: Json) -> JobPage | None:
    total, jobs = body.get("total_record"), body.get("jobs")
    if jobs is None and total == 0:
        jobs = []
    if not isinstance(total, int) or isinstance(total, bool) or total < 0 or not isinstance(jobs, list):
        return None
    listed = [_job(item) for item in jobs]
    sound = tuple(job for job in listed if job is not None)
    return JobPage(jobs=sound, total=total) if len(sound) == len(listed) else None


def _job(item: object, parent: ListedJob | None = None) -> ListedJob | None:
    """A job of the list. What a subtask does not say of itself it has from its parent. None: it has no id."""
    if not isinstance(item, dict) or (job_id := text(item.get("id"))) is None:
        return None

    def of(field: str, inherited: str = "") -> str:
        return text(item.get(field)) or inherited

    job = ListedJob(
        id=job_id,
        name=of("name"),
        status=of("status").upper(),
        kind=of("db_use_type", parent.kind if parent else ""),
        engine=of("engine_type", parent.engine if parent else ""),
        direction=of("job_direction", parent.direction if parent else ""),
        task_type=of("task_type", parent.task_type if parent else "").upper(),
        parent_id=parent.id if parent else None,
    )
    if parent is not None:
        return job
    children = (_job(child, job) for child in _objects_in(item.get("children")))
    return ListedJob(
        **{name: getattr(job, name) for name in ListedJob.__struct_fields__ if name != "children"},
        children=tuple(child for child in children if child is not None),
    )


def _detail(job_id: str, item: Json) -> JobDetail:
    return JobDetail(
        id=job_id,
        parent_id=text(item.get("parent_id")),
        is_multi_az=item.get("is_multi_az") is True,
        master_job_id=text(item.get("master_job_id")),
        takes_all=item.get("object_switch") is False,
        source_instance=_instance(item.get("source_endpoint")),
        target_instance=_instance(item.get("target_endpoint")),
        objects=tuple(_of_object_infos(item.get("object_infos"))),
    )


def _instance(endpoint: object) -> str | None:
    """The instance that an endpoint is, by its id, else by its name; an address is nothing to hand on."""
    if not isinstance(endpoint, dict):
        return None
    return text(endpoint.get("inst_id")) or text(endpoint.get("inst_name"))


# --- objects --------------------------------------------------------------------------------------------------


def _of_object_infos(infos: object) -> Iterator[SelectedObject]:
    """Tables, and databases without one of their own; functions and procedures are no part of a data comparison."""
    parts = [(text(info.get("name")), text(info.get("parent_id")), info) for info in _objects_in(infos)]
    tables = [(name, parent, info) for name, parent, info in parts if name and info.get("type") in ("table", "view")]
    parents = {parent for _, parent, _ in tables}
    for name, _, info in parts:
        if name and info.get("type") == "database" and not parents.intersection({name, text(info.get("id"))}):
            yield SelectedObject(database=name, target_database=text(info.get("alias_name")))
    for name, parent, info in tables:
        if parent and info.get("type") == "table":
            yield SelectedObject(database=parent, table=name, target_table=text(info.get("alias_name")))


def _mappings(body: Json) -> ObjectPage | None:
    count, rows = body.get("count"), body.get("object_mapping_list")
    if rows is None and count == 0:
        rows = []
    if not isinstance(count, int) or isinstance(count, bool) or count < 0 or not isinstance(rows, list):
        return None
    objects = [
        SelectedObject(
            database=database,
            schema=text(row.get("source_schema_name")),
            table=text(row.get("source_table_name")),
            target_database=text(row.get("target_db_name")),
            target_schema=text(row.get("target_schema_name")),
            target_table=text(row.get("target_table_name")),
        )
        for row in _objects_in(rows)
        if (database := text(row.get("source_db_name"))) is not None
    ]
    return ObjectPage(objects=tuple(objects), rows=len(rows), total=count)


def _db_object(body: Json) -> ObjectPage | None:
    databases = body.get("object_info")
    if not isinstance(databases, dict):
        return None
    objects: list[SelectedObject] = []
    complete = True
    for database, info in databases.items():
        if not database or not isinstance(info, dict):
            return None
        alias = text(info.get("name"))
        schemas = info.get("schemas")
        parts = schemas.items() if isinstance(schemas, dict) and schemas else [(None, info)]
        found = [
            SelectedObject(
                database=database,
                schema=schema or None,
                table=table,
                target_database=alias,
                target_schema=None if schema is None else text(part.get("name")),
                target_table=text(told.get("name")) if isinstance(told, dict) else None,
            )
            for schema, part in parts
            if isinstance(part, dict)
            for table, told in _named(part.get("tables"))
        ]
        total = info.get("total_table_num")
        if isinstance(total, int) and not isinstance(total, bool) and total > len(found):
            complete = False
        objects += found or [SelectedObject(database=database, target_database=alias)]
    return ObjectPage(objects=tuple(objects), rows=len(objects), total=len(objects), complete=complete)


def _named(tables: object) -> Iterator[tuple[str, object]]:
    if isinstance(tables, dict):
        yield from ((name, told) for name, told in tables.items() if name)


def _objects_in(items: object) -> Iterator[Json]:
    yield from (item for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
