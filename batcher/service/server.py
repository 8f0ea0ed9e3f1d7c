"""The service as a process: its folder, its waves, its socket, and its orderly end."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import web
from msgspec import Struct

from batcher.clock import SystemClock
from batcher.drs.transport import AiohttpTransport
from batcher.errors import UserError
from batcher.journal.postgres.address import Address
from batcher.logger import get_logger
from batcher.service.app import make_app
from batcher.service.approval import unfit
from batcher.service.connections import SERVER_OPTIONS, BoundedRunner, listening
from batcher.service.given import ServedProfiles
from batcher.service.hosts import is_loopback
from batcher.service.kept.folders import DataFolder
from batcher.service.limits import ServiceLimits
from batcher.service.meters import Meters
from batcher.service.notices.desk import Desk
from batcher.service.notices.targets import Target, targets_of
from batcher.service.running.backend import Backend
from batcher.service.running.embedded import EmbeddedBackend
from batcher.service.tokens import TokensFile
from batcher.service.tracing import tracer_for
from batcher.service.waves import Waves
from batcher.settings import Loaded

log = get_logger("batcher.service")

_OUTWARDS = 8  # connections to those that are told
_OUTWARDS_S = 30.0  # for one of them to take a message
# What aiohttp would log is about clients that are gone or talk nonsense; whatever else goes wrong the guard tells.
_QUIET = logging.getLogger("batcher.service.http")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False
_LINGER_S = 2.0  # for answers that are on their way when all else has ended


class Options(Struct, frozen=True, kw_only=True):
    """How to serve. *tokens* None: only this machine may ask, and may do everything. *grace_s* is for what is in flight
    at the end. With a *database* the waves are there, and *data* is not used."""

    host: str
    port: int
    data: Path
    service: ServedProfiles
    tokens: Path | None = None
    approval: bool = False
    workers: int = 1
    grace_s: float = 25.0
    limits: ServiceLimits = ServiceLimits()
    database: Address | None = None

    @property
    def kept_in(self) -> str:
        """Where the waves are, for people."""
        return str(self.data if self.database is None else self.database)


class Ending:
    """Told to end: once to end in order, again to leave at once."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.hurried = asyncio.Event()

    def tell(self) -> None:
        """End; what is in flight is settled. Said again: leave."""
        if self.told.is_set():
            self.hurried.set()
        self.told.set()


async def serve(options: Options, ending: Ending, serving: Callable[[str], None]) -> None:
    """Serve until *ending* is told, then end in order; waves go on with the next start. *serving* is told the address.

    Raises `UserError`.
    """
    _check(options)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        bound = stack.enter_context(_bound(options))
        tracer = tracer_for(None, clock.now)
        stack.push_async_callback(tracer.close)
        desk = Desk(_targets(options), clock)
        meters = Meters(clock, tracer)
        backend = await _backend(options, ending, stack, clock, meters, desk)
        if backend is None:
            return
        waves = Waves(
            backend,
            options.service,
            clock,
            approval=options.approval,
            limits=options.limits,
            grace_s=options.grace_s,
            meters=meters,
            desk=desk,
        )
        await stack.enter_async_context(waves)
        outwards = await stack.enter_async_context(_outwards(options, desk))
        await stack.enter_async_context(desk.open(backend.outbox, outwards))
        await _serve(options, ending, serving, waves, bound, clock)


async def _serve(
    options: Options,
    ending: Ending,
    serving: Callable[[str], None],
    waves: Waves,
    bound: socket.socket,
    clock: SystemClock,
) -> None:
    """Serve *waves* until *ending* is told."""
    tokens = None if options.tokens is None else TokensFile(options.tokens)
    app = make_app(waves, tokens, options.limits, clock)
    runner = BoundedRunner(app, options.limits.connections, shutdown_timeout=_LINGER_S, logger=_QUIET, **SERVER_OPTIONS)
    await runner.setup()
    try:
        url = await _listen(runner, bound)
        log.info("service.serving", url=url, data=options.kept_in, waves=waves.runner.to_go)
        serving(url)
        await ending.told.wait()
        for site in list(runner.sites):
            await site.stop()
        await _end(waves, ending)
    finally:
        await runner.cleanup()


async def _backend(
    options: Options, ending: Ending, stack: AsyncExitStack, clock: SystemClock, meters: Meters, desk: Desk
) -> Backend | None:
    """Where the waves are; None: *ending* was told before the database was there. Raises `UserError`."""
    if options.database is not None:
        from batcher.service.shared.beginning import shared_backend  # it loads psycopg

        return await shared_backend(
            options.database, options.service, stack, ending.told, clock, meters, desk, workers=options.workers
        )
    data = stack.enter_context(DataFolder(options.data))
    return EmbeddedBackend(data, options.service, clock, meters, desk, grace_s=options.grace_s, workers=options.workers)


def _targets(options: Options) -> list[Target]:
    """Whom the config file has told of what happens. Raises `SettingsError`."""
    config = _loaded(options).config
    return [] if config is None else targets_of(config.notifications, config.path)


def _outwards(options: Options, desk: Desk) -> AiohttpTransport:
    """The way to those that are told. Raises `UserError` where a proxy that is named for one cannot be used."""
    settings = _loaded(options).settings
    transport = AiohttpTransport(
        limit=_OUTWARDS, total_timeout_s=_OUTWARDS_S, ca_bundle=settings.ca_bundle, proxy=settings.proxy
    )
    transport.check(target.url for target in desk.targets if target.url is not None)
    return transport


def _loaded(options: Options) -> Loaded:
    profiles = options.service.profiles
    return options.service.load(profiles[0] if profiles else None, {})


async def _end(waves: Waves, ending: Ending) -> None:
    hurrying = asyncio.create_task(ending.hurried.wait())
    hurrying.add_done_callback(lambda task: None if task.cancelled() else waves.runner.hurry())
    try:
        await waves.end()
    finally:
        hurrying.cancel()


def _bound(options: Options) -> socket.socket:
    """The socket, before anything runs: whoever comes waits until it is served. Raises `UserError`."""
    try:
        return listening(options.host, options.port)
    except OSError as error:
        where = f"{options.host}:{options.port}"
        raise UserError(f"cannot listen on {where}: {error.strerror}. Choose another with --listen.") from None


async def _listen(runner: web.AppRunner, bound: socket.socket) -> str:
    """Serve who comes; the service's address."""
    await web.SockSite(runner, bound).start()
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _check(options: Options) -> None:
    """Raises `UserError` where it cannot be served so."""
    if options.tokens is None and not is_loopback(options.host):
        raise UserError(
            f"without tokens a service listens on this machine only, and {options.host} is for others: give --tokens "
            "FILE (batcher token new makes them), or --listen 127.0.0.1:PORT."
        )
    if (why := unfit(approval=options.approval, tokens=options.tokens is not None)) is not None:
        raise UserError(why)
    if options.tokens is not None:
        TokensFile(options.tokens).tokens()
    for profile in options.service.profiles or (None,):
        options.service.load(profile, {})
