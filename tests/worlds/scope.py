"""The world's cloud as one scope of one process has it: a `batcher.drs.cloud.Cloud` that dies with its process."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context

import orjson
from msgspec.structs import replace

from batcher.drs.answer import Answer, RequestStage
from batcher.drs.cloud import OnSent, Refusal, ResultIds
from batcher.drs.guesses import LIST_PAGE_SIZE
from batcher.drs.outcome import Accepted, CreateOutcome, Half, ListOutcome, ResultsOutcome, StatusOutcome
from batcher.drs.v3.classify import classify_batch_status, classify_create, classify_list, classify_results
from batcher.drs.v3.query_compare_request import RESULT_ID
from tests.worlds.cloud import Read, Sent, Traffic, Way, WorldCloud, are_clear, no_answer
from tests.worlds.process import Process
from tests.worlds.spec import TIMEOUT_S

_ReadCall = Callable[[str, bytes, int, "asyncio.Future[Answer]"], None]


class ProcessCloud:
    """The cloud as one scope of one process has it: a `batcher.drs.cloud.Cloud`."""

    def __init__(
        self, cloud: WorldCloud, traffic: Traffic, process: Process, project: str, life: int, rng: random.Random
    ) -> None:
        self._cloud = cloud
        self._traffic = traffic
        self._process = process
        self._project = project
        self._life = life
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._token = 0

    @property
    def at_hand(self) -> bool:
        """See `Cloud.at_hand`."""
        return self._token != 0

    async def prepare(self) -> Refusal | None:
        """See `Cloud.prepare`."""
        if self._token == 0:
            await self._alive("prepare", self._rng.random() * 0.1)
            self._token = self._cloud.new_token()
        return None

    async def renew(self) -> bool:
        """See `Cloud.renew`."""
        await self._alive("renew", self._rng.random() * 0.1)
        self._token = self._cloud.new_token()
        return True

    async def create_comparisons(
        self, body: bytes, *, job_id: str, asked: Iterable[Half], x_language: str | None, on_sent: OnSent = None
    ) -> CreateOutcome:
        """See `Cloud.create_comparisons`."""
        answer, sent = await self._create(body, x_language, on_sent)
        outcome = classify_create(answer, asked=asked, job_id=job_id)
        if sent is not None:
            sent.is_clear = are_clear(outcome.halves.values())
        if sent is not None and not any(isinstance(verdict, Accepted) for verdict in outcome.halves.values()):
            sent.told = bool(sent.created) and all(made.encode() in answer.body for made in sent.created.values())
        return outcome

    async def _create(self, body: bytes, x_language: str | None, on_sent: OnSent) -> tuple[Answer, Sent | None]:
        cloud = self._cloud
        self._traffic.calls += 1
        sent_at = self._process.now()
        way = cloud.draw_way()
        self._maybe_step_clock()
        await self._alive("connect", self._connecting_s())
        if way is Way.NOT_SENT:
            return replace(no_answer("network", "connection refused"), stage=RequestStage.NOT_SENT), None
        assert x_language is not None
        if on_sent is not None:
            on_sent()
        checked_at = self._loop.time()
        if await self._process.is_stopped_short():
            way = Way.LAST
        sent = self._leaves(int(x_language.removeprefix("entry-")), body, way, checked_at)
        reply: asyncio.Future[Answer] = self._loop.create_future()
        Context().run(cloud.create, sent, body, self._token, way, reply)  # it goes on while this machine is frozen
        answer = await self._await(reply, sent_at)
        sent.ended_at = self._loop.time()
        return answer, sent

    def _leaves(self, entry: int, body: bytes, way: Way, checked_at: float) -> Sent:
        fields = orjson.loads(body)
        asked = {Half.OBJECT} if fields.get("object_level_compare_type") else set()
        info = fields.get("data_level_compare_info")
        if info:
            asked.add(Half.DATA)
        sent = Sent(
            number=next(self._cloud.numbers),
            entry=entry,
            job=(self._project, fields["job_id"]),
            life=self._life,
            left_at=self._loop.time(),
            asked=frozenset(asked),
            epoch=self._process.epochs.get(self._project, 0),
            checked_at=checked_at,
        )
        self._traffic.sent.append(sent)
        policy = info["conflict_policy"] if info else "-"
        halves = "+".join(sorted(asked))
        self._cloud.say(f"request {sent.number} of entry {entry} leaves for {halves} ({policy}); it {way.value}")
        return sent

    async def list_comparisons(self, job_id: str, *, page: int, on_sent: OnSent = None) -> ListOutcome:
        """See `Cloud.list_comparisons`."""
        answer = await self._query(job_id, {}, page, LIST_PAGE_SIZE, on_sent)
        return classify_list(answer, job_id=job_id, most=LIST_PAGE_SIZE)

    async def read_results(
        self, job_id: str, ids: ResultIds, *, page: int, per_page: int, on_sent: OnSent = None
    ) -> ResultsOutcome:
        """See `Cloud.read_results`."""
        return classify_results(await self._query(job_id, ids, page, per_page, on_sent), job_id=job_id)

    async def _query(self, job_id: str, ids: ResultIds, page: int, per_page: int, on_sent: OnSent) -> Answer:
        named = {RESULT_ID[kind]: task_id for kind, task_id in ids.items()}
        body = orjson.dumps({"job_id": job_id, "current_page": page, "per_page": per_page, **named})
        return await self._read(f"look-up of {job_id}, page {page}", body, self._cloud.query, on_sent)

    async def job_statuses(self, job_ids: Sequence[str], *, on_sent: OnSent = None) -> StatusOutcome:
        """See `Cloud.job_statuses`."""
        body = orjson.dumps({"jobs": job_ids, "page_req": {"cur_page": 1, "per_page": len(job_ids)}})
        answer = await self._read(f"states of {', '.join(job_ids)}", body, self._cloud.batch_status, on_sent)
        return classify_batch_status(answer, asked=job_ids)

    async def _read(self, what: str, body: bytes, call: _ReadCall, on_sent: OnSent) -> Answer:
        self._traffic.calls += 1
        sent_at = self._process.now()
        self._maybe_step_clock()
        await self._alive("connect to look", self._connecting_s())
        if on_sent is not None:
            on_sent()
        self._traffic.reads.append(Read(self._project, self._life, self._loop.time()))
        self._cloud.say(what)
        reply: asyncio.Future[Answer] = self._loop.create_future()
        Context().run(call, self._project, body, self._token, reply)
        return await self._await(reply, sent_at)

    def _connecting_s(self) -> float:
        if self._rng.random() < self._cloud.faults.slow:
            return self._rng.uniform(0, 10)
        return self._rng.random() * 0.02

    def _maybe_step_clock(self) -> None:
        if self._rng.random() < self._cloud.faults.clock_step:
            self._process.clock_was_set = True
            self._process.wall_ahead_s += self._rng.choice((-86400.0, -3600.0, -2.0, 2.0, 3600.0, 86400.0))
            self._cloud.say(f"our wall clock is now {self._process.wall_ahead_s:+.1f} s off")

    async def _await(self, reply: "asyncio.Future[Answer]", sent_at: float) -> Answer:
        done, _ = await asyncio.wait({reply}, timeout=TIMEOUT_S)
        answer = reply.result() if done else no_answer("timeout", f"no answer within {TIMEOUT_S:g} s")
        if not self._process.step("answer"):
            await self._process.never()
        self._cloud.say(f"  answered: {answer.http_status or answer.error} {answer.body[:160].decode()}")
        return replace(answer, sent_at=sent_at, answered_at=self._process.now())

    async def _alive(self, what: str, seconds: float) -> None:
        """Spend *seconds*, if the process lives that long."""
        await asyncio.sleep(seconds)
        if not self._process.step(what):
            await self._process.never()
