"""One world, from its seed to the verdict: run the wave, let it die, run it again, until it has ended in peace."""

import asyncio
import random
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import orjson

from batcher.channel.channel import ChannelLimits, Channels
from batcher.channel.other_journals import OtherRecords
from batcher.follow.admitting_follower import AdmittingFollower
from batcher.journal.errors import JournalFailed
from batcher.journal.files import WaveFiles
from batcher.journal.memory_record import MemoryRecord
from batcher.journal.port import MutableRecord, Record
from batcher.life.events import LookedUp, Ruled
from batcher.life.policy import LookFirst
from batcher.life.result import Result, Status
from batcher.life.ruling import Ruling
from batcher.life.state import history
from batcher.manifest import RunDefaults
from batcher.rates import Rate
from batcher.wave.controls import orders
from batcher.wave.engine import Engine, WaveEnd
from batcher.wave.older import OlderJournal
from batcher.wave.opening import begin
from batcher.wave.rebuild import begun
from batcher.wave.request import Request
from batcher.wave.settling import settle
from batcher.wave.sink import SinkFailed
from batcher.wave.stop import HowHard, Stop, StopKind, Stopping
from tests.virtual import WALL_AT_START, run
from tests.worlds.cloud import Traffic, WorldCloud
from tests.worlds.disk import Disk, LoopJournal, MortalRecord, WorldFile
from tests.worlds.extras import second_of, world_of
from tests.worlds.lines import strays, whole_lines
from tests.worlds.process import Died, Process
from tests.worlds.scope import ProcessCloud
from tests.worlds.spec import Life, Order, Spec, WorldManifest

PATIENCE_S = 10 * 86400.0  # virtual; a wave that takes longer is stuck, and so is
TURNS = 20_000  # a world that takes more turns of the loop


@dataclass(frozen=True, slots=True)
class Obeyed:
    """An order of the operator's that the wave took, and when (true time)."""

    at: float
    do: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """How one life ended: with *end*, or by a death or a failure to open (then None).

    *strays* are lines that it left in the results file without having them in the journal.
    """

    life: Life
    began_at: float
    ended_at: float
    end: WaveEnd | None
    results: list[Result]
    could_not_open: str | None
    told_to_stop_at: float | None
    strays: tuple[bytes, ...]
    clock_was_set: bool  # ours, while it lived
    journal_was_unreadable: bool  # at least once: then its last counts may be those of before
    orders: tuple[Obeyed, ...] = ()


@dataclass(slots=True)
class History:
    """All that happened in a world, for the judge."""

    spec: Spec
    cloud: Traffic
    lines: list[bytes]  # of the journal, in order
    file: bytes  # the results file at the end
    lives: list[Lived]
    calls_after_end: int  # requests of one more run, after everything was settled
    forgotten: int  # what lives before this one were told, the journal may not know any more
    said: list[str] = field(default_factory=list)
    doubted: dict[int, bool] = field(default_factory=dict)  # entries that were in doubt; whether a person had to look
    second: "History | None" = None  # of the other wave

    def results(self) -> list[dict[str, Any]]:
        """The results file's lines, as far as they are whole."""
        return [orjson.loads(line) for line in whole_lines(self.file)]


@dataclass(frozen=True, slots=True)
class Company:
    """A process in which several waves are, with the channels that they share."""

    process: Process
    channels: Channels
    priority: int
    rate: Rate | None  # the wave's own
    others: OtherRecords | None = None  # of the other waves, where each has a journal of its own
    signals: list[Callable[[int], None]] = field(default_factory=list)


class World:
    """See the module: one wave in it, beside which there may be another in the same *cloud*."""

    def __init__(
        self,
        spec: Spec,
        results: Path,
        *,
        trace: bool,
        beside: "World | None" = None,
        name: str = "",
        database: list[MemoryRecord] | None = None,
    ) -> None:
        self.spec = spec
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._rng = random.Random(spec.seed + 1)
        self._trace = trace
        self.said: list[str] = [] if beside is None else beside.said
        self.disk = Disk(results, database)
        rng = self._fork()
        self.cloud: WorldCloud = WorldCloud(spec, rng, self.say) if beside is None else beside.cloud
        self.traffic = Traffic()
        self._wall_ahead_s = self._rng.choice((0.0, 0.0, -7200.0, 30.0))
        self._booted_at = self.starts()
        digest = f"sha256:{spec.seed:064x}"
        self._manifest = WorldManifest(spec.entries, digest)
        self._told_to_stop_at: float | None = None
        self._obeyed: list[Obeyed] = []
        self._look_first = spec.look_first
        self.forgotten = 0  # lives before this one may be unknown to the journal

    def say(self, text: str) -> None:
        """Keep *text* for the trace."""
        if self._trace:
            self.said.append(f"{self._loop.time() - 1000:10.3f}  {self._name}{text}")

    def starts(self) -> float:
        """When a machine was started, on the loop's clock."""
        return self._rng.uniform(-5000.0, 900.0)

    def _fork(self) -> random.Random:
        return random.Random(self._rng.getrandbits(64))

    async def play(self) -> History:
        """Run the wave through all its lives."""
        lives: list[Lived] = []
        try:
            for number, life in enumerate(self.spec.lives):
                last = number == len(self.spec.lives) - 1
                if last:
                    self.cloud.faults = self.cloud.faults.calm()
                    self.disk.full_until = float("-inf")
                self.say(f"--- life {number}: {life}")
                if life.settles:
                    await self._settle()
                self._tamper(life)
                if life.restores:
                    await self._restore(number, life.restores)
                lives.append(await self.live(number, life, calm=last))
                await asyncio.sleep(life.again_after_s)
            await asyncio.sleep(4 * self.spec.policy.landing_s)  # let everything land
            return await self.told(lives)
        finally:
            self.disk.close()

    async def told(self, lives: list[Lived]) -> History:
        """What happened in *lives*, after which one more run is to do nothing."""
        calls = self.traffic.calls
        file = self._file()
        end = lives[-1].end
        if end is not None and end.stop is None and not end.halted:
            await self._again(len(lives))
        self.traffic.refusals = self.cloud.refusals
        return History(
            spec=self.spec,
            cloud=self.traffic,
            lines=self._journal(),
            file=file,
            lives=lives,
            calls_after_end=self.traffic.calls - calls,
            forgotten=self.forgotten,
            said=self.said,
            doubted=self._doubted(),
        )

    def _doubted(self) -> dict[int, bool]:
        """Entries that were looked up, and whether one needed a person all the same."""
        record: Record = self.disk.record
        doubted = {}
        for entry in self.spec.entries:
            events = record.events(entry.index)
            if any(isinstance(event, LookedUp) for event in events):
                result = record.result_of(entry.index)
                is_open = result is not None and result[1] is Status.UNSETTLED
                doubted[entry.index] = is_open or any(isinstance(event, Ruled) for event in events)
        return doubted

    async def _again(self, number: int) -> None:
        """The same command once more. What is unsettled is looked up anew, so only then may it call the cloud."""
        if self.disk.record.with_status([Status.UNSETTLED]):
            return
        await self.live(number, Life(), calm=True, alone=True)

    async def _restore(self, number: int, what: str) -> None:
        """Long after the last run an older journal is put back: what is still on its way nobody could know of."""
        await asyncio.sleep(4 * self.spec.policy.landing_s)
        if self.disk.restore(what):
            self.say(f"an older journal is put back ({what})")
            self.forgotten = number

    async def live(
        self, number: int, life: Life, *, calm: bool, alone: bool = False, company: Company | None = None
    ) -> Lived:
        """One run of the wave, in a process of its own or in that of *company*."""
        began, self._told_to_stop_at = self._loop.time(), None
        self._obeyed = []
        process = Process(life, self._booted_at, self._wall_ahead_s, self.say) if company is None else company.process
        results: list[Result] = []
        try:
            end = await self._run(number, life, process, results, company, alone=alone)
            why = None
        except Died:
            end, why = None, None
        except SinkFailed as error:
            end, why = None, str(error)
        finally:
            process.dead = process.dead or company is None
            self._wall_ahead_s = process.wall_ahead_s
            if life.power or self._rng.random() < 0.2:  # or it goes on elsewhere
                self._booted_at = self.starts()
        self.say(f"--- life {number} ends: {_ending(end) if end else why or 'died'}")
        return Lived(
            life=life,
            began_at=began,
            ended_at=self._loop.time(),
            end=end,
            results=results,
            could_not_open=why,
            told_to_stop_at=self._told_to_stop_at,
            clock_was_set=process.clock_was_set,
            journal_was_unreadable=process.journal_was_unreadable,
            orders=tuple(self._obeyed),
            strays=()
            if life.tampers or life.restores or self._rewriting()
            else tuple(strays(self._file(), self._journal())),
        )

    def _rewriting(self) -> bool:
        """Whether the journal knows that the results file is behind, and is to be written anew."""
        return bool(self.disk.record.facts().get("rewriting"))

    def _journal(self) -> list[bytes]:
        return list(self.disk.record.lines())

    def _file(self) -> bytes:
        return self.disk.results.read_bytes() if self.disk.results.exists() else b""

    async def _run(
        self,
        number: int,
        life: Life,
        process: Process,
        results: list[Result],
        company: Company | None,
        *,
        alone: bool,
    ) -> WaveEnd | None:
        spec, faults, rng = self.spec, self.cloud.faults, self._fork()
        record: MutableRecord = MortalRecord(self.disk, process)
        request = Request(
            manifest=self._manifest,  # type: ignore[arg-type] # reads as the real one does
            defaults=RunDefaults(endpoint=None, project_id=None, x_language=None, insecure_http=False),
            files=WaveFiles.of(self.disk.results),
            allow_duplicates=spec.allow_duplicates,
            retry_failed=life.retry_failed,
            look_first=self._look_first,
        )
        process.on_copy = self.disk.copy
        try:
            start, found = begin(request, record, process)
        except OlderJournal as error:
            if not self.forgotten or request.look_first is LookFirst.ALWAYS:
                raise
            self.say(f"refused: {error}")
            self._look_first = LookFirst.ALWAYS
            start, found = begin(msgspec.structs.replace(request, look_first=LookFirst.ALWAYS), record, process)
        self.say(f"found {found}")
        stopping = Stopping()
        sink = WorldFile(self.disk.results, process, rng, faults.results_full)
        beside = None
        if spec.settings is not None and not alone:
            beside = AdmittingFollower(self.disk.results, spec.settings, process, self._fork(), stopping)

        async def on_result(line: bytes) -> None:
            result = Result.model_validate_json(line)
            results.append(result)
            if beside is not None:
                beside.settled(result)
            self.say(f"settled entry {result.index}: {result.status} {result.error_msg or ''}")

        journal = LoopJournal(self.disk, process, rng, spec.sync_s, faults)
        mine = (journal, sink)
        channels = company.channels if company is not None else self._channels(process, rng)
        engine = Engine(
            start=start,
            policy=spec.policy,
            clock=process,
            rng=rng,
            journal=journal,
            sink=sink,
            passes={
                scope: channels.to(scope.endpoint, scope.project_id).enter(
                    ProcessCloud(self.cloud, self.traffic, process, scope.project_id, number, self._fork()),
                    wave=str(self.disk.results),
                    priority=0 if company is None else company.priority,
                    age=process.now() if start.begun_at is None else start.begun_at,
                    rate=None if company is None else company.rate,
                    others=None if company is None else company.others,
                )
                for scope in start.scopes
            },
            on_result=on_result,
            stopping=stopping,
            watch=process.passes,
            admission=beside,
            ends_at=None if life.deadline_s is None else process.monotonic() + life.deadline_s,
        )
        signalled = partial(self._signal, stopping)
        signals = [] if company is None else company.signals
        signals.append(signalled)
        process.on_signal = partial(_tell, signals)
        hand = [
            self._loop.call_later(order.after_s, self._order, engine, stopping, process, order) for order in life.orders
        ]
        try:
            if beside is not None:
                beside.take_up(begun(record))
                beside.begin(engine.reads)
            with suppress(JournalFailed):  # the wave is stopping for it
                await engine.take_note()
            return await self._until_end(process, engine, alone=company is None)
        finally:
            process.dead = process.dead or company is None
            signals.remove(signalled)
            for order in hand:
                order.cancel()
            for one in engine.reads.values():
                one.close()
            if not process.dead:
                process.at_death = [act for act in process.at_death if getattr(act, "__self__", None) not in mine]
            if beside is not None:
                await beside.aclose()
            sink.close()

    def _channels(self, process: Process, rng: random.Random) -> Channels:
        spec = self.spec
        limits = ChannelLimits(
            rate="auto" if spec.auto else spec.rate,
            read_rate=spec.read_rate,
            concurrency=spec.policy.concurrency,
            give_up_after_s=spec.policy.give_up_after_s,
            slack_s=spec.policy.slack_s,
        )
        return Channels(process, rng, limits, private=True)

    def _order(self, engine: Engine, stopping: Stopping, process: Process, order: Order) -> None:
        """The operator's hand on the wave, by the handler of its control socket."""
        if process.dead:
            return
        handle = orders(engine.controls, engine.status, lambda: stopping.stop(Stop(StopKind.ASKED, "told to stop")))
        handle(order.do, order.value)
        self.say(f"the operator: {order.do} {order.value or ''}")
        self._obeyed.append(Obeyed(self._loop.time(), order.do, order.value))

    async def _until_end(self, process: Process, engine: Engine, *, alone: bool) -> WaveEnd | None:
        wave = asyncio.create_task(engine.run())
        death = asyncio.create_task(process.death.wait())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait({wave, death}, return_when=asyncio.FIRST_COMPLETED)
            return None if process.dead else wave.result()
        finally:
            process.dead = process.dead or alone
            for task in (wave, death):
                task.cancel()
            for task in (wave, death):
                with suppress(asyncio.CancelledError):
                    await task

    def _signal(self, stopping: Stopping, nth: int) -> None:
        self.say(f"signal {nth}")
        if self._told_to_stop_at is None:
            self._told_to_stop_at = self._loop.time()
        if nth == 1:
            stopping.stop(Stop(StopKind.SIGTERM, "terminated"))
        else:
            stopping.stop(Stop(StopKind.ASKED, "it was told to end at once"), HowHard.AT_ONCE)

    async def _settle(self) -> None:
        """The operator waits until nothing can land any more, looks in the console, and records what is true."""
        await asyncio.sleep(4 * self.spec.policy.landing_s)
        if not self._file():
            return  # nothing has ended yet
        record = self.disk.record
        for index in record.with_status([Status.UNSETTLED]):
            entry = record.entry(index)
            assert entry is not None
            made = dict.fromkeys(history(entry.asked, record.events(index)).doubtful, "failed")
            for sent in (sent for sent in self.traffic.sent if sent.entry == index):
                made |= {half: task_id for half, task_id in sent.created.items() if half in made}
            told = ",".join(f"{half.removesuffix('_level')}={fate}" for half, fate in sorted(made.items()))
            ruling = told if set(made.values()) != {"failed"} else self._rng.choice(("failed", "retry"))
            self.say(f"the operator settles entry {index} as {ruling}")
            settle(record, self.disk.results, index, Ruling.parse(ruling), WALL_AT_START + self._loop.time())

    def _tamper(self, life: Life) -> None:
        """Somebody does something to the results file between two runs."""
        path = self.disk.results
        if life.tampers is None or not path.exists():
            return
        self.say(f"the results file: {life.tampers}")
        match life.tampers:
            case "delete":
                path.unlink()
            case "edit":
                path.write_bytes(path.read_bytes().replace(b'"status"', b'"state"', 1))
            case "cut":
                data = path.read_bytes()
                path.write_bytes(data[: self._rng.randint(0, len(data))])


def _tell(signals: list[Callable[[int], None]], nth: int) -> None:
    for each in tuple(signals):
        each(nth)


def _ending(end: WaveEnd) -> str:
    return f"stop={end.stop} halted={bool(end.halted)} {end.status} unrecorded={end.unrecorded}"


def play(seed: int, *, trace: bool = False, folder: Path | None = None) -> History:
    """The world of *seed*, played to its end."""
    return play_spec(world_of(seed), trace=trace, folder=folder)


def play_spec(spec: Spec, *, trace: bool = False, folder: Path | None = None) -> History:
    """The world that *spec* describes, played to its end."""
    results = (folder or Path(tempfile.gettempdir())) / f"world-{spec.seed}.jsonl"
    second = second_of(spec)

    async def main() -> History:
        first = World(spec, results, trace=trace)
        if second is None:
            return await first.play()
        other = World(second.spec, results.with_suffix(".second.jsonl"), trace=trace, beside=first)

        async def later() -> History:
            await asyncio.sleep(second.after_s)
            return await other.play()

        one, two = await asyncio.gather(first.play(), later())
        return replace(one, second=two)

    return run(main, turns=TURNS)
