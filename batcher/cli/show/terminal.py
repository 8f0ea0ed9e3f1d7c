"""What goes to people's eyes: in colour where it is wanted, wrapped on a terminal, whole elsewhere.

NO_COLOR beats FORCE_COLOR. Whatever the environment says, only a terminal is drawn over.
"""

import os
import sys
from functools import cached_property
from typing import IO, TYPE_CHECKING

from batcher.report.plain_console import WHOLE, AnyConsole, PlainConsole, rich_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NARROWEST, WIDEST = 60, 200  # columns, on a terminal

Span = str | tuple[str, str]
"""A piece of a line, alone or with its style."""


class Screen:
    """A stream that people read. rich's console, which is slow to import, is loaded only for a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    @property
    def is_live(self) -> bool:
        """Whether lines can be drawn over: on a terminal that is no dumb one."""
        return self.stream.isatty() and not self.terminal.is_dumb_terminal

    @cached_property
    def console(self) -> AnyConsole:
        """A console on the stream."""
        return console_on(self.stream)

    @property
    def terminal(self) -> "Console":
        """The console, where the stream is a terminal."""
        assert not isinstance(self.console, PlainConsole)  # noqa: S101 - whoever asks for it has looked
        return self.console

    def say(self, *spans: Span) -> None:
        """Print a line for reading: wrapped at words on a terminal, and whole elsewhere, for grep and logs."""
        if self._is_plain:
            self._write(spans)
        else:
            from rich.text import Text

            say(self.console, Text.assemble(*spans))

    def offer(self, *spans: Span) -> None:
        """Print a line that is to be typed or copied, and so never wrapped: the terminal copies it as one."""
        if self._is_plain:
            self._write(spans)
        else:
            from rich.text import Text

            self.console.print(Text.assemble(*spans), soft_wrap=True)

    @property
    def _is_plain(self) -> bool:
        """Neither a terminal nor to be coloured: rich would change nothing."""
        return not (self.stream.isatty() or colors_on(self.stream))

    def _write(self, spans: tuple[Span, ...]) -> None:
        self.stream.write("".join(span if isinstance(span, str) else span[0] for span in spans) + "\n")
        self.stream.flush()


def screen() -> Screen:
    """Standard error, where all that is said about a run goes."""
    return Screen(sys.stderr)


def console(*, stderr: bool = False) -> AnyConsole:
    """A console on stdout or stderr."""
    return console_on(sys.stderr if stderr else sys.stdout)


def console_on(stream: IO[str]) -> AnyConsole:
    """rich's console on a terminal. Elsewhere no line is broken, and colours are there where they are forced."""
    if stream.isatty():
        made = rich_console(stream)
        made.width = min(max(made.width, NARROWEST), WIDEST)
        return made
    if colors_on(stream):
        return rich_console(stream, width=WHOLE, force_terminal=True, color_system="standard")
    return PlainConsole(stream)


def say(out: AnyConsole, line: "Text") -> None:
    """Print *line*, which is for reading: wrapped at words on a terminal, and whole elsewhere, for grep and logs.

    What is to be typed or copied is printed with `soft_wrap=True` instead: the terminal then copies it as one line.
    """
    from batcher.report.wrapping import print_wrapped

    print_wrapped(out, line)


def colors_on(stream: IO[str]) -> bool:
    """Whether to colour what goes to *stream*."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def tell(message: str, *, label: str = "", color: str = "") -> None:
    """Say *message* on standard error, after a *label* in *color* ("error", "note")."""
    if label:
        code = {"red": "31;1", "yellow": "33"}[color]
        message = f"\x1b[{code}m{label}: \x1b[0m{message}" if colors_on(sys.stderr) else f"{label}: {message}"
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def note(message: str) -> None:
    """Say on standard error what is worth knowing and stops nothing."""
    tell(message, label="note", color="yellow")
