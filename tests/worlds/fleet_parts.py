"""What a world of several machines is, as a value that prints."""

import random
from dataclasses import dataclass
from typing import Any

from batcher.manifest import Entry
from batcher.rates import Rate
from batcher.settings import RunSettings
from tests.worlds.fleet_machine import At, Blow
from tests.worlds.shared_orders import Order
from tests.worlds.spec import Spec

MEMBER = 100
"""Entries of one wave are told from those of another by hundreds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """The world: *base* has the cloud and its faults. *blows* are for each machine in its place, one start after the
    other; after the last of them, and after *calm_after_s*, all go on in peace. *orders* are the operator's, who takes
    all back that forbid anything by then.

    *is_busy*: much is sent while orders come.
    *hands_on*: scopes go from hand to hand while a limit over a long time is used up. *loses*: machines lose scopes
    right when something leaves or comes. *dozes*: they are suspended for less than a lease.
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
    hands_on: bool = False
    is_busy: bool = False
    loses: bool = False
    dozes: bool = False

    @property
    def wants_verdicts(self) -> bool:
        """Whether verdicts are wanted of a wave in it."""
        return any(order.is_for_verdicts for order in self.orders)

    def suffers(self, kind: str) -> bool:
        """Whether blows of that *kind* are in it."""
        return any(blow.kind == kind for place in self.blows for blows in place for blow in blows.values())

    def is_told(self, *names: str) -> bool:
        """Whether an order is in it that gives one of *names* a value."""
        return any(name in names and value is not None for order in self.orders for name, value in order.changes)


def said(rate: Rate | None) -> Any:
    """*rate* as settings have it."""
    return "off" if rate is None else rate


def entries_of(rng: random.Random, base: Spec, number: int, share: float | None = None) -> tuple[Entry, ...]:
    """Those of a wave, so many of them on the jobs of the first."""
    share = rng.choice((1.0, 0.3, 0.0)) if share is None else share
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
