"""Showing a wave that is being followed: a live line on a terminal, a log line now and then elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from rich.text import Text

from batcher.cli.show.gate_result import STYLES
from batcher.cli.show.progress import LOG_EVERY_S, REFRESH_S, beside
from batcher.cli.show.terminal import Screen
from batcher.cli.signals import caught
from batcher.follow.follower import FollowStatus
from batcher.follow.verdict import Verdict
from batcher.logger import get_logger
from batcher.settings import RunSettings


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

    def render(width: int) -> Text | None:
        if (status := snapshot()) is None:
            return None
        line = follow_line(status)
        line.truncate(width, overflow="ellipsis")
        return line

    await draw(screen.console, render)


async def _tell(snapshot: Callable[[], FollowStatus | None]) -> None:
    """A line when something changed, ten seconds after the last at the earliest."""
    told: FollowStatus | None = None
    while True:
        status = snapshot()
        if status is not None and (told is None or status.verdicts != told.verdicts):
            get_logger().info("watch.progress", **_keys(status))
            told = status
            await asyncio.sleep(LOG_EVERY_S)
        else:
            await asyncio.sleep(REFRESH_S)


def _keys(status: FollowStatus) -> dict[str, int]:
    counts = {verdict.value: status.verdicts[verdict] for verdict in Verdict if status.verdicts.get(verdict)}
    return {"decided": status.decided, "entries": status.entries, "running": status.running, **counts}


def follow_line(status: FollowStatus) -> Text:
    """The live line."""
    line = Text(f"{status.decided:,}/{status.entries:,} decided  ")
    for verdict, style in STYLES.items():
        if count := status.verdicts.get(verdict, 0):
            line.append(f"{verdict.value} {count:,}  ", style)
    line.append(f"{status.running:,} running  ")
    line.append(f"{status.looks:,} looks", "dim")
    if status.silent:
        line.append("  the cloud does not answer: looked at again until it does", "yellow")
    return line


@contextmanager
def stopped_by_signals(stop: Callable[[str, str | None], None]) -> Iterator[None]:
    """Have signals end a following while the context lasts; to be entered on its event loop."""
    with caught(lambda number: stop(f"{number.name} received", number.name)):
        yield


def level_of(settings: RunSettings) -> str:
    """The least important log line to show."""
    return "warning" if settings.quiet and settings.log_level in ("debug", "info") else settings.log_level
