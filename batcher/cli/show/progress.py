"""Progress of a running wave: a live line on a terminal, a log line now and then elsewhere.

Fed by a snapshot function, four times a second at most, so that it costs the wave nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from batcher import logger, zone
from batcher.channel.governor import TURNED_AWAY
from batcher.cli.show.terminal import Screen
from batcher.clock import SystemClock
from batcher.durations import rough_duration
from batcher.wave.status import ScopeStatus, WaveStatus

REFRESH_S = 0.25
LOG_EVERY_S = 10.0
MOMENT_S = 5.0


@asynccontextmanager
async def progress(snapshot: Callable[[], WaveStatus], screen: Screen, *, quiet: bool = False) -> AsyncIterator[None]:
    """Show a wave while the `async with` lasts. On a terminal log lines go above the live line, never into it.

    *snapshot* is called on the event loop and must not block. *quiet* shows nothing at all. Elsewhere than on a
    terminal `wave.progress` is logged every ten seconds while something changes, and at once when a scope
    pauses. That the wave begins to stop is said by `wave.stopping`, or to who sent the signal, and not once more.
    All of it by the clock on the wall, whatever the event loop's says.
    """
    if quiet:
        yield
        return
    async with beside(_draw(snapshot, screen) if screen.is_live else _tell(snapshot)):
        yield


@asynccontextmanager
async def beside(showing: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have *showing* go on while the `async with` lasts, and then be cancelled. Raises what it failed with."""
    task = asyncio.create_task(showing, name="progress")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (failure := task.exception()) is not None:
            raise failure


async def _draw(snapshot: Callable[[], WaveStatus], screen: Screen) -> None:
    from batcher.cli.show.live import draw
    from batcher.cli.show.progress_line import render

    await draw(screen.terminal, lambda width: render(snapshot(), width))


async def _tell(snapshot: Callable[[], WaveStatus]) -> None:
    """The start text has said how the wave begins: the first line is about what has changed since."""
    told, at = snapshot(), SystemClock.monotonic()
    notable = _NOTHING
    while True:
        status = snapshot()
        late = SystemClock.monotonic() - at >= LOG_EVERY_S
        if _notable(status) != notable or (late and _moved(told, status)):
            await logger.ready_for("info")
            logger.get_logger().info("wave.progress", **log_keys(status))
            told, notable, at = status, _notable(status), SystemClock.monotonic()
        await asyncio.sleep(REFRESH_S)


Notable = tuple[tuple[str, ...], frozenset[tuple[str, str, str | None]]]
_NOTHING: Notable = ((), frozenset())


def _notable(status: WaveStatus) -> Notable:
    """What is told at once when it changes."""
    return status.changed, _paused(status)


def _paused(status: WaveStatus) -> frozenset[tuple[str, str, str | None]]:
    """Which scopes are halted, or paused for longer than a moment, and why."""
    return frozenset(
        (scope.endpoint, scope.project_id, scope.reason)
        for scope in status.scopes
        if (scope.paused_until_s is not None or scope.reason is not None) and not _is_moment(scope)
    )


def _is_moment(scope: ScopeStatus) -> bool:
    """Whether it is turned away for so short that it is over before anybody has read of it."""
    return scope.reason == TURNED_AWAY and scope.paused_until_s is not None and scope.paused_until_s < MOMENT_S


def _moved(told: WaveStatus, status: WaveStatus) -> bool:
    return (told.settled, told.attempts, told.in_doubt) != (status.settled, status.attempts, status.in_doubt)


def log_keys(status: WaveStatus) -> dict[str, object]:
    """*status* as the keys of a log line; counts of nothing are left out."""
    keys: dict[str, object] = {"done": status.settled, "entries": status.entries}
    for name in (
        "created", "partial", "failed", "unsettled", "invalid", "not_submitted",
        "in_flight", "in_doubt", "waiting", "retried", "throttled", "recovered",
    ):  # fmt: skip
        if count := getattr(status, name):
            keys[name] = count
    for name in ("held_for_readiness", "held_for_place"):
        if count := sum(getattr(scope, name) for scope in status.scopes):
            keys[name] = count
    keys["rate_per_s"] = round(status.rate_per_s, 2)
    if limit := limit_text(status):
        keys["limit"] = limit
    if status.eta_s is not None:
        keys["eta_s"] = round(status.eta_s)
    if status.stopping:
        keys["stopping"] = status.stopping
    if pause := pause_text(status):
        keys["paused"] = pause
    if status.changed:
        keys["changed"] = status.changed[-1]
    return keys


def waits_text(status: WaveStatus, now: datetime) -> str | None:
    """What the entries that are not settled wait for; None where there are none, or all are on their way."""
    ready = sum(scope.held_for_readiness for scope in status.scopes)
    place = sum(scope.held_for_place for scope in status.scopes)
    again = status.waiting - ready - place - status.in_doubt
    said = [
        f"{ready:,} for their jobs to get ready" if ready else "",
        f"{place:,} for a place among the running" if place else "",
        f"{status.in_doubt:,} in doubt{_until(status, now)}" if status.in_doubt else "",
        f"{again:,} for another attempt" if again > 0 else "",
    ]
    planned = status.open - status.waiting - status.in_flight
    if not any(said) and planned > 0 and (limit := limit_text(status)) and pause_text(status) is None:
        said = [f"the pace, {limit}"]
    told = ", ".join(filter(None, said))
    return f"waiting: {told}" if told else None


def _until(status: WaveStatus, now: datetime) -> str:
    """Until when nobody can tell what became of those in doubt."""
    left_s = max((scope.doubts_end_in_s for scope in status.scopes), default=0.0)
    return f" until {zone.clock_text(now + timedelta(seconds=left_s))}" if left_s >= 1 else ""


def limit_text(status: WaveStatus) -> str | None:
    """The limit in force: that of the scopes, where they all have the same."""
    limits = {scope.rate_text for scope in status.scopes}
    if len(limits) != 1 or "off" in limits:
        return None
    (limit,) = limits
    return f"{limit} each" if len(status.scopes) > 1 else limit


def pause_text(status: WaveStatus) -> str | None:
    """Why less is sent than could be; the scope is named where there are several."""
    said = []
    for scope in status.scopes:
        if scope.paused_until_s is None and scope.reason is None:
            continue
        where = f"{scope.project_id}: " if len(status.scopes) > 1 else ""
        wait = "halted" if scope.paused_until_s is None else "paused"
        if scope.paused_until_s:
            wait += f" for {rough_duration(scope.paused_until_s)}"
        said.append(where + ": ".join(filter(None, [wait, scope.reason])))
    return "; ".join(said) or None
