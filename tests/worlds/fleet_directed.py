"""Worlds of several machines that are drawn so that what matters happens often: each is for a few of the promises."""

import random
from collections.abc import Iterator
from dataclasses import replace

from msgspec.structs import replace as changed

from batcher.journal.postgres.leases import LASTS_S
from batcher.life.policy import MaxFailures, Reconcile
from batcher.machines.held_scope import LEAVE_S
from batcher.manifest import Entry
from batcher.rates import Rate
from batcher.settings.policy import policy_of
from batcher.simulator.jobs import JobRule
from tests.worlds.fleet_machine import At, Blow
from tests.worlds.fleet_parts import FleetSpec, entries_of, said
from tests.worlds.shared_orders import Order

# A lease that was renewed in time lasts for three quarters of its length at least, and is taken over in four seconds.
_OUTLASTS_LEASE_S = (LASTS_S + 4.0, 0.75 * LASTS_S + LEAVE_S - 1.0)


def waking_late(seed: int, spec: FleetSpec) -> FleetSpec:
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


def handing_on(seed: int, spec: FleetSpec) -> FleetSpec:
    """The same, where a limit over a long time is used up, and scopes go from hand to hand meanwhile: machines are told
    to hand on right when they have sent, and others have room for what they leave."""
    rng = random.Random(f"handing on {seed}")
    rate = rng.choice((Rate(3, 10.0), Rate(2, 10.0)))
    settings = spec.settings.model_copy(update={"rate": rate, "read_rate": rate, "concurrency": 4})
    one = replace(spec.base, entries=spec.waves[0])
    waves = tuple(entries_of(rng, one, number) for number in range(rng.choice((3, 4))))
    base = replace(
        one,
        policy=changed(policy_of(settings), max_failures=MaxFailures()),
        config=replace(spec.base.config, limit=None, read_limit=None),
        faults=replace(spec.base.faults.calm(), after=rng.choice((0.0, 0.3))),
        entries=tuple(entry for wave in waves for entry in wave),
        others=(),
        rate=rate,
        read_rate=rate,
    )

    def blow() -> dict[At, Blow]:
        kind = rng.choice(("hand on", "hand on", "kill"))
        return {(rng.choice(("answer", "connect", "outcome durable")), rng.randint(1, 4)): Blow(kind)}

    return replace(
        spec,
        base=base,
        waves=waves,
        settings=settings,
        blows=tuple(tuple(blow() for _ in range(3)) for _ in range(2)),
        lanes=4,
        fails=rng.choice((0.0, 0.02)),
        calm_after_s=200.0,
        again_s=0.5,
        hands_on=True,
    )


def losing(seed: int, spec: FleetSpec) -> FleetSpec:
    """The same, where machines lose their scopes right when a request leaves, or its answer comes, and several waves
    have the same jobs. In some nothing is looked up, so that what came late is all that can be known."""
    rng = random.Random(f"losing {seed}")
    rate = rng.choice((Rate(5, 1.0), None))
    reconcile = rng.choice((Reconcile.OFF, Reconcile.WINDOW, Reconcile.WINDOW))
    settings = spec.settings.model_copy(
        update={"rate": said(rate), "reconcile": reconcile, "concurrency": 4, "landing_time": 30.0}
    )
    waves = tuple(entries_of(rng, replace(spec.base, entries=spec.waves[0]), number, 1.0) for number in range(3))
    base = replace(
        spec.base,
        policy=changed(policy_of(settings), max_failures=MaxFailures()),
        config=replace(spec.base.config, limit=None, read_limit=None),
        faults=replace(spec.base.faults.calm(), after=0.2, late=rng.choice((0.0, 0.2))),
        entries=tuple(entry for wave in waves for entry in wave),
        others=(),
        rate=rate,
    )

    def blows() -> dict[At, Blow]:
        at = rng.choice(("connect", "answer", "answer", "intent durable")), rng.randint(1, 6)
        return {at: rng.choice((Blow("freeze", LASTS_S + 5.0), Blow("freeze", LASTS_S + 5.0), Blow("kill")))}

    return replace(
        spec,
        base=base,
        waves=waves,
        settings=settings,
        blows=tuple(tuple(blows() for _ in range(3)) for _ in range(2)),
        lanes=4,
        fails=rng.choice((0.0, 0.02)),
        calm_after_s=300.0,
        again_s=0.5,
        loses=True,
    )


def suspended_shortly(seed: int, spec: FleetSpec) -> FleetSpec:
    """The same, where machines are suspended for less than a lease lasts, and for longer than the cloud's clock is off,
    while much is in doubt of which little can be told."""
    rng = random.Random(f"suspended shortly {seed}")
    settings = spec.settings.model_copy(
        update={"rate": Rate(2, 1.0), "reconcile": Reconcile.WINDOW, "landing_time": 30.0, "concurrency": 2}
    )
    one = replace(spec.base, entries=spec.waves[0])
    waves = tuple(entries_of(rng, one, number, 0.0) for number in range(4))
    base = replace(
        one,
        policy=changed(policy_of(settings), max_failures=MaxFailures()),
        config=replace(spec.base.config, limit=None, read_limit=None),
        faults=replace(spec.base.faults.calm(), after=0.5, list_fails=0.6),
        entries=tuple(entry for wave in waves for entry in wave),
        others=(),
        rate=Rate(2, 1.0),
        dates=0.0,  # they would show that the clock stood still
        jitter_s=0.5,
    )

    def blows() -> dict[At, Blow]:
        at = [(rng.choice(("answer", "connect")), rng.randint(1, 4)) for _ in range(3)]
        return {one: Blow("suspend", rng.uniform(8.0, 0.7 * LASTS_S)) for one in at}

    return replace(
        spec,
        base=base,
        waves=waves,
        settings=settings,
        blows=tuple(tuple(blows() for _ in range(3)) for _ in range(2)),
        fails=0.0,
        calm_after_s=300.0,
        dozes=True,
    )


def slowed_down(seed: int, busy: FleetSpec) -> FleetSpec:
    """The same as *busy*, where an operator slows all down while most is still to be sent."""
    rng = random.Random(f"slowed down {seed}")
    rate = Rate(5, 1.0)
    settings = busy.settings.model_copy(update={"rate": rate, "concurrency": 8})
    slow = (("rate", str(Rate(1, 10.0))),)
    after, back = rng.randint(1, 4), Order(after_s=30.0, changes=(("rate", None),))

    def orders() -> Iterator[Order]:
        for wave in range(len(busy.waves)):
            yield Order(wave=f"wave-{wave}", after_intents=after, changes=slow, then=replace(back, wave=f"wave-{wave}"))

    return replace(
        busy,
        base=replace(busy.base, rate=rate, policy=changed(policy_of(settings), max_failures=MaxFailures())),
        settings=settings,
        orders=tuple(orders()),
    )


def following(seed: int, spec: FleetSpec) -> FleetSpec:
    """The same, where verdicts are wanted of all waves, or of some, from the beginning or later. Comparisons end soon,
    lest the world takes too long."""
    rng = random.Random(f"following {seed}")
    read_rate = rng.choice((Rate(2, 1.0), Rate(5, 1.0), Rate(3, 10.0), Rate(20, 60.0), None))
    settings = spec.settings.model_copy(update={"poll": rng.choice((1.0, 5.0)), "read_rate": said(read_rate)})
    waves = tuple(tuple(map(_at_once, wave)) for wave in spec.waves)
    runs_s = {"object_comparison": 20.0, "lines": rng.choice((1.0, 60.0)), "contents": rng.choice((30.0, 200.0))}
    base = replace(
        spec.base,
        policy=changed(policy_of(settings), max_failures=MaxFailures()),
        config=replace(spec.base.config, runs_s=runs_s, jobs=tuple(map(_ended, spec.base.config.jobs))),
        entries=tuple(entry for wave in waves for entry in wave),
        read_rate=read_rate,
    )
    wanted = [number for number in range(len(waves)) if rng.random() < 0.8] or [0]

    def want(number: int) -> Order:
        order = Order(wave=f"wave-{number}", changes=(("follow", True),))
        if rng.random() < 0.3:
            return replace(order, after_intents=rng.randint(1, 4))
        return replace(order, after_s=rng.choice((0.0, 0.0, rng.uniform(0, 5), rng.uniform(0, 90))))

    orders = (*spec.orders, *(want(number) for number in wanted))
    blows = tuple(tuple(blow | _while_looking(rng) for blow in place) for place in spec.blows)
    return replace(spec, base=base, waves=waves, settings=settings, blows=blows, orders=orders)


def _ended(rule: JobRule) -> JobRule:
    """*rule* without older comparisons that run for ever: `keep` may be answered with their ids."""
    return replace(rule, existing=tuple(one for one in rule.existing if one.status != "RUNNING"))


def _at_once(entry: Entry) -> Entry:
    """*entry* without a start time."""
    info = entry.request.data_level_compare_info
    if info is None or info.start_time is None:
        return entry
    request = entry.request.model_copy(update={"data_level_compare_info": info.model_copy(update={"start_time": None})})
    return Entry.of(
        index=entry.index,
        line=entry.line,
        key=entry.own_key or "",
        endpoint=entry.endpoint,
        project_id=entry.project_id,
        request=request,
        x_language=entry.x_language,
    )


def _while_looking(rng: random.Random) -> dict[At, Blow]:
    """Blows right where a look-up leaves, or a verdict."""
    blows: dict[At, Blow] = {}
    for _ in range(rng.choice((0, 1, 2))):
        lasts_s = rng.choice((2.0, LASTS_S + 5.0, 3 * LASTS_S))
        kind = rng.choice(("freeze", "freeze", "cut", "hand on", "kill"))
        blows["connect to look", rng.randint(1, 40)] = Blow(kind, lasts_s if kind in ("freeze", "cut") else 0.0)
    if rng.random() < 0.8:
        blows["hands verdicts over", rng.randint(1, 2)] = Blow("freeze", LASTS_S + 5.0)
    return blows
