"""`batcher run`: the main job."""

import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from batcher.cli import exits
from batcher.cli.credential_flags import credential_flags, credential_options
from batcher.cli.entries import JournalType
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.cli.show.running_wave import RunningWave
    from batcher.drs.auth.sources import CredentialSources
    from batcher.journal.place import JournalPlace
    from batcher.settings import Loaded
    from batcher.wave.sink import Sink

_EPILOG = """\b
Examples:
  batcher run wave.csv --region eu-west-101 --project-id 0123…
  batcher run wave.csv -o results.jsonl --rate 600/min --max-failures 5%
  batcher run wave.jsonl -o - | jq 'select(.status != "created")'
  batcher run wave.csv --journal 'postgresql://db.example.org/fleet?user=batcher'

The same command again goes on where it stopped. Durations are seconds, or 90s, 5m, 1h30m; a switch that the
environment or a config file sets is undone by its --no- form. Credentials are found where you have them:
BATCHER_TOKEN, BATCHER_TOKEN_FILE, BATCHER_AK and BATCHER_SK, or the variables of the SDK, Terraform and OpenStack;
batcher auth shows which one is used, and whether the cloud takes it.

\b
Exit codes: 0 all created; 1 some not; 2 bad usage, manifest or configuration, nothing was sent;
3 stopped early; 4 some unsettled, a person must look; 129/130/143 stopped by a signal, resumable;
141 standard output was not read to its end.
"""


_FIRST_NIGHT = (
    *("output", "region", "project_id", "rate", "concurrency", "deadline", "max_failures"),
    *("skip_invalid", "retry_failed", "wait", "wait_ready", "max_running", "allow_inconsistent", "profile", "quiet"),
)


@click.command(cls=ListedCommand, epilog=_EPILOG, essential=_FIRST_NIGHT)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="RESULTS", type=click.Path(allow_dash=True),
    help="File for the result lines; - for standard output. [MANIFEST's name, ending in .results.jsonl]",
)  # fmt: skip
@click.option(
    "--journal",
    metavar="FILE|URL",
    type=JournalType(),
    help="Journal: by default a file beside RESULTS. Or postgresql://HOST/DATABASE, which machines share.",
)
@click.option("--submit-only", is_flag=True, help="Leave the wave in that database to others: `batcher worker`.")
@click.option("--format", "format_", metavar="csv|json|jsonl", help="Format of MANIFEST; by default by its extension.")
@click.option("--encoding", metavar="NAME", help="Encoding of MANIFEST; by default UTF-8.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object on standard output.")
@settings_options()
@credential_flags
def command(
    manifest: Path,
    output: str | None,
    journal: "JournalPlace | None",
    submit_only: bool,
    format_: str | None,
    encoding: str | None,
    as_json: bool,
    **parameters: Any,
) -> int:
    """Create the comparison tasks that MANIFEST asks for, and write one result line for each entry.

    The whole manifest is checked before anything is sent. Each entry is submitted once: a journal beside the
    results remembers what was sent, also across crashes.
    """
    options = credential_options(parameters)
    loaded = load_given(parameters)
    settings = loaded.settings
    results = None if output == "-" else _default_results(manifest) if output is None else Path(output)
    if results is None and as_json:
        raise click.UsageError("With -o - standard output carries the results: leave --json out, or name a file.")
    if results is not None:
        _refuse_same(manifest, results)

    if submit_only and (journal is None or isinstance(journal, Path)):
        raise click.UsageError("--submit-only is for a wave that machines share: name --journal postgresql://….")

    # aiohttp, before what needs it: from deep within its import is a tenth dearer. At some depths of its stack CPython
    # asks the system for memory at each call, and gives it back after it.
    import batcher.drs.transport  # noqa: F401
    from batcher.cli.conduct import Presentation, TalliedOutput, conduct
    from batcher.cli.failures import told
    from batcher.cli.loops import quickest_loop
    from batcher.cli.typed import typed
    from batcher.settings.credentials import credential_sources

    credentials = credential_sources(settings, loaded.config, options)
    again = typed(sys.argv[1:])
    to_stdout = TalliedOutput() if results is None else None

    source = ManifestSource(manifest, format_, encoding)
    made = partial(_wave, source, None if submit_only else results, journal, loaded, credentials, again, to_stdout)

    async def make(_: AsyncExitStack) -> "RunningWave":
        return made()

    presentation = Presentation(
        title=str(manifest), command=again, loop=quickest_loop(), results=None if output else results
    )
    with told(as_json=as_json):
        if submit_only:
            from batcher.cli.commands.shared.running import submit

            return submit(made, as_json=as_json)
        return conduct(make, settings, presentation, results=results, output=to_stdout, as_json=as_json)


class ManifestSource(NamedTuple):
    """The manifest's file, and how it is to be read where that was said."""

    path: Path
    format: str | None
    encoding: str | None


def _wave(
    source: ManifestSource,
    results: Path | None,
    journal: "JournalPlace | None",
    loaded: "Loaded",
    credentials: "CredentialSources",
    again: str,
    output: "Sink | None",
) -> "RunningWave":
    """The wave to run, in a file of this machine or in a database. Raises `UserError`."""
    path, format_, encoding = source
    if journal is None or isinstance(journal, Path):
        from batcher.api import Wave

        return Wave(
            path,
            results,
            settings=loaded.settings,
            journal=journal,
            command=again,
            format=format_,
            encoding=encoding,
            output=output,
            credentials=credentials,
        )
    from batcher.cli.commands.shared.running import shared_wave

    return shared_wave(
        path, results, journal, loaded=loaded, credentials=credentials, command=again, format=format_,
        encoding=encoding, output=output,
    )  # fmt: skip


def _default_results(manifest: Path) -> Path:
    """Beside the manifest, so that the same command from another folder goes on with the same wave."""
    if manifest.exists() and not manifest.is_file():
        raise click.UsageError(f"{manifest} is no file that results could lie beside: name one with -o.")
    return manifest.with_name(f"{manifest.stem}.results.jsonl")


def _refuse_same(manifest: Path, results: Path) -> None:
    """Writing results over the manifest would end the wave before it begins."""
    if results.exists() and manifest.exists() and results.samefile(manifest):
        raise UserError(f"{results} is the manifest itself: choose another file for -o.", exit_code=exits.USAGE)
