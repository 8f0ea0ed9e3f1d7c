"""What goes to people's eyes, with NO_COLOR honoured and widths kept within reason."""

import os
import sys
from functools import cached_property
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NARROWEST, WIDEST = 60, 200

Span = str | tuple[str, str]
"""A piece of a line, alone or with its style."""


class Screen:
    """A stream that people read. rich, which is slow to import, is loaded only where its console is really needed."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    @property
    def is_live(self) -> bool:
        """Whether lines can be drawn over: on a terminal that is no dumb one, or what the environment calls one."""
        return not self._is_plain and self.console.is_terminal and not self.console.is_dumb_terminal

    @cached_property
    def console(self) -> "Console":
        """rich's console on the stream."""
        return console_on(self.stream)

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
        """No terminal, and nothing in the environment that has rich take it for one: then rich would style nothing."""
        named = "FORCE_COLOR" in os.environ or "TTY_COMPATIBLE" in os.environ
        return not (named or self.stream.isatty())

    def _write(self, spans: tuple[Span, ...]) -> None:
        self.stream.write("".join(span if isinstance(span, str) else span[0] for span in spans) + "\n")
        self.stream.flush()


def screen() -> Screen:
    """Standard error, where all that is said about a run goes."""
    return Screen(sys.stderr)


def console(*, stderr: bool = False) -> "Console":
    """A rich console on stdout or stderr."""
    return console_on(sys.stderr if stderr else sys.stdout)


def console_on(stream: IO[str]) -> "Console":
    """A rich console. Elsewhere than on a terminal: no colours, 100 columns unless COLUMNS says."""
    from rich.console import Console

    width: int | None = None if stream.isatty() or os.environ.get("COLUMNS") else 100
    made = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False, width=width)
    made.width = min(max(made.width, NARROWEST), WIDEST)
    return made


def say(out: "Console", line: "Text") -> None:
    """Print *line*, which is for reading: wrapped at words on a terminal, and whole elsewhere, for grep and logs.

    What is to be typed or copied is printed with `soft_wrap=True` instead: the terminal then copies it as one line.
    """
    if not out.is_terminal:
        out.print(line, soft_wrap=True)
        return
    from batcher.report.wrapping import print_wrapped

    print_wrapped(out, line)


def colors_on(stream: IO[str]) -> bool:
    """Whether to colour what goes to *stream*."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
