"""A wave from Python: open it, iterate over its results, read how it ended.

    async with Wave("jobs.csv", "results.jsonl", region="eu-west-101", project_id="…", rate="5/s") as wave:
        async for result in wave:
            print(result.key, result.status)
    print(wave.end.status.created)

The command line runs on the same class, so both keep the same promises. What holds here:

- Whatever is opened is let go of in the opposite order, also where opening fails or is cancelled. The lock goes last.
- Nothing is sent before the plan is durable and every credential that is needed was found; a plan for which one was
  not is taken back, and the next call plans anew.
- A wave runs once. Why and how hard it is to stop is one value, `Stopping`, whoever has the reason.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace

from batcher import logs
from batcher.channel.connections import Connections, CredentialFor, tell_found, width
from batcher.channel.passes import Pass
from batcher.clock import Clock, SystemClock, utc
from batcher.drs.auth.sources import CredentialSources
from batcher.journal.files import WaveFiles, followed, remove_journal
from batcher.journal.port import Journal
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.journal.wave_lock import WaveLock
from batcher.life.entry import Scope
from batcher.life.result import Result
from batcher.manifest import open_manifest
from batcher.masking import mask_text
from batcher.memory import MANY, trim
from batcher.scopes import run_defaults, with_project
from batcher.settings import RunSettings
from batcher.settings.credentials import credential_sources
from batcher.settings.loading import settings_or
from batcher.settings.policy import policy_of
from batcher.wave.context import Boundary, log, unwatched
from batcher.wave.control import ControlServer
from batcher.wave.controls import Controls, orders
from batcher.wave.engine import Engine, RunStart, WaveEnd
from batcher.wave.opening import KeeperAt, OpenedWave, OpeningState, open_wave
from batcher.wave.rebuild import begun
from batcher.wave.request import StoppableManifest, requested
from batcher.wave.sink import Sink, sink_to
from batcher.wave.status import WaveStatus
from batcher.wave.stop import HowHard, Stop, StopKind, Stopping
from batcher.zone import zone_of

if TYPE_CHECKING:  # imported where something is followed: that is not every wave
    from batcher.follow.admitting_follower import AdmittingFollower
    from batcher.follow.follower import FollowEnd, FollowStatus

_TOLD = Stop(StopKind.ASKED, "told to stop by batcher control")
_UNREAD = 1000  # results that wait for whoever iterates; then the wave waits too


class Wave:
    """One run of a wave: an async context manager, and an async iterator over the results it settles.

    *manifest* is the file; *results* where the lines go (None: standard output); *journal* lies beside it unless
    named. *settings* are those of `batcher run`; or give them as keywords, which beat environment and config file as
    flags do. *command* is what was typed, for the record in the report.
    *output* takes the lines instead of standard output; *address_of* gives the address to send a scope's requests to,
    where it is not its endpoint but a simulated cloud. *credential_for* gives each scope its credential; by default
    it is looked for in *credentials*, which are the environment and the config file unless given. *checked_at* (Unix
    seconds) is when the manifest was checked, where that was before: a start time that has passed since is no finding.
    *lost_since* (Unix seconds) says that since then a run whose journal is lost may have begun the wave: with
    `look_first="always"` every entry is looked up before it is sent, also where no journal is there.

    Entering checks the manifest and plans the wave, or takes up the one in the journal: `found` says which.
    Nothing is sent until `run` is awaited or the wave is iterated over. Leaving before the end stops the wave in
    order, and the same call goes on with it. Raises `BadManifest`, `ManifestError`, `SinkFailed`, `JournalFailed`,
    `NotAJournal`, `OpeningStopped` and other `UserError`s.
    """

    def __init__(
        self,
        manifest: Path | str,
        results: Path | str | None,
        *,
        settings: RunSettings | None = None,
        journal: Path | str | None = None,
        command: str | None = None,
        format: str | None = None,
        encoding: str | None = None,
        output: Sink | None = None,
        credential_for: CredentialFor | None = None,
        credentials: CredentialSources | None = None,
        address_of: Callable[[Scope], str] | None = None,
        keeper_at: KeeperAt = SqliteKeeper,
        wrap_journal: Callable[[Journal], Journal] | None = None,
        clock: Clock | None = None,
        checked_at: float | None = None,
        lost_since: float | None = None,
        watch: Boundary = unwatched,
        connections: Connections | None = None,
        priority: int = 0,
        beside: Collection[Path] = (),
        **keywords: Any,
    ) -> None:
        settings, config = settings_or(keywords, settings)
        self.settings = settings
        if connections is not None:
            self.settings = connections.of(settings)
            credentials, credential_for = connections.sources, connections.credential_for
            clock = clock or connections.clock
        self._connections = connections
        self._priority, self._beside = priority, beside
        self._credential_sources = credentials or credential_sources(settings, config)
        self._manifest = Path(manifest)
        self._format, self._encoding = format, encoding
        self._results = None if results is None else Path(results)
        self._journal = None if journal is None else Path(journal)
        self._command = None if command is None else mask_text(command)
        self._output = output
        self._credential_for, self._address_of = credential_for, address_of
        self._keeper_at, self._wrap_journal = keeper_at, wrap_journal
        self._clock = clock or SystemClock()
        self._checked_at, self._lost_since = checked_at, lost_since
        self._rng = random.Random()
        self._watch = watch
        self._stack = AsyncExitStack()
        self._engine: Engine | None = None
        self._lock: WaveLock | None = None
        self._task: asyncio.Task[WaveEnd] | None = None
        self._unread: asyncio.Queue[Result | None] | None = None
        self._stopping = Stopping()
        self.credentials: dict[tuple[str, str], str] = {}  # by (endpoint, project_id): kind and origin, no secret
        self.found: OpeningState | None = None
        self.journal_path: Path | None = None
        self._files: WaveFiles | None = None
        self._admitting: AdmittingFollower | None = None
        self._ends_at: float | None = None  # monotonic

    async def __aenter__(self) -> Self:
        logs.stay_modest()
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._leave()
        finally:
            await self._stack.aclose()

    async def run(self) -> WaveEnd:
        """Run to the end. Cancelling it ends at once, which leaves the wave resumable."""
        return await self._begin()

    async def follow(self) -> "FollowEnd | None":
        """After `run`: follow what was created to its verdicts, which began with the first; None without `wait`.

        Raises `VerdictsError`.
        """
        if self._admitting is None:
            return None
        return await self._admitting.follow()

    def following(self) -> "FollowStatus | None":
        """Where the following stands now; None where nothing is followed."""
        return None if self._admitting is None else self._admitting.status()

    async def __aiter__(self) -> AsyncIterator[Result]:
        """Run to the end, giving each result as it settles; those of earlier runs are in the results file."""
        unread: asyncio.Queue[Result | None] = asyncio.Queue(_UNREAD)
        self._unread = unread
        task = self._begin()
        while (result := await unread.get()) is not None:
            yield result
        await task

    @property
    def end(self) -> WaveEnd:
        """How the wave ended. Raises `RuntimeError` before that."""
        if self._task is None or not self._task.done():
            raise RuntimeError("the wave has not ended")
        return self._task.result()

    @property
    def is_open(self) -> bool:
        """Whether something may be sent: not so while its manifest is read, or its credentials are looked for."""
        return self._engine is not None

    def status(self) -> WaveStatus:
        """Where the wave stands now. Raises `RuntimeError` before it is open."""
        return self._opened_engine.status()

    def stop(self, stop: Stop) -> None:
        """Stop in order: nothing new is sent, what is in flight is settled within the grace period.

        Before the wave is open this ends the reading of its manifest, and entering raises `OpeningStopped`.
        """
        self._stopping.stop(stop)

    @property
    def hand(self) -> Controls:
        """Pause, resume, rate and concurrency of the wave while it runs."""
        return self._opened_engine.controls

    def abandon(self) -> None:
        """Stop at once; what is in flight is looked up by the next run."""
        if self._engine is not None:
            self._stopping.stop(Stop(StopKind.ASKED, "it was told to end at once"), HowHard.AT_ONCE)

    @property
    def _opened_engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the wave is not open: use `async with Wave(…)`")
        return self._engine

    def _begin(self) -> asyncio.Task[WaveEnd]:
        if self._task is not None:
            raise RuntimeError("the wave is running already, or has run: open it again to go on")
        self._task = asyncio.create_task(self._run(self._opened_engine), name="wave")
        return self._task

    async def _run(self, engine: Engine) -> WaveEnd:
        try:
            return await engine.run()
        finally:
            if self._unread is not None:
                await self._unread.put(None)

    def _deliver(self, line: bytes) -> Awaitable[None] | None:
        if self._admitting is None and self._unread is None:
            return None
        result = Result.model_validate_json(line)
        if self._admitting is not None:
            self._admitting.settled(result)
        return None if self._unread is None else self._unread.put(result)

    async def _leave(self) -> None:
        """See the wave to its end, also where whoever iterated has left."""
        task, unread = self._task, self._unread
        if task is None or task.done():
            return
        self.stop(Stop(StopKind.ASKED, "the program that ran the wave left it"))
        self._unread = None
        while not task.done():
            while unread is not None and not unread.empty():
                unread.get_nowait()
            await asyncio.wait({task}, timeout=0.05)
        await task

    async def _open(self) -> None:
        """Everything that a wave takes, in the order in which it is let go of from the last to the first."""
        self._set_deadline()
        self._prepare_following()
        opened = await self._take_up()
        begun_before = [] if self._admitting is None else await asyncio.to_thread(begun, opened.record)
        journal = opened.keeper.journal()
        journal = journal if self._wrap_journal is None else self._wrap_journal(journal)
        sink = sink_to(self._results, self._output, opened.record)
        self._stack.callback(sink.close)
        concurrency = width(self.settings.concurrency, len(opened.start.scopes))
        passes = await self._enter(opened.start, concurrency)
        if self._admitting is not None:
            self._stack.push_async_callback(self._admitting.aclose)
        self._engine = self._engine_of(opened, journal, sink, passes, concurrency)
        self._stack.callback(self._engine.leave)
        await self._engine.take_note()
        await self._take_orders(self._engine)
        if self._admitting is not None:
            await self._admitting.start(begun_before, self._engine.reads)

    def _set_deadline(self) -> None:
        if (deadline := self.settings.deadline) is not None:
            left_s = deadline.seconds_from(utc(self._clock.now()), zone_of(self.settings.timezone))
            self._ends_at = self._clock.monotonic() + left_s

    def _prepare_following(self) -> None:
        if self.settings.follows or self.settings.wait_ready > 0:
            from batcher.follow.admitting_follower import AdmittingFollower

            self._admitting = AdmittingFollower(self._results, self.settings, self._clock, self._rng, self._stopping)

    async def _take_up(self) -> OpenedWave:
        """The wave, planned or as its journal has it, and held until the end."""
        if self._results is not None:
            self._results = followed(self._results)
        manifest = await asyncio.to_thread(open_manifest, self._manifest, format=self._format, encoding=self._encoding)
        self._files = files = WaveFiles.of_run(self._results, self._journal, manifest.digest)
        self.journal_path = files.journal
        defaults = run_defaults(self.settings, self._credential_sources)
        if self._credential_for is None:
            now = self._clock.now()
            defaults = await with_project(manifest, defaults, self.settings, self._credential_sources, now)
        request = requested(
            self.settings,
            StoppableManifest(manifest, self._stopping),
            defaults,
            files,
            command=self._command,
            checked_at=self._checked_at,
            lost_since=self._lost_since,
        )
        opened = await asyncio.to_thread(open_wave, request, self._clock, self._watch, self._keeper_at)
        self._lock = opened.lock
        self._stack.callback(opened.lock.release)
        self.found = opened.found
        self._stack.callback(self._forget_unbegun)  # runs with the journal closed, and the wave still held
        self._stack.push_async_callback(opened.keeper.aclose)
        if opened.start.entries >= MANY:
            await asyncio.to_thread(trim)  # what planning took would lie idle as long as the wave runs
        return opened

    def _engine_of(
        self, opened: OpenedWave, journal: Journal, sink: Sink, passes: dict[Scope, Pass], concurrency: int
    ) -> Engine:
        """The engine of the wave that was opened."""
        return Engine(
            start=opened.start,
            policy=replace(policy_of(self.settings), concurrency=concurrency),
            clock=self._clock,
            rng=self._rng,
            journal=journal,
            sink=sink,
            passes=passes,
            on_result=self._deliver,
            stopping=self._stopping,
            watch=self._watch,
            admission=self._admitting,
            ends_at=self._ends_at,
        )

    async def _take_orders(self, engine: Engine) -> None:
        """Listen for `batcher control`; a wave that cannot runs all the same."""
        assert self._files is not None  # noqa: S101 - the engine writes to them
        handle = orders(engine.controls, engine.status, lambda: self.stop(_TOLD))
        try:
            await self._stack.enter_async_context(ControlServer(self._files, handle))
        except OSError as error:
            log.warning("control.unreachable", reason=str(error))

    def _forget_unbegun(self) -> None:
        """Take back a plan that could not begin (for want of a credential, say): the next call plans anew."""
        if self._engine is not None or self.found is None or self.found.resumed or self.journal_path is None:
            return
        remove_journal(self.journal_path)
        if self._lock is not None:
            self._lock.forget()
        if self._results is not None:
            self._results.unlink(missing_ok=True)

    async def _enter(self, start: RunStart, concurrency: int) -> dict[Scope, Pass]:
        """A pass to the channel of each scope; credentials are looked for where something may be asked."""
        connections = self._connections
        if connections is None:
            connections = self._connections = await self._stack.enter_async_context(
                Connections(
                    self.settings,
                    sources=self._credential_sources,
                    clock=self._clock,
                    rng=self._rng,
                    credential_for=self._credential_for,
                    address_of=self._address_of,
                    private=True,
                )
            )
        asking = [scope for scope in start.scopes if self._admitting is not None or start.left_in(scope)]
        credentials = await connections.credentials(asking, of=len(start.scopes))
        self.credentials = {scope: credential.describe() for scope, credential in credentials.items()}
        tell_found(self.credentials.values(), as_text=self.settings.log_format != "json")
        passes = await connections.enter(
            start.scopes,
            self.settings,
            credentials,
            wave=str(self.journal_path),
            priority=self._priority,
            age=self._clock.now() if start.begun_at is None else start.begun_at,
            concurrency=concurrency,
            beside=self._beside,
        )
        if start.begun_at is not None and self.journal_path is not None:
            connections.resumed[self.journal_path] = None
        for one in passes.values():
            self._stack.callback(one.close)
        return passes
