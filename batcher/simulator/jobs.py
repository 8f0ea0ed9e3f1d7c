"""The simulated fleet: which jobs there are, in which state when, and what becomes of their comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
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
class Existing:
    """A comparison that was there before anybody asked: made by a console, a policy, or DRS itself.

    *age_s* is how long before the cloud began it was created; *status* is what it stays at.
    """

    compare_type: str = "lines"
    status: str = "RUNNING"
    age_s: float = 3600.0

    @property
    def unfinished(self) -> bool:
        """Whether it runs on, or waits to."""
        return self.status in UNFINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRule:
    """What holds for the jobs whose id matches *pattern* (`*`, `?` and `[…]` as in file names).

    *becomes* are later states, each with the seconds since the cloud began. *children* make it a parent job.
    *ends* (see `ENDS`) is how its comparisons end, *runs_s* how long each runs, give or take a half, before
    the cloud's speed is applied (None: as configured).
    """

    pattern: str = "*"
    exists: bool = True
    status: str = READY
    becomes: tuple[tuple[float, str], ...] = ()
    children: tuple[str, ...] = ()
    parent_id: str | None = None
    ends: str = "SUCCESSFUL"
    runs_s: float | None = None
    existing: tuple[Existing, ...] = ()

    def status_at(self, age_s: float) -> str:
        """The job's status *age_s* seconds after the cloud began."""
        status = self.status
        for after_s, later in self.becomes:
            if age_s >= after_s:
                status = later
        return status


ANY_JOB = JobRule()


class Fleet:
    """Finds a job's rule: the one that names it, else the first whose pattern matches, else any job's."""

    def __init__(self, rules: Sequence[JobRule]) -> None:
        self._named = {rule.pattern: rule for rule in reversed(rules) if not _is_pattern(rule)}
        self._patterns = [rule for rule in rules if _is_pattern(rule)]

    def rule_for(self, job_id: str) -> JobRule:
        """The rule of *job_id*. A job that no rule speaks of exists, and is ready."""
        if (named := self._named.get(job_id)) is not None:
            return named
        return next((rule for rule in self._patterns if fnmatchcase(job_id, rule.pattern)), ANY_JOB)


def _is_pattern(rule: JobRule) -> bool:
    return any(sign in rule.pattern for sign in "*?[")
