"""Several waves in one process, on overlapping jobs: they share the channels to the cloud, and die together.

Each has its own journal and results file, a priority, perhaps a pace of its own, and may be stopped and taken up again
while the others go on. All else goes wrong as in the other worlds.
"""

import asyncio
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path

from msgspec.structs import replace as changed

from batcher.channel.channel import ChannelLimits, Channels
from batcher.channel.left_over import left_over
from batcher.journal.memory_record import MemoryRecord
from batcher.journal.port import EntryWithEvents
from batcher.life.entry import PlannedEntry
from batcher.life.policy import LookFirst
from batcher.manifest import Entry
from batcher.rates import Rate
from batcher.wave.stop import StopKind
from tests.virtual import WALL_AT_START, run
from tests.worlds.cloud import Sent
from tests.worlds.disk import Disk
from tests.worlds.judge import judge, limit_broken
from tests.worlds.judge_hand import UNITS
from tests.worlds.process import Process
from tests.worlds.spec import Life, Order, Spec, draw_spec
from tests.worlds.violation import Violation
from tests.worlds.world import TURNS, Company, History, Lived, World

_VISITS = 3  # of a wave in one process


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One of the waves. By process: *after_s* after its start the wave begins. *orders* are the operator's, at
    its first run in each; after a stop it is taken up again *again_s* later. *rate* is its own, below the channel's."""

    spec: Spec
    priority: int
    after_s: tuple[float, ...]
    again_s: float
    orders: tuple[Order, ...]
    rate: Rate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The world: *base* has the cloud, its faults, the limits and the lives of the process."""

    base: Spec
    members: tuple[Member, ...]
    one_database: bool  # or a journal for each


@dataclass(frozen=True, slots=True)
class Together:
    """What happened: of each wave, and in which of the process's lives each of its own was."""

    crowd: Crowd
    histories: tuple[History, ...]
    processes: tuple[tuple[int, ...], ...]
    clock_was_set: tuple[bool, ...]  # by process


def draw_crowd(seed: int) -> Crowd:
    """The world of *seed*."""
    rng = random.Random(f"crowd {seed}")
    base = draw_spec(seed)
    lives = tuple(
        replace(life, tampers=None, restores=None, copies_at=None, settles=False, retry_failed=False, deadline_s=None)
        for life in base.lives
    )
    base = replace(
        base,
        lives=lives,
        others=(),
        refused_from=None,
        cloud_step=None,
        look_first=LookFirst.NEVER,
        policy=changed(base.policy, max_failures=changed(base.policy.max_failures, count=None)),
    )
    jobs = sorted({entry.request.job_id for entry in base.entries})
    members = []
    for number in range(rng.choice((2, 2, 3, 4))):
        share = rng.choice((1.0, 0.7, 0.3))
        members.append(
            Member(
                spec=replace(
                    base, seed=seed + 10_000_000 * number, entries=tuple(_entries(rng, base, number, jobs, share))
                ),
                priority=rng.choice((0, 0, 0, -100, 100, 7)),
                after_s=tuple(rng.choice((0.0, 0.0, 0.5, 20.0)) for _ in lives),
                again_s=rng.choice((0.0, 1.0, 60.0, 1000.0)),
                orders=tuple(_orders(rng)),
                rate=rng.choice((None, None, Rate(1, 1.0), Rate(4, 1.0), Rate(2, 10.0))),
            )
        )
    return Crowd(base=base, members=tuple(members), one_database=rng.random() < 0.5)


def _entries(rng: random.Random, base: Spec, number: int, jobs: list[str], share: float) -> Iterator[Entry]:
    """Those of *base*, on its jobs or on jobs of this wave's own."""
    for entry in base.entries:
        job = entry.request.job_id if rng.random() < share else f"{entry.request.job_id}-of-{number}"
        yield Entry.of(
            index=entry.index,
            line=entry.line,
            key=f"wave-{number}-{entry.index}",
            endpoint=entry.endpoint,
            project_id=entry.project_id,
            request=entry.request.model_copy(update={"job_id": job}),
            x_language=entry.x_language,
        )


def _orders(rng: random.Random) -> Iterator[Order]:
    at = 0.0
    while rng.random() < 0.4:
        at += rng.choice((0.1, 1.0, 5.0, 40.0)) * rng.random()
        do = rng.choice(("pause", "stop", "rate", "concurrency"))
        yield Order(at, do, {"rate": rng.choice(("1/s", "5/s")), "concurrency": "1"}.get(do))
        if do == "pause":
            at += rng.choice((0.5, 30.0, 400.0))
            yield Order(at, "resume")
        if do == "stop":
            return


def play(seed: int, *, trace: bool = False, folder: Path | None = None) -> Together:
    """The world of *seed*, played to its end."""
    crowd = draw_crowd(seed)
    results = (folder or Path(tempfile.gettempdir())) / f"crowd-{seed}.jsonl"

    async def main() -> Together:
        return await _Play(crowd, results, trace=trace).play()

    return run(main, turns=TURNS * len(crowd.members))


class _Play:
    def __init__(self, crowd: Crowd, results: Path, *, trace: bool) -> None:
        self._crowd = crowd
        self._rng = random.Random(f"play {crowd.base.seed}")
        first: World | None = None
        records: list[MemoryRecord] = []
        self._worlds: list[World] = []
        for number, member in enumerate(crowd.members):
            path = results.with_suffix(f".{number}.jsonl")
            database = records if crowd.one_database else None
            world = World(member.spec, path, trace=trace, beside=first, name=f"wave {number}: ", database=database)
            first = first or world
            self._worlds.append(world)
        self._lives: list[list[Lived]] = [[] for _ in self._worlds]
        self._processes: list[list[int]] = [[] for _ in self._worlds]

    async def play(self) -> Together:
        try:
            return await self._play()
        finally:
            for world in self._worlds:
                world.disk.close()

    async def _play(self) -> Together:
        base, cloud = self._crowd.base, self._worlds[0].cloud
        wall_ahead_s, booted_at = 0.0, self._worlds[0].starts()
        were_set = []
        for number, life in enumerate(base.lives):
            last = number == len(base.lives) - 1
            if last:
                cloud.faults = cloud.faults.calm()
                for world in self._worlds:
                    world.disk.full_until = float("-inf")
            process = Process(life, booted_at, wall_ahead_s, self._worlds[0].say)
            self._worlds[0].say(f"--- process {number}: {life}")
            limits = ChannelLimits(
                rate=base.rate,
                read_rate=base.read_rate,
                concurrency=base.policy.concurrency,
                give_up_after_s=base.policy.give_up_after_s,
                slack_s=base.policy.slack_s,
            )
            channels = Channels(process, self._fork(), limits)
            self._take_note(channels, process)
            signals: list[Callable[[int], None]] = []
            async with asyncio.TaskGroup() as group:
                for nth, member in enumerate(self._crowd.members):
                    company = Company(
                        process, channels, member.priority, member.rate, signals=signals, others=self._others_of(nth)
                    )
                    group.create_task(self._visit(nth, number, life, company, last=last))
            process.dead = True
            channels.close()
            wall_ahead_s = process.wall_ahead_s
            were_set.append(process.clock_was_set)
            if life.power or self._rng.random() < 0.2:
                booted_at = self._worlds[0].starts()
            await asyncio.sleep(life.again_after_s)
        await asyncio.sleep(4 * base.policy.landing_s)
        histories = []
        for world, lives in zip(self._worlds, self._lives, strict=True):
            histories.append(await world.told(lives))
        return Together(self._crowd, tuple(histories), tuple(map(tuple, self._processes)), tuple(were_set))

    def _others_of(self, nth: int) -> "_OtherDisks | None":
        """What a wave can learn of the others where each has a journal of its own."""
        if self._crowd.one_database:
            return None
        return _OtherDisks([world.disk for number, world in enumerate(self._worlds) if number != nth])

    def _take_note(self, channels: Channels, process: Process) -> None:
        """As a service does at its start: what may still land, and what was sent lately, is known before any wave is
        opened."""
        policy = self._crowd.base.policy
        for world in self._worlds:
            record = world.disk.record
            if record.is_planned():
                left_over(record, str(world.disk.results), process.now(), policy).tell(channels, policy)

    async def _visit(self, nth: int, number: int, life: Life, company: Company, *, last: bool) -> None:
        """One wave in one process: it begins, may be stopped, and goes on."""
        world, member = self._worlds[nth], self._crowd.members[nth]
        await asyncio.sleep(member.after_s[number])
        for visit in range(_VISITS):
            if company.process.dead:
                return
            own = replace(life, orders=member.orders if visit == 0 and not last else ())
            lives = self._lives[nth]
            self._processes[nth].append(number)
            lived = await world.live(len(lives), own, calm=last, company=company)
            lives.append(lived)
            if lived.end is None or lived.end.stop is None or lived.end.stop.kind is not StopKind.ASKED:
                return
            await asyncio.sleep(member.again_s)

    def _fork(self) -> random.Random:
        return random.Random(self._rng.getrandbits(64))


@dataclass(frozen=True, slots=True)
class _OtherDisks:
    """`OtherRecords` of waves on these disks."""

    disks: list[Disk]

    async def of_job(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """See `OtherRecords.of_job`."""
        planned = (disk.record for disk in self.disks if disk.record.is_planned())
        return [one for record in planned for one in record.of_job(entry.scope, entry.job_id)]


def judge_together(told: Together) -> list[Violation]:
    """Every promise that was broken: of each wave, and of all of them together."""
    found = [*_limits(told), *_jobs(told), *_doubts(told), *_left_by_the_dead(told)]
    is_mixed = told.crowd.base.config.keep_answer == "existing"  # the cloud itself gives one's for another's
    for nth, wave in enumerate(told.histories):
        found += [] if is_mixed else _claims(told, nth)
        found += [one for one in judge(wave) if not (is_mixed and one.name in ("invented", "lost"))]
    return found


def _limits(told: Together) -> Iterator[Violation]:
    """The channel's limits hold over all waves."""
    base = told.crowd.base
    eras = [0, *accumulate(told.clock_was_set)]
    creates: dict[tuple[str, int], list[float]] = defaultdict(list)
    reads: dict[tuple[str, int], list[float]] = defaultdict(list)
    for wave, processes in zip(told.histories, told.processes, strict=True):
        for sent in wave.cloud.sent:
            creates[sent.job[0], eras[processes[sent.life]]].append(sent.left_at)
        for read in wave.cloud.reads:
            reads[read.project, eras[processes[read.life]]].append(read.left_at)
    for name, rate, by_place in (("creates", base.rate, creates), ("look-ups", base.read_rate, reads)):
        for moments in by_place.values():
            if rate is not None:
                yield from limit_broken(f"{name} of all waves", rate, sorted(moments))


def _jobs(told: Together) -> Iterator[Violation]:
    """One unsettled intent per job: nothing is sent for a job while a request of another wave is under way, or is in
    doubt and can still land, as far as the process can know."""
    by_job: dict[tuple[int, tuple[str, str]], list[tuple[Sent, float]]] = defaultdict(list)
    for wave, processes in zip(told.histories, told.processes, strict=True):
        for sent in wave.cloud.sent:
            ended_at = wave.lives[sent.life].ended_at if sent.ended_at is None else sent.ended_at
            by_job[processes[sent.life], sent.job].append((sent, ended_at))
    for (_, job), requests in by_job.items():
        requests.sort(key=lambda request: request[0].left_at)
        for (one, ended_at), (other, _) in pairwise(requests):
            if ended_at > other.left_at + UNITS:
                yield Violation("shared job", f"requests {one.number} and {other.number} for {job} overlap")


def _doubts(told: Together) -> Iterator[Violation]:
    """What a wave left in doubt when it stopped holds its job until it can land no more, while the process lives."""
    landing_s = told.crowd.base.policy.landing_s
    by_job: dict[tuple[int, tuple[str, str]], list[tuple[int, int, Sent]]] = defaultdict(list)
    for nth, (wave, processes) in enumerate(zip(told.histories, told.processes, strict=True)):
        for sent in wave.cloud.sent:
            by_job[processes[sent.life], sent.job].append((nth, sent.life, sent))
    for (_, job), requests in by_job.items():
        requests.sort(key=lambda request: request[2].left_at)
        for (nth, life, one), (other_nth, _, other) in pairwise(requests):
            lived = told.histories[nth].lives[life]
            stopped = lived.end is not None and lived.end.stop is not None
            settled = one.entry in {result.index for result in lived.results}
            # Its own wave, opened again meanwhile, may have found out what became of it.
            settled |= any(
                one.entry == result.index
                and (any(told.clock_was_set) or result.finished_at.timestamp() - WALL_AT_START <= other.left_at + UNITS)
                for later in told.histories[nth].lives[life + 1 :]
                for result in later.results
                if later.began_at < other.left_at
            )
            left = stopped and not settled and not one.told and (one.ended_at is None or one.created)
            if nth != other_nth and left and other.left_at < one.left_at + landing_s:
                yield Violation("shared doubt", f"request {other.number} for {job} left before {one.number} had landed")


def _left_by_the_dead(told: Together) -> Iterator[Violation]:
    """What a process left unanswered when it died holds its job in the next one, too: from before its own wave is
    opened there, until the request can land no more. Where a clock was set in between, nobody can tell when."""
    landing_s = told.crowd.base.policy.landing_s
    eras = [0, *accumulate(told.clock_was_set)]
    sent = [
        (nth, processes[one.life], one)
        for nth, (wave, processes) in enumerate(zip(told.histories, told.processes, strict=True))
        for one in wave.cloud.sent
    ]
    for nth, number, one in sent:
        wave = told.histories[nth]
        died = wave.lives[one.life].end is None
        was_answered = one.told or (one.ended_at is not None and one.ended_at < wave.lives[one.life].ended_at)
        if not died or was_answered:
            continue
        opened = [lived.began_at for lived, at in zip(wave.lives, told.processes[nth], strict=True) if at > number]
        until = min([*opened, one.left_at + landing_s])
        for other_nth, other_number, other in sent:
            if other.job != one.job or other_nth == nth or other_number <= number or eras[number] != eras[other_number]:
                continue
            if other.left_at < until:
                yield Violation("dead doubt", f"request {other.number} for {one.job} left before {one.number} landed")


def _claims(told: Together, nth: int) -> list[Violation]:
    """No wave reports what another made."""
    makers = {
        made
        for other, beside in enumerate(told.histories)
        if other != nth
        for sent in beside.cloud.sent
        for made in sent.created.values()
    }
    return [
        Violation("claimed", f"wave {nth} reports {made} for entry {result['index']}")
        for result in told.histories[nth].results()
        for name in ("object_level_compare_create_result", "data_level_compare_create_result")
        if (made := (result[name] or {}).get("compare_task_id")) in makers
    ]
