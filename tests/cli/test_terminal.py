"""What goes to people's eyes: wrapped on a terminal, whole elsewhere."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batcher.cli.show.terminal import Screen, console_on, say

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
    say(console_on(pipe), Text(f"{LINE.plain} " * 50))
    assert pipe.getvalue() == f"{LINE.plain} " * 50 + "\n"


@given(pieces=st.lists(st.tuples(st.text(), st.sampled_from(["", "bold", "yellow on red"])), max_size=5))
def test_elsewhere_a_line_is_what_rich_would_print(pieces: list[tuple[str, str]]) -> None:
    text = Text.assemble(*((piece.replace("\t", " "), style) for piece, style in pieces))  # we write no tabs
    table = Table.grid(padding=(0, 2))
    table.add_row("a", "bc")
    plain, drawn = io.StringIO(), io.StringIO()
    for out in (console_on(plain), Console(file=drawn, width=1_000_000, highlight=False, emoji=False, markup=False)):
        out.print(text, soft_wrap=True)
        out.print(text, "and more", end="")
        out.print()
        out.print(table, "")
    assert plain.getvalue() == drawn.getvalue()


def test_a_stream_that_is_no_terminal_gets_plain_lines_and_no_console() -> None:
    pipe = io.StringIO()
    screen = Screen(pipe)
    screen.say(("wave.csv", "bold"), "  3 entries")
    screen.say()
    screen.offer(("  batcher watch results.jsonl", "bold"))
    assert not screen.is_live
    assert pipe.getvalue() == "wave.csv  3 entries\n\n  batcher watch results.jsonl\n"
    assert "console" not in vars(screen)


def test_the_environment_can_ask_for_colour_but_not_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    pipe = io.StringIO()
    screen = Screen(pipe)
    screen.say(("wave.csv", "bold"), "  3 entries")
    assert not screen.is_live  # nothing may be drawn over in a log
    assert pipe.getvalue() == "\x1b[1mwave.csv\x1b[0m  3 entries\n"


def test_what_is_to_be_copied_is_never_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    pipe = io.StringIO()
    command = "  batcher run " + "wave-of-a-long-name.csv " * 5
    Screen(pipe).offer(command)
    assert pipe.getvalue() == f"{command}\n"
