"""Several machines on one virtual clock that share a journal: each runs the scopes it has a lease on, and any may fail.

A machine is frozen for longer than its lease lasts, loses it, is killed, is told to hand on, is cut off from the
database; commits are delayed, repeated, and fail though they were done. The cloud does what it does in other worlds.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson
from msgspec.structs import replace as changed

from batcher.journal.postgres.leases import LASTS_S
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Intended
from batcher.life.policy import LookFirst, MaxFailures
from batcher.life.result import Status
from batcher.manifest import Entry
from batcher.rates import Rate
from batcher.settings import RunSettings
from batcher.settings.policy import policy_of
from tests.worlds.cloud import Sent, Traffic, WorldCloud
from tests.worlds.fleet_machine import At, Blow, FleetMachine, Shared
from tests.worlds.freezing import run_freezing
from tests.worlds.judge import _HALF_FIELDS, limit_broken
from tests.worlds.shared_database import SharedDatabase, SharedRecord
from tests.worlds.spec import ENDPOINT, Spec, draw_spec
from tests.worlds.violation import Violation

_TURNS = 100_000
_PATIENCE_S = 2 * 86400.0
_MEMBER = 100  # entries of one wave are told from those of another by hundreds


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """The world: *base* has the cloud and its faults. *blows* are for each machine in its place, one start after the
    other; after the last of them, and after *calm_after_s*, all go on in peace."""

    base: Spec
    waves: tuple[tuple[Entry, ...], ...]
    settings: RunSettings
    blows: tuple[tuple[dict[At, Blow], ...], ...]
    lanes: int
    fails: float  # of the statements
    grace_s: float
    calm_after_s: float
    again_s: float


@dataclass(frozen=True, slots=True)
class FleetHistory:
    """All that happened, for the judge."""

    spec: FleetSpec
    sent: list[Sent]
    reads: list[tuple[str, float]]
    database: SharedDatabase
    is_settled: bool
    suffered: Counter[str]
    ends: Counter[str]
    defects: list[BaseException]
    said: list[str]

    def seen(self) -> Counter[str]:
        """What happened, counted."""
        records = self.database.records.values()
        seen = Counter({f"fleet: {name}": count for name, count in (self.suffered + self.ends).items()})
        for record in records:
            seen.update({f"{status.value} by fleets": count for status, count in record.status_counts().items()})
        seen["requests of fleets"] = len(self.sent)
        seen["scopes taken"] = len(self.database.takes)
        seen["refused by the fence"] = self.database.refused
        seen["commits repeated"] = self.database.repeated
        seen["late answers"] = sum(len(record.late) for record in records)
        return seen


def draw_fleet(seed: int) -> FleetSpec:
    """The world of *seed*."""
    rng, base = random.Random(f"fleet {seed}"), draw_spec(seed)
    settings = RunSettings(
        endpoint=ENDPOINT,
        project_id="p-0",
        rate=_said(rng.choice((Rate(5, 1.0), Rate(2, 1.0), Rate(3, 10.0), None))),
        read_rate=_said(base.read_rate),
        concurrency=base.policy.concurrency,
        landing_time=rng.choice((30.0, 60.0, 150.0)),
        attempts=base.policy.attempts,
        entry_deadline=900.0,
        reconcile=base.policy.reconcile,
        look_first=LookFirst.NEVER,
        give_up_after=None,
    )
    faults = replace(base.faults, too_late=0.0)
    policy = changed(policy_of(settings), max_failures=MaxFailures())
    base = replace(
        base,
        policy=policy,
        faults=faults,
        others=_others(seed, base),
        refused_from=None,
        cloud_step=None,
        rate=None if not isinstance(settings.pace, Rate) else settings.pace,
    )
    waves = tuple(_entries(rng, base, number) for number in range(rng.choice((1, 1, 2, 3))))
    base = replace(base, entries=tuple(entry for wave in waves for entry in wave))
    return FleetSpec(
        base=base,
        waves=waves,
        settings=settings,
        blows=tuple(tuple(_blows(rng) for _ in range(rng.choice((1, 2, 3)))) for _ in range(rng.choice((2, 2, 3)))),
        lanes=rng.choice((1, 2, 4)),
        fails=rng.choice((0.0, 0.02, 0.1, 0.3)),
        grace_s=rng.choice((8.0, 60.0, 300.0)),
        calm_after_s=rng.choice((60.0, 200.0, 600.0)),
        again_s=rng.choice((0.5, 5.0, 60.0)),
    )


def _others(seed: int, base: Spec) -> tuple[tuple[float, str, str], ...]:
    """Comparisons that somebody else makes on the same jobs at the same time: look-ups cannot tell them from ours."""
    rng = random.Random(f"others of fleet {seed}")
    if rng.random() < 0.7:
        return ()
    jobs = sorted({entry.request.job_id for entry in base.entries})
    kinds = ("lines", "contents", "object_comparison")
    return tuple((rng.uniform(0, 60), rng.choice(jobs), rng.choice(kinds)) for _ in range(rng.randint(2, 12)))


def _said(rate: Rate | None) -> Any:
    return "off" if rate is None else rate


def _entries(rng: random.Random, base: Spec, number: int) -> tuple[Entry, ...]:
    share = rng.choice((1.0, 0.3, 0.0))
    made = []
    for entry in base.entries:
        job = entry.request.job_id
        if number and rng.random() >= share:
            job = f"{job}-of-{number}"
        made.append(
            Entry.of(
                index=entry.index,
                line=entry.line,
                key=f"wave-{number}-{entry.index}",
                endpoint=entry.endpoint,
                project_id=entry.project_id,
                request=entry.request.model_copy(update={"job_id": job}),
                x_language=f"entry-{number * _MEMBER + entry.index}",
            )
        )
    return tuple(made)


def _blows(rng: random.Random) -> dict[At, Blow]:
    blows: dict[At, Blow] = {}
    for _ in range(rng.choice((0, 1, 2, 2, 4))):
        match rng.choice(("freeze", "freeze", "freeze", "kill", "hand on", "cut")):
            case "freeze":
                blow = Blow("freeze", rng.choice((2.0, LASTS_S + 0.5, LASTS_S + 5.0, 3 * LASTS_S, 200.0)))
            case "cut":
                blow = Blow("cut", rng.choice((3.0, LASTS_S + 5.0, 100.0)))
            case kind:
                blow = Blow(kind)
        at: At = rng.choice((rng.randint(10, 40), rng.randint(10, 120), rng.randint(10, 300)))
        if rng.random() < 0.5:  # right where a request is about to leave, or leaves
            at = rng.choice(("connect", "connect", "intent durable", "answer")), rng.randint(1, 6)
        blows[at] = blow
    return blows


class _Play:
    def __init__(self, spec: FleetSpec, *, trace: bool) -> None:
        self._spec = spec
        self._rng = random.Random(f"play {spec.base.seed}")
        self._loop = asyncio.get_running_loop()
        self.said: list[str] = []
        say = self._say if trace else _say_nothing
        self._world = Shared(
            cloud=WorldCloud(spec.base, random.Random(self._rng.random()), say),
            database=SharedDatabase(self._loop),
            traffic=Traffic(),
            settings=spec.settings,
            lease_s=LASTS_S,
            grace_s=spec.grace_s,
        )
        self._machines: list[FleetMachine] = []
        self._is_calm = False

    def _say(self, text: str) -> None:
        self.said.append(f"{self._loop.time() - 1000:10.3f}  {text}")

    async def play(self) -> FleetHistory:
        spec, world = self._spec, self._world
        for number, entries in enumerate(spec.waves):
            self._plan(number, entries)
        self._loop.call_later(spec.calm_after_s, self._calm)
        places = [asyncio.create_task(self._place(blows)) for blows in spec.blows]
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    while not world.database.is_settled():  # noqa: ASYNC110
                        await asyncio.sleep(5.0)
            is_settled = world.database.is_settled()
            await asyncio.sleep(4 * spec.base.policy.landing_s)  # let everything land
        finally:
            await self._end(places)
        return FleetHistory(
            spec=spec,
            sent=world.traffic.sent,
            reads=[(read.project, read.left_at) for read in world.traffic.reads],
            database=world.database,
            is_settled=is_settled,
            suffered=Counter(world.suffered),
            ends=Counter(end.kind.name for end in world.ends),
            defects=world.defects,
            said=self.said,
        )

    def _plan(self, number: int, entries: tuple[Entry, ...]) -> None:
        record = self._world.database.new_wave(f"wave-{number}")
        projects = sorted({entry.project_id for entry in entries})
        scopes = {project: Scope(nth, ENDPOINT, project) for nth, project in enumerate(projects)}
        said = self._spec.settings.model_dump(mode="json", exclude={"proxy", "digest", "restart", "retry_failed"})
        with record.planning() as plan:
            for scope in scopes.values():
                plan.add_scope(scope)
                self._world.database.know((scope.endpoint, scope.project_id))
            plan.add_entries(_planned(entry, scopes[entry.project_id]) for entry in entries)
            plan.finish({"digest": f"sha256:{number}", "begun_at": "2026-09-21T12:00:00+00:00", "settings": said})

    def _calm(self) -> None:
        """Nothing goes wrong any more."""
        self._say_calm()
        self._is_calm = True
        self._world.cloud.faults = self._world.cloud.faults.calm()
        for machine in self._machines:
            machine.link.fails = 0.0
            machine.process.blows.clear()

    def _say_calm(self) -> None:
        self._world.cloud.say("--- from now on nothing goes wrong")

    async def _place(self, blows: tuple[dict[At, Blow], ...]) -> None:
        """One machine after the other in the same place."""
        nth = 0
        while True:
            calm = self._is_calm or nth >= len(blows)
            machine = FleetMachine(
                self._world,
                len(self._machines),
                {} if calm else dict(blows[nth]),
                random.Random(self._rng.random()),
                lanes=self._spec.lanes,
                fails=0.0 if self._is_calm else self._spec.fails,
            )
            self._machines.append(machine)
            death = asyncio.ensure_future(machine.process.death.wait())
            await asyncio.wait({death, machine.task}, return_when=asyncio.FIRST_COMPLETED)
            death.cancel()
            if machine.task.done() and not machine.task.cancelled() and (error := machine.task.exception()) is not None:
                self._world.defects.append(error)
            nth += 1
            await asyncio.sleep(self._spec.again_s)

    async def _end(self, places: list[asyncio.Task[None]]) -> None:
        for place in places:
            place.cancel()
        tasks: list[asyncio.Task[object]] = []
        for machine in self._machines:
            machine.process.dead = True
            machine.process.gate.open()
            tasks += machine.everything()
        for task in tasks:
            task.cancel()
        await asyncio.wait({*places, *tasks}, timeout=1000.0)


def _say_nothing(_: str) -> None:
    pass


def _planned(entry: Entry, scope: Scope) -> PlannedEntry:
    return PlannedEntry(
        index=entry.index,
        line=entry.line,
        key=entry.own_key or f"key-{entry.index}",
        scope=scope,
        job_id=entry.request.job_id,
        body=entry.body,
        x_language=entry.x_language,
        labels={},
    )


def play_fleet(seed: int, *, trace: bool = False) -> FleetHistory:
    """The world of *seed*, played to its end."""
    spec = draw_fleet(seed)

    async def main() -> FleetHistory:
        return await _Play(spec, trace=trace).play()

    return run_freezing(main, turns=_TURNS)


# --- the judge ------------------------------------------------------------------------------------------------


def judge_fleet(history: FleetHistory) -> list[Violation]:
    """Every promise that was broken."""
    checks = (_once, _settled, _fenced, _limits, _told, _defects)
    return [violation for check in checks for violation in check(history)]


def _once(history: FleetHistory) -> Iterator[Violation]:
    """At most one creation for each half of each entry, whoever sent it; none is cancelled by a repeat."""
    by_entry: dict[int, list[Sent]] = defaultdict(list)
    for sent in history.sent:
        by_entry[sent.entry].append(sent)
    for entry, requests in by_entry.items():
        for half, count in Counter(half for sent in requests for half in sent.created).items():
            if count > 1:
                by = [(sent.number, f"machine {sent.life}", sent.epoch) for sent in requests if half in sent.created]
                yield Violation("once", f"entry {entry} has {count} {half} comparisons: {by}")
        own = {made for sent in requests for made in sent.created.values()}
        for sent in requests:
            if killed := own & set(sent.cancelled):
                yield Violation("cancel", f"request {sent.number} of entry {entry} cancelled its own {killed}")


def _settled(history: FleetHistory) -> Iterator[Violation]:
    """Every entry has a result in the end, and what was made is in it, or it is left to a person."""
    if not history.is_settled:
        yield Violation("peace", "not all entries were settled")
    is_mixed = history.spec.base.config.keep_answer == "existing"  # the cloud itself gives one's for another's
    strangers = {job for _, job, _ in history.spec.base.others}
    jobs = Counter(entry.request.job_id for wave in history.spec.waves for entry in wave)
    for number, record in enumerate(history.database.records.values()):
        for line in record.lines():
            result = orjson.loads(line)
            entry = number * _MEMBER + result["index"]
            if is_mixed or jobs[result["job_id"]] > 1 or result["job_id"] in strangers:
                continue
            made = {half: one for sent in history.sent if sent.entry == entry for half, one in sent.created.items()}
            for half, name in _HALF_FIELDS.items():
                said = (result[name] or {}).get("compare_task_id")
                if half in made and said != made[half] and result["status"] != Status.UNSETTLED:
                    yield Violation("lost", f"entry {entry} is {result['status']}, {half} {made[half]} is not told")
                if said and said != made.get(half):
                    yield Violation("invented", f"entry {entry} reports {half} {said}")


def _fenced(history: FleetHistory) -> Iterator[Violation]:
    """No request of an older epoch leaves after one of a newer one."""
    newest: dict[str, Sent] = {}
    for sent in sorted(history.sent, key=lambda sent: sent.left_at):
        project = sent.job[0]
        last = newest.get(project)
        if last is not None and sent.epoch < last.epoch:
            text = f"request {sent.number} of epoch {sent.epoch} left after {last.number} of epoch {last.epoch}"
            yield Violation("fence", text)
        else:
            newest[project] = sent


def _limits(history: FleetHistory) -> Iterator[Violation]:
    """The limit holds over all machines."""
    by_project: dict[str, list[float]] = defaultdict(list)
    for sent in history.sent:
        by_project[sent.job[0]].append(sent.left_at)
    rate = history.spec.base.rate
    if rate is not None:
        for moments in by_project.values():
            yield from limit_broken("creates of all machines", rate, sorted(moments))


def _told(history: FleetHistory) -> Iterator[Violation]:
    """What the cloud answered in time to a machine that had lost its scope is not left to a person."""
    for record in history.database.records.values():
        for index in record.with_status([Status.UNSETTLED]):
            if _was_told(record, index):
                yield Violation("late", f"{record.name}: entry {index} is unsettled, though its answer is there")


def _was_told(record: SharedRecord, index: int) -> bool:
    intents = [event for event in record.events(index) if isinstance(event, Intended)]
    settled_at = record.settled_at.get(index, float("inf"))
    return bool(intents) and any(
        at == index and epoch == intents[-1].lease and when < settled_at - 30.0 and _is_whole(answer)
        for at, epoch, when, answer in record.late
    )


def _is_whole(answer: Any) -> bool:
    return orjson.dumps(answer.http_status) == b"200"


def _defects(history: FleetHistory) -> Iterator[Violation]:
    for error in history.defects:
        yield Violation("crash", f"{type(error).__name__}: {error}")
