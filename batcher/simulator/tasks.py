"""Comparison tasks made: their ids, how long they run and how they end, all from the seed and the job's rule."""

from batcher.drs.outcome import Half
from batcher.drs.v3.create_compare_task import CreateDataLevelCompareReq
from batcher.simulator.chance import draw, draw_hex
from batcher.simulator.comparisons import OBJECT_COMPARISON, SimulatedJob, Task
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import ExistingComparison


class TaskMaker:
    """Makes tasks and puts them into their job. The nth of its kind in a job is the same in every run of a seed."""

    def __init__(self, config: CloudConfig, seed: int) -> None:
        self._config = config
        self._seed = seed

    def asked(
        self, now: float, project_id: str, job: SimulatedJob, half: Half, info: CreateDataLevelCompareReq | None
    ) -> Task:
        """The comparison that a request asks for; *info* is its data-level part, None for the object level."""
        nth = job.made[half] = job.made.get(half, 0) + 1
        key = f"{project_id} {half} {nth}"
        if info is None:
            task = self._task(job, key, OBJECT_COMPARISON, now, now)
        else:
            starts_at = now if info.start_time is None else max(now, int(info.start_time) / 1000)
            task = self._task(job, key, info.compare_type, now, starts_at)
            task.objects = _objects(info)
        job.tasks.append(task)
        return task

    def someones(self, now: float, project_id: str, job: SimulatedJob, compare_type: str) -> Task:
        """One that a console or a policy makes now."""
        task = self._task(job, f"{project_id} someone {len(job.tasks)}", compare_type, now, now)
        task.ours = False
        job.tasks.append(task)
        return task

    def existing(self, began_at: float, job: SimulatedJob, existing: ExistingComparison) -> Task:
        """One that was there when the cloud began, and stays as it is."""
        created_at, ended_at = began_at - existing.age_s, began_at - existing.age_s / 2
        task = self._task(job, f"existing {len(job.tasks)}", existing.compare_type, created_at, created_at)
        task.ours = False
        task.cancelled_at = ended_at if existing.status == "CANCELLED" else None
        task.ends_at = None if existing.unfinished else ended_at
        task.end_status = "SUCCESSFUL" if existing.unfinished else existing.status
        job.tasks.append(task)
        return task

    def _task(self, job: SimulatedJob, key: str, compare_type: str, created_at: float, starts_at: float) -> Task:
        rule = job.rule
        usual_s = self._config.runs_s.get(compare_type, 300.0) if rule.runs_s is None else rule.runs_s
        runs_s = usual_s * (0.5 + draw(self._seed, "runs", job.job_id, key)) / self._config.speed
        digits = draw_hex(self._seed, "task", job.job_id, key)
        return Task(
            compare_task_id=f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
            compare_type=compare_type,
            created_at=created_at,
            starts_at=starts_at,
            ends_at=None if rule.ends == "NEVER" else starts_at + runs_s,
            end_status=rule.ends if rule.ends in ("FAILED", "TIMEOUT_INTERRUPT") else "SUCCESSFUL",
            cancelled_at=starts_at + runs_s / 2 if rule.ends == "CANCELLED" else None,
        )


def _objects(info: CreateDataLevelCompareReq) -> tuple[tuple[str, tuple[str, ...]], ...]:
    plain = ((entry.db_name, tuple(entry.table_name or ())) for entry in info.compare_object_infos or ())
    tokens = (
        (entry.db_name, tuple(table.table_name for table in entry.table_name_with_token or ()))
        for entry in info.compare_object_infos_with_token or ()
    )
    return (*plain, *tokens)
