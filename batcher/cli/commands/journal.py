"""`batcher journal`: whether a wave's journal is sound, and a new one of what is left of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from batcher.cli import exits
from batcher.cli.lazy import SoundPath
from batcher.cli.show.terminal import note, tell
from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.text import counted

_EPILOG = """\b
Examples:
  batcher journal check results.jsonl.journal
  batcher journal rescue results.jsonl.journal -o rescued.jsonl
  batcher run wave.csv -o rescued.jsonl
"""


@click.group(epilog=_EPILOG)
def command() -> None:
    """See whether a journal is sound, and save what can be read of a damaged one."""


@command.command("check")
@click.argument("journal", type=SoundPath(click.Path(path_type=Path)))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
def check_command(journal: Path, as_json: bool) -> int:
    """Look at every page and every row of JOURNAL; nothing is changed.

    Exits with 0 where it is sound, with 1 where it is not, and with 2 where nothing can be read.
    """
    from batcher.rescue import check_journal

    journal = _journal(journal)
    with _told(journal):
        checked = check_journal(journal)
    if as_json:
        import orjson
        from msgspec.structs import asdict

        said = {"journal": str(journal), "sound": not checked.wrong, **asdict(checked)}
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
        return exits.INCOMPLETE if checked.wrong else exits.CREATED
    counts = (
        f"{counted(checked.entries, 'entry', 'entries')}, {counted(checked.results, 'result')}, "
        f"{counted(checked.events, 'event')}"
    )
    if not checked.wrong:
        click.echo(f"{journal} is sound: {counts}")
        return exits.CREATED
    click.echo(f"{journal} is damaged; what can be read of it: {counts}")
    for wrong in checked.wrong:
        click.echo(f"  {wrong}")
    click.echo("\nA backup of all the wave's files, RESULTS*, is the best way out. If there is none:")
    click.echo(f"  batcher journal rescue {journal} -o NEW.jsonl")
    return exits.INCOMPLETE


@command.command("rescue")
@click.argument("journal", type=SoundPath(click.Path(path_type=Path)))
@click.option(
    "-o", "--output", metavar="RESULTS", required=True, type=SoundPath(click.Path(path_type=Path)),
    help="Results file of the wave to make; its journal goes beside it. Neither may exist.",
)  # fmt: skip
@click.option(
    "--results",
    metavar="FILE",
    type=SoundPath(click.Path(path_type=Path)),
    help="Its results. [beside JOURNAL]",
)
def rescue_command(journal: Path, output: Path, results: Path | None) -> int:
    """Make a new wave of what can be read of JOURNAL and of its results; both are left as they are.

    `batcher run` with the same manifest and the new RESULTS goes on with it. What is lost may be what told that a
    request had left: so it looks every entry up in the cloud before it sends it, and leaves to you what cannot be told.
    Exits with 0 where every entry of the wave is there, with 1 where some are lost.
    """
    from batcher.journal.files import WaveFiles
    from batcher.rescue import rescue_journal

    journal = _journal(journal)
    for path in (output, WaveFiles.of(output).journal):
        if path.exists() and path.stat().st_size:
            raise UserError(f"{path} exists: a rescued wave takes a name of its own.")
    beside = results or journal.with_name(journal.name.removesuffix(".journal"))
    with _told(journal):
        rescued = rescue_journal(journal, beside, output, SystemClock.now())
    tell(
        f"{output}: {counted(rescued.entries, 'entry', 'entries')}, {rescued.settled:,} with a result, "
        f"{rescued.open:,} open"
    )
    for said in rescued.said:
        tell(said)
    if rescued.suspected:
        note(f"{counted(rescued.suspected, 'entry was', 'entries were')} begun, and end unsettled: batcher settle")
    if not rescued.lost_entries:
        tell(f"batcher run MANIFEST -o {output} goes on with it, and looks before it sends")
        return exits.CREATED
    told_of = ", ".join(map(str, rescued.lost_entries[:10])) + (", …" if len(rescued.lost_entries) > 10 else "")
    note(
        f"of {counted(len(rescued.lost_entries), 'entry', 'entries')} of the manifest nothing is left (index "
        f"{told_of}): look in the console whether their comparisons were made, and submit those that were not as a "
        "wave of their own"
    )
    return exits.INCOMPLETE


@contextmanager
def _told(journal: Path) -> Iterator[None]:
    """Tell why nothing can be read of *journal*, by a command that is itself the way out of damage."""
    from batcher.journal.beside import told
    from batcher.journal.errors import JournalFailed

    with told(journal):
        try:
            yield
        except JournalFailed as error:
            raise UserError(f"{error}.") from error


def _journal(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"there is no journal {path}. It lies beside the results file, as RESULTS.journal.")
    beside = path.with_name(f"{path.name}.journal")
    if beside.is_file():
        return beside
    with path.open("rb") as file:
        is_results = file.read(1) == b"{"
    if is_results:
        raise UserError(f"{path} is a results file, and no journal lies beside it: {beside.name} is not there.")
    return path
