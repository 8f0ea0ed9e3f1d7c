"""The world's cloud: the simulator's pure model, behind a network and a gateway in which anything may go wrong.

Requests live on when the process that sent them dies. Everything is kept for the judge: each create request with
the moment at which it left, what it made and cancelled, and whether its answer reached the process.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum
from itertools import count

import orjson

from batcher.drs.answer import Answer, RequestStage
from batcher.drs.outcome import Fate, Half, HalfOutcome, Made, Trouble
from batcher.simulator.ledger import Effect, ListLedger
from batcher.simulator.model import Intent, SimulatedCloud
from batcher.simulator.replies import Reply
from tests.virtual import WALL_AT_START
from tests.worlds.spec import Faults, Spec


class Way(Enum):
    """What becomes of a request."""

    FINE = "fine"
    NOT_SENT = "does not leave"
    LOST = "is lost on its way"
    BEFORE = "fails before its effect"
    AFTER = "fails after its effect"
    LATE = "has its effect late"
    TOO_LATE = "has its effect after all that was promised"
    PARTIAL = "is refused in one half"
    LAST = "has its effect at the last moment"


def are_clear(verdicts: Iterable[HalfOutcome]) -> bool:
    """Whether *verdicts* leave no doubt: those that do tell no more than a look-up."""
    return all(isinstance(one, Made) or (isinstance(one, Trouble) and one.fate is not Fate.MAYBE) for one in verdicts)


@dataclass(slots=True)
class Sent:
    """One create request, as the judge sees it. Times are true time."""

    number: int
    entry: int
    job: tuple[str, str]
    life: int
    left_at: float
    asked: frozenset[Half] = frozenset()
    landed_at: float | None = None
    created: dict[Half, str] = field(default_factory=dict)
    cancelled: tuple[str, ...] = ()
    ends_at: dict[str, float] = field(default_factory=dict)  # when what it created ends by itself
    is_clear: bool = False  # its answer leaves no doubt
    told: bool = False  # an answer with all that it made reached a process that lived
    ended_at: float | None = None  # for the process
    epoch: int = 0  # of the lease by which it left, where machines share the journal
    checked_at: float = 0.0  # when it was let leave: before it left, where its machine was frozen in between


@dataclass(frozen=True, slots=True)
class Read:
    """One look-up that left."""

    project: str
    life: int
    left_at: float


@dataclass(slots=True)
class Traffic:
    """What one wave sent, and how often it called at all."""

    sent: list[Sent] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    calls: int = 0
    refusals: int = 0  # of credentials, whoever's they were


class WorldCloud:
    """The cloud itself; outlives processes."""

    def __init__(self, spec: Spec, rng: random.Random, say: Callable[[str], None]) -> None:
        self.spec = spec
        self.faults: Faults = spec.faults
        self.say = say
        self.ledger = ListLedger()
        self.numbers = count()  # of requests, in the order in which they leave
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._model = SimulatedCloud(spec.config, random.Random(spec.seed), ledger=self.ledger)
        self._model.began_at = self.service_now()
        self._storm_until = float("-inf")
        self._pages_until = float("-inf")
        self._page = PAGES[0]
        self._token = 0  # the newest that was given out
        self._dead_tokens = 0  # those below are refused
        self.refusals = 0
        for at, job, kind in spec.others:
            self._loop.call_at(max(at + self._loop.time(), self._loop.time()), self._someone_creates, job, kind)

    def service_now(self) -> float:
        """DRS's clock."""
        now, step = self._loop.time(), self.spec.cloud_step
        stepped_s = step[1] if step is not None and now - 1000.0 >= step[0] else 0.0
        return WALL_AT_START + now + self.spec.cloud_ahead_s + stepped_s

    def _someone_creates(self, job: str, kind: str) -> None:
        for project in sorted({entry.project_id for entry in self.spec.entries if entry.request.job_id == job}):
            made = self._model.someone_creates(self.service_now(), project, job, kind)
            self.say(f"someone creates {kind} {made[:8]} on {job}")

    # --- credentials ------------------------------------------------------------------------------------

    def new_token(self) -> int:
        """A fresh token."""
        self._token += 1
        return self._token

    def _takes(self, token: int) -> bool:
        if self.spec.refused_from is not None and self._loop.time() - 1000.0 >= self.spec.refused_from:
            return False
        return token > self._dead_tokens

    # --- the gateway ------------------------------------------------------------------------------------

    def draw_way(self) -> Way:
        """What becomes of the next create request."""
        faults = self.faults
        chance = (
            (Way.NOT_SENT, faults.not_sent),
            (Way.LOST, faults.lost),
            (Way.BEFORE, faults.before),
            (Way.AFTER, faults.after),
            (Way.LATE, faults.late),
            (Way.TOO_LATE, faults.too_late),
            (Way.PARTIAL, faults.partial),
        )
        draw = self._rng.random() * max(1.0, 1.25 * sum(share for _, share in chance))
        for way, share in chance:
            if draw < share:
                return way
            draw -= share
        return Way.FINE

    def _turned_back(self, token: int) -> Answer | None:
        """The gateway's own refusal, if any: a storm, or a token that is not taken."""
        now = self._loop.time()
        if now >= self._storm_until and self._rng.random() < self.faults.storm:
            self._storm_until = now + self._rng.choice((1.0, 20.0, 150.0))
            self.say(f"a throttling storm until {self._storm_until:.3f}")
        if self._rng.random() < self.faults.expire:
            self._dead_tokens = self._token
            self.say("the token runs out")
        if not self._takes(token):
            self.refusals += 1
            return self.answer(401, {"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication"})
        if now < self._storm_until:
            if self._rng.random() < 0.3:
                return self.answer(400, {"error_code": "DRS.M01503", "error_msg": "too frequent"})
            retry = {"retry-after": "7"} if self._rng.random() < 0.3 else {}
            return self.answer(429, {"error_code": "APIGW.0308", "error_msg": "throttled"}, retry)
        return None

    def _pages(self) -> Answer | None:
        """What something on the way says in the cloud's place, if it does now: it has a clock of its own, too."""
        if not self.faults.pages:
            return None
        now = self._loop.time()
        if now >= self._pages_until and self._rng.random() < self.faults.pages:
            self._pages_until = now + self._rng.choice((1.0, 8.0, 110.0))
            self._page = self._rng.choice(PAGES)
            self.say(f"something on the way answers with {self._page[0]} until {self._pages_until:.3f}")
        if now >= self._pages_until:
            return None
        status, body = self._page
        date = formatdate(int(self.service_now() + self._rng.uniform(-3600.0, 3600.0)), usegmt=True)
        headers = {"server": "nginx/1.22.1", "date": date}
        return Answer(
            stage=RequestStage.SENT, sent_at=0.0, answered_at=0.0, http_status=status, headers=headers, body=body
        )

    def create(self, sent: Sent, body: bytes, token: int, way: Way, reply: "asyncio.Future[Answer]") -> None:
        """A create request is on its way."""
        if way is Way.LOST:
            return
        delay = self._rng.random() * self.spec.jitter_s
        if self._rng.random() < 0.1:
            delay += self._rng.uniform(0, 15)
        self._loop.call_later(delay, self._arrives, sent, body, token, way, reply)

    def _arrives(self, sent: Sent, body: bytes, token: int, way: Way, reply: "asyncio.Future[Answer]") -> None:
        page = self._pages()
        if page is not None and self._rng.random() < 0.7:
            self._answers(reply, page)
            return
        back = self._turned_back(token) if page is None else None
        if back is None:
            project = sent.job[0]
            admitted = self._model.admit(self.service_now(), project, body)
            if isinstance(admitted, Reply):
                back = self._reply(admitted)
            elif page is not None:  # it had been passed on
                self._lands(sent, admitted, None)
            else:
                self._admitted(sent, admitted, way, reply)
                return
        self._answers(reply, back if page is None else page)

    def _admitted(self, sent: Sent, intent: Intent, way: Way, reply: "asyncio.Future[Answer]") -> None:
        landing_s = self.spec.policy.landing_s
        match way:
            case Way.BEFORE:
                self._answers(reply, self._broken(None))
            case Way.LATE | Way.TOO_LATE | Way.LAST:
                late = self._loop.time() - sent.left_at
                after_s = self._rng.uniform(0, landing_s - late)
                if way is Way.TOO_LATE:
                    after_s = self._rng.uniform(landing_s, 3 * landing_s)
                elif way is Way.LAST:
                    after_s = self._rng.uniform(0.9 * landing_s, landing_s) - late
                self._loop.call_later(after_s, self._lands, sent, intent, None)
                if self._rng.random() < 0.3:
                    self._answers(reply, self._broken(None))
            case Way.AFTER:
                self._answers(reply, self._broken(self._lands(sent, intent, None)))
            case Way.PARTIAL if len(intent.asked) == 2:
                half = self._rng.choice(intent.asked)
                self._answers(reply, self._reply(self._lands(sent, intent, half)))
            case _:
                self._answers(reply, self._reply(self._lands(sent, intent, None)))

    def _lands(self, sent: Sent, intent: Intent, refuse: Half | None) -> Reply:
        before = len(self.ledger)
        code = self._rng.choice(("DRS.M01503", "DRS.M00304", "DRS.M00202", "DRS.M00004", "DRS.UNHEARD"))
        reply = self._model.apply(self.service_now(), intent, refuse=refuse, code=code)
        sent.landed_at = self._loop.time()
        for event in self.ledger[before:]:
            if isinstance(event, Effect):
                sent.created, sent.cancelled = dict(event.created), event.cancelled
                sent.ends_at = self._ends_of(sent)
        made = {half.value: task_id[:8] for half, task_id in sent.created.items()}
        self.say(f"request {sent.number} of entry {sent.entry} lands: {reply.status} made {made} refused {refuse}")
        return reply

    def _ends_of(self, sent: Sent) -> dict[str, float]:
        """When what *sent* created ends by itself, in true time, by its id."""
        ahead_s = self.service_now() - self._loop.time()
        return {
            task.compare_task_id: float("inf") if task.ends_at is None else task.ends_at - ahead_s
            for task in self._model._jobs[sent.job].tasks
            if task.compare_task_id in sent.created.values()
        }

    def _answers(self, reply: "asyncio.Future[Answer]", answer: Answer | None) -> None:
        if answer is not None:
            self._loop.call_later(self._rng.random() * self.spec.jitter_s, _deliver, reply, answer)

    # --- answers ----------------------------------------------------------------------------------------

    def answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> Answer:
        """A whole answer, stamped by the gateway."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        stamped = {"x-request-id": f"r-{self._rng.getrandbits(32):08x}", **(headers or {})}
        if self._rng.random() < self.spec.dates:
            gateway = self._rng.choice(self.spec.gateways)
            ahead_s = gateway.ahead_at(self._loop.time() - 1000.0)
            stamped["date"] = formatdate(int(self.service_now() + ahead_s), usegmt=True)
        return Answer(
            stage=RequestStage.SENT, sent_at=0.0, answered_at=0.0, http_status=status, headers=stamped, body=raw
        )

    def _reply(self, reply: Reply) -> Answer:
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return self.answer(reply.status, reply.body, headers)

    def _broken(self, reply: Reply | None) -> Answer | None:
        """What comes back when something goes wrong; None: nothing."""
        match self._rng.randrange(9):
            case 0:
                return None
            case 1:
                return no_answer("network", "connection reset by peer")
            case 2:
                return no_answer("protocol", "the answer broke off")
            case 3:
                return self.answer(502, b"<html>Bad Gateway</html>")
            case 4:
                return self.answer(504, {"error_code": "APIGW.0201", "error_msg": "Backend timeout."})
            case 5:
                return self.answer(500, {"error_code": "DRS.M00004", "error_msg": "Service abnormal"})
            case 6:
                return self.answer(200, b'{"job_id": "job')
            case 7:
                return self.answer(200, {"job_id": None})
            case _:
                return self.answer(503, b"")

    # --- look-ups ---------------------------------------------------------------------------------------

    def query(self, project: str, body: bytes, token: int, reply: "asyncio.Future[Answer]") -> None:
        """A look-up of comparisons is on its way."""
        self._read(token, reply, lambda: self._model.query(self.service_now(), project, body))

    def batch_status(self, project: str, body: bytes, token: int, reply: "asyncio.Future[Answer]") -> None:
        """A look-up of states is on its way."""
        self._read(token, reply, lambda: self._model.batch_status(self.service_now(), project, body))

    def _read(self, token: int, reply: "asyncio.Future[Answer]", ask: Callable[[], Reply]) -> None:
        self._loop.call_later(self._rng.random() * self.spec.jitter_s, self._read_arrives, token, reply, ask)

    def _read_arrives(self, token: int, reply: "asyncio.Future[Answer]", ask: Callable[[], Reply]) -> None:
        answer: Answer | None = self._pages() or self._turned_back(token)
        if answer is None and self._rng.random() < self.faults.list_fails:
            answer = self._bad_list()
        elif answer is None:
            answer = self._reply(ask())
        slow_s = self._rng.uniform(0, 15) if self.faults.slow and self._rng.random() < 0.3 else 0.0
        self._loop.call_later(slow_s, self._answers, reply, answer)

    def _bad_list(self) -> Answer | None:
        match self._rng.randrange(5):
            case 0:
                return self.answer(200, {"compare_task_list_results": {"compare_task_list": []}})
            case 1:  # of another job
                empty = {"compare_task_list": [], "compare_task_list_count": 0}
                return self.answer(200, {"job_id": "another", "compare_task_list_results": empty})
            case 2:
                return self.answer(
                    200, {"compare_task_list_results": {"compare_task_list": [], "compare_task_list_count": 1}}
                )
            case _:
                return self._broken(None)


def _deliver(reply: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not reply.done():
        reply.set_result(answer)


PAGES = (
    (404, b""),
    (404, b"default backend - 404"),
    (404, b'{"message": "no Route matched with those values"}'),
    (405, b"<html>405 Not Allowed</html>"),
    (403, b"<html>Forbidden</html>"),
    (401, b""),
    (302, b""),
    (200, b""),
    (200, b"{}"),
    (200, b"<html>Please log in</html>"),
)
"""What somebody else than the cloud says: status and body."""


def no_answer(kind: str, error: str) -> Answer:
    """What the transport makes of trouble after the body has left."""
    return Answer(stage=RequestStage.SENT, sent_at=0.0, answered_at=0.0, error=error, error_kind=kind)
