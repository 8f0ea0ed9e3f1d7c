"""`batcher backup`: a copy of a service's data while it runs."""

from pathlib import Path

import click

from batcher.cli import exits
from batcher.cli.show.terminal import note, tell
from batcher.clock import SystemClock
from batcher.text import counted

_EPILOG = """\b
Examples:
  batcher backup /backups/batcher-$(date +%F) --data /srv/batcher
  cd /backups/batcher-2026-11-30 && sha256sum --check --quiet SHA256SUMS

\b
Restore it, with the service stopped, into an empty place:
  mv /srv/batcher /srv/batcher.old
  cp -a /backups/batcher-2026-11-30 /srv/batcher
  batcher serve --data /srv/batcher

What was sent since the backup is looked for in the cloud before anything is sent; nothing is created twice. Start it
--landing-time (150 s) after the old service ended, so that what that one sent last is there to be found. Tokens and
config file lie elsewhere: keep them, too. docs/service.md has a chapter on it.
Exit codes: 0 done, 1 done, but a wave's journal is damaged, 2 bad usage, 3 it cannot be read or written.
"""


@click.command(epilog=_EPILOG)
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="The service's data; by default in the user's data folder.")  # fmt: skip
def command(target: Path, data: Path | None) -> int:
    """Copy a service's data to DIR, a new folder, while it runs or when it is down.

    DIR is a state that a service can be started on as it is: nothing in it is half written.
    """
    from batcher.service.kept.backup import SUMS, back_up
    from batcher.service.kept.folders import default_data

    made = back_up(data or default_data(), target, SystemClock.now())
    size = f"{made.size / 1e6:,.1f} MB"
    waves, entries = counted(made.waves, "wave"), counted(made.entries, "entry", "entries")
    tell(f"{target}: {waves} with {entries}, {size}. sha256sum --check {SUMS} there tells whether it is whole")
    for damaged in made.damaged:
        note(damaged)
    return exits.INCOMPLETE if made.damaged else exits.CREATED
