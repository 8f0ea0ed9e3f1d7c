"""What an operator does to the waves of a world of several machines, drawn from its seed."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
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
        order = _order(rng, _target(rng, names, scopes), slow)
        if rng.random() < 0.7:
            orders.append(replace(order, after_intents=rng.choice((1, 2, rng.randint(1, 5), rng.randint(1, 20)))))
        else:
            orders.append(replace(order, after_s=rng.choice((0.0, rng.uniform(0, 3), rng.uniform(0, 50)))))
    orders += _peace(names, scopes, calm_after_s)
    return tuple(orders)


def _target(rng: random.Random, names: list[str], scopes: list[Named]) -> dict[str, Any]:
    return {"scope": rng.choice(scopes)} if rng.random() < 0.5 else {"wave": rng.choice(names)}


def _order(rng: random.Random, target: dict[str, Any], slow: Sequence[Rate]) -> Order:
    """An order, and mostly one that takes it back."""
    of_waves = ("paused", "rate", "rate", "stop", "deadline_in_s", "max_failures")
    name = rng.choice(("paused", "rate", "rate") if "scope" in target else of_waves)
    value: Any = "by the operator"
    match name:
        case "rate":
            value = str(rng.choice(slow))
        case "deadline_in_s":
            value = rng.choice((0.0, 0.5, 5.0, 30.0))
        case "max_failures":
            value = rng.choice((1, 1, 2))
    back = Order(after_s=rng.choice((2.0, 15.0, 40.0)), **target, changes=((name, None),))
    return Order(**target, changes=((name, value),), then=back if rng.random() < 0.8 else None)


def _peace(names: Iterable[str], scopes: Iterable[Named], at: float) -> Iterator[Order]:
    forbid = ("stop", "paused", "deadline_in_s", "max_failures")
    for wave in names:
        yield Order(after_s=at, wave=wave, changes=tuple((name, None) for name in forbid))
    for scope in scopes:
        yield Order(after_s=at, scope=scope, changes=(("paused", None),))
