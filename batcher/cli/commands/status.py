"""`batcher status`: several waves on one screen."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batcher.cli import exits
from batcher.cli.entries import JournalType, shared_place
from batcher.cli.timezone import timezone_option
from batcher.errors import UserError

if TYPE_CHECKING:
    from rich.text import Text

    from batcher.journal.place import JournalPlace
    from batcher.report.glance import Glance

_EPILOG = """\b
Examples:
  batcher status
  batcher status wave1.jsonl wave2.jsonl wave3.jsonl
  batcher status /srv/cutover --watch
  batcher status --journal postgresql://db.example.org/fleet --watch
  batcher status --json | jq -r '.waves[] | select(.stage == "stopped") | .results'

\b
running     it is submitting, and was asked how far it is
following   all is submitted; `watch` or `run --wait` follows it to its verdicts
paused      by `batcher control`
stopped     entries are open, and no process has the wave
ended       every entry has a result
unreadable  its files cannot be used; it says why

\b
Exit codes: 0 told; 1 there are no waves there; 2 bad usage, or a wave is unreadable; 3 the database is away.
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--journal", "place", metavar="URL", type=JournalType(),
    help="Waves in a database instead: postgresql://HOST/DATABASE[/WAVE].",
)  # fmt: skip
@click.option("--watch", is_flag=True, help="Draw it anew every two seconds, until you interrupt it.")
@timezone_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
def command(paths: tuple[Path, ...], place: "JournalPlace | None", watch: bool, as_json: bool) -> int:
    """Show how waves stand: how far they are, their verdicts, the time to go, and what to do next.

    PATHS are results files, or folders with the waves in them; by default the folder that you are in. A running wave is
    asked, of the others the files are read; nothing is changed. With --journal URL they are the waves of a database
    that machines share: each scope with the worker that has it, and the scopes that no worker takes.
    """
    if watch and as_json:
        raise click.UsageError("--watch draws on a terminal, --json prints once: use one of the two.")
    if place is not None:
        return _shared(place, paths, watch=watch, as_json=as_json)
    from batcher.cli.show.terminal import console, say
    from batcher.report.glance import Looker, waves_in

    named = paths or (Path(),)
    if watch:
        return _watched(named)
    glances = Looker().look(waves_in(named))
    if as_json:
        _print_json(glances)
        return _code(glances)
    if not glances:
        raise UserError(_nothing(named), exit_code=exits.INCOMPLETE)
    from batcher.cli.show.glance import glance_lines

    out = console()
    for line, is_command in glance_lines(glances):
        if is_command:
            out.print(line, soft_wrap=True)
        else:
            say(out, line)
    return _code(glances)


def _code(glances: "Sequence[Glance]") -> int:
    from batcher.report.glance import Stage

    if any(glance.stage is Stage.UNREADABLE for glance in glances):
        return exits.USAGE
    return exits.CREATED if glances else exits.INCOMPLETE


def _nothing(named: Sequence[Path]) -> str:
    where = ", ".join(str(path) for path in named) if named != (Path(),) else "here"
    return f"there are no waves {'in ' if where != 'here' else ''}{where}: name their results files, or their folder."


def _print_json(glances: "Sequence[Glance]") -> None:
    import orjson

    from batcher.report.glance import gate_of

    said = {"waves": [glance.as_json() for glance in glances], "gate": gate_of(glances)}
    click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))


_EVERY_S = 2.0


def _shared(place: "JournalPlace", paths: Sequence[Path], *, watch: bool, as_json: bool) -> int:
    """Show the waves of a database."""
    if paths:
        raise click.UsageError("--journal names the waves: leave PATHS out.")
    shared = shared_place(place)
    if shared is None:
        raise click.UsageError("--journal takes a place in a database here; of waves in files name the results files.")
    from batcher.cli.commands.shared import steering
    from batcher.cli.show.terminal import console, say

    if watch:
        return _redrawn(lambda: list(steering.lines_of(*steering.look(shared))))
    standings, workers = steering.look(shared)
    if as_json:
        import orjson

        click.echo(orjson.dumps(steering.as_json(shared, standings, workers), option=orjson.OPT_INDENT_2))
    else:
        out = console()
        for line in steering.lines_of(standings, workers):
            say(out, line)
    if standings:
        return exits.CREATED
    if not as_json:
        raise UserError(f"there are no waves in {shared.address} yet.", exit_code=exits.INCOMPLETE)
    return exits.INCOMPLETE


def _watched(named: Sequence[Path]) -> int:
    """Draw the waves of files until somebody interrupts it."""
    from rich.text import Text

    from batcher.cli.show.glance import glance_lines
    from batcher.report.glance import Looker, waves_in

    looker = Looker()

    def lines() -> "list[Text]":
        glances = looker.look(waves_in(named))
        return [line for line, _ in glance_lines(glances)] or [Text(_nothing(named))]

    return _redrawn(lines)


def _redrawn(lines_now: "Callable[[], list[Text]]") -> int:
    """Draw what *lines_now* gives, again and again, until somebody interrupts it."""
    import sys
    import time

    from rich.live import Live
    from rich.text import Text

    from batcher import zone
    from batcher.cli.show.terminal import Screen
    from batcher.clock import utc_now

    screen = Screen(sys.stdout)
    if not screen.is_live:
        raise click.UsageError("--watch draws on a terminal: without one, ask again with --json.")
    with Live(console=screen.terminal, auto_refresh=False) as live:
        while True:
            lines = [*lines_now(), Text(), Text(f"{zone.clock_text(utc_now())}, Ctrl-C ends", "dim")]
            live.update(Text("\n").join(lines), refresh=True)
            time.sleep(_EVERY_S)
