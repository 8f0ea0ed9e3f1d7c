"""A wave in a database that machines share, as `batcher run` has it: opened, run with whoever else does, and followed.

    SharedWave ──▶ open_shared            plans it, or attaches to it
               ├─▶ OwnWorker              takes the scopes that nobody has
               ├─▶ results                to a file or to standard output, whoever recorded them
               └─▶ SharedFollowing        verdicts to the file beside it, whoever found them

Invariants:
- It ends when the wave has ended, wherever that was run; or when nobody is there who could go on with it.
- Told to stop, it hands its scopes on: it stops itself, and not the wave, which others may go on with.
- Two of them for one wave are two who look at it: each has its own file, and both bring the same lines.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from batcher import logs
from batcher.clock import Clock, SystemClock, utc
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.outcome import Trouble
from batcher.errors import UserError
from batcher.follow.follower import FollowEnd, FollowStatus, ScopeName
from batcher.journal.errors import JournalFailed, NotAJournal, unusable
from batcher.journal.files import WaveFiles, followed
from batcher.journal.place import WavePlace, wave_id
from batcher.journal.postgres.keeper import PostgresKeeper, PostgresWrittenRecord
from batcher.journal.postgres.leases import LASTS_S
from batcher.life.entry import Scope
from batcher.life.result import Status
from batcher.logger import get_logger
from batcher.machines.line_output import LineOutput, SharedResults
from batcher.machines.own_worker import OwnWorker
from batcher.machines.shared_following import SharedFollowing
from batcher.machines.shared_opening import OpeningTerms, SharedOpening, open_shared
from batcher.machines.shared_status import SharedStatus, WaveSighting, look_at
from batcher.machines.wanting import OneScopeManifest
from batcher.machines.wave_part import WavePart
from batcher.machines.ways import Ways
from batcher.machines.working import name_of_process
from batcher.manifest import open_manifest
from batcher.masking import mask_text
from batcher.scopes import run_defaults, with_project
from batcher.settings import Loaded, RunSettings
from batcher.wave.context import Boundary, unwatched
from batcher.wave.engine import WaveEnd
from batcher.wave.export import ResultsExport
from batcher.wave.opening import OpeningState
from batcher.wave.request import StoppableManifest, requested
from batcher.wave.sink import ReaderGone, Sink, SinkFailed, StandardOutput
from batcher.wave.status import WaveStatus
from batcher.wave.stop import HowHard, Stop, StopKind, Stopping
from batcher.zone import zone_of

log = get_logger("batcher.machines")

_LOOK_S = 0.5  # between two looks at the database
_ENDS_S = 6.0  # for others to end what they have of a wave that was stopped


class SharedWave:
    """One run of a wave in the database at *place*: an async context manager, as `batcher.api.Wave` is for files.

    *results* is where the lines go, None: to *output*. *loaded* are this machine's settings, which the wave gets where
    it is planned here. *submit_only*: no scope is taken. Entering raises what opening a `Wave` does.
    """

    def __init__(
        self,
        manifest: Path,
        results: Path | None,
        place: WavePlace,
        *,
        loaded: Loaded,
        credentials: CredentialSources,
        command: str | None = None,
        format: str | None = None,
        encoding: str | None = None,
        output: Sink | None = None,
        clock: Clock | None = None,
        watch: Boundary = unwatched,
        lease_s: float = LASTS_S,
    ) -> None:
        self.settings: RunSettings = loaded.settings
        self.place = place
        self.credentials: dict[tuple[str, str], str] = {}
        self.found: OpeningState | None = None
        self.journal_path: WavePlace | None = None
        self._loaded = loaded
        self._sources = credentials
        self._manifest, self._format, self._encoding = manifest, format, encoding
        self._results_path = results
        self._output = output
        self._command = None if command is None else mask_text(command)
        self._clock: Clock = clock or SystemClock()
        self._rng = random.Random()
        self._watch = watch
        self._lease_s = lease_s
        self._name = name_of_process()
        self._wave = ""  # its id
        self._is_left_to_others = False
        self._stack = AsyncExitStack()
        self._stopping = Stopping()
        self._nudge = asyncio.Event()
        self._keeper: PostgresKeeper | None = None
        self._record: PostgresWrittenRecord | None = None
        self._results: SharedResults | None = None
        self._status: SharedStatus | None = None
        self._following: SharedFollowing | None = None
        self._worker: OwnWorker | None = None

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
        await self._stack.aclose()

    # --- what is asked of it while it runs --------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether something may be sent."""
        return self._status is not None

    def stop(self, stop: Stop) -> None:
        """Hand the scopes on that this process has: nothing new is sent here, and what is in flight is settled."""
        self._stopping.stop(stop)
        asyncio.get_running_loop().call_later(self.settings.grace, self._hurry)
        self._nudge.set()

    def _hurry(self) -> None:
        """Wait no more for a database that is away."""
        if self._keeper is not None:
            self._keeper.link.hurry()

    def abandon(self) -> None:
        """Leave at once; what is in flight is looked up by whoever has the scope next."""
        self._stopping.stop(Stop(StopKind.ASKED, "it was told to end at once"), HowHard.AT_ONCE)
        self._hurry()
        if self._worker is not None:
            self._worker.tell()
            self._worker.tell()
        self._nudge.set()

    def following(self) -> FollowStatus | None:
        """Where the following of what was created stands; None: nothing is followed."""
        if self._following is None or self._status is None:
            return None
        return self._following.status(self._status.sight, self._parts)

    def status(self, tail: Mapping[Status, int] | None = None) -> WaveStatus:
        """Where the wave stands now. Raises `RuntimeError` before it is open."""
        if self._status is None or self._record is None:
            raise RuntimeError("the wave is not open: use `async with SharedWave(…)`")
        why = self._stopping.why
        running = [status for part in self._parts if (status := part.status()) is not None]
        return self._status.status(running, None if why is None else why.text, tail)

    @property
    def _parts(self) -> list[WavePart]:
        """Those of the wave that run here."""
        assert self._record is not None  # noqa: S101 - it is open
        return [] if self._worker is None else [*self._worker.parts_of(self._record.number)]

    # --- opening ----------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        opening = await self._take_up()
        self._record, self.found = opening.record, opening.found
        self._results = await asyncio.to_thread(self._results_of, opening.record)
        self._stack.callback(self._results.close)
        if self._results.said:
            self.found = replace(self.found, said=(*self.found.said, self._results.said))
        if self.settings.follows:
            self._following = await asyncio.to_thread(self._following_of, opening.record)
            self._stack.callback(self._following.close)
        sight = await self._look()
        ways = Ways([(None, self._loaded)], clock=self._clock, rng=self._rng, sources=self._sources, of_wave=True)
        await self._stack.enter_async_context(ways)
        self.found = replace(self.found, elsewhere=sight.elsewhere(self._name))
        left = [*sight.open_scopes(), *sight.standing.undecided]
        self.credentials |= await ways.described((one.endpoint, one.project_id) for one in left)
        self._worker = OwnWorker(
            await asyncio.to_thread(self._connected), self._name, self._wave, len(sight.standing.scopes), ways,
            clock=self._clock, rng=self._rng, watch=self._watch, lease_s=self._lease_s, on_end=self._nudge.set,
        )  # fmt: skip
        self._stack.push_async_callback(self._worker.aclose)
        self._status = SharedStatus(self._clock, sight, self._name, str(self.settings.pace))

    async def _take_up(self) -> SharedOpening:
        """The wave, planned or as it is there."""
        if self.settings.follows and self._results_path is None and not self._is_left_to_others:
            raise UserError("verdicts are written beside the results: name a file with -o, or leave --wait out.")
        if self._results_path is not None:
            self._results_path = followed(self._results_path)
        manifest = await asyncio.to_thread(open_manifest, self._manifest, format=self._format, encoding=self._encoding)
        self._wave = wave = self.place.wave or wave_id(self._manifest.stem, manifest.digest)
        self.place = self.journal_path = self.place.at(wave)
        self._name = f"{self._name}:{wave}"  # it is there for this wave alone
        settings, now = self.settings, self._clock.now()
        defaults = await with_project(manifest, run_defaults(settings, self._sources), settings, self._sources, now)
        request = requested(
            settings,
            OneScopeManifest(StoppableManifest(manifest, self._stopping), settings),
            defaults,
            WaveFiles.of_run(self._results_path, None, manifest.digest),
            command=self._command,
            checked_at=None,
            lost_since=None,
        )
        deadline_in_s = None
        if (deadline := settings.deadline) is not None:
            deadline_in_s = deadline.seconds_from(utc(now), zone_of(settings.timezone))
        wanted = OpeningTerms(request=request, settings=settings, deadline_in_s=deadline_in_s)
        self._keeper = await asyncio.to_thread(self._connected, "run")
        self._stack.callback(self._keeper.close)
        return await asyncio.to_thread(open_shared, self._keeper, wave, wanted, self._clock)

    def _connected(self, *what: str) -> PostgresKeeper:
        """A keeper of the database. Raises `UserError`."""
        program = " ".join([f"batcher/{self._name.partition(':')[0]}", *what])
        try:
            return PostgresKeeper(self.place.address, program=program)
        except (JournalFailed, NotAJournal) as error:
            raise unusable(error) from error

    def _results_of(self, record: PostgresWrittenRecord) -> SharedResults:
        if self._results_path is not None:
            return ResultsExport(record, self._results_path)
        return LineOutput(record, self._output or StandardOutput())

    def _following_of(self, record: PostgresWrittenRecord) -> SharedFollowing:
        assert self._keeper is not None and self._results_path is not None  # noqa: S101, PT018 - `_take_up` looked
        timeout_s = self.settings.watch_timeout
        return SharedFollowing(self._keeper, record.number, self._results_path, timeout_s, self._clock)

    async def _look(self) -> WaveSighting:
        keeper = self._keeper
        assert keeper is not None  # noqa: S101 - `_take_up` made it
        return await asyncio.to_thread(look_at, keeper.link, self._wave, self._name)

    async def submit(self) -> OpeningState:
        """Plan the wave and leave it to others, in place of entering it. Raises what entering does."""
        self._is_left_to_others = True
        async with self._stack:
            return (await self._take_up()).found

    # --- running ----------------------------------------------------------------------------------------------

    async def run(self) -> WaveEnd:
        """Run it, with whoever else does, until every entry is settled. Raises only on defects and cancellation."""
        assert self._worker is not None  # noqa: S101 - it is open
        self._worker.start()
        try:
            halted = await self._see_it_settled(self._worker)
        except asyncio.CancelledError:
            self._worker.leave()
            raise
        if self._following is None or halted or self._stopping.why is not None:
            await self._worker.aclose()
        return await self._finish(halted)

    async def follow(self) -> FollowEnd | None:
        """After `run`: have verdicts brought, whoever finds them, until all are there. None: none are wanted.

        Raises `UserError`.
        """
        following, worker, status = self._following, self._worker, self._status
        if following is None or worker is None or status is None:
            return None
        try:
            halted = await self._see_it_decided(worker, following)
        finally:
            await worker.aclose()
        stop, sight = self._stopping.why, status.sight
        if self._stopping.how < HowHard.AT_ONCE:
            try:
                sight = status.sight = await self._look()
                await asyncio.to_thread(following.finish, sight, stop, halted)
            except JournalFailed as error:
                stop = stop or _stop_for(error)
        return following.end(sight, stop, halted, self._parts)

    async def _see_it_settled(self, worker: OwnWorker) -> dict[Scope, Trouble]:
        """Bring results until the wave ends, or is to be left. Returns the scopes that nobody can run, with why."""
        assert self._status is not None  # noqa: S101 - it is open
        forbidden_at: float | None = None
        while self._stopping.why is None:
            worker.check()
            try:
                await self._bring()
                sight = self._status.sight = await self._look()
            except (SinkFailed, JournalFailed, UserError) as error:
                self._stopping.stop(_stop_for(error))
                break
            if sight.is_settled:
                await self._bring()
                return {}
            if sight.is_forbidden:
                now = self._clock.monotonic()
                forbidden_at = now if forbidden_at is None else forbidden_at
                is_quiet = worker.is_idle and (not sight.held_by_others(self._name) or now - forbidden_at > _ENDS_S)
                if is_quiet:
                    self._stopping.stop(sight.stop())
                    break
            else:
                forbidden_at = None
            if (halted := sight.nobody_can(worker.cannot, sight.open_scopes())) is not None:
                return halted
            await self._pause()
        return {}

    async def _see_it_decided(self, worker: OwnWorker, following: SharedFollowing) -> dict[ScopeName, Trouble]:
        """Bring verdicts until all are there, or nothing is followed any more. Returns the scopes in which nobody can
        look, with why. Raises `UserError`."""
        assert self._status is not None  # noqa: S101 - it is open
        while self._stopping.why is None:
            worker.check()
            try:
                await self._bring()
                sight = self._status.sight = await self._look()
            except (SinkFailed, JournalFailed) as error:
                self._stopping.stop(_stop_for(error))
                break
            if not sight.is_settled or sight.is_decided:
                break
            if (over := following.why_over(sight)) is not None:
                self._stopping.stop(over)
            elif (halted := sight.nobody_can(worker.cannot, sight.standing.undecided)) is not None:
                return {(scope.endpoint, scope.project_id): trouble for scope, trouble in halted.items()}
            else:
                await self._pause()
        return {}

    async def _bring(self) -> None:
        assert self._results is not None  # noqa: S101 - it is open
        await asyncio.to_thread(self._results.go_on)
        if self._following is not None:
            await asyncio.to_thread(self._following.go_on)

    async def _pause(self) -> None:
        self._nudge.clear()
        if self._stopping.why is None:
            waits = [asyncio.ensure_future(self._nudge.wait()), asyncio.ensure_future(self._clock.sleep(_LOOK_S))]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()

    # --- its end ----------------------------------------------------------------------------------------------

    async def _finish(self, halted: dict[Scope, Trouble]) -> WaveEnd:
        """Bring the last results, and a line for each entry that stays open, unless others go on with it."""
        assert self._results is not None and self._status is not None  # noqa: S101, PT018 - it is open
        tail: Counter[Status] = Counter()
        failed = self._stopping.why is not None and self._stopping.why.kind in _UNWRITABLE
        if not failed and self._stopping.how < HowHard.AT_ONCE:
            try:
                await self._bring()
                sight = self._status.sight = await self._look()
                if not sight.is_settled and not sight.goes_on_without(self._name):
                    tail = await asyncio.to_thread(self._results.finish, self._clock.now())
            except (SinkFailed, JournalFailed, UserError) as error:
                self._stopping.stop(_stop_for(error))
        stop = self._stopping.why
        goes_on = stop is not None and self._status.sight.goes_on_without(self._name)
        if stop is not None and goes_on:
            stop = Stop(stop.kind, f"{stop.text}; other machines go on with it")
        return WaveEnd(
            goes_on=goes_on,
            stop=stop,
            halted=halted,
            status=self.status(tail),
            unrecorded=tuple(() if self._worker is None else self._worker.unrecorded),
        )


_UNWRITABLE = (StopKind.JOURNAL, StopKind.RESULTS, StopKind.READER)


def _stop_for(error: SinkFailed | JournalFailed | UserError) -> Stop:
    if isinstance(error, JournalFailed):
        return Stop(StopKind.JOURNAL, str(error))
    return Stop(StopKind.READER if isinstance(error, ReaderGone) else StopKind.RESULTS, str(error))
