"""What an operator does to the waves of a world of several machines, drawn from its seed."""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from batcher.manifest import Entry
from batcher.rates import Rate
from tests.worlds.shared_orders import Named, Order

_RATES = (Rate(1, 2.0), Rate(1, 10.0), Rate(2, 10.0))


def draw_orders(
    seed: int, waves: tuple[tuple[Entry, ...], ...], rate: Rate | None, calm_after_s: float
) -> tuple[Order, ...]:
    """The orders in the world of *seed*, no pace among them that is faster than *rate*, which all begin with.

    At *calm_after_s* all are taken back that forbid anything.
    """
    rng = random.Random(f"orders {seed}")
    names = [f"wave-{number}" for number in range(len(waves))]
    scopes = sorted({entry.terms.scope for wave in waves for entry in wave})
    slow = [one for one in _RATES if rate is None or one.per_s <= rate.per_s]
    orders: list[Order] = []
    for _ in range(rng.choice((1, 2, 3, 5))):
        at = rng.choice((0.0, rng.uniform(0, 3), rng.uniform(0, 20), rng.uniform(0, 60)))
        target = _target(rng, names, scopes)
        orders += _pair(rng, at, target, slow)
    orders += _peace(names, scopes, calm_after_s)
    return tuple(sorted(orders, key=lambda order: order.after_s))


def _target(rng: random.Random, names: list[str], scopes: list[Named]) -> dict[str, Any]:
    return {"scope": rng.choice(scopes)} if rng.random() < 0.3 else {"wave": rng.choice(names)}


def _pair(rng: random.Random, at: float, target: dict[str, Any], slow: Sequence[Rate]) -> Iterator[Order]:
    """An order, and mostly one that takes it back."""
    until = at + rng.choice((2.0, 15.0, 40.0))
    kinds = (
        ["paused", "paused", "rate"] if "scope" in target else ["paused", "rate", "rate", "stop", "deadline", "most"]
    )
    match rng.choice(kinds):
        case "paused":
            yield Order(after_s=at, **target, changes=(("paused", "by the operator"),))
            yield Order(after_s=until, **target, changes=(("paused", None),))
        case "stop":
            yield Order(after_s=at, **target, changes=(("stop", "by the operator"),))
            yield Order(after_s=until, **target, changes=(("stop", None),))
        case "rate":
            yield Order(after_s=at, **target, changes=(("rate", str(rng.choice(slow))),))
            if rng.random() < 0.7:
                yield Order(after_s=until, **target, changes=(("rate", None),))
        case "deadline":
            yield Order(after_s=at, **target, changes=(("deadline_in_s", rng.choice((0.0, 5.0, 30.0))),))
        case _:
            yield Order(after_s=at, **target, changes=(("max_failures", rng.choice((1, 1, 2))),))


def _peace(names: Iterable[str], scopes: Iterable[Named], at: float) -> Iterator[Order]:
    forbid = ("stop", "paused", "deadline_in_s", "max_failures")
    for wave in names:
        yield Order(after_s=at, wave=wave, changes=tuple((name, None) for name in forbid))
    for scope in scopes:
        yield Order(after_s=at, scope=scope, changes=(("paused", None),))
