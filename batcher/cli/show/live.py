"""A live display on a terminal, which what is logged meanwhile goes above."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from batcher import logs
from batcher.cli.show.terminal import say
from batcher.clock import SystemClock

REFRESH_S = 0.25


async def draw(console: Console, render: Callable[[int], Text | None]) -> None:
    """Show what *render* gives for the width of *console*, until cancelled; None leaves it as it is."""
    live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
    with live, logs.through(lambda line: say(console, Text.from_ansi(line))):
        drawn = -REFRESH_S
        while True:
            if SystemClock.monotonic() - drawn >= REFRESH_S * 0.8:  # a loop that leaps comes by far more often
                if (display := render(console.width)) is not None:
                    live.update(display, refresh=True)
                drawn = SystemClock.monotonic()
            await asyncio.sleep(REFRESH_S)


@contextmanager
def live_count(text: Callable[[], str], *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A live line of what *text* says by then, where standard error is a terminal; what it gives draws it anew."""
    from batcher.cli.show.terminal import screen

    err = screen()
    if quiet or not err.is_live:
        yield lambda: None
        return
    from rich.live import Live
    from rich.text import Text

    with Live(
        console=err.terminal, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as live:

        def draw() -> None:
            live.update(Text(text()), refresh=True)

        draw()
        yield draw
