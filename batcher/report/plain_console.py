"""A console for what is no terminal: a file, a pipe, a log. Loads none of rich's, which takes a while."""

from typing import IO, TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from rich.console import Console

AnyConsole = Union["Console", "PlainConsole"]

WHOLE = 1_000_000
"""The width of what is no terminal, in columns: no line is broken there, ids stay ids, for grep and logs."""


class PlainConsole:
    """Prints what rich's `Console` prints on *stream* where nothing is coloured and no line is broken."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def print(self, *what: Any, end: str = "\n", style: str | None = None, soft_wrap: bool = False) -> None:
        """Print texts, without their styles, or what only rich can draw, as a table."""
        texts = [one if isinstance(one, str) else getattr(one, "plain", None) for one in what]
        if all(isinstance(text, str) for text in texts):
            self._stream.write(" ".join(map(str, texts)) + end)
            self._stream.flush()
        else:
            rich_console(self._stream, width=WHOLE).print(*what, end=end, style=style, soft_wrap=soft_wrap)


def rich_console(stream: IO[str], **options: Any) -> "Console":
    """rich's console on *stream*, which takes every text as it is written."""
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False, **options)
