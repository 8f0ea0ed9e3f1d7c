"""`batcher results`: the result lines again, from the journal."""

from pathlib import Path

import click

from batcher import streams
from batcher.cli import exits
from batcher.cli.show.terminal import tell
from batcher.clock import SystemClock

_EPILOG = """\b
Examples:
  batcher results results.jsonl.journal -o results.jsonl
  batcher results results.jsonl.journal -o - | jq -r .status | sort | uniq -c
"""


@click.command(epilog=_EPILOG)
@click.argument("journal", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="RESULTS", required=True, type=click.Path(allow_dash=True),
    help="File to write; - for standard output.",
)  # fmt: skip
def command(journal: Path, output: str) -> int:
    """Write the result lines of the wave in JOURNAL: one for every entry, also for those that are still open.

    Where RESULTS exists and says something else it is kept aside, never overwritten. The wave's own results file
    is left alone while the wave runs.
    """
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
