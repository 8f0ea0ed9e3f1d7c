"""`batcher settle`: the operator's decision on an unsettled entry."""

from pathlib import Path

import click

from batcher.cli import exits
from batcher.cli.entries import entry_options, journal_option, one_entry, one_in_doubt, places_of
from batcher.cli.show.terminal import tell
from batcher.clock import SystemClock

_EPILOG = """\b
Examples:
  batcher settle results.jsonl --key 3f2a… --as created=5a1c…
  batcher settle results.jsonl --key 3f2a… --as object=5a1c…,data=failed
  batcher settle results.jsonl --job 7b1c… --as failed
  batcher settle results.jsonl --key 3f2a… --as retry

\b
created=TASK_ID      the comparison exists under this id
object=…,data=…      both levels were in doubt: an id, or `failed`, for each
failed               it was not created
retry                send it again with the next run; if it was created after all, there are two then
"""


@click.command(epilog=_EPILOG)
@click.argument("results", type=click.Path(path_type=Path))
@entry_options
@click.option("--as", "ruling", metavar="RULING", required=True, help="What became of it; see below.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print the entry's new result line.")
def command(
    results: Path,
    key: str | None,
    job: str | None,
    index: int | None,
    ruling: str,
    journal: Path | None,
    as_json: bool,
) -> int:
    """Decide what became of an unsettled entry of the wave of RESULTS, after a look at the console.

    The decision is kept in the journal and shown by `explain`; the results file is brought in line. Refused while
    the wave runs, and for entries that are not in doubt.
    """
    one_entry(key, job, index)

    from batcher.cli.failures import told
    from batcher.journals import deciding, journal_of
    from batcher.life.ruling import Ruling
    from batcher.text import printable
    from batcher.wave.settling import settle

    said = Ruling.parse(ruling)
    with told(), deciding(journal_of(results, journal)) as record:
        place = one_in_doubt(record, places_of(record, key, job, index))
        recorded = settle(record, results, place, said, SystemClock.now())
    if recorded.said:
        tell(recorded.said)
    result = recorded.result
    if as_json:
        click.echo(result.to_line(), nl=False)
        return exits.CREATED
    now = "sent again when the wave goes on" if said.retry else f"{result.status.value} now"
    tell(f"{printable(result.key)} is {now}; the decision is on record in the journal.")
    return exits.CREATED
