"""Orders in a database that machines share, in memory: what `batcher/journal/postgres/orders.py` does with rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batcher.journal.postgres.orders import Orders
from batcher.life.result import Status

Named = tuple[str, str]
"""A scope: (endpoint, project_id)."""

_FAILURES = (Status.FAILED, Status.PARTIAL, Status.UNSETTLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the operator says, *after_s* from the beginning on, of the *wave* with that id or of all in the *scope*.

    *after_intents*: once so many requests were intended, right after the last of them. *then* is said *after_s* from
    this one on. *changes* are columns and their new values; `deadline_in_s` is seconds from then on.
    """

    after_s: float = 0.0
    after_intents: int | None = None
    then: "Order | None" = None
    wave: str | None = None
    scope: Named | None = None
    changes: tuple[tuple[str, Any], ...]

    @property
    def is_for_verdicts(self) -> bool:
        """Whether it says that verdicts are wanted."""
        return ("follow", True) in self.changes


@dataclass(slots=True)
class WaveOrders:
    """The orders for a wave; times are the server's."""

    version: int = 0
    stop: str | None = None
    paused: str | None = None
    rate: str | None = None
    deadline_at: float | None = None
    max_failures: int | None = None
    follow: bool = False  # verdicts are wanted

    def change(self, changes: tuple[tuple[str, Any], ...], now: float) -> None:
        """Take in *changes*, at *now*."""
        for name, value in changes:
            if name == "deadline_in_s":
                self.deadline_at = None if value is None else now + value
            else:
                setattr(self, name, value)
        self.version += 1


@dataclass(slots=True)
class ScopeOrders:
    """The orders for all waves in a scope."""

    version: int = 0
    paused: str | None = None
    rate: str | None = None

    def change(self, changes: tuple[tuple[str, Any], ...]) -> None:
        """Take in *changes*."""
        for name, value in changes:
            setattr(self, name, value)
        self.version += 1


def forbidden(wave: WaveOrders, scope: ScopeOrders, counts: Mapping[Status, int], now: float) -> str | None:
    """Why nothing may be intended at *now* for a wave with these *counts* of results; None: it may."""
    if wave.stop is not None:
        return "stopped"
    if wave.deadline_at is not None and wave.deadline_at <= now:
        return "deadline"
    if wave.max_failures is not None and sum(counts.get(one, 0) for one in _FAILURES) >= wave.max_failures:
        return "max_failures"
    if wave.paused is not None:
        return "paused"
    return "scope paused" if scope.paused is not None else None


def as_told(wave: WaveOrders, scope: ScopeOrders, counts: Mapping[Status, int], now: float) -> Orders:
    """The orders as a lane reads them."""
    return Orders(
        version=wave.version + scope.version,
        stop=wave.stop,
        paused=wave.paused,
        rate=wave.rate,
        deadline_in_s=None if wave.deadline_at is None else wave.deadline_at - now,
        max_failures=wave.max_failures,
        scope_paused=scope.paused,
        scope_rate=scope.rate,
        forbids=forbidden(wave, scope, counts, now),
    )
