"""Which of the listed jobs are taken, and why each of the others is not. Pure."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase

from msgspec import Struct

from batcher.discover.support import Link
from batcher.drs.fleet import JobDetail, ListedJob, fits_a_path
from batcher.drs.outcome import Trouble
from batcher.holding.readiness import Readiness, readiness_of_status


class LeftOutReason(StrEnum):
    """Why a job is not in the manifest, one word for scripts; the sentence beside it is for people."""

    PARENT = "parent"
    STANDBY = "standby"
    FULL_ONLY = "full_only"
    NO_TABLES_THERE = "target_without_tables"
    STATUS = "status"
    KIND = "kind"
    ENGINE = "engine"
    NAME = "name"
    NOT_NAMED = "not_in_job_id_file"
    EXCLUDED = "excluded"
    NOT_SUPPORTED = "not_supported"
    NO_OBJECTS = "no_objects"
    AMBIGUOUS = "ambiguous_schema"
    TOO_MANY_TABLES = "too_many_tables"
    NOT_TOLD = "not_told"


class LeftOut(Struct, frozen=True):
    """A job that is not taken: *why* says it to a person, with the way out where there is one."""

    reason: LeftOutReason
    why: str


class JobSelection(Struct, frozen=True, kw_only=True):
    """What the operator asks for. Names and engines match with `*`, `?` and `[…]`; None means any."""

    engines: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    statuses: frozenset[str] | None = None  # None: any
    job_ids: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()


def flattened(jobs: Iterable[ListedJob]) -> Iterable[ListedJob]:
    """Every job of the list, a parent's subtasks behind it."""
    for job in jobs:
        yield job
        yield from job.children


def sift(job: ListedJob, selection: JobSelection) -> LeftOut | None:
    """Why *job* is not taken, by what the list says of it; None: it may be."""
    if job.children:
        return LeftOut(
            LeftOutReason.PARENT, f"it has subtasks, {len(job.children)} of them; they stand here by themselves"
        )
    if job.id in selection.excluded or job.parent_id in selection.excluded:
        return LeftOut(LeftOutReason.EXCLUDED, "--exclude names it")
    if selection.job_ids is not None and selection.job_ids.isdisjoint({job.id, job.parent_id}):
        return LeftOut(LeftOutReason.NOT_NAMED, "--job-id does not name it")
    if selection.engines and not _matches(job.engine, selection.engines):
        return LeftOut(LeftOutReason.ENGINE, f"its engine is {job.engine or 'not told'}, which --engine leaves out")
    if selection.names and not _matches(job.name, selection.names):
        return LeftOut(LeftOutReason.NAME, "--name leaves it out")
    if not fits_a_path(job.id):
        return LeftOut(LeftOutReason.NOT_TOLD, "its id is none that a request could name")
    readiness, why = readiness_of_status(job.status)
    if readiness is Readiness.PARENT:
        return LeftOut(LeftOutReason.PARENT, "it has subtasks, but the list does not name them: see the console")
    if Link.of(job.engine).target == "kafka":
        return LeftOut(LeftOutReason.NO_TABLES_THERE, "its target is Kafka, where no tables are to compare with")
    if job.task_type == "FULL_TRANS":
        return LeftOut(LeftOutReason.FULL_ONLY, "it is a full transfer alone: DRS compares it by itself at its end")
    if selection.statuses is not None and job.status not in selection.statuses:
        said = why or "--status leaves it out"
        return LeftOut(LeftOutReason.STATUS, f"{job.status or 'no status'}: {said}")
    return None


def standby(detail: JobDetail, listed: Mapping[str, ListedJob]) -> LeftOut | None:
    """Why a job of a dual-zone pair is not taken: its master is. None: it is the master, or no pair at all."""
    master = detail.master_job_id
    if not detail.is_multi_az or master is None or master == detail.id:
        return None
    if master not in listed:
        why = f"it is one of a dual-zone pair whose master {master} is not listed: ask for that one's project and kind"
        return LeftOut(LeftOutReason.STANDBY, why)
    return LeftOut(
        LeftOutReason.STANDBY, f"it is the standby of a dual-zone pair; its master {master} stands here by itself"
    )


def untold(trouble: Trouble) -> LeftOut:
    """The cloud would not tell what is needed. Its code is kept, its words are not: they may hold addresses."""
    code = trouble.error_code or trouble.kind.value
    return LeftOut(LeftOutReason.NOT_TOLD, f"the cloud does not tell its details ({code})")


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(_matching(pattern)(text) for pattern in patterns)


def _matching(pattern: str) -> Callable[[str], bool]:
    return lambda text: fnmatchcase(text.lower(), pattern.lower())
