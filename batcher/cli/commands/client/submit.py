"""`batcher submit`: a wave handed in to a service, and followed."""

import sys
from pathlib import Path
from typing import Any

import click

from batcher.cli.lists import ListedCommand
from batcher.cli.options import given, load_given, settings_options
from batcher.cli.service_options import WAY, service_options
from batcher.errors import UserError

OF_WAVE = (
    *("region", "project_id", "language", "rate", "read_rate", "concurrency", "deadline", "skip_invalid"),
    *("allow_duplicates", "digest", "attempts", "timeout", "connect_timeout", "entry_deadline", "landing_time"),
    *("reconcile", "wait_ready", "give_up_after", "max_failures", "wait", "watch_timeout", "poll"),
    *("max_running", "max_running_per"),
)
"""Settings that go to the service with the wave."""

_OURS = (*WAY, "allow_inconsistent", "notify", "on_end", "quiet", "timezone", "log_format", "log_level")

_EPILOG = """\b
Examples:
  batcher submit wave.csv --service https://batcher.example.com --region eu-west-101 --follow
  batcher submit wave.csv --service http://127.0.0.1:8080 --name night-3 --priority 10 --rate 5/s
  batcher submit wave.csv --follow --wait --json | jq .gate

The same command again attaches to the same wave: beside RESULTS lies a file that says which one it is, and the key
under which it was handed in, once. Settings go to the service only where they are typed; the rest is its own. Ctrl-C
leaves the wave, which goes on at the service.

\b
Exit codes: without --follow 0 it was taken; with --follow those of batcher run: 0 all created; 1 some not; 2 bad usage,
manifest or configuration, nothing was sent; 3 stopped early, or the service is lost; 4 some unsettled;
129/130/143 no longer followed after a signal; 141 standard output was not read to its end.
"""

_FIRST_NIGHT = (
    *("output", "follow", "name", "priority", "hold", "service", "service_token_file", "region", "project_id", "rate"),
    *("max_failures", "skip_invalid", "wait", "profile", "quiet", "as_json"),
)


@click.command(cls=ListedCommand, epilog=_EPILOG, essential=_FIRST_NIGHT)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="RESULTS", type=click.Path(allow_dash=True),
    help="File for the result lines; - for standard output. [MANIFEST's name, ending in .results.jsonl]",
)  # fmt: skip
@click.option("--follow", is_flag=True, help="Follow it to its end, as `batcher run` does.")
@click.option("--name", metavar="NAME", help="What people call the wave; by default the beginning of its digest.")
@click.option("--priority", type=click.IntRange(-100, 100), help="Waves with a higher one go first. [0]")
@click.option("--hold", is_flag=True, help="Have it held until `batcher control … start`.")
@click.option("--restart", is_flag=True, help="Hand in a new wave, and keep the files of the old one aside.")
@click.option("--format", "format_", metavar="csv|json|jsonl", help="Format of MANIFEST; by default by its extension.")
@click.option("--encoding", metavar="NAME", help="Encoding of MANIFEST; by default UTF-8.")
@click.option("--json", "as_json", is_flag=True, help="Print the wave, or with --follow the summary, as a JSON object.")
@service_options
@settings_options((*OF_WAVE, *_OURS), profile_help="Profile of the service's own configuration to run the wave with.")
def command(
    manifest: Path,
    output: str | None,
    follow: bool,
    name: str | None,
    priority: int | None,
    hold: bool,
    restart: bool,
    format_: str | None,
    encoding: str | None,
    as_json: bool,
    service: str | None,
    service_token_file: str | None,
    profile: str | None,
    **parameters: Any,
) -> int:
    """Hand MANIFEST in to a service, which checks it, runs it, once, and keeps it whatever becomes of us.

    Prints the wave's id. With --follow the results come here, line by line, into RESULTS.
    """
    if output == "-" and as_json and follow:
        raise click.UsageError("With -o - standard output carries the results: leave --json out, or name a file.")
    if output == "-" and not follow:
        raise click.UsageError("-o - prints results as they come: add --follow.")
    settings_given = given(parameters, OF_WAVE)
    settings = load_given(parameters | {"profile": None}, _OURS).settings

    from batcher.cli.following_service import Submission, submit
    from batcher.cli.service_options import service_of
    from batcher.cli.typed import typed

    results = None if output == "-" else _default_results(manifest) if output is None else Path(output)
    if results is not None and manifest.exists() and results.exists() and results.samefile(manifest):
        raise UserError(f"{results} is the manifest itself: choose another file for -o.")
    return submit(
        Submission(
            manifest=manifest,
            results=results,
            is_named=output is not None,
            format=format_,
            encoding=encoding,
            name=name,
            priority=priority or 0,
            start=not hold,
            profile=profile,
            given=settings_given,
            restart=restart,
            command=typed(sys.argv[1:]),
        ),
        service_of(service, service_token_file, settings),
        settings,
        follow=follow,
        as_json=as_json,
    )


def _default_results(manifest: Path) -> Path:
    if manifest.exists() and not manifest.is_file():
        raise click.UsageError(f"{manifest} is no file that results could lie beside: name one with -o.")
    return manifest.with_name(f"{manifest.stem}.results.jsonl")
