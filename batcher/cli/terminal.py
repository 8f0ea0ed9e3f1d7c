"""Consoles: what goes to people's eyes, with NO_COLOR honoured and widths kept within reason."""

import os
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NARROWEST, WIDEST = 60, 200


def console(*, stderr: bool = False) -> "Console":
    """A rich console on stdout or stderr. Elsewhere than on a terminal: no colours, 100 columns unless COLUMNS says."""
    from rich.console import Console

    stream: IO[str] = sys.stderr if stderr else sys.stdout
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
