"""Man pages, made from the commands themselves, so that they cannot say anything else."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from batcher._version import __version__
from batcher.cli.lists import OTHERS
from batcher.errors import UserError


def write_pages(root: click.Context, folder: Path) -> int:
    """Write a page for each command of *root*, and one for itself, into *folder*; how many. Raises `UserError`."""
    pages = dict(_pages(root))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (folder / f"{name}.1").write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write in {folder}: {error.strerror}.") from None
    return len(pages)


def _pages(context: click.Context) -> Iterator[tuple[str, str]]:
    name = context.command_path.replace(" ", "-")
    yield name, page(context, name)
    if isinstance(context.command, click.Group):
        for below in context.command.list_commands(context):
            found = context.command.get_command(context, below)
            if found is not None and not found.hidden:
                yield from _pages(click.Context(found, info_name=below, parent=context))


def page(context: click.Context, name: str) -> str:
    """The page of *context*'s command, in the language of man(7)."""
    command = context.command
    text = inspect.cleandoc(command.help or "")
    lines = [
        f'.TH "{_escaped(name.upper())}" "1" "" "batcher {__version__}" "User Commands"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(command.get_short_help_str(limit=200).rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_escaped(context.command_path)}",
        _escaped(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_paragraphs(text),
        *_options(context),
        *_commands(context),
    ]
    if command.epilog:
        lines += [".SH NOTES", *_paragraphs(inspect.cleandoc(command.epilog))]
    lines += [".SH SEE ALSO", _escaped(_others(context))]
    return "\n".join(lines) + "\n"


def _options(context: click.Context) -> Iterator[str]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            groups.setdefault(getattr(parameter, "group", OTHERS), []).append(record)
    for title, records in groups.items():
        yield f'.SH "{_escaped(title.upper())}"'
        for option, said in records:
            yield from (".TP", f".B {_escaped(option)}", _escaped(said))


def _commands(context: click.Context) -> Iterator[str]:
    if not isinstance(context.command, click.Group):
        return
    yield ".SH COMMANDS"
    for name in context.command.list_commands(context):
        found = context.command.get_command(context, name)
        if found is not None and not found.hidden:
            yield from (".TP", f".B {_escaped(name)}", _escaped(found.get_short_help_str(limit=200)))


def _others(context: click.Context) -> str:
    root = context.find_root()
    assert isinstance(root.command, click.Group)  # noqa: S101 - batcher itself
    names = [f"batcher-{name}(1)" for name in root.command.list_commands(root)]
    return ", ".join(names if context is root else ["batcher(1)", *names])


def _paragraphs(text: str) -> Iterator[str]:
    """What click shows as paragraphs; those after a \\b keep their lines."""
    for block in re.split(r"\n\s*\n", text):
        kept = block.startswith("\b\n")
        yield ".PP"
        if kept:
            yield from (".nf", *map(_escaped, block.removeprefix("\b\n").splitlines()), ".fi")
        else:
            yield _escaped(" ".join(block.split()))


def _escaped(text: str) -> str:
    """*text* as roff prints it: no escape, no hyphen for a minus, no request at the beginning of a line."""
    plain = " ".join(text.split("\n")).replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain
