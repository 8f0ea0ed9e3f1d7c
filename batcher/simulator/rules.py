"""Files that say what the simulated fleet is like (`--jobs`) and what differs (`--differences`): JSON, checked."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from batcher.durations import parse_duration
from batcher.errors import UserError
from batcher.nearest import nearest
from batcher.simulator.differences import Differences, SimulatedDifference
from batcher.simulator.jobs import READY, STATUSES, TELLING, ExistingComparison, JobRule

T = TypeVar("T", bound=BaseModel)

Seconds = Annotated[float, BeforeValidator(parse_duration)]


def _status(value: str) -> str:
    if value not in STATUSES:
        near = nearest(value, STATUSES)
        raise ValueError(f"is no job status{f'; did you mean {near}?' if near else ''}")
    return value


JobStatus = Annotated[str, AfterValidator(_status)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _LaterModel(_Model):
    after: Seconds
    status: JobStatus


class _ExistingModel(_Model):
    compare_type: Literal["lines", "contents", "object_comparison"] = "lines"
    status: Literal["WAITING_FOR_RUNNING", "RUNNING", "SUCCESSFUL", "FAILED", "CANCELLED", "TIMEOUT_INTERRUPT"] = (
        "RUNNING"
    )
    age: Seconds = 3600.0


def _all_tell() -> list[Any]:
    return sorted(TELLING)


class _ObjectsModel(_Model):
    database: str = Field(min_length=1)
    schema_name: str | None = Field(default=None, alias="schema")
    tables: list[str] = []


class _JobModel(_Model):
    job_id: str = Field(min_length=1)
    exists: bool = True
    status: JobStatus = READY
    becomes: list[_LaterModel] = []
    children: list[str] = []
    parent_id: str | None = None
    ends: Literal["SUCCESSFUL", "FAILED", "TIMEOUT_INTERRUPT", "CANCELLED", "NEVER"] = "SUCCESSFUL"
    runs: Seconds | None = None
    existing: list[_ExistingModel] = []
    project_id: str | None = None
    name: str = ""
    kind: Literal["migration", "sync", "cloudDataGuard"] = "migration"
    engine: str = "mysql"
    direction: Literal["up", "down", "non-dbs"] = "up"
    task_type: Literal["FULL_TRANS", "FULL_INCR_TRANS", "INCR_TRANS"] = "FULL_INCR_TRANS"
    tags: dict[str, str] = {}
    enterprise_project_id: str = "0"
    source_instance: str = ""
    target_instance: str = ""
    master_job_id: str | None = None
    objects: list[_ObjectsModel] = []
    takes_all: bool = False
    tells: list[Literal["object-mappings", "db-object", "batch-detail"]] = Field(default_factory=_all_tell)

    def rule(self) -> JobRule:
        return JobRule(
            pattern=self.job_id,
            exists=self.exists,
            status=self.status,
            becomes=tuple(sorted((later.after, later.status) for later in self.becomes)),
            children=tuple(self.children),
            parent_id=self.parent_id,
            ends=self.ends,
            runs_s=self.runs,
            existing=tuple(
                ExistingComparison(compare_type=there.compare_type, status=there.status, age_s=there.age)
                for there in self.existing
            ),
            project_id=self.project_id,
            name=self.name,
            kind=self.kind,
            engine=self.engine,
            direction=self.direction,
            task_type=self.task_type,
            tags=self.tags,
            enterprise_project_id=self.enterprise_project_id,
            source_instance=self.source_instance,
            target_instance=self.target_instance,
            master_job_id=self.master_job_id,
            objects=tuple((part.database, part.schema_name, tuple(part.tables)) for part in self.objects),
            takes_all=self.takes_all,
            tells=frozenset(self.tells),
        )


class _DifferenceModel(_Model):
    job_id: str = "*"
    database: str = "*"
    table: str = "*"
    rows: int = Field(default=1, ge=1)
    object_type: str | None = None
    name: str = "missing_object"


def read_jobs(path: Path) -> tuple[JobRule, ...]:
    """The rules of a `--jobs` file: an array of objects. Raises `UserError` with everything that is wrong."""
    return tuple(job.rule() for job in _read(path, _JobModel, "jobs"))


def read_differences(path: Path) -> Differences:
    """The rules of a `--differences` file: an array of objects. Raises `UserError` with everything that is wrong."""
    return Differences(
        tuple(SimulatedDifference(**rule.model_dump()) for rule in _read(path, _DifferenceModel, "differences"))
    )


def _read(path: Path, kind: type[T], noun: str) -> list[T]:
    try:
        values: Any = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from None
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}, column {error.colno}: is not valid JSON: {error.msg}.") from None
    if not isinstance(values, list):
        raise UserError(f"{path}: must be a JSON array with an object for each rule; docs/simulator.md shows one.")
    try:
        return TypeAdapter(list[kind]).validate_python(values)  # type: ignore[valid-type]
    except ValidationError as error:
        found = [_explained(detail["loc"], str(detail["msg"]), kind) for detail in error.errors(include_url=False)]
        raise UserError(f"{path}: these {noun} cannot be used:\n" + "\n".join(f"  {line}" for line in found)) from None


def _explained(place: tuple[int | str, ...], problem: str, kind: type[BaseModel]) -> str:
    where = f"rule {int(place[0]) + 1}" + "".join(f", {part}" for part in place[1:])
    if problem == "Extra inputs are not permitted":
        near = nearest(str(place[-1]), kind.model_fields)
        return f"{where}: is no field" + (f"; did you mean {near}?" if near else "")
    return f"{where}: {problem.removeprefix('Value error, ')}"
