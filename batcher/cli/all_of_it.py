"""The option by which the operator says how many entries a wave has, where none of its files can tell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

entries_option = click.option(
    "--entries",
    metavar="[FILE=]N",
    multiple=True,
    help="How many entries the wave has, where neither journal nor lines tell (of FILE, where there are several).",
)


def counts_of(results: Sequence[Path], entries: Sequence[str]) -> Mapping[Path, int]:
    """What --entries says of each of *results*. Raises `UsageError`."""
    counts: dict[Path, int] = {}
    for said in entries:
        name, named, number = said.rpartition("=")
        path = Path(name) if named else results[0]
        if not (number.isascii() and number.isdigit() and 0 < int(number[:20]) < 1 << 31):
            raise click.UsageError(f"--entries {said}: write how many there are, such as --entries 1200.")
        if not named and len(results) > 1:
            raise click.UsageError(f"--entries {said}: of several files say which: --entries {results[0]}={number}.")
        if path not in results:
            raise click.UsageError(f"--entries {said}: {path} is none of the results files that you named.")
        if counts.get(path, int(number)) != int(number):
            raise click.UsageError(f"--entries says of {path} that it has {counts[path]} and {number}: which is it?")
        counts[path] = int(number)
    return counts


def one_journal(results: Sequence[Path], journal: Any) -> None:
    """Raises `UsageError` where a journal was named for several files."""
    if journal is not None and len(results) > 1:
        raise click.UsageError("--journal names the journal of one results file; those of several lie beside them.")
