"""The simulated DRS: a state machine over values, without I/O or a clock of its own.

Time is handed in with each call, in Unix seconds by the cloud's clock, and never runs backwards. All chance
comes from one seed and from what is asked, so the order of arrival changes no draw. A create request has two
steps, so that an effect can come late, or come without its answer:

    admitted = cloud.admit(now, project_id, body)    # the gateway: rights, limit, the request's form
    if isinstance(admitted, Intent):
        reply = cloud.apply(later, admitted)         # DRS: the effect, and the answer to it

`create` does both at once. The ledger has every request and effect; who delivers an answer, or not, says so
with `answered`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batcher.drs.outcome import Half
from batcher.drs.v3.create_compare_task import CREATE_COMPARE_TASK, CreateCompareTaskReq
from batcher.simulator import checks, fleet
from batcher.simulator.chance import draw_hex
from batcher.simulator.checks import BadRequest, BatchReq, QueryReq
from batcher.simulator.comparisons import SimulatedJob, Task
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import DELETED, NO_JOB, PARENT, READY, Fleet, JobRule
from batcher.simulator.ledger import AnswerSent, Effect, Ledger, ListLedger, RequestSeen
from batcher.simulator.limits import WindowLimit, throttle_text
from batcher.simulator.replies import Reply, refusal, reply
from batcher.simulator.results import result_blocks
from batcher.simulator.tasks import TaskMaker

QUERY_COMPARE_RESULT = "query-compare-result"
BATCH_STATUS = "batch-status"
BATCH_DETAIL = "batch-detail"
LIST_JOBS = "list-jobs"  # POST /v3/{project_id}/jobs
OBJECT_MAPPINGS = "object-mappings"
DB_OBJECT = "db-object"
FLEET_READS = frozenset({LIST_JOBS, OBJECT_MAPPINGS, DB_OBJECT})
READS = frozenset({QUERY_COMPARE_RESULT, BATCH_STATUS, BATCH_DETAIL, *FLEET_READS})
CREATES = frozenset({CREATE_COMPARE_TASK})
_HALF_REFUSED = {"DRS.M01503": "Too many requests. Try again later."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A create request that got past the gateway, and has had no effect yet."""

    request_id: str
    project_id: str
    request: CreateCompareTaskReq
    asked: tuple[Half, ...]


Door = Callable[[str], Reply | None]
"""Says whether a request is let in, by its id: None, or the refusal."""


class SimulatedCloud:
    """One cloud with all its projects; see the module's docstring.

    *began_at* is when its clock starts (the states of jobs change relative to it); by default, its first request.
    """

    def __init__(
        self,
        config: CloudConfig,
        rng: random.Random,
        *,
        ledger: Ledger | None = None,
        began_at: float | None = None,
    ) -> None:
        self.config = config
        self.seed = rng.getrandbits(64)
        self.ledger: Ledger = ListLedger() if ledger is None else ledger
        self.began_at = began_at
        self._fleet = Fleet(config.jobs)
        self._make = TaskMaker(config, self.seed)
        self._limits: dict[tuple[str, bool], WindowLimit] = {}
        self._jobs: dict[tuple[str, str], SimulatedJob] = {}
        self._requests = 0

    # Calls --------------------------------------------------------------------------------------------

    def create(self, now: float, project_id: str, body: bytes) -> Reply:
        """create-compare-task: admitted and done in one moment."""
        admitted = self.admit(now, project_id, body)
        return self.apply(now, admitted) if isinstance(admitted, Intent) else admitted

    def admit(self, now: float, project_id: str, body: bytes, *, door: Door | None = None) -> Intent | Reply:
        """The gateway's part of create-compare-task: a reply is a refusal, and nothing was done.

        Counts for the limit. Whether the job exists and is ready is looked at only when the intent is applied.
        *door* is asked first whether the request is let in.
        """
        try:
            request: CreateCompareTaskReq | BadRequest = checks.read_create(body)
        except BadRequest as wrong:
            request = wrong
        if isinstance(request, BadRequest):
            request_id = self.arrived(now, project_id, CREATE_COMPARE_TASK)
        else:
            asked = checks.asked_halves(request)
            info = request.data_level_compare_info
            request_id = self.arrived(
                now,
                project_id,
                CREATE_COMPARE_TASK,
                job_id=request.job_id,
                asked=asked,
                conflict_policy=None if info is None else info.conflict_policy,
            )
        if door is not None and (shut := door(request_id)) is not None:
            return shut
        if (turned_away := self._turned_away(now, request_id, project_id, CREATE_COMPARE_TASK)) is not None:
            return turned_away
        if isinstance(request, BadRequest):
            return refusal(request_id, 400, request.error_code, request.error_msg)
        return Intent(request_id=request_id, project_id=project_id, request=request, asked=asked)

    def apply(self, now: float, intent: Intent, *, refuse: Half | None = None, code: str = "DRS.M01503") -> Reply:
        """DRS's part: create and cancel what *intent* asks for, and the answer to that.

        *refuse* is a half that is not made, with *code* in the answer (a partial result).
        """
        job = self.job(now, intent.project_id, intent.request.job_id)
        if (refused := self._job_refused(now, job, intent.request_id)) is not None:
            return refused
        answer: dict[str, Any] = {"job_id": job.job_id}
        created: dict[Half, str] = {}
        cancelled: list[str] = []
        for half in intent.asked:
            name = f"{half}_compare_create_result"
            if half is refuse:
                answer[name] = {
                    "error_code": code,
                    "error_msg": _HALF_REFUSED.get(code, "The parameters are incorrect."),
                }
                continue
            info = intent.request.data_level_compare_info if half is Half.DATA else None
            if info is not None:
                unfinished = list(job.unfinished_data_level(now))
                if unfinished and info.conflict_policy == "keep":
                    if (kept := self._kept(unfinished[-1])) is not None:
                        answer[name] = kept
                    continue
                for task in unfinished:
                    task.cancelled_at = now
                    cancelled.append(task.compare_task_id)
            task = self._make.asked(now, intent.project_id, job, half, info)
            created[half] = task.compare_task_id
            answer[name] = {"compare_task_id": task.compare_task_id}
        if created or cancelled:
            self.ledger.record(
                Effect(
                    at=now,
                    request_id=intent.request_id,
                    project_id=intent.project_id,
                    job_id=job.job_id,
                    created=created,
                    cancelled=tuple(cancelled),
                )
            )
        return reply(intent.request_id, 200, answer)

    def query(self, now: float, project_id: str, body: bytes) -> Reply:
        """query-compare-result: the job's comparisons, newest first, and the results that were asked for."""
        return self.read(now, project_id, QUERY_COMPARE_RESULT, body)

    def batch_status(self, now: float, project_id: str, body: bytes) -> Reply:
        """batch-status: each job's status, by default five of them."""
        return self.read(now, project_id, BATCH_STATUS, body)

    def batch_detail(self, now: float, project_id: str, body: bytes) -> Reply:
        """batch-detail: what a job is; of use here is what tells parents from their subtasks."""
        return self.read(now, project_id, BATCH_DETAIL, body)

    def fleet(
        self,
        now: float,
        project_id: str,
        call: str,
        body: bytes,
        *,
        job_id: str | None = None,
        door: Door | None = None,
    ) -> Reply:
        """The look-up *call*, one of `FLEET_READS`, about *job_id* where it has one; *door* as for `admit`."""
        request_id = self.arrived(now, project_id, call, job_id=job_id)
        if door is not None and (shut := door(request_id)) is not None:
            return shut
        if (turned_away := self._turned_away(now, request_id, project_id, call)) is not None:
            return turned_away
        try:
            wanted = checks.read_fleet(call, body)
        except BadRequest as wrong:
            return refusal(request_id, 400, wrong.error_code, wrong.error_msg)
        if call == LIST_JOBS:
            began_at = self.began_at or now
            return reply(
                request_id,
                200,
                fleet.listed(self._fleet, project_id, wanted, lambda rule: self._status(now, rule), began_at),
            )
        rule = self.job(now, project_id, job_id or "").rule
        if not rule.exists:
            return refusal(request_id, 400, "DRS.M00202", "The job does not exist.")
        if not fleet.told_by(call, rule):
            return refusal(request_id, 400, "DRS.M00401", "The operation is not supported for this link.")
        if call == DB_OBJECT:
            return reply(request_id, 200, fleet.db_object(rule))
        return reply(request_id, 200, fleet.mappings(rule, wanted["offset"], wanted["limit"]))

    def read(self, now: float, project_id: str, call: str, body: bytes, *, door: Door | None = None) -> Reply:
        """The look-up *call*, one of `READS` but not of `FLEET_READS`; *door* as for `admit`."""
        read = checks.read_query if call == QUERY_COMPARE_RESULT else checks.read_batch
        try:
            request: QueryReq | BatchReq | BadRequest = read(body)
        except BadRequest as wrong:
            request = wrong
        job_id = request.job_id if isinstance(request, QueryReq) else None
        request_id = self.arrived(now, project_id, call, job_id=job_id)
        if door is not None and (shut := door(request_id)) is not None:
            return shut
        if (turned_away := self._turned_away(now, request_id, project_id, call)) is not None:
            return turned_away
        match request:
            case BadRequest():
                return refusal(request_id, 400, request.error_code, request.error_msg)
            case QueryReq():
                return self._listing(now, project_id, request_id, request)
            case BatchReq():
                return self._batch(now, project_id, request_id, request, detailed=call == BATCH_DETAIL)

    def answered(
        self, now: float, project_id: str, request_id: str, reply: Reply | None, *, fault: str | None = None
    ) -> None:
        """Put on record what was sent back to *request_id*: *reply*, or nothing."""
        self.ledger.record(
            AnswerSent(
                at=now,
                request_id=request_id,
                project_id=project_id,
                http_status=None if reply is None else reply.status,
                error_code=None if reply is None else reply.error_code,
                fault=fault,
            )
        )

    # What others do -----------------------------------------------------------------------------------

    def someone_creates(self, now: float, project_id: str, job_id: str, compare_type: str) -> str:
        """A console or a policy makes a comparison; its id. It asks nobody, and cancels nothing."""
        job = self.job(now, project_id, job_id)
        task = self._make.someones(now, project_id, job, compare_type)
        half = Half.DATA if task.is_data_level else Half.OBJECT
        created = {half: task.compare_task_id}
        self.ledger.record(Effect(at=now, request_id="", project_id=project_id, job_id=job_id, created=created))
        return task.compare_task_id

    def someone_cancels(self, now: float, project_id: str, job_id: str, compare_task_id: str) -> bool:
        """A person cancels a comparison; False where there is none of that id that is unfinished."""
        task = self.job(now, project_id, job_id).find(compare_task_id)
        if task is None or task.finished_at(now) is not None:
            return False
        task.cancelled_at = now
        self.ledger.record(
            Effect(
                at=now, request_id="", project_id=project_id, job_id=job_id, created={}, cancelled=(compare_task_id,)
            )
        )
        return True

    def job(self, now: float, project_id: str, job_id: str) -> SimulatedJob:
        """The job as the cloud keeps it; also one that does not exist, whose rule then says so."""
        if self.began_at is None:
            self.began_at = now
        job = self._jobs.get((project_id, job_id))
        if job is None:
            rule = self._fleet.rule_for(job_id)
            if rule.project_id not in (None, project_id):
                rule = NO_JOB
            job = self._jobs[project_id, job_id] = SimulatedJob(job_id, rule)
            for existing in job.rule.existing:
                self._make.existing(self.began_at, job, existing)
        return job

    # Within -------------------------------------------------------------------------------------------

    def arrived(
        self,
        now: float,
        project_id: str,
        call: str,
        *,
        job_id: str | None = None,
        asked: tuple[Half, ...] = (),
        conflict_policy: str | None = None,
    ) -> str:
        """Put a request on record; its id."""
        if self.began_at is None:
            self.began_at = now
        self._requests += 1
        request_id = draw_hex(self.seed, "request", self._requests)
        self.ledger.record(
            RequestSeen(
                at=now,
                request_id=request_id,
                project_id=project_id,
                call=call,
                job_id=job_id,
                asked=asked,
                conflict_policy=conflict_policy,
            )
        )
        return request_id

    def _turned_away(self, now: float, request_id: str, project_id: str, call: str) -> Reply | None:
        """The gateway's refusal of a request whatever its body says, if any: limit, project, permission."""
        reading = call in READS
        rate = self.config.read_limit if reading else self.config.limit
        if rate is not None:
            limit = self._limits.get((project_id, reading))
            if limit is None:
                limit = WindowLimit(rate, count_refused=self.config.count_refused)
                self._limits[project_id, reading] = limit
            if (wait_s := limit.admit(now)) is not None:
                told = wait_s if self.config.tell_retry_after else None
                return refusal(request_id, 429, "APIGW.0308", throttle_text(rate), retry_after_s=told)
        if self.config.projects is not None and project_id not in self.config.projects:
            return refusal(request_id, 403, "DRS.M00261", "The project ID is invalid.")
        if call in self.config.denied:
            return refusal(request_id, 403, "DRS.M00102", "You do not have permission for this operation.")
        return None

    def _job_refused(self, now: float, job: SimulatedJob, request_id: str) -> Reply | None:
        rule = job.rule
        if not rule.exists:
            return refusal(request_id, 400, "DRS.M05003", f"The job {job.job_id} does not exist.")
        status = self._status(now, rule)
        if status == DELETED:
            return refusal(request_id, 400, "DRS.M05004", "The job has been deleted or released.")
        if rule.children:
            return refusal(request_id, 400, "DRS.M00307", "Only subtasks can call this API.")
        if status != READY:
            return refusal(request_id, 400, "DRS.M00304", f"Not allowed while the job is in status {status}.")
        return None

    def _status(self, now: float, rule: JobRule) -> str:
        began_at = now if self.began_at is None else self.began_at
        status = rule.status_at(now - began_at)
        return PARENT if rule.children and status == READY else status

    def _kept(self, existing: Task) -> dict[str, str] | None:
        match self.config.keep_answer:
            case "code":
                return {"error_code": "DRS.M00304", "error_msg": "An unfinished comparison task exists."}
            case "existing":
                return {"compare_task_id": existing.compare_task_id}
            case "empty":
                return {"compare_task_id": ""}
            case "absent":
                return None

    def _listing(self, now: float, project_id: str, request_id: str, query: QueryReq) -> Reply:
        job = self.job(now, project_id, query.job_id)
        if not job.rule.exists:
            return refusal(request_id, 400, "DRS.M05003", f"The job {job.job_id} does not exist.")
        if self._status(now, job.rule) == DELETED:
            return refusal(request_id, 400, "DRS.M05004", "The job has been deleted or released.")
        if not job.tasks and self.config.empty_list_is_error:
            return refusal(request_id, 422, "DRS.M00002", "The result is empty.")
        at_start = self.config.listed_at_start
        newest_first = job.tasks[::-1]
        first = (query.current_page - 1) * query.per_page
        page = newest_first[first : first + query.per_page]
        answer = {
            "job_id": job.job_id,
            **result_blocks(self.config, self.seed, now, job, query),
            "compare_task_list_results": {
                "compare_task_list": [task.as_listed(now, at_start=at_start) for task in page],
                "compare_task_list_count": len(newest_first),
            },
        }
        return reply(request_id, 200, answer)

    def _batch(self, now: float, project_id: str, request_id: str, batch: BatchReq, *, detailed: bool) -> Reply:
        first = (batch.cur_page - 1) * batch.per_page
        page = batch.jobs[first : first + batch.per_page] if batch.per_page else batch.jobs
        rules = {job_id: self.job(now, project_id, job_id).rule for job_id in page}
        told = [
            fleet.batch_item(job_id, rules[job_id], self._status(now, rules[job_id]), detailed=detailed)
            for job_id in page
        ]
        # One missing job beside others spoils only its own item; with nothing found the whole answer is a 400.
        status_code = 400 if told and all("error_code" in item for item in told) else 200
        return reply(request_id, status_code, {"count": len(batch.jobs), "results": told})
