"""What goes to people's eyes: wrapped on a terminal, whole elsewhere."""

import io

from rich.console import Console
from rich.text import Text

from batcher.cli.terminal import say

LINE = Text("  the job is in no state for it: bring it into INCRE_TRANSFER_STARTED")


def test_on_a_terminal_lines_are_wrapped_at_words_and_keep_their_indent() -> None:
    """No word is cut in two, and no line is longer than the terminal is wide."""
    terminal = io.StringIO()
    say(Console(file=terminal, force_terminal=True, color_system=None, width=32), LINE)
    lines = terminal.getvalue().splitlines()
    assert " ".join(line.strip() for line in lines) == LINE.plain.strip()
    assert all(line.startswith("  ") and len(line) <= 32 for line in lines)


def test_elsewhere_a_line_stays_one_line() -> None:
    """What is piped into grep is not cut into pieces."""
    pipe = io.StringIO()
    say(Console(file=pipe, force_terminal=False, width=32), LINE)
    assert pipe.getvalue() == f"{LINE.plain}\n"
