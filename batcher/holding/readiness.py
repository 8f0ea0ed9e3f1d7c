"""Whether a job's comparison could be created now, from what batch-status says of it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from batcher.drs.outcome import ErrorKind, Trouble

READY_STATUS = "INCRE_TRANSFER_STARTED"


class Readiness(StrEnum):
    """What would become of a comparison request for the job; the order is that of the table."""

    READY = "ready"  # it could be submitted now
    NOT_YET = "not yet"  # the job gets there by itself
    WRONG_STATE = "wrong state"  # it does not, without somebody's doing
    PARENT = "parent job"  # its subtasks are compared, not it
    UNKNOWN = "unknown"  # no such job, or the cloud would not say
    NO_PERMISSION = "no permission"  # the credential may not see it


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """What the cloud says of one job. *why* is for people; empty where the job is ready."""

    job_id: str
    readiness: Readiness
    status: str | None = None
    error_code: str | None = None
    why: str = ""


_ON_THEIR_WAY = {
    "CREATING": "it is being created",
    "STARTJOBING": "it is starting",
    "WAITING_FOR_START": "it waits for its planned start",
    "FULL_TRANSFER_STARTED": "the full transfer is running",
    "FULL_TRANSFER_COMPLETE": "the full transfer is done, the incremental one has not begun",
    "REBUILD_NODE_STARTED": "its node is being rebuilt",
    "CHANGE_JOB_STARTED": "it is being changed",
    "NODE_UPGRADE_START": "its node is being upgraded",
    "NODE_UPGRADE_COMPLETE": "its node was just upgraded",
}

_STUCK = {
    "CREATE_FAILED": "it could not be created: make it anew",
    "CONFIGURATION": "it is not configured yet: configure and start it",
    "START_JOB_FAILED": "it could not start: mend what the console says and start it again",
    "PAUSING": "it is paused: resume it",
    "PAUSEING": "it is paused: resume it",
    "FULL_TRANSFER_FAILED": "the full transfer failed: mend what the console says and resume it",
    "INCRE_TRANSFER_FAILED": "the incremental transfer failed: mend what the console says and resume it",
    "RELEASE_RESOURCE_STARTED": "it was ended: nothing is left to compare",
    "RELEASE_RESOURCE_FAILED": "it was ended: nothing is left to compare",
    "RELEASE_RESOURCE_COMPLETE": "it was ended: nothing is left to compare",
    "REBUILD_NODE_FAILED": "its node could not be rebuilt: see the console",
    "CHANGE_JOB_FAILED": "its change failed: see the console",
    "NODE_UPGRADE_FAILED": "its node's upgrade failed: see the console",
    "DELETED": "it was deleted",
}

_PARENTS = ("CHILD_TRANSFER_", "RELEASE_CHILD_TRANSFER_")


def readiness_of_status(status: str) -> tuple[Readiness, str]:
    """The readiness of a job with *status*, and why. A status that no source names is waited for."""
    if status == READY_STATUS:
        return Readiness.READY, ""
    if status.startswith(_PARENTS):
        return Readiness.PARENT, "it has subtasks: put their ids in the manifest instead"
    if (why := _STUCK.get(status)) is not None:
        return Readiness.WRONG_STATE, why
    return Readiness.NOT_YET, _ON_THEIR_WAY.get(status, f"its status is not known to batcher; {READY_STATUS} is needed")


def state_of_status(job_id: str, status: str) -> JobState:
    """The state of a job that the cloud has a status for."""
    readiness, why = readiness_of_status(status)
    return JobState(job_id=job_id, readiness=readiness, status=status, why=why)


def state_of_trouble(job_id: str, trouble: Trouble) -> JobState:
    """The state of a job that the cloud has only an error for."""
    match trouble.kind:
        case ErrorKind.AUTH | ErrorKind.PERMISSION:
            readiness, fallback = Readiness.NO_PERMISSION, "the credential may not see it"
        case ErrorKind.NOT_FOUND:
            readiness, fallback = Readiness.UNKNOWN, "there is no such job in this project"
        case _:
            readiness, fallback = Readiness.UNKNOWN, "the cloud did not say"
    return JobState(
        job_id=job_id, readiness=readiness, error_code=trouble.error_code, why=trouble.error_msg or fallback
    )
