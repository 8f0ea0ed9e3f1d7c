"""What a world is like: everything that one seed decides beforehand, as a value that prints."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from batcher.drs.v3.create_compare_task import CompareObjectInfo, CreateCompareTaskReq, CreateDataLevelCompareReq
from batcher.life.policy import LookFirst, MaxFailures, Policy, Reconcile
from batcher.manifest import Entry, RunDefaults
from batcher.rates import Rate
from batcher.settings import RunSettings
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import ExistingComparison, JobRule
from tests.virtual import WALL_AT_START

ENDPOINT = "https://drs.world.invalid"
TIMEOUT_S = 20.0  # after which our side gives up on an answer
SLACK_S = 2.0  # by how much a gateway's clock strays from the cloud's where it is a sound one
AGREE_S = 1.0  # by how much clocks may differ that are said to agree


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A machine on the way that puts its own clock in the place of the cloud's `Date`.

    It is *ahead_s* of the cloud's, gains *drift* seconds a second, and is set by *step*: (true time, seconds).
    """

    ahead_s: float = 0.0
    drift: float = 0.0
    step: tuple[float, float] | None = None

    def ahead_at(self, passed_s: float) -> float:
        """How far it is ahead of the cloud's clock, *passed_s* after the world began."""
        stepped_s = self.step[1] if self.step is not None and passed_s >= self.step[0] else 0.0
        return self.ahead_s + self.drift * passed_s + stepped_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often what goes wrong: probabilities for each request, or each commit."""

    not_sent: float = 0.0  # DNS, refused, connect time-out
    lost: float = 0.0  # the request never arrives; no answer
    before: float = 0.0  # 5xx, reset or silence, and nothing was done
    after: float = 0.0  # 5xx, reset, broken answer or silence, and it was done
    late: float = 0.0  # no answer in time, and it is done later
    too_late: float = 0.0  # it is done after every time that was promised for it
    partial: float = 0.0  # one half is refused
    storm: float = 0.0  # the cloud begins to turn everything away
    expire: float = 0.0  # the token runs out
    list_fails: float = 0.0  # a look-up brings nothing, or half a list
    disk_full: float = 0.0  # the journal cannot be written for a while
    disk_unreadable: float = 0.0  # nor be read, this once
    results_full: float = 0.0  # the results file cannot be written for the rest of this life
    clock_step: float = 0.0  # at each request: our wall clock jumps
    slow: float = 0.0  # connecting takes seconds
    pages: float = 0.0  # something on the way begins to answer everything in the cloud's place, for a while

    def calm(self) -> "Faults":
        """Without any fault."""
        return Faults()


@dataclass(frozen=True, slots=True)
class Order:
    """What the operator does to a running wave, so many seconds after it began: as `batcher control` has it."""

    after_s: float
    do: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One run of the process. *dies_at* and *signal_at* count steps in which it touches the world.

    *power* tells a power cut from a kill; *again_after_s* passes until the next run. *deadline_s* counts from where it
    begins.
    """

    dies_at: int | None = None
    power: bool = False
    signal_at: int | None = None
    second_signal_at: int | None = None
    again_after_s: float = 1.0
    retry_failed: bool = False
    settles: bool = False  # before this life the operator settles what is unsettled, truly
    copies_at: int | None = None  # step at which somebody copies the journal and the results
    restores: str | None = None  # before this life that copy is put back: "journal", "both", "gone" (without results)
    tampers: str | None = None  # with the results file, before this life: "delete", "edit", "cut"
    deadline_s: float | None = None
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A world."""

    seed: int
    entries: tuple[Entry, ...]
    allow_duplicates: bool
    policy: Policy
    rate: Rate | None
    read_rate: Rate | None
    config: CloudConfig
    faults: Faults
    lives: tuple[Life, ...]
    jitter_s: float  # of the way to the cloud
    cloud_ahead_s: float  # the cloud's clock against true time
    gateways: tuple[Gateway, ...]  # one of them stamps each answer
    dates: float  # share of answers that carry a `Date`
    others: tuple[tuple[float, str, str], ...] = ()  # (true time, job, type) of comparisons made in the console
    cloud_step: tuple[float, float] | None = None  # true time at which the cloud's clock is set, and by how much
    refused_from: float | None = None  # true time from which no credential is taken any more
    sync_s: float = 0.002  # how long a commit takes
    auto: bool = False  # the cloud's limit is to be found; then there is no *rate*
    settings: RunSettings | None = None  # of what goes along and holds entries back; None: nothing does
    look_first: LookFirst = LookFirst.AUTO

    @property
    def clocks_agree(self) -> bool:
        """Whether what `Date` shows and what stamps comparisons are the same, but for a second."""
        sound = all(
            abs(gateway.ahead_s) <= AGREE_S and not gateway.drift and gateway.step is None for gateway in self.gateways
        )
        return sound and self.dates == 1.0 and self.cloud_step is None

    @property
    def has_older(self) -> bool:
        """Whether a job has comparisons from before."""
        return any(rule.existing for rule in self.config.jobs)

    @property
    def can_tell(self) -> bool:
        """Whether every doubt can be settled without a person, with clocks that agree."""
        listed = not (self.faults.list_fails or self.faults.pages or self.config.empty_list_is_error)
        alone = not self.others and all(rule.exists for rule in self.config.jobs)
        alone = alone and not any(life.restores for life in self.lives)  # of what a newer journal knows
        return self.clocks_agree and listed and alone and self.policy.reconcile is not Reconcile.OFF


@dataclass(frozen=True, slots=True)
class WorldManifest:
    """A manifest as `open_wave` reads it."""

    entries: tuple[Entry, ...]
    digest: str
    file: Path = field(default=Path("manifest.jsonl"))

    def read_batches(self, defaults: RunDefaults, *, now: float, allow_duplicates: bool) -> Iterator[list[Entry]]:
        """The entries, all at once."""
        yield [*self.entries]


def draw_spec(seed: int) -> Spec:
    """The world of *seed*."""
    rng = random.Random(seed)
    allow_duplicates = rng.random() < 0.25
    cloud_ahead_s = rng.choice((0.0, 0.0, 3.0, -40.0, 7200.0))
    entries = _entries(rng, allow_duplicates, WALL_AT_START + 1000.0 + cloud_ahead_s)
    lives = _lives(rng)
    jitter_s = rng.choice((0.0, 0.05, 0.5))
    jobs = sorted({entry.request.job_id for entry in entries})
    others: tuple[tuple[float, str, str], ...] = ()
    if rng.random() < 0.2:
        others = tuple(
            (rng.uniform(0, 300), rng.choice(jobs), rng.choice(("lines", "contents", "object_comparison", "account")))
            for _ in range(rng.randint(1, 6))
        )
    spec = Spec(
        seed=seed,
        entries=entries,
        allow_duplicates=allow_duplicates,
        policy=_policy(rng),
        rate=rng.choice((None, Rate(5, 1.0), Rate(10, 1.0), Rate(2, 1.0), Rate(30, 60.0), Rate(3, 10.0))),
        read_rate=rng.choice((None, Rate(5, 1.0), Rate(2, 1.0), Rate(20, 60.0))),
        config=_config(rng, jobs),
        faults=_faults(rng),
        lives=lives,
        jitter_s=jitter_s,
        cloud_ahead_s=cloud_ahead_s,
        gateways=_gateways(rng),
        dates=rng.choice((1.0, 1.0, 1.0, 0.7, 0.0)),
        others=others,
        refused_from=rng.uniform(0, 60) if rng.random() < 0.06 else None,
        sync_s=rng.choice((0.0005, 0.002, 0.05)),
    )
    spec = _with_cloud_step(rng, spec) if rng.random() < 0.06 else spec
    spec = replace(
        spec, faults=replace(spec.faults, pages=random.Random(f"pages {seed}").choice((0.0, 0.0, 0.03, 0.1)))
    )
    if spec.cloud_step is not None:
        return spec
    if seed % 8 != 7:  # the others stay as they are
        return replace(spec, look_first=LookFirst.NEVER)
    return _with_older_journal(rng, spec) if len(spec.lives) > 1 else spec


def _with_older_journal(rng: random.Random, spec: Spec) -> Spec:
    """A copy of the journal is put back before the last life, or one before. Only look-ups can show that, if the
    results went back as well; so they work, and each entry is one of the first few."""
    at = rng.randrange(1, len(spec.lives))
    copied = rng.randrange(at)
    lives = list(spec.lives)
    lives[copied] = replace(lives[copied], copies_at=rng.choice((1, rng.randint(2, 30), rng.randint(2, 100))))
    lives[at] = replace(lives[at], restores=rng.choice(("journal", "both", "both", "gone")), tampers=None)
    sound = tuple(g for g in spec.gateways if abs(g.ahead_s) < 300.0 and not g.drift and g.step is None)
    policy = msgspec.structs.replace(spec.policy, probes=8)
    if policy.reconcile is Reconcile.OFF:
        policy = msgspec.structs.replace(policy, reconcile=Reconcile.WINDOW)
    return replace(
        spec,
        policy=policy,
        lives=tuple(lives),
        dates=1.0,
        gateways=sound or (Gateway(),),
        config=replace(spec.config, empty_list_is_error=False),
        faults=replace(spec.faults, list_fails=0.0, too_late=0.0, clock_step=0.0, pages=0.0),
    )


def _gateways(rng: random.Random) -> tuple[Gateway, ...]:
    """Mostly one whose clock is sound; else one that is off, drifts or is set, or two that differ."""
    if rng.random() < 0.7:
        return (Gateway(ahead_s=rng.choice((0.0, rng.uniform(-SLACK_S, SLACK_S)))),)
    off = (7.0, -7.0, 30.0, -30.0, 1200.0, -1200.0, 86_400.0)
    match rng.randrange(4):
        case 0:
            return (Gateway(ahead_s=rng.choice(off)),)
        case 1:
            return (Gateway(ahead_s=rng.choice((0.0, *off)), drift=rng.choice((-0.05, -0.001, 0.001, 0.05))),)
        case 2:
            return (Gateway(ahead_s=rng.choice((0.0, *off)), step=(rng.uniform(0, 200), rng.choice(off))),)
        case _:
            return (Gateway(), Gateway(ahead_s=rng.choice(off)))


def _with_cloud_step(rng: random.Random, spec: Spec) -> Spec:
    """The cloud's clock is set while a wave runs. Only a process that lives through it can notice."""
    step = (rng.uniform(0, 100), rng.choice((-3600.0, -60.0, 60.0, 3600.0)))
    config = replace(spec.config, limit=None, read_limit=None)  # the model counts by that clock
    return replace(spec, cloud_step=step, config=config, lives=spec.lives[-1:], dates=1.0)


def _entries(rng: random.Random, allow_duplicates: bool, cloud_now: float) -> tuple[Entry, ...]:
    count = rng.choice((1, 2, 2, 3, 4, 5, 8))
    projects = ["p-0"] if rng.random() < 0.8 else ["p-0", "p-1"]
    entries: list[Entry] = []
    for index in range(count):
        job = f"job-{rng.randrange(max(1, count // 2))}" if allow_duplicates else f"job-{index}"
        entries.append(
            Entry.of(
                index=index,
                line=index + 1,
                key=f"key-{index}",
                endpoint=ENDPOINT,
                project_id=rng.choice(projects),
                request=_request(rng, job, index, cloud_now),
                x_language=f"entry-{index}",  # the cloud tells by it whose request it is
            )
        )
    return tuple(entries)


def _request(rng: random.Random, job: str, index: int, cloud_now: float) -> CreateCompareTaskReq:
    shape = rng.choice(("object", "lines", "lines", "contents", "both", "both"))
    info = None
    start = cloud_now + rng.choice((30.0, 200.0, 50_000.0)) if rng.random() < 0.1 else None
    if shape != "object":
        info = CreateDataLevelCompareReq(
            conflict_policy=rng.choice(("cancel", "keep")),
            compare_type="contents" if shape == "contents" else "lines",
            start_time=None if start is None else str(round(start * 1000)),
            compare_object_infos=[CompareObjectInfo(db_name=f"db{index}")],
        )
    return CreateCompareTaskReq(
        job_id=job,
        object_level_compare_type="objects" if shape in ("object", "both") else None,
        data_level_compare_info=info,
    )


def _policy(rng: random.Random) -> Policy:
    return Policy(
        attempts=rng.choice((1, 2, 3, 5)),
        entry_deadline_s=rng.choice((900.0, 900.0, 120.0)),
        wait_ready_s=rng.choice((0.0, 0.0, 120.0)),
        reconcile=rng.choice((Reconcile.WINDOW,) * 6 + (Reconcile.SNAPSHOT,) * 3 + (Reconcile.OFF,)),
        max_failures=MaxFailures(count=rng.choice((None, None, None, 1, 2))),
        concurrency=rng.choice((1, 2, 4, 8)),
        grace_s=rng.choice((1.0, 30.0, 30.0)),
    )


def _config(rng: random.Random, jobs: list[str]) -> CloudConfig:
    rules = []
    for job in jobs:
        if rng.random() < 0.15:
            existing = tuple(
                ExistingComparison(
                    compare_type=rng.choice(("lines", "contents", "object_comparison")),
                    status=rng.choice(("RUNNING", "SUCCESSFUL")),
                    age_s=rng.choice((10.0, 3600.0)),
                )
                for _ in range(rng.randint(1, 13))
            )
            rules.append(JobRule(pattern=job, existing=existing))
        elif rng.random() < 0.08:
            rules.append(
                JobRule(pattern=job, status="FULL_TRANSFER_STARTED", becomes=((50.0, "INCRE_TRANSFER_STARTED"),))
            )
        elif rng.random() < 0.04:
            rules.append(JobRule(pattern=job, exists=False))
    return CloudConfig(
        limit=rng.choice((None, None, Rate(3, 10.0), Rate(10, 1.0))),
        read_limit=rng.choice((None, None, Rate(5, 10.0))),
        count_refused=rng.random() < 0.5,
        tell_retry_after=rng.random() < 0.5,
        jobs=tuple(rules),
        runs_s={"object_comparison": 20.0, "lines": rng.choice((1.0, 300.0, 100_000.0)), "contents": 900.0},
        keep_answer=rng.choice(("code", "existing", "empty", "absent")),
        empty_list_is_error=rng.random() < 0.2,
        listed_at_start=rng.random() < 0.3,
    )


def _faults(rng: random.Random) -> Faults:
    if rng.random() < 0.1:
        return Faults()

    def often(*rates: float) -> float:
        return rng.choice((0.0, *rates))

    return Faults(
        not_sent=often(0.1, 0.4),
        lost=often(0.1, 0.3),
        before=often(0.1, 0.3),
        after=often(0.2, 0.5),
        late=often(0.1, 0.4),
        too_late=0.1 if rng.random() < 0.03 else 0.0,
        partial=often(0.2),
        storm=often(0.05, 0.2),
        expire=often(0.05),
        list_fails=often(0.1, 0.5),
        disk_full=often(0.02, 0.1),
        disk_unreadable=0.05 if rng.random() < 0.1 else 0.0,
        results_full=0.05 if rng.random() < 0.1 else 0.0,
        clock_step=often(0.1),
        slow=often(0.2),
    )


def _lives(rng: random.Random) -> tuple[Life, ...]:
    """Zero to four lives that end in some way, then one that is left in peace."""
    lives: list[Life] = []
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4))):
        how = rng.choice(("dies", "dies", "dies", "signal", "twice"))
        at = rng.choice((rng.randint(1, 12), rng.randint(1, 60), rng.randint(1, 200)))
        lives.append(
            Life(
                dies_at=at if how == "dies" else None,
                power=rng.random() < 0.4,
                signal_at=at if how != "dies" else None,
                second_signal_at=at + rng.randint(1, 8) if how == "twice" else None,
                again_after_s=rng.choice((0.0, 0.5, 10.0, 100.0, 10_000.0)),
                retry_failed=rng.random() < 0.1,
                settles=rng.random() < 0.1,
                tampers=rng.choice(("delete", "edit", "cut")) if rng.random() < 0.08 else None,
            )
        )
    lives.append(Life(retry_failed=rng.random() < 0.1, settles=rng.random() < 0.2))
    return tuple(lives)
