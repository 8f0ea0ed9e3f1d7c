"""Many worlds, one after the other: those in which a promise was broken, and what happened in all of them."""

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from structlog.testing import capture_logs

from tests.virtual import Stalled
from tests.worlds import fleet, together
from tests.worlds.fleet_judge import judge_fleet
from tests.worlds.judge import judge, late, statuses
from tests.worlds.violation import Violation
from tests.worlds.world import play

# Where clocks agree, look-ups work and nobody else makes comparisons:
DOUBTS = "doubts that can be told"
LEFT = "of these left to a person"


@dataclass(slots=True)
class Tally:
    """What many worlds came to; adds up."""

    worlds: int = 0
    seconds: float = 0.0
    broken: dict[int, list[Violation]] = field(default_factory=dict)
    crowds: dict[int, list[Violation]] = field(default_factory=dict)  # broken in worlds of several waves in a process
    fleets: dict[int, list[Violation]] = field(default_factory=dict)  # likewise, of several machines
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Take in the worlds of *other*."""
        self.worlds += other.worlds
        self.seconds += other.seconds
        self.broken |= other.broken
        self.crowds |= other.crowds
        self.fleets |= other.fleets
        self.seen += other.seen


def play_many(seeds: Iterable[int], *, folder: Path | None = None, stop_at_first: bool = False) -> Tally:
    """Play and judge the worlds of *seeds*. An exception is a broken promise as well."""
    tally = Tally()
    began = time.perf_counter()
    with quiet():
        for seed in seeds:
            violations, seen = play_one(seed, folder=folder)
            tally.worlds += 1
            tally.seen += seen
            if violations:
                tally.broken[seed] = violations
                if stop_at_first:
                    break
    tally.seconds = time.perf_counter() - began
    return tally


def play_crowds(seeds: Iterable[int], *, folder: Path | None = None) -> Tally:
    """The same for worlds in which several waves share a process."""
    tally = Tally()
    began = time.perf_counter()
    with quiet():
        for seed in seeds:
            tally.worlds += 1
            try:
                told = together.play(seed, folder=folder)
            except (Exception, ExceptionGroup, Stalled) as error:  # noqa: BLE001 - whatever it is, the world found it
                tally.crowds[seed] = [Violation("crash", f"{type(error).__name__}: {error}")]
                continue
            for history in told.histories:
                tally.seen["created by crowds"] += statuses(history)["created"]
                tally.seen["doubts in crowds"] += len(history.doubted)
            if violations := together.judge_together(told):
                tally.crowds[seed] = violations
    tally.seconds = time.perf_counter() - began
    return tally


def play_fleets(seeds: Iterable[int]) -> Tally:
    """The same for worlds in which several machines share a journal."""
    tally = Tally()
    began = time.perf_counter()
    with quiet():
        for seed in seeds:
            tally.worlds += 1
            try:
                told = fleet.play_fleet(seed)
            except (Exception, ExceptionGroup, Stalled) as error:  # noqa: BLE001 - whatever it is, the world found it
                tally.fleets[seed] = [Violation("crash", f"{type(error).__name__}: {error}")]
                continue
            tally.seen += told.seen()
            if violations := judge_fleet(told):
                tally.fleets[seed] = violations
    tally.seconds = time.perf_counter() - began
    return tally


def play_one(seed: int, *, folder: Path | None = None) -> tuple[list[Violation], Counter[str]]:
    """The violations in the world of *seed*, and counts of what was seen there."""
    try:
        history = play(seed, folder=folder)
    except (Exception, Stalled) as error:  # noqa: BLE001 - whatever it is, the world has found it
        return [Violation("crash", f"{type(error).__name__}: {error}")], Counter()
    seen = statuses(history)
    seen["requests"] = len(history.cloud.sent)
    seen["look-ups"] = len(history.cloud.reads)
    for extra, is_there in (
        ("with admission", history.spec.settings is not None),
        ("with a pace to be found", history.spec.auto),
        ("with a deadline", any(lived.life.deadline_s is not None for lived in history.lives)),
        ("with orders", any(lived.orders for lived in history.lives)),
        ("with a second wave", history.second is not None),
    ):
        seen[f"worlds {extra}"] = int(is_there)
    seen["lives"] = len(history.lives)
    seen["deaths"] = sum(lived.end is None for lived in history.lives)
    seen["entries with a request that landed too late"] = len(late(history))
    if history.spec.can_tell and history.second is None:
        seen[DOUBTS] = len(history.doubted)
        seen[LEFT] = sum(history.doubted.values())
    return judge(history), seen


def quiet() -> AbstractContextManager[object]:
    """The engine's log goes nowhere."""
    return capture_logs(processors=[_drop])


def _drop(*_: object) -> dict[str, object]:
    raise structlog.DropEvent
