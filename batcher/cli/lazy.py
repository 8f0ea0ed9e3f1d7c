"""A click group whose commands are imported when they are used, so that `--help` and `--version` are quick."""

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from batcher.nearest import nearest


class LazyCommand(NamedTuple):
    """Where a command lives (a module with a `command`), and its line in the group's help."""

    module: str
    short_help: str


COMPLETION = "_BATCHER_COMPLETE"  # the variable by which a shell asks
_LONGEST_PART, _LONGEST_PATH = 255, 4095  # bytes, as Linux and macOS have it at the most


class SoundPath(click.Path):
    """A path that a system can have: what is wrong with the words alone is said before anything is looked at."""

    def __init__(self, path: click.Path) -> None:
        super().__init__(allow_dash=path.allow_dash, path_type=path.type)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path that *value* names. Fails with bad usage where no system can have such a path."""
        text = os.fspath(value)
        if not text:
            self.fail("is empty: name a file.", param, ctx)
        if "\0" in text:
            self.fail(f"{text[:60]!r} has a NUL in it, which no file's name has.", param, ctx)
        if len(os.fsencode(text)) > _LONGEST_PATH or any(len(os.fsencode(p)) > _LONGEST_PART for p in text.split("/")):
            self.fail(f"'{text[:60]}…' is longer than a file's name can be.", param, ctx)
        return super().convert(value, param, ctx)


class LazyGroup(click.Group):
    """Commands by section, each loaded on first use."""

    def __init__(self, *args: object, sections: Mapping[str, Mapping[str, LazyCommand]], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.sections = sections
        self.lazy = {name: command for section in sections.values() for name, command in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, section by section."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None where there is none of that name."""
        if cmd_name not in self.lazy:
            return None
        command = import_module(self.lazy[cmd_name].module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.lazy[cmd_name].module}.command is no click command")
        for parameter in command.params:
            if type(parameter.type) is click.Path:
                parameter.type = SoundPath(parameter.type)
        if COMPLETION in os.environ:
            from batcher.cli.completers import offer

            offer(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest known command in the error."""
        name = args[0]
        if name not in self.lazy and not name.startswith("-"):
            near = nearest(name, self.lazy)
            mend = f"Did you mean {near!r}?" if near else "See batcher --help for all commands."
            raise click.UsageError(f"There is no command {name!r}. {mend}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help's command list, without importing any of them."""
        width = max(map(len, self.lazy))
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), command.short_help) for name, command in commands.items()])
