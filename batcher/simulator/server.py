"""The simulated service over HTTP, on loopback: in the caller's event loop, or in a thread of its own.

    async with Simulator(ServiceConfig(seed=7)) as sim:
        ...  # sim.url is the endpoint, for DRS and IAM alike; sim.ledger has what it saw

It carries out what `SimulatedService` plans, and is no cleverer than that. A handler goes on when its client
has gone, as a cloud does.
"""

import asyncio
import errno
import logging
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from aiohttp import web

from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.simulator.faults import AnswerDelivery, EffectWhen
from batcher.simulator.iam import IamReply
from batcher.simulator.ledger import Event, Ledger, ListLedger
from batcher.simulator.model import CREATES, FLEET_READS, LIST_JOBS, READS
from batcher.simulator.replies import Reply, refusal
from batcher.simulator.service import ExchangePlan, ServiceConfig, SimulatedService, answer_seen
from batcher.simulator.signatures import SignedRequest

CALLS = (CREATES | READS) - FLEET_READS

# What aiohttp would log is about clients that are gone or talk nonsense; failures of ours are raised by `close`.
_QUIET = logging.getLogger("batcher.simulator.http")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False
HELD_OPEN_S = 600.0  # how long a connection stays open and silent, at most
MAX_BODY = 12 * 1024 * 1024  # the gateway's own limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what was answered, for a line on a screen. *http_status* None: nothing was sent."""

    at: float
    call: str
    project_id: str
    job_id: str
    request_id: str
    http_status: int | None
    error_code: str | None
    fault: str | None


class Simulator:
    """Serves a `SimulatedService` on *host*; *port* 0 takes a free one.

    *ledger* None keeps the events in memory (see `ledger`). *clock* gives Unix seconds; the cloud's clock is
    *clock_offset_s* ahead of it. *observer* is told of each exchange.
    """

    def __init__(
        self,
        config: ServiceConfig | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ledger: Ledger | None = None,
        clock: Callable[[], float] = SystemClock.now,
        clock_offset_s: float = 0.0,
        observer: Callable[[Exchange], None] | None = None,
    ) -> None:
        self._events = ListLedger()
        self.service = SimulatedService(config or ServiceConfig(), ledger=self._events if ledger is None else ledger)
        self._host = host
        self._port = port
        self._clock = clock
        self._offset_s = clock_offset_s
        self._observer = observer
        self._stopping = asyncio.Event()
        self._late: dict[str, asyncio.TimerHandle] = {}
        self._runner: web.ServerRunner | None = None
        self._failure: Exception | None = None
        self._failed = asyncio.Event()

    # Its life -----------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The endpoint, once it serves: "http://127.0.0.1:PORT"."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def ledger(self) -> list[Event]:
        """The events kept in memory so far; empty where another ledger was given."""
        return list(self._events)

    @property
    def now(self) -> float:
        """The time by the cloud's clock."""
        return self._clock() + self._offset_s

    async def start(self) -> Self:
        """Begin to serve. Raises `UserError` where the port cannot be had."""
        server = web.Server(self._handle, request_factory=_request, access_log=None, logger=_QUIET)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await self._site(self._runner).start()
        except OSError as error:
            await self._runner.cleanup()
            raise UserError(_cannot_listen(self._host, self._port, error)) from None
        self._port = self._runner.addresses[0][1]
        return self

    def _site(self, runner: web.ServerRunner) -> web.BaseSite:
        """Where requests come in. Raises `OSError` where that cannot be had."""
        return web.TCPSite(runner, self._host, self._port, backlog=1024)

    async def close(self) -> None:
        """Stop serving: silent connections are closed, effects that were to come late never come.

        Raises whatever kept a request from being served: nothing that goes wrong in here is lost.
        """
        self._stopping.set()
        for timer in self._late.values():
            timer.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._failure is not None:
            raise self._failure

    async def failed(self) -> None:
        """Wait until a request could not be served (a ledger that cannot be written, say); `close` raises why."""
        await self._failed.wait()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Requests -----------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ConnectionError:  # the client has gone in the middle of its request
            return web.Response()
        except Exception as error:  # noqa: BLE001 - raised again by close
            self._fail(error)
            return self._response(refusal("", 500, "APIGW.0601", "The simulator has failed."))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._response(refusal("", 413, "APIGW.0201", "The request body is too large."))
        signed = SignedRequest(
            method=request.method,
            path=request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            headers=request.headers,
            body=body,
        )
        match signed.path.split("/"):
            case ["", "v3", project_id, "jobs", call] if call in CALLS and request.method == "POST":
                return await self._drs(request, signed, project_id, call)
            case ["", "v3", project_id, "jobs"] if request.method == "POST":
                return await self._deliver(request, self.service.fleet(self.now, project_id, LIST_JOBS, signed))
            case ["", "v5", project_id, "jobs", job_id, "object-mappings" as call] if request.method == "POST":
                plan = self.service.fleet(self.now, project_id, call, signed, job_id=unquote(job_id))
                return await self._deliver(request, plan)
            case ["", "v5.1", project_id, "jobs", job_id, "db-object" as call] if request.method == "GET":
                plan = self.service.fleet(self.now, project_id, call, signed, job_id=unquote(job_id))
                return await self._deliver(request, plan)
            case ["", "v3", "auth", "tokens"] if request.method == "POST":
                return self._response(self.service.tokens(self.now, body))
            case ["", "v3", "projects"] if request.method == "GET":
                return self._response(self.service.projects(self.now, signed, request.query.get("name", "")))
            case ["", "v3", project_id, "jobs", job_id, "compare", task_id] if request.method == "DELETE":
                plan = self.service.cancel(self.now, project_id, job_id, task_id, signed)
            case _:
                plan = self.service.nowhere(self.now, f"{request.method} {signed.path}")
        assert plan.reply is not None  # noqa: S101 - both have answered
        self._told(plan, plan.reply)
        return self._response(plan.reply)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._failed.set()

    async def _drs(
        self, request: web.BaseRequest, signed: SignedRequest, project_id: str, call: str
    ) -> web.StreamResponse:
        return await self._deliver(request, self.service.drs(self.now, project_id, call, signed))

    async def _deliver(self, request: web.BaseRequest, plan: ExchangePlan) -> web.StreamResponse:
        """Carry *plan* out."""
        if plan.wait_before_s:
            await asyncio.sleep(plan.wait_before_s)
        if plan.intent is not None:
            self._take_effect(plan)
        if plan.wait_after_s:
            await asyncio.sleep(plan.wait_after_s)
        reply = answer_seen(plan, self.service.config.cloud)
        self._told(plan, reply)
        if reply is None:
            return await self._no_answer(request, plan)
        if plan.fault is not None and plan.fault.delivery is AnswerDelivery.TRUNCATED:
            return await self._truncated(request, reply)
        return self._response(reply)

    def _take_effect(self, plan: ExchangePlan) -> None:
        """Now, later, or never, as the plan's fault has it."""
        when = EffectWhen.NOW if plan.fault is None else plan.fault.effect
        if when is EffectWhen.NOW:
            plan.reply = self.service.apply(self.now, plan)
        elif when is EffectWhen.LATE:
            loop = asyncio.get_running_loop()
            self._late[plan.request_id] = loop.call_later(plan.effect_late_s or 0.0, self._late_effect, plan)

    def _late_effect(self, plan: ExchangePlan) -> None:
        del self._late[plan.request_id]
        try:
            self.service.apply(self.now, plan)
        except Exception as error:  # noqa: BLE001 - raised again by close
            self._fail(error)

    def _told(self, plan: ExchangePlan, reply: Reply | None) -> None:
        fault = None if plan.fault is None else plan.fault.name
        now = self.now
        self.service.cloud.answered(now, plan.project_id, plan.request_id, reply, fault=fault)
        if self._observer is not None:
            self._observer(
                Exchange(
                    at=now,
                    call=plan.call,
                    project_id=plan.project_id,
                    job_id=plan.job_id,
                    request_id=plan.request_id,
                    http_status=None if reply is None else reply.status,
                    error_code=None if reply is None else reply.error_code,
                    fault=fault,
                )
            )

    # Answers ------------------------------------------------------------------------------------------

    def _response(self, reply: Reply | IamReply) -> web.Response:
        headers = reply.headers
        if self._offset_s or self._clock is not SystemClock.now:
            headers["Date"] = formatdate(self.now, usegmt=True)
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    async def _no_answer(self, request: web.BaseRequest, plan: ExchangePlan) -> web.StreamResponse:
        """Leave the client waiting, or reset its connection; what is returned goes nowhere."""
        if plan.fault is not None and plan.fault.delivery is AnswerDelivery.NOTHING:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), HELD_OPEN_S)
        _reset(request.transport)
        return web.Response()

    async def _truncated(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        """Headers for the whole answer, half of it, and the end of the connection."""
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        response.content_length = len(reply.body)
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """aiohttp's own request, with the gateway's limit on bodies."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)


def _reset(transport: asyncio.Transport | None) -> None:
    """End a connection with a reset instead of an orderly close."""
    if transport is None:
        return
    wire = transport.get_extra_info("socket")
    if wire is not None:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken: choose another with --port, or --port 0 for any free one."
    if error.errno == errno.EACCES:
        return f"port {port} on {host} may not be used: ports below 1024 are not for everyone. Choose another --port."
    return f"cannot listen on {host}, port {port}: {error.strerror or error}."


class ThreadedSimulator:
    """A `Simulator` in a thread with an event loop of its own, for clients that block, or that are other programs.

    with ThreadedSimulator(config) as sim:
        ...  # sim.url
    """

    def __init__(
        self,
        config: ServiceConfig | None = None,
        *,
        ledger: Ledger | None = None,
        port: int = 0,
        clock_offset_s: float = 0.0,
    ) -> None:
        self._make: Callable[[], Simulator] = lambda: Simulator(
            config, ledger=ledger, port=port, clock_offset_s=clock_offset_s
        )
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._sim: Simulator | None = None
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)

    @property
    def simulator(self) -> Simulator:
        """The simulator that serves in the thread."""
        assert self._sim is not None, "it serves only inside its with block"  # noqa: S101
        return self._sim

    @property
    def url(self) -> str:
        """The endpoint at which the simulator listens."""
        return self.simulator.url

    @property
    def ledger(self) -> list[Event]:
        """The events kept in memory so far."""
        return self.simulator.ledger

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._done is not None:
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        try:
            self._sim = await self._make().start()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for it
            self._failed = error
            return
        finally:
            self._ready.set()
        await self._done.wait()
        try:
            await self._sim.close()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that leaves the block
            self._failed = error
