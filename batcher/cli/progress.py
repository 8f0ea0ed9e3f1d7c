"""Progress of a running wave: a live line on a terminal, a log line now and then elsewhere.

Fed by a snapshot function, four times a second at most, so that it costs the wave nothing.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from batcher import logs
from batcher.cli.terminal import say
from batcher.durations import rough_duration
from batcher.logger import get_logger
from batcher.text import printable
from batcher.wave.governor import TURNED_AWAY
from batcher.wave.status import ScopeStatus, WaveStatus

REFRESH_S = 0.25
LOG_EVERY_S = 10.0
MOMENT_S = 5.0


class Log(Protocol):
    """What progress needs of a logger."""

    def info(self, event: str, **keys: object) -> object:
        """Log *event*."""
        ...


class Progress:
    """Shows a wave while the `async with` lasts. On a terminal log lines go above the live line, never into it.

    *snapshot* is called on the event loop and must not block. *quiet* shows nothing at all. Elsewhere than on a
    terminal `wave.progress` is logged every ten seconds while something changes, and at once when a scope
    pauses or the wave begins to stop. All of it by the clock on the wall, whatever the event loop's says.
    """

    def __init__(
        self,
        snapshot: Callable[[], WaveStatus],
        console: Console,
        *,
        quiet: bool = False,
        log: Log | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._console = console
        self._quiet = quiet
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._live: Live | None = None
        self._exits = ExitStack()

    async def __aenter__(self) -> "Progress":
        if self._quiet:
            return self
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._exits.enter_context(self._live)
            self._exits.enter_context(logs.through(self._above))
            self._task = asyncio.create_task(self._draw(self._live), name="progress")
        else:
            self._task = asyncio.create_task(self._tell(self._log or get_logger()), name="progress")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait({self._task})
                if not self._task.cancelled() and (failure := self._task.exception()) is not None:
                    raise failure
        finally:
            self._exits.close()

    def _above(self, line: str) -> None:
        """Print a finished log line above the live line; its own colours are kept."""
        say(self._console, Text.from_ansi(line))

    async def _draw(self, live: Live) -> None:
        drawn = -REFRESH_S
        while True:
            if time.monotonic() - drawn >= REFRESH_S * 0.8:  # a loop that leaps comes by far more often
                live.update(render(self._snapshot(), self._console.width), refresh=True)
                drawn = time.monotonic()
            await asyncio.sleep(REFRESH_S)

    async def _tell(self, log: Log) -> None:
        told: WaveStatus | None = None
        at = time.monotonic()
        while True:
            status = self._snapshot()
            late = time.monotonic() - at >= LOG_EVERY_S
            if told is None or _notable(told, status) or (late and _moved(told, status)):
                log.info("wave.progress", **log_keys(status))
                told, at = status, time.monotonic()
            await asyncio.sleep(REFRESH_S)


def _notable(told: WaveStatus, status: WaveStatus) -> bool:
    before, after = ((one.stopping, one.changed, _paused(one)) for one in (told, status))
    return before != after


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
    keys["rate_per_s"] = round(status.rate_per_s, 2)
    if limit := _limit(status):
        keys["limit"] = limit
    if status.eta_s is not None:
        keys["eta_s"] = round(status.eta_s)
    if status.stopping:
        keys["stopping"] = status.stopping
    if pause := _pause(status):
        keys["paused"] = pause
    if status.changed:
        keys["changed"] = status.changed[-1]
    return keys


def _limit(status: WaveStatus) -> str | None:
    """The limit in force: that of the scopes, where they all have the same."""
    limits = {scope.rate_text for scope in status.scopes}
    if len(limits) != 1 or "off" in limits:
        return None
    (limit,) = limits
    return f"{limit} each" if len(status.scopes) > 1 else limit


def _pause(status: WaveStatus) -> str | None:
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


def render(status: WaveStatus, width: int) -> Text:
    """The live display: the bar with pace and end, the counts, and, where there is one, the reason for waiting."""
    lines = [_bar(status, width), _counts(status, width)]
    if status.stopping:
        lines.append(Text(f"stopping: {printable(status.stopping)}", "yellow"))
    elif pause := _pause(status):
        lines.append(Text(printable(pause), "yellow"))
    if status.changed:
        lines.append(Text(f"changed: {status.changed[-1]}", "cyan"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def _bar(status: WaveStatus, width: int) -> Text:
    done = status.settled / status.entries if status.entries else 1.0
    right = f"  {status.settled:,}/{status.entries:,}  {status.rate_per_s:.1f}/s"
    if limit := _limit(status):
        right += f" of {limit}"
    right += f"  {_end(status)}"
    room = min(max(width - len(right), 10), 60)
    full = int(done * room)
    line = Text("━" * full, "green" if not status.stopping else "yellow")
    line.append("─" * (room - full), "bright_black")
    line.append(right, "default")
    return line


def _end(status: WaveStatus) -> str:
    if status.settled >= status.entries:
        return f"done in {rough_duration(status.elapsed_s)}"
    if status.eta_s is None:
        return f"{rough_duration(status.elapsed_s)} so far"
    return f"{rough_duration(status.eta_s)} left"


_COUNTS = (
    ("created", "green"),
    ("partial", "yellow"),
    ("failed", "red"),
    ("unsettled", "bold magenta"),
    ("invalid", "red"),
    ("not_submitted", "yellow"),
    ("in_flight", "default"),
    ("in_doubt", "magenta"),
    ("waiting", "default"),
    ("retried", "dim"),
    ("throttled", "yellow"),
    ("recovered", "cyan"),
)


def _counts(status: WaveStatus, width: int) -> Text:
    """As many counts as fit, whole, the most telling first; counts of nothing are left out, but for `created`."""
    line = Text()
    for name, style in _COUNTS:
        count = getattr(status, name)
        part = Text(f"{name.replace('_', ' ')} {count:,}", style)
        if (count or name == "created") and len(line) + 2 + len(part) <= width:
            line.append("  " if len(line) else "")
            line.append_text(part)
    return line
