"""What a world of several machines is, drawn from its seed."""

import random
from dataclasses import replace

from msgspec.structs import replace as changed

from batcher.journal.postgres.leases import LASTS_S
from batcher.life.policy import LookFirst, MaxFailures
from batcher.rates import Rate
from batcher.settings import RunSettings
from batcher.settings.policy import policy_of
from tests.worlds.fleet_directed import following, handing_on, losing, slowed_down, suspended_shortly, waking_late
from tests.worlds.fleet_machine import At, Blow
from tests.worlds.fleet_orders import draw_orders
from tests.worlds.fleet_parts import FleetSpec, entries_of, said
from tests.worlds.spec import ENDPOINT, Spec, draw_spec


def draw_fleet(seed: int) -> FleetSpec:
    """The world of *seed*."""
    spec = _drawn(seed)
    match seed % 16:
        case 15:
            return waking_late(seed, spec)
        case 7:
            return handing_on(seed, spec)
        case 3 | 11:
            return following(seed, spec)
        case 10:
            return _suspended(following(seed, spec))
        case 12:
            return losing(seed, spec)
        case 6:
            return suspended_shortly(seed, spec)
        case 9:
            return slowed_down(seed, _busy(seed, spec))
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
    waves = tuple(entries_of(rng, one, number) for number in range(rng.choice((4, 5, 6))))
    base = replace(
        one,
        policy=changed(policy_of(settings), max_failures=MaxFailures()),
        config=replace(spec.base.config, limit=None, read_limit=None),
        faults=replace(spec.base.faults.calm(), after=rng.choice((0.0, 0.1)), partial=rng.choice((0.0, 0.2))),
        entries=tuple(entry for wave in waves for entry in wave),
        others=(),
        rate=rate,
    )
    return replace(spec, base=base, waves=waves, settings=settings, fails=min(spec.fails, 0.1), is_busy=True)


def _suspended(spec: FleetSpec) -> FleetSpec:
    """The same, where machines are suspended in place of frozen."""

    def other(blow: Blow) -> Blow:
        return replace(blow, kind="suspend") if blow.kind == "freeze" else blow

    blows = tuple(tuple({at: other(blow) for at, blow in blows.items()} for blows in place) for place in spec.blows)
    return replace(spec, blows=blows)


def _drawn(seed: int) -> FleetSpec:
    rng, base = random.Random(f"fleet {seed}"), draw_spec(seed)
    settings = RunSettings(
        endpoint=ENDPOINT,
        project_id="p-0",
        rate=said(rng.choice((Rate(5, 1.0), Rate(2, 1.0), Rate(3, 10.0), None))),
        read_rate=said(base.read_rate),
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
    waves = tuple(entries_of(rng, base, number) for number in range(rng.choice((1, 1, 2, 3))))
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
