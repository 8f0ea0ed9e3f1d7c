"""The options by which a command is told which wave, and which entry of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

journal_option = click.option(
    "--journal", metavar="FILE", type=click.Path(path_type=Path), help="The wave's journal; by default beside RESULTS."
)


def entry_options(function: F) -> F:
    """--key and --index; `one_entry` checks that exactly one was given."""
    index = click.option("--index", metavar="N", type=int, help="The entry's 0-based place in the manifest instead.")
    key = click.option("--key", metavar="KEY", help="The entry's key, as its result line has it.")
    return key(index(function))


def one_entry(key: str | None, index: int | None) -> None:
    """Raises `UsageError` where not exactly one of them was given."""
    if (key is None) == (index is None):
        raise click.UsageError("Say which entry: give --key (or --index), one of the two.")
