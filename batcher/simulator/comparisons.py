"""Comparison tasks, and a job's list of them. What a task is doing follows from the time alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from batcher.drs.outcome import FINISHED, Half
from batcher.simulator.jobs import JobRule

OBJECT_COMPARISON = "object_comparison"
DATA_TYPES = frozenset({"lines", "contents"})


@dataclass(slots=True, kw_only=True)
class Task:
    """One comparison task. Times are Unix seconds by the cloud's clock; *ends_at* None: it runs on until cancelled.

    *objects* are the request's own (database, tables) pairs, empty where it compares everything.
    *ours* is False for what a console or a policy made.
    """

    compare_task_id: str
    compare_type: str
    created_at: float
    starts_at: float
    ends_at: float | None
    end_status: str = "SUCCESSFUL"
    cancelled_at: float | None = None
    objects: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ours: bool = True

    @property
    def is_data_level(self) -> bool:
        """Whether the task counts for the rule of one unfinished data-level comparison per job."""
        return self.compare_type in DATA_TYPES

    def status_at(self, now: float) -> str:
        """The task's status at *now*."""
        if self.cancelled_at is not None and now >= self.cancelled_at:
            return "CANCELLED"
        if now < self.starts_at:
            return "WAITING_FOR_RUNNING"
        if self.ends_at is None or now < self.ends_at:
            return "RUNNING"
        return self.end_status

    def finished_at(self, now: float) -> float | None:
        """When the task ended, in Unix seconds; None where it is unfinished at *now*."""
        if self.status_at(now) not in FINISHED:
            return None
        return self.cancelled_at if self.cancelled_at is not None else self.ends_at

    def progress_at(self, now: float) -> float:
        """How much of it is done, 0 to 1; what was cancelled or timed out stays where it was."""
        stop = now if self.cancelled_at is None else min(now, self.cancelled_at)
        if stop <= self.starts_at:
            return 0.0
        if self.ends_at is None:
            return 0.5
        done = min(1.0, (stop - self.starts_at) / max(1e-9, self.ends_at - self.starts_at))
        return min(done, 0.5) if self.end_status == "TIMEOUT_INTERRUPT" else done

    def as_listed(self, now: float, *, at_start: bool) -> dict[str, Any]:
        """The task as an entry of `compare_task_list`.

        *at_start*: `create_time` is the planned start, not the creation.
        """
        listed = {
            "compare_task_id": self.compare_task_id,
            "compare_type": self.compare_type,
            "compare_task_status": self.status_at(now),
            "create_time": str(round((self.starts_at if at_start else self.created_at) * 1000)),
        }
        if (ended := self.finished_at(now)) is not None:
            listed["end_time"] = str(round(ended * 1000))
        return listed


@dataclass(slots=True)
class SimulatedJob:
    """One project's job as the cloud keeps it: its rule, and its comparisons, oldest first."""

    job_id: str
    rule: JobRule
    tasks: list[Task] = field(default_factory=list)
    made: dict[Half, int] = field(default_factory=dict)

    def unfinished_data_level(self, now: float) -> Iterator[Task]:
        """The data-level comparisons that are not finished: at most one, unless somebody forced another."""
        return (task for task in self.tasks if task.is_data_level and task.status_at(now) not in FINISHED)

    def find(self, compare_task_id: str) -> Task | None:
        """The comparison of that id."""
        return next((task for task in self.tasks if task.compare_task_id == compare_task_id), None)
