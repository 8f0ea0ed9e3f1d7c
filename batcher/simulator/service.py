"""The simulated service behind its HTTP front: one request in, and what is to be done about it out. No I/O.

The front carries a `ExchangePlan` out: it waits where the plan says so, lets the effect happen through `apply`, and
delivers the answer, or what a fault leaves of it.
"""

import random
from dataclasses import dataclass, field
from functools import partial

import orjson

from batcher.drs.outcome import Half
from batcher.drs.v3.create_compare_task import CREATE_COMPARE_TASK
from batcher.rates import Rate
from batcher.simulator.chance import draw
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import NO_FAULTS, AnswerDelivery, Canned, EffectWhen, Fault, FaultSource
from batcher.simulator.iam import IamConfig, IamReply, SimulatedIam
from batcher.simulator.language import ENGLISH, LANGUAGES, in_language
from batcher.simulator.ledger import Ledger
from batcher.simulator.limits import throttle_text
from batcher.simulator.model import Intent, SimulatedCloud
from batcher.simulator.replies import Reply, refusal
from batcher.simulator.signatures import SignedRequest

CANCEL = "cancel-compare"
CREATE_PADDING = b"x" * (1 << 20)
READ_PADDING = b"x" * (12 << 20)
USUAL_LIMIT = Rate(200, 1.0)  # the gateway's, where none is configured


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """The whole simulated service. *latency_s* is the span of usual answer times, half of it before the effect."""

    cloud: CloudConfig = field(default_factory=CloudConfig)
    iam: IamConfig = field(default_factory=IamConfig)
    faults: FaultSource = NO_FAULTS
    seed: int = 0
    latency_s: tuple[float, float] = (0.0, 0.0)


@dataclass(slots=True, kw_only=True)
class ExchangePlan:
    """What is to be done about one request. Waits are in seconds; *intent* is still to be applied, unless None."""

    call: str
    project_id: str
    job_id: str
    request_id: str
    reply: Reply | None = None
    intent: Intent | None = None
    fault: Fault | None = None
    wait_before_s: float = 0.0
    wait_after_s: float = 0.0
    effect_late_s: float | None = None
    language: str = ENGLISH
    refuse: Half | None = None


class SimulatedService:
    """Cloud, IAM and faults in one; see the module's docstring."""

    def __init__(self, config: ServiceConfig, *, ledger: Ledger | None = None) -> None:
        rng = random.Random(config.seed)
        self.config = config
        self.cloud = SimulatedCloud(config.cloud, rng, ledger=ledger)
        self.iam = SimulatedIam(config.iam, rng)
        self._seed = rng.getrandbits(64)
        self._asked: dict[tuple[str, str], int] = {}
        self._began_at: float | None = None

    def drs(self, now: float, project_id: str, call: str, request: SignedRequest) -> ExchangePlan:
        """A request to DRS. What the gateway refuses is answered as it is; faults befall the rest."""
        if self._began_at is None:
            self._began_at = now
        door = partial(self._door, now, project_id, request)
        if call == CREATE_COMPARE_TASK:
            heard: Intent | Reply = self.cloud.admit(now, project_id, request.body, door=door)
        else:
            heard = self.cloud.read(now, project_id, call, request.body, door=door)
        plan = ExchangePlan(
            call=call,
            project_id=project_id,
            job_id=_job_of(request.body),
            request_id=heard.request_id,
            language=request.headers.get("x-language", ENGLISH),
        )
        if isinstance(heard, Intent):
            plan.intent = heard
        else:
            plan.reply = heard
        self._unfold(now, plan, refused=plan.reply is not None and plan.reply.status != 200)
        return plan

    def fleet(
        self, now: float, project_id: str, call: str, request: SignedRequest, *, job_id: str | None = None
    ) -> ExchangePlan:
        """A request that asks for the fleet; faults befall it as any look-up."""
        if self._began_at is None:
            self._began_at = now
        door = partial(self._door, now, project_id, request)
        reply = self.cloud.fleet(now, project_id, call, request.body, job_id=job_id, door=door)
        plan = ExchangePlan(
            call=call,
            project_id=project_id,
            job_id=job_id or "",
            request_id=reply.request_id,
            reply=reply,
            language=request.headers.get("x-language", ENGLISH),
        )
        self._unfold(now, plan, refused=reply.status != 200)
        return plan

    def apply(self, now: float, plan: ExchangePlan) -> Reply:
        """Let the effect of *plan* happen now; the answer to it."""
        assert plan.intent is not None  # noqa: S101 - asked only of plans that have one
        code = plan.fault.refuse_code if plan.fault is not None else None
        reply = self.cloud.apply(now, plan.intent, refuse=plan.refuse, code=code or "")
        plan.intent = None
        return reply

    def nowhere(self, now: float, path: str) -> ExchangePlan:
        """A request for something that the simulated service does not have."""
        request_id = self.cloud.arrived(now, "", path)
        reply = refusal(request_id, 404, "APIGW.0101", "The API does not exist or has not been published.")
        return ExchangePlan(call=path, project_id="", job_id="", request_id=request_id, reply=reply)

    def cancel(self, now: float, project_id: str, job_id: str, task_id: str, request: SignedRequest) -> ExchangePlan:
        """DELETE /v3/{project_id}/jobs/{job_id}/compare/{compare_job_id}: somebody cancels a comparison."""
        request_id = self.cloud.arrived(now, project_id, CANCEL, job_id=job_id)
        reply = self.iam.let_in(now, request, project_id, request_id)
        if reply is None and self.cloud.someone_cancels(now, project_id, job_id, task_id):
            reply = Reply(status=200, body=b"{}", request_id=request_id)
        if reply is None:
            reply = refusal(request_id, 400, "DRS.M00202", "There is no unfinished comparison of that id.")
        return ExchangePlan(call=CANCEL, project_id=project_id, job_id=job_id, request_id=request_id, reply=reply)

    def tokens(self, now: float, body: bytes) -> IamReply:
        """Answer POST /v3/auth/tokens: a new token, or why there is none."""
        return self.iam.create_token(now, body)

    def projects(self, now: float, request: SignedRequest, name: str) -> IamReply | Reply:
        """Answer GET /v3/projects?name=…: the projects that the token's user may see."""
        shut = self.iam.let_in(now, request, None, "")
        return self.iam.find_projects(name) if shut is None else shut

    # Within -------------------------------------------------------------------------------------------

    def _door(self, now: float, project_id: str, request: SignedRequest, request_id: str) -> Reply | None:
        headers = request.headers
        if (shut := self.iam.let_in(now, request, project_id, request_id)) is not None:
            return shut
        if not headers.get("content-type", "").lower().startswith("application/json"):
            return refusal(request_id, 400, "DRS.M00300", "The Content-Type must be application/json.")
        if headers.get("x-language", ENGLISH) not in LANGUAGES:
            return refusal(request_id, 400, "DRS.M00202", "X-Language must be en-us or zh-cn.")
        return None

    def _unfold(self, now: float, plan: ExchangePlan, *, refused: bool) -> None:
        """Latency and fault of *plan*, by the seed, the job and how many such requests it had.

        *refused*: by the gateway; it meets no fault, and does not count among those that may.
        """
        config = self.config
        key = (f"refused {plan.call}" if refused else plan.call, plan.job_id)
        nth = self._asked[key] = self._asked.get(key, 0) + 1
        low, high = config.latency_s
        if high > 0:
            latency_s = low + (high - low) * draw(self._seed, "latency", *key, nth)
            plan.wait_before_s = plan.wait_after_s = latency_s / 2
        if refused:
            return
        elapsed_s = now - (self._began_at or now)
        fault = config.faults.choose(self._seed, call=plan.call, job_id=plan.job_id, nth=nth, elapsed_s=elapsed_s)
        if fault is None or (fault.creates_only and plan.intent is None):
            return
        plan.fault = fault
        if fault.slow:
            plan.wait_after_s += self._within(config.faults.slow_s, "slow", plan, nth)
        if fault.effect is EffectWhen.LATE:
            plan.effect_late_s = self._within(config.faults.late_s, "late", plan, nth)
        if fault.refuse_code is not None and plan.intent is not None and plan.intent.asked:
            asked = plan.intent.asked
            plan.refuse = asked[int(draw(self._seed, "refused half", *key, nth) * len(asked))]

    def _within(self, span_s: tuple[float, float], what: str, plan: ExchangePlan, nth: int) -> float:
        low, high = span_s
        return low + (high - low) * draw(self._seed, what, plan.call, plan.job_id, nth)


def answer_seen(plan: ExchangePlan, config: CloudConfig) -> Reply | None:
    """The answer as *plan*'s fault leaves it, transport apart; None: nothing is sent."""
    fault, reply = plan.fault, plan.reply
    if fault is None:
        return None if reply is None else in_language(reply, plan.language)
    if fault.delivery in (AnswerDelivery.NOTHING, AnswerDelivery.RESET):
        return None
    if fault.canned is not None:
        limit = config.limit if plan.call == CREATE_COMPARE_TASK else config.read_limit
        reply = _canned(plan.request_id, fault.canned, limit or USUAL_LIMIT)
    if reply is None:
        return None
    reply = in_language(reply, plan.language)
    match fault.delivery:
        case AnswerDelivery.EMPTY:
            return _with_body(reply, b"")
        case AnswerDelivery.GARBAGE:
            return _with_body(reply, reply.body[1:])
        case AnswerDelivery.OVERSIZED:
            padding = CREATE_PADDING if plan.call == CREATE_COMPARE_TASK else READ_PADDING
            return _with_body(reply, reply.body[:-1] + b',"padding":"' + padding + b'"}')
    return reply


def _with_body(reply: Reply, body: bytes) -> Reply:
    return Reply(status=reply.status, body=body, request_id=reply.request_id, error_code=reply.error_code)


def _canned(request_id: str, canned: Canned, limit: Rate) -> Reply:
    if canned.html:
        page = (
            f"<html>\r\n<head><title>{canned.status} {canned.error_msg}</title></head>\r\n"
            f"<body>\r\n<center><h1>{canned.status} {canned.error_msg}</h1></center>\r\n</body>\r\n</html>\r\n"
        )
        return Reply(status=canned.status, body=page.encode(), request_id=request_id, content_type="text/html")
    text = throttle_text(limit) if canned.status == 429 and not canned.error_msg else canned.error_msg
    return refusal(request_id, canned.status, canned.error_code or "", text, retry_after_s=canned.retry_after_s)


def _job_of(body: bytes) -> str:
    """The job a request is about, where that can be read; for a batch, its first."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(fields, dict):
        return ""
    jobs = fields.get("jobs")
    job_id = jobs[0] if isinstance(jobs, list) and jobs else fields.get("job_id")
    return job_id if isinstance(job_id, str) else ""
