"""`batcher results`: the result lines again, from the journal."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from batcher import streams
from batcher.cli import exits
from batcher.cli.entries import JournalType, missing, shared_place
from batcher.cli.show.terminal import tell
from batcher.clock import SystemClock

if TYPE_CHECKING:
    from batcher.journal.place import JournalPlace

_EPILOG = """\b
Examples:
  batcher results results.jsonl.journal -o results.jsonl
  batcher results results.jsonl.journal -o - | jq -r .status | sort | uniq -c
  batcher results --journal postgresql://db.example.org/fleet/night-3 -o results.jsonl --follow

\b
Exit codes: 0 written; 2 bad usage, or something cannot be used; 3 the database is away. With --follow
those of `batcher run`: 0 every entry was created; 1 not all were; 3 the wave was stopped; 4 entries are unsettled;
130 you have interrupted it, and the same command goes on.
"""


@click.command(epilog=_EPILOG)
@click.argument("journal", required=False, type=click.Path(path_type=Path))
@click.option(
    "--journal", "place", metavar="URL", type=JournalType(),
    help="A wave in a database instead: postgresql://HOST/DATABASE/WAVE.",
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="RESULTS", required=True, type=click.Path(allow_dash=True),
    help="File to write; - for standard output.",
)  # fmt: skip
@click.option("--follow", is_flag=True, help="Of a wave in a database: go on with what is settled, until it is over.")
def command(journal: Path | None, place: "JournalPlace | None", output: str, follow: bool) -> int:
    """Write the result lines of the wave in JOURNAL: one for every entry, also for those that are still open.

    Where RESULTS exists and says something else it is kept aside, never overwritten. The wave's own results file
    is left alone while the wave runs. Of a wave in a database they are the same bytes as those of a wave of this
    machine; with --follow each as soon as its entry is settled, whichever machine has done so.
    """
    shared = shared_place(place)
    if place is not None and journal is not None:
        raise click.UsageError("Name the journal once: as JOURNAL, or as a place in a database with --journal.")
    if shared is not None:
        from batcher.cli.commands.shared.following import follow_to, write_to

        return follow_to(shared, output) if follow else write_to(shared, output)
    if follow:
        raise click.UsageError("--follow is for a wave in a database: one of this machine writes its file by itself.")
    journal = journal or (place if isinstance(place, Path) else None)
    if journal is None:
        raise missing("journal")
    return _rebuild(journal, output)


def _rebuild(journal: Path, output: str) -> int:
    """Write the lines of the wave in the file *journal*."""
    import sys

    from batcher.cli.failures import told
    from batcher.cli.outputs import refuse_outputs
    from batcher.errors import UserError
    from batcher.journal.files import WaveFiles
    from batcher.journals import deciding, reading
    from batcher.text import counted
    from batcher.wave.known_files import RESULTS
    from batcher.wave.rebuild import rebuild, whole_file

    if not journal.is_file():
        raise UserError(f"there is no journal {journal}. It lies beside the results file, as RESULTS.journal.")
    if (beside := WaveFiles.of(journal).journal).is_file():
        raise UserError(f"{journal} is a results file: name its journal, {beside}.")
    with told():
        if output == "-":
            with reading(journal) as record:
                for line in streams.while_read(whole_file(record, SystemClock.now())):
                    sys.stdout.buffer.write(line)
            return exits.CREATED
        path = Path(output)
        refuse_outputs([], {"-o": path}, but=[RESULTS], and_not=[journal])
        beside = WaveFiles.of(path).journal
        own = beside.exists() and beside.samefile(journal)
        with (deciding if own else reading)(journal) as record:
            rebuilt = rebuild(record, path, SystemClock.now())
    if rebuilt.said:
        tell(rebuilt.said)
    still_open = sum(rebuilt.open.values())
    rest = f", and {counted(still_open, 'entry', 'entries')} still open" if still_open else ""
    tell(f"{path}: {counted(rebuilt.settled, 'settled result')}{rest}")
    return exits.CREATED
