"""A wave through a simulated cloud in this very process: what `rehearse` and `demo` run."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batcher.api import Wave
from batcher.cli.conduct import Manner, play
from batcher.cli.failures import told
from batcher.drs.cloud import HttpRequest, Refusal
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.rehearsal.leap import LeapingLoop, LoopClock, SteadyLoop, TimelessJournal
from batcher.settings import RunSettings
from batcher.simulator.counting_ledger import CountingLedger
from batcher.simulator.ledger import FileLedger, NoLedger
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.engine import WaveEnd


class SimulatedCredential:
    """What the simulated cloud takes; the operator's own stay where they are."""

    def describe(self) -> str:
        """See `Credential`."""
        return "a simulated token"

    async def prepare(self) -> Refusal | None:
        """See `Credential`."""
        return None

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """See `Credential`."""
        return {"X-Auth-Token": "simulated-token"}

    async def renew(self, used: Mapping[str, str]) -> bool:
        """See `Credential`."""
        return True


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

    def run(self, *, as_json: bool = False) -> tuple[WaveEnd, CountingLedger]:
        """Run it, shown as `run` shows a wave; returns how it ended, and what the cloud saw.

        Raises `UserError`.
        """
        manner = Manner(title=self.title, command=None, loop=LeapingLoop if self.leaps else SteadyLoop)
        with told(as_json=as_json), self._seen() as seen:
            return play(partial(self._make, seen), self.settings, manner).end, seen

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

    async def _make(self, seen: CountingLedger, stack: AsyncExitStack) -> Wave:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, LeapingLoop)  # noqa: S101 - `run` has it made
        clock = LoopClock(loop)
        simulator = await stack.enter_async_context(Simulator(self.config, ledger=seen, clock=clock.now))
        return Wave(
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
