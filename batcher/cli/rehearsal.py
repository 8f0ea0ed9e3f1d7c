"""A wave through a simulated cloud in this very process: what `rehearse` and `demo` run."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batcher.api import Wave
from batcher.cli.conduct import Presentation, RunEnd, run_wave
from batcher.cli.failures import told
from batcher.drs.cloud import HttpRequest, Refusal
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.rates import Rate
from batcher.rehearsal.leap import LeapingLoop, LoopClock, SteadyLoop, TimelessJournal
from batcher.rehearsal.pace import Brake, Measured, brake_of
from batcher.settings import RunSettings
from batcher.simulator.counting_ledger import CountingLedger
from batcher.simulator.ledger import FileLedger, NoLedger
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig

_LOOK_S = 0.25
_LOOKS = 1000  # or so, however long it takes


class SimulatedCredential:
    """What the simulated cloud takes; the operator's own stay where they are."""

    at_hand = True

    def describe(self) -> str:
        """The kind and origin of the credential, for people."""
        return "a simulated token"

    async def prepare(self) -> Refusal | None:
        """Nothing has to be made ready: never a refusal."""
        return None

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """The headers that the simulated cloud takes."""
        return {"X-Auth-Token": "simulated-token"}

    async def renew(self, used: Mapping[str, str]) -> bool:
        """There is never a newer credential: False."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """How a rehearsal went: what was *ended*, what the cloud saw, and what was *measured*.

    *took_s* is the time to its very end, the following of what was created included.
    """

    ended: RunEnd
    seen: CountingLedger
    took_s: float
    measured: Measured


class _Watched:
    """Looks at a wave all along, on the loop's own clock, for what holds it back."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self.brakes: Counter[Brake] = Counter()
        self.took_s = 0.0

    @asynccontextmanager
    async def watching(self, wave: Wave) -> AsyncIterator[None]:
        """Watch *wave* while the context lasts."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        task = asyncio.create_task(self._look(wave), name="brakes")
        try:
            yield
        finally:
            self.took_s = loop.time() - began
            task.cancel()
            await asyncio.wait({task})

    async def _look(self, wave: Wave) -> None:
        every_s = _LOOK_S
        while True:
            await asyncio.sleep(every_s)
            if not wave.is_open:
                continue
            status = wave.status()
            if (brake := brake_of(status, self._concurrency)) is not None:
                self.brakes[brake] += 1
            every_s = max(_LOOK_S, status.elapsed_s / _LOOKS)  # a wave of days is looked at as often as one of minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A wave over *manifest*, with *settings*, through the cloud that *config* describes.

    Whatever endpoints the manifest names, every request goes to that cloud. With *leaps* nobody waits: time leaps to
    the next thing that happens, for both. How busy this machine is changes nothing. *ledger* is a file for the cloud's
    ledger.
    """

    manifest: Path
    results: Path
    settings: RunSettings
    config: ServiceConfig
    title: str
    leaps: bool = True
    format: str | None = None
    encoding: str | None = None
    ledger: Path | None = None

    def run(self, *, as_json: bool = False) -> Rehearsed:
        """Run it, shown as `run` shows a wave. Raises `UserError`."""
        presentation = Presentation(title=self.title, command=None, loop=LeapingLoop if self.leaps else SteadyLoop)
        with told(as_json=as_json), self._seen() as seen:
            watched = _Watched(self.settings.concurrency)
            ended = run_wave(partial(self._make, seen, watched), self.settings, presentation)
            return Rehearsed(
                ended=ended, seen=seen, took_s=watched.took_s, measured=self._measured(ended, seen, watched)
            )

    def _measured(self, ended: RunEnd, seen: CountingLedger, watched: "_Watched") -> Measured:
        status, pace = ended.end.status, self.settings.pace
        return Measured(
            entries=max((scope.entries for scope in status.scopes), default=0),
            took_s=status.elapsed_s,
            answer_s=seen.answer_s,
            concurrency=self.settings.concurrency,
            rate=pace if isinstance(pace, Rate) else None,
            brakes=watched.brakes,
        )

    @contextmanager
    def _seen(self) -> Iterator[CountingLedger]:
        limit = self.config.cloud.limit
        window_s = 1.0 if limit is None else limit.period_s
        if self.ledger is None:
            yield CountingLedger(NoLedger(), window_s=window_s)
            return
        file = FileLedger(self.ledger)
        try:
            yield CountingLedger(file, window_s=window_s)
        finally:
            file.close()

    async def _make(self, seen: CountingLedger, watched: "_Watched", stack: AsyncExitStack) -> Wave:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, LeapingLoop)  # noqa: S101 - `run` has it made
        clock = LoopClock(loop)
        simulator = await stack.enter_async_context(Simulator(self.config, ledger=seen, clock=clock.now))
        wave = Wave(
            self.manifest,
            self.results,
            settings=self.settings,
            format=self.format,
            encoding=self.encoding,
            clock=clock,
            keeper_at=partial(SqliteKeeper, synced=False),
            wrap_journal=partial(TimelessJournal, loop=loop),
            address_of=lambda _: simulator.url,
            credential_for=lambda _: SimulatedCredential(),
        )
        await stack.enter_async_context(watched.watching(wave))
        return wave
