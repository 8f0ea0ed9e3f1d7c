"""Showing a wave that is being followed: a live line on a terminal, a log line now and then elsewhere."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from rich.console import Console
from rich.live import Live
from rich.text import Text

from batcher import logs
from batcher.cli.progress import LOG_EVERY_S, REFRESH_S
from batcher.cli.ruling import STYLES
from batcher.cli.terminal import say
from batcher.follow.follower import FollowStatus
from batcher.follow.verdict import Verdict
from batcher.logger import get_logger
from batcher.settings import RunSettings


@asynccontextmanager
async def shown(snapshot: Callable[[], FollowStatus | None], console: Console, *, quiet: bool) -> AsyncIterator[None]:
    """Show what *snapshot* says while the context lasts; it is called on the event loop."""
    if quiet:
        yield
        return
    live = console.is_terminal and not console.is_dumb_terminal
    task = asyncio.create_task(_draw(snapshot, console) if live else _tell(snapshot), name="following")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _draw(snapshot: Callable[[], FollowStatus | None], console: Console) -> None:
    with (
        Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False) as live,
        logs.through(lambda line: say(console, Text.from_ansi(line))),
    ):
        while True:
            if (status := snapshot()) is not None:
                line = follow_line(status)
                line.truncate(console.width, overflow="ellipsis")
                live.update(line, refresh=True)
            await asyncio.sleep(REFRESH_S)


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
    """Have SIGINT and SIGTERM end a following while the context lasts; to be entered on its event loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, f"{number.name} received", number.name)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def level_of(settings: RunSettings) -> str:
    """The least important log line to show."""
    return "warning" if settings.quiet and settings.log_level in ("debug", "info") else settings.log_level
