"""What a world of several machines is, drawn from its seed."""

import random
from dataclasses import dataclass, replace
from typing import Any

from msgspec.structs import replace as changed

from batcher.journal.postgres.leases import LASTS_S
from batcher.life.policy import LookFirst, MaxFailures, Reconcile
from batcher.machines.held_scope import LEAVE_S
from batcher.manifest import Entry
from batcher.rates import Rate
from batcher.settings import RunSettings
from batcher.settings.policy import policy_of
from tests.worlds.fleet_machine import At, Blow
from tests.worlds.fleet_orders import draw_orders
from tests.worlds.shared_orders import Order
from tests.worlds.spec import ENDPOINT, Spec, draw_spec

MEMBER = 100
"""Entries of one wave are told from those of another by hundreds."""

# A lease that was renewed in time lasts for three quarters of its length at least, and is taken over in four seconds.
_OUTLASTS_LEASE_S = (LASTS_S + 4.0, 0.75 * LASTS_S + LEAVE_S - 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """The world: *base* has the cloud and its faults. *blows* are for each machine in its place, one start after the
    other; after the last of them, and after *calm_after_s*, all go on in peace. *orders* are the operator's, who takes
    all back that forbid anything by then.

    *wakes_late*: a machine is frozen between its look at the lease and the bytes, for not much longer than its lease,
    and what leaves then lands as late as can be.
    """

    base: Spec
    waves: tuple[tuple[Entry, ...], ...]
    settings: RunSettings
    blows: tuple[tuple[dict[At, Blow], ...], ...]
    lanes: int
    fails: float  # of the statements
    grace_s: float
    calm_after_s: float
    again_s: float
    orders: tuple[Order, ...] = ()
    wakes_late: bool = False

    def suffers(self, kind: str) -> bool:
        """Whether blows of that *kind* are in it."""
        return any(blow.kind == kind for place in self.blows for blows in place for blow in blows.values())

    def is_told(self, *names: str) -> bool:
        """Whether an order is in it that gives one of *names* a value."""
        return any(name in names and value is not None for order in self.orders for name, value in order.changes)


def draw_fleet(seed: int) -> FleetSpec:
    """The world of *seed*."""
    spec = _drawn(seed)
    if seed % 16 == 15:
        return _waking_late(seed, spec)
    match seed % 4:
        case 1:
            busy = _busy(seed, spec) if seed % 8 == 1 else spec
            return replace(busy, orders=draw_orders(seed, busy.waves, busy.base.rate, busy.calm_after_s))
        case 2:
            return _suspended(spec)
        case _:
            return spec


def _busy(seed: int, spec: FleetSpec) -> FleetSpec:
    """The same with more waves, and a cloud that answers: orders come while much is sent."""
    rng = random.Random(f"busy {seed}")
    rate = rng.choice((Rate(5, 1.0), Rate(2, 1.0)))
    settings = spec.settings.model_copy(update={"concurrency": rng.choice((4, 8)), "rate": rate})
    one = replace(spec.base, entries=spec.waves[0])
    waves = tuple(_entries(rng, one, number) for number in range(rng.choice((4, 5, 6))))
    base = replace(
        one,
        policy=changed(policy_of(settings), max_failures=MaxFailures()),
        config=replace(spec.base.config, limit=None, read_limit=None),
        faults=replace(spec.base.faults.calm(), after=rng.choice((0.0, 0.1)), partial=rng.choice((0.0, 0.2))),
        entries=tuple(entry for wave in waves for entry in wave),
        others=(),
        rate=rate,
    )
    return replace(spec, base=base, waves=waves, settings=settings, fails=min(spec.fails, 0.1))


def _suspended(spec: FleetSpec) -> FleetSpec:
    """The same, where machines are suspended in place of frozen."""

    def other(blow: Blow) -> Blow:
        return replace(blow, kind="suspend") if blow.kind == "freeze" else blow

    blows = tuple(tuple({at: other(blow) for at, blow in blows.items()} for blows in place) for place in spec.blows)
    return replace(spec, blows=blows)


def _waking_late(seed: int, spec: FleetSpec) -> FleetSpec:
    """The same, where one machine is frozen so, and little else goes wrong: at the worst its request leaves within
    `LEAVE_S` of the take-over."""
    rng = random.Random(f"waking late {seed}")
    freeze: dict[At, Blow] = {("leaves", rng.choice((1, 1, 2, 3))): Blow("freeze", rng.uniform(*_OUTLASTS_LEASE_S))}
    settings = spec.settings.model_copy(update={"landing_time": 30.0, "reconcile": Reconcile.WINDOW})
    base = replace(spec.base, policy=changed(policy_of(settings), max_failures=MaxFailures()), others=())
    return replace(
        spec,
        base=replace(base, faults=replace(base.faults.calm(), lost=base.faults.lost)),
        settings=settings,
        blows=((freeze,), *(() for _ in spec.blows[1:])),
        lanes=4,  # others have room for its scopes
        fails=0.0,
        calm_after_s=200.0,
        wakes_late=True,
    )


def _drawn(seed: int) -> FleetSpec:
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
                x_language=f"entry-{number * MEMBER + entry.index}",
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
