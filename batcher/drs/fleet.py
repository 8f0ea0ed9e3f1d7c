"""The cloud as a discovery sees it: a page of its jobs, the details of some, the objects of one. Reads only.

Of each answer only what a manifest needs is taken. Descriptions, messages, addresses and users stay where they are:
answers of these calls hold them, and nothing of ours may.
"""

from collections.abc import Mapping, Sequence
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from msgspec import Struct

from batcher.drs.cloud import Cloud, OnSent
from batcher.drs.outcome import Outcome, Trouble

T = TypeVar("T")

JobKind = Literal["migration", "sync", "cloudDataGuard"]
"""Kinds of jobs as `db_use_type` has them: the list tells one kind at a time."""


class ListedJob(Struct, frozen=True, kw_only=True):
    """A job as the list has it. *kind* is its `db_use_type`; what the list does not say is empty."""

    id: str
    name: str = ""
    status: str = ""
    kind: str = ""
    engine: str = ""  # engine_type
    direction: str = ""  # job_direction: up (into the cloud), down, non-dbs
    task_type: str = ""  # FULL_TRANS, FULL_INCR_TRANS, INCR_TRANS
    children: "tuple[ListedJob, ...]" = ()
    parent_id: str | None = None  # of a subtask


class JobPage(Struct, frozen=True, kw_only=True):
    """One page of the list; *total* is the cloud's own count of all its jobs of that kind, subtasks aside."""

    jobs: tuple[ListedJob, ...]
    total: int


class SelectedObject(Struct, frozen=True, kw_only=True):
    """A table that a job replicates, or, without *table*, a whole database (or schema). None: there is none of that.

    The names at the target are None where the answer does not tell them.
    """

    database: str
    schema: str | None = None
    table: str | None = None
    target_database: str | None = None
    target_schema: str | None = None
    target_table: str | None = None


class ObjectPage(Struct, frozen=True, kw_only=True):
    """A page of the objects of a job. *complete* is False where the cloud left tables out on its own account."""

    objects: tuple[SelectedObject, ...]
    rows: int  # how many rows the page has
    total: int
    complete: bool = True


class JobDetail(Struct, frozen=True, kw_only=True):
    """The details of a job that decide whether and how it can be compared."""

    id: str
    parent_id: str | None = None
    is_multi_az: bool = False
    master_job_id: str | None = None
    takes_all: bool = False  # `object_switch` is off: everything is replicated, and no objects are listed
    source_instance: str | None = None
    target_instance: str | None = None
    objects: tuple[SelectedObject, ...] = ()


class FleetOutcome(Outcome, Generic[T], frozen=True, kw_only=True):
    """Exactly one of *value* and *trouble* is set."""

    value: T | None = None
    trouble: Trouble | None = None


@runtime_checkable
class FleetCloud(Cloud, Protocol):
    """A `Cloud` that can also tell its jobs."""

    async def list_jobs(
        self,
        kind: JobKind,
        *,
        page: int,
        enterprise_project_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        on_sent: OnSent = None,
    ) -> FleetOutcome[JobPage]:
        """A page, of `guesses.JOBS_PAGE_SIZE`, of the jobs of *kind*."""
        ...

    async def job_details(
        self, job_ids: Sequence[str], *, on_sent: OnSent = None
    ) -> FleetOutcome[Mapping[str, JobDetail | Trouble]]:
        """The details of each of at most `guesses.DETAIL_BATCH` jobs."""
        ...

    async def object_mappings(self, job_id: str, *, offset: int, on_sent: OnSent = None) -> FleetOutcome[ObjectPage]:
        """A page of what the job replicates. Raises `ValueError` for an id that fits into no address."""
        ...

    async def db_object(self, job_id: str, *, on_sent: OnSent = None) -> FleetOutcome[ObjectPage]:
        """What the job replicates, in one piece; of databases with too many tables these are left out. Raises
        `ValueError` likewise."""
        ...


def fits_a_path(job_id: str) -> bool:
    """Whether *job_id* can stand in an address. `..` and the like would lead to another call."""
    return job_id not in ("", ".", "..") and "/" not in job_id and "\\" not in job_id and job_id.isprintable()
