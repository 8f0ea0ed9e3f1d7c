"""What else may happen in a world, drawn beside the rest: admission, a pace to be found, deadlines, the operator's
hand, little memory, and a second wave that meets the first in its scope, or on its very jobs.

The draws have a random source of their own, so that a world stays as it was in all else.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec.structs import replace as changed

from batcher.manifest import Entry
from batcher.settings import RunSettings
from batcher.simulator.jobs import JobRule
from tests.worlds.spec import TIMEOUT_S, Life, Order, Spec, draw_spec

_RATES = ("5/s", "2/s", "1/s", "30/min", "off", "auto")
_RUNS_S = {"object_comparison": 20.0, "lines": 60.0, "contents": 5.0}  # else it takes days until there is room


@dataclass(frozen=True, slots=True)
class Second:
    """Another wave, run by another process on another disk, beginning *after_s* after the first."""

    spec: Spec
    after_s: float


def world_of(seed: int) -> Spec:
    """The world of *seed*, with all that happens there."""
    return with_extras(draw_spec(seed))


def with_extras(spec: Spec) -> Spec:
    """*spec*, and what else happens there."""
    rng = random.Random(f"extras of {spec.seed}")
    if rng.random() < 0.5:
        return spec
    if rng.random() < 0.2:
        spec = replace(spec, auto=True, rate=None)
    if rng.random() < 0.3:
        spec = replace(spec, policy=changed(spec.policy, held=rng.randint(1, 3), set_aside=1, held_bytes=1))
    spec = replace(spec, lives=tuple(_life(rng, life, last=life is spec.lives[-1]) for life in spec.lives))
    if rng.random() < 0.3:
        spec = _admitted(rng, spec)
    return spec


def _life(rng: random.Random, life: Life, *, last: bool) -> Life:
    if not last and rng.random() < 0.2:
        life = replace(life, deadline_s=rng.choice((0.05, 1.0, 5.0, 30.0, 200.0)))
    if rng.random() < 0.3:
        life = replace(life, orders=tuple(_orders(rng, last=last)))
    return life


def _orders(rng: random.Random, *, last: bool) -> list[Order]:
    orders, at = [], 0.0
    for _ in range(rng.randint(1, 4)):
        at += rng.choice((0.0, 0.3, 2.0, 20.0)) * rng.random()
        do = rng.choice(("pause", "rate", "rate", "concurrency", "status"))
        value = {"rate": rng.choice(_RATES), "concurrency": str(rng.choice((1, 2, 5)))}.get(do)
        orders.append(Order(at, do, value))
    if not last and rng.random() < 0.2:
        orders.append(Order(at + rng.random(), "stop"))
    orders.append(Order(at + rng.choice((0.1, 5.0, 100.0)), "resume"))
    return orders


def _admitted(rng: random.Random, spec: Spec) -> Spec:
    """Entries wait for their jobs, or until fewer comparisons are running."""
    if any(entry.terms.start_time is not None for entry in spec.entries):
        return spec  # they would be followed for days
    waits = rng.random() < 0.5
    ready_s = 200.0 if waits else 0.0
    most = rng.choice((1, 2, 3)) if not waits or rng.random() < 0.5 else None
    settings = RunSettings(wait_ready=ready_s, max_running=most, poll=2.0, concurrency=spec.policy.concurrency)
    return replace(
        spec,
        settings=settings,
        policy=changed(spec.policy, wait_ready_s=ready_s),
        config=replace(spec.config, runs_s=_RUNS_S, jobs=_ending(spec.config.jobs), keep_answer="code"),
    )


def _ending(jobs: Sequence[JobRule]) -> tuple[JobRule, ...]:
    """Without the comparisons that run for ever: whoever waits for their end waits for ever."""
    return tuple(rule for rule in jobs if not any(one.unfinished for one in rule.existing))


def second_of(spec: Spec) -> Second | None:
    """The wave that meets the one of *spec*, if there is one. It may be on the same jobs, or some of them."""
    rng = random.Random(f"second of {spec.seed}")
    alone = spec.refused_from is not None or spec.cloud_step is not None or spec.others or spec.settings is not None
    if alone or rng.random() > 0.12:
        return None
    share = rng.random()
    shared = {entry.job_id for entry in spec.entries if rng.random() < share}
    entries = tuple(
        Entry.of(
            index=entry.index,
            line=entry.line,
            key=f"second-{entry.index}",
            endpoint=entry.endpoint,
            project_id=entry.project_id,
            request=entry.request
            if entry.job_id in shared
            else entry.request.model_copy(update={"job_id": f"{entry.job_id}-too"}),
            x_language=entry.x_language,
        )
        for entry in spec.entries
    )
    lives = (*rng.sample(spec.lives[:-1], len(spec.lives) - 1), spec.lives[-1])
    return Second(
        replace(spec, seed=spec.seed + 10_000_000, entries=entries, lives=lives), rng.choice((0.0, 0.0, 1.0, TIMEOUT_S))
    )
