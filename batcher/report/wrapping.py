"""Lines wrapped at words, with their indent kept: rich alone begins each further line at the left."""

from collections.abc import Iterator

from rich.text import Text

from batcher.report.plain_console import AnyConsole, PlainConsole


def print_wrapped(console: AnyConsole, line: Text) -> None:
    """Print *line*, wrapped to the console's width."""
    for piece in wrapped(console, line):
        console.print(piece)


def wrapped(console: AnyConsole, line: Text) -> Iterator[Text]:
    """The lines that *line* takes on *console*, each with its indent, and no spaces at the ends."""
    plain = line.plain
    indent = len(plain) - len(plain.lstrip(" "))
    if isinstance(console, PlainConsole) or line.cell_len <= console.width:
        yield line
        return
    for piece in line[indent:].wrap(console, console.width - indent):
        piece.rstrip()
        yield Text(" " * indent) + piece
