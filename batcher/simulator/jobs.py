"""The simulated fleet: which jobs there are, in which state when, and what becomes of their comparisons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

READY = "INCRE_TRANSFER_STARTED"
DELETED = "DELETED"
PARENT = "CHILD_TRANSFER_STARTED"

STATUSES = frozenset(
    {
        *("CREATING", "CREATE_FAILED", "CONFIGURATION", "STARTJOBING", "WAITING_FOR_START", "START_JOB_FAILED"),
        *("PAUSING", "FULL_TRANSFER_STARTED", "FULL_TRANSFER_FAILED", "FULL_TRANSFER_COMPLETE"),
        *(READY, "INCRE_TRANSFER_FAILED"),
        *("RELEASE_RESOURCE_STARTED", "RELEASE_RESOURCE_FAILED", "RELEASE_RESOURCE_COMPLETE"),
        *("REBUILD_NODE_STARTED", "REBUILD_NODE_FAILED", "CHANGE_JOB_STARTED", "CHANGE_JOB_FAILED", DELETED),
        *("CHILD_TRANSFER_STARTING", PARENT, "CHILD_TRANSFER_COMPLETE", "CHILD_TRANSFER_FAILED"),
        *("RELEASE_CHILD_TRANSFER_STARTED", "RELEASE_CHILD_TRANSFER_COMPLETE"),
        *("NODE_UPGRADE_START", "NODE_UPGRADE_COMPLETE", "NODE_UPGRADE_FAILED"),
    }
)
"""Every job status the API reference lists."""

UNFINISHED = frozenset({"WAITING_FOR_RUNNING", "RUNNING"})
ENDS = frozenset({"SUCCESSFUL", "FAILED", "TIMEOUT_INTERRUPT", "CANCELLED", "NEVER"})
"""How the comparisons of a job can end. CANCELLED: by a person, half way; NEVER: they run on until cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingComparison:
    """A comparison that was there before anybody asked: made by a console, a policy, or DRS itself.

    *age_s* is how long before the cloud began it was created; *status* is what it stays at.
    """

    compare_type: str = "lines"
    status: str = "RUNNING"
    age_s: float = 3600.0

    @property
    def unfinished(self) -> bool:
        """Whether the comparison runs on, or waits to."""
        return self.status in UNFINISHED


TELLING = frozenset({"object-mappings", "db-object", "batch-detail"})
"""The calls that can tell the objects of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRule:
    """What holds for the jobs whose id matches *pattern* (`*`, `?` and `[…]` as in file names).

    *becomes* are later states, each with the seconds since the cloud began. *children* make it a parent job.
    *ends* (see `ENDS`) is how its comparisons end, *runs_s* how long each runs, give or take a half, before
    the cloud's speed is applied (None: as configured). *project_id* None: it is in every project.

    The rest is what the list of jobs and the calls about objects tell, of jobs that a rule names. *objects* are
    database, schema (or None) and tables; *tells* says which calls know them; *takes_all*: it replicates everything.
    """

    pattern: str = "*"
    exists: bool = True
    status: str = READY
    becomes: tuple[tuple[float, str], ...] = ()
    children: tuple[str, ...] = ()
    parent_id: str | None = None
    ends: str = "SUCCESSFUL"
    runs_s: float | None = None
    existing: tuple[ExistingComparison, ...] = ()
    project_id: str | None = None
    name: str = ""
    kind: str = "migration"
    engine: str = "mysql"
    direction: str = "up"
    task_type: str = "FULL_INCR_TRANS"
    tags: Mapping[str, str] = field(default_factory=dict)
    enterprise_project_id: str = "0"
    source_instance: str = ""
    target_instance: str = ""
    master_job_id: str | None = None
    objects: tuple[tuple[str, str | None, tuple[str, ...]], ...] = ()
    takes_all: bool = False
    tells: frozenset[str] = TELLING

    def status_at(self, age_s: float) -> str:
        """The job's status *age_s* seconds after the cloud began."""
        status = self.status
        for after_s, later in self.becomes:
            if age_s >= after_s:
                status = later
        return status


ANY_JOB = JobRule()
NO_JOB = JobRule(exists=False)


class Fleet:
    """Finds a job's rule: the one that names it, else the first whose pattern matches, else any job's."""

    def __init__(self, rules: Sequence[JobRule]) -> None:
        self._named: dict[str, JobRule] = {}
        for rule in rules:
            if not _is_pattern(rule):
                self._named.setdefault(rule.pattern, rule)
        self._patterns = [rule for rule in rules if _is_pattern(rule)]

    def rule_for(self, job_id: str) -> JobRule:
        """The rule of *job_id*. A job that no rule speaks of exists, and is ready."""
        if (named := self._named.get(job_id)) is not None:
            return named
        return next((rule for rule in self._patterns if fnmatchcase(job_id, rule.pattern)), ANY_JOB)

    def in_project(self, project_id: str) -> Iterator[JobRule]:
        """The rules that name a job of *project_id*, in their order; what only a pattern speaks of is in no list."""
        return (rule for rule in self._named.values() if rule.exists and rule.project_id in (None, project_id))


def _is_pattern(rule: JobRule) -> bool:
    return any(sign in rule.pattern for sign in "*?[")
