"""Showing a wave that is being followed: a live line on a terminal, a log line now and then elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from rich.text import Text

from batcher.cli.show.gate_result import STYLES
from batcher.cli.show.progress import LOG_EVERY_S, REFRESH_S, beside
from batcher.cli.show.progress_line import bar
from batcher.cli.show.terminal import Screen
from batcher.cli.signals import caught, received
from batcher.clock import SystemClock
from batcher.durations import rough_duration
from batcher.follow.follower import FollowStatus
from batcher.follow.verdict import Verdict
from batcher.logger import get_logger
from batcher.settings import RunSettings
from batcher.wave.stop import Stopping

# So many have to be decided, and such a share of what is left, before an estimate means something.
_FEW, _SHARE = 5, 0.05


@asynccontextmanager
async def shown(snapshot: Callable[[], FollowStatus | None], screen: Screen, *, quiet: bool) -> AsyncIterator[None]:
    """Show what *snapshot* says while the context lasts; it is called on the event loop."""
    if quiet:
        yield
        return
    async with beside(_draw(snapshot, screen) if screen.is_live else _tell(snapshot)):
        yield


async def _draw(snapshot: Callable[[], FollowStatus | None], screen: Screen) -> None:
    from batcher.cli.show.live import draw

    forecast = Forecast()

    def render(width: int) -> Text | None:
        if (status := snapshot()) is None:
            return None
        return follow_lines(status, forecast.left_s(status, SystemClock.monotonic()), width)

    await draw(screen.terminal, render)


async def _tell(snapshot: Callable[[], FollowStatus | None]) -> None:
    """A line when something changed, ten seconds after the last at the earliest."""
    told: FollowStatus | None = None
    forecast = Forecast()
    while True:
        status = snapshot()
        left_s = None if status is None else forecast.left_s(status, SystemClock.monotonic())
        if status is not None and (told is None or status.verdicts != told.verdicts):
            get_logger().info("watch.progress", **_keys(status), **({} if left_s is None else {"eta_s": round(left_s)}))
            told = status
            await asyncio.sleep(LOG_EVERY_S)
        else:
            await asyncio.sleep(REFRESH_S)


def _keys(status: FollowStatus) -> dict[str, int]:
    counts = {verdict.value: status.verdicts[verdict] for verdict in Verdict if status.verdicts.get(verdict)}
    return {"decided": status.decided, "entries": status.entries, "running": status.running, **counts}


class Forecast:
    """How long a following takes still, if the rest fares like what was decided since it is looked at."""

    def __init__(self) -> None:
        self._began: tuple[float, int] | None = None

    def left_s(self, status: FollowStatus, now: float) -> float | None:
        """Seconds; None where too little was decided yet, or the cloud does not answer. *now* is monotonic."""
        if self._began is None:
            self._began = now, status.decided
        at, before = self._began
        decided, left = status.decided - before, status.entries - status.decided
        if status.silent or not left or decided < max(_FEW, left * _SHARE):
            return None
        return left * (now - at) / decided


def follow_lines(status: FollowStatus, left_s: float | None, width: int) -> Text:
    """The live display: the bar with what is left, the counts, and what is waited for."""
    left = "" if left_s is None else f"  about {rough_duration(left_s)} left"
    right = f"  {status.decided:,}/{status.entries:,} decided{left}"
    counts = Text()
    for verdict, style in STYLES.items():
        if count := status.verdicts.get(verdict, 0):
            counts.append(f"{verdict.value} {count:,}  ", style)
    counts.append(f"{status.running:,} running  ")
    counts.append(f"{status.looks:,} looks", "dim")
    lines = [bar(status.decided, status.entries, right, width, "green"), counts]
    if status.silent:
        lines.append(Text("the cloud does not answer: looked at again until it does", "yellow"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


@contextmanager
def stopped_by_signals(stopping: Stopping) -> Iterator[None]:
    """Have signals end a following, by *stopping*, while the context lasts; to be entered on its event loop."""
    with caught(lambda number: stopping.stop(received(number))):
        yield


def level_of(settings: RunSettings) -> str:
    """The least important log line to show."""
    return "warning" if settings.quiet and settings.log_level in ("debug", "info") else settings.log_level
