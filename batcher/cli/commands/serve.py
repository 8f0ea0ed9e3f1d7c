"""`batcher serve`: waves over HTTP."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.show.terminal import tell
from batcher.errors import UserError
from batcher.homes import expanded

if TYPE_CHECKING:
    from batcher.journal.postgres.address import Address

DEFAULT_LISTEN = "127.0.0.1:8080"
_SETTINGS = ("log_format", "log_level", "timezone")

_EPILOG = """\b
Examples:
  batcher serve
  batcher serve --data /srv/batcher --profile prod --profile test
  batcher serve --listen 0.0.0.0:8080 --tokens /etc/batcher/tokens --approval
  batcher serve --database 'postgresql://db.example.org/fleet?user=batcher' --workers 0

\b
Hand a wave in:
  curl -T wave.csv -X POST -H 'Content-Type: text/csv' 'http://127.0.0.1:8080/v1/waves?region=eu-west-101&rate=5/s'

A wave that was accepted is run, once, whatever becomes of the service: after the next start it goes on by itself. With
--database it goes on at once, where other services or batcher worker are there: they share the waves of a database.
Credentials and limits are the service's own, from the environment and the config file, never from a request.
docs/service.md has every path. Exit codes: 0 ended in order, 2 bad usage or configuration.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.option("--listen", metavar="HOST:PORT", default=DEFAULT_LISTEN, show_default=True,
              help="Where to listen; port 0 takes a free one.")  # fmt: skip
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for the waves; by default in the user's data folder.")  # fmt: skip
@click.option("--database", metavar="URL", envvar="BATCHER_DATABASE",
              help="In its place a database that machines share: postgresql://HOST/DATABASE?user=NAME; "
              "docs/several-machines.md. [BATCHER_DATABASE]")  # fmt: skip
@click.option("--tokens", metavar="FILE", type=click.Path(path_type=Path), envvar="BATCHER_TOKENS",
              help="Who may do what: see batcher token. Without it, only this machine. [BATCHER_TOKENS]")  # fmt: skip
@click.option("--approval", is_flag=True, help="A wave is held until another than its submitter approves it.")
@click.option("--workers", metavar="N", type=click.IntRange(0, 64), default=1, show_default=True,
              help="Workers in this process; with 0 it serves the API alone. A data folder has one at most; with "
              "--database each is as batcher worker: four scopes at once.")  # fmt: skip
@click.option("--grace", metavar="SECONDS", type=click.FloatRange(0, 600), default=25.0, show_default=True,
              help="At the end, time for what is in flight to be settled.")  # fmt: skip
@settings_options(_SETTINGS, profiles=True)
def command(
    listen: str,
    data: Path | None,
    database: str | None,
    tokens: Path | None,
    approval: bool,
    workers: int,
    grace: float,
    **parameters: Any,
) -> int:
    """Serve waves over HTTP: handed in, approved, run, watched and judged.

    Each wave is run as `batcher run` does, with the same promises and the same files, in a folder of its own.
    """
    host, port = address_of(listen)
    address = _database(database, data, workers)
    config, profiles = parameters["config"], tuple(parameters["profile"])
    parameters["profile"] = profiles[0] if profiles else None
    settings = load_given(parameters, _SETTINGS).settings

    import asyncio

    from batcher import logs, streams
    from batcher.cli.loops import quickest_loop
    from batcher.cli.show.terminal import colors_on, screen
    from batcher.cli.signals import caught
    from batcher.service.given import ServedProfiles
    from batcher.service.kept.folders import default_data
    from batcher.service.server import Ending, Options, serve

    options = Options(
        host=host,
        port=port,
        data=Path() if address is not None else data or default_data(),
        database=address,
        service=ServedProfiles(config=None if config is None else Path(config), profiles=profiles),
        tokens=None if tokens is None else expanded(tokens),
        approval=approval,
        workers=workers,
        grace_s=grace,
    )
    err = screen()
    logs.configure(settings.log_format, settings.log_level, color=colors_on(err.stream))

    async def run() -> None:
        ending = Ending()
        with caught(lambda _: ending.tell()):
            await serve(options, ending, lambda url: tell(f"batcher serves {options.kept_in} at {url}"))

    with streams.never_waiting(), asyncio.Runner(loop_factory=quickest_loop()) as runner:
        runner.run(run())
    return exits.CREATED


def _database(database: str | None, data: Path | None, workers: int) -> "Address | None":
    """Where the waves are to be, if that is a database. Raises `UserError`."""
    if database is None:
        if workers > 1:
            raise UserError(f"--workers {workers} is for --database: a data folder has one worker, or none.")
        return None
    if data is not None:
        raise UserError("--data and --database (or BATCHER_DATABASE) name two places for the waves: give one of them.")
    from batcher.journal.postgres.address import Address

    return Address.of(database)


def address_of(listen: str) -> tuple[str, int]:
    """Host and port of *listen*. Raises `UserError`."""
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):([0-9]{1,5})", listen.strip())
    if match is None or int(match[3]) > 65535:
        place = f"such as {DEFAULT_LISTEN} or [::1]:8080"
        raise UserError(f"--listen {listen} is no place to listen: write HOST:PORT, {place}.")
    return match[1] or match[2], int(match[3])
