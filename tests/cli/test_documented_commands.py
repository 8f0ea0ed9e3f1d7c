"""Every command that a page shows can be typed: it is there, takes these options, and these values."""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from batcher.cli.main import cli
from tests.packaging.checkout import ROOT

PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "CHANGELOG.md"]


class Command(NamedTuple):
    """A command on a page. One that is only *named* in a sentence may lack what it needs."""

    page: str
    words: tuple[str, ...]
    named: bool

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def commands_of(page: Path) -> Iterator[Command]:
    """The batcher commands in the fenced blocks and in the code of *page*, where they are whole."""
    text = page.read_text(encoding="utf-8")
    fenced = re.compile(r"^```\w*\n(.*?)^```", re.M | re.S)
    lines = [(line, False) for block in fenced.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    prose = fenced.sub("", text).replace("\n", " ")
    lines += [(line, True) for line in re.findall(r"`(batcher [^`]+)`", prose)]
    for line, named in lines:
        found = re.search(r"(?:^|[ '\[/$(])batcher (?=[a-z-])(.*)", line)
        if found is None or re.match(r"\s*(#|from |import )", line) or "…" in line:
            continue
        lexed = shlex.shlex(
            re.sub(r"\$\([^)]*\)", "made", found[1].rstrip("'")), posix=True, punctuation_chars="|&;<>()"
        )
        lexed.whitespace_split = True
        try:
            words = list(takewhile(lambda word: word[0] not in "|&;<>(){}", lexed))
        except ValueError:  # a sentence with an apostrophe
            continue
        yield Command(page.name, tuple(words), named)


COMMANDS = sorted({command for page in PAGES for command in commands_of(page)})


def parse(words: tuple[str, ...]) -> None:
    """Have click take *words* as far as it can without running anything."""
    group: click.Command = cli
    context = click.Context(cli, info_name="batcher")
    rest = list(words)
    while isinstance(group, click.Group) and rest and not rest[0].startswith("-"):
        name, command, rest = group.resolve_command(context, rest)
        assert command is not None
        group = command
        if isinstance(group, click.Group):
            context = click.Context(group, info_name=name, parent=context)
    with suppress(click.exceptions.Exit):  # --help
        group.make_context(words[0], rest, parent=context)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_it_can_be_typed(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words in capitals stand for something, and need not fit."""
    monkeypatch.chdir(tmp_path)
    try:
        parse(command.words)
    except click.UsageError as error:
        lacks = isinstance(error, click.MissingParameter | click.exceptions.NoArgsIsHelpError)
        lacks = lacks or "requires an argument" in error.format_message()
        stands = isinstance(error, click.BadParameter) and any(
            re.fullmatch(r"[A-Z]+", word) for word in command.words if word in error.format_message()
        )
        if not stands and not (lacks and command.named):
            raise


def test_there_are_commands_to_try() -> None:
    assert len(COMMANDS) > 150
