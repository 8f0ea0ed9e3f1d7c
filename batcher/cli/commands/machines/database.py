"""`batcher database`: whether a PostgreSQL database can keep waves, and batcher's tables in it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from batcher.cli import exits
from batcher.cli.show.terminal import note, tell
from batcher.clock import Clock, SystemClock
from batcher.durations import duration_text
from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.journal.postgres.link import DatabaseLink

_ANSWER_S = 120.0  # for a question; what changes tables takes as long as it takes
_SAY_EVERY_S = 30.0
_HOW_TO_LOOK = (
    "Interrupted, nothing is changed. What it does: SELECT state, wait_event_type, query FROM pg_stat_activity "
    "WHERE application_name = 'batcher database'"
)

_EPILOG = """\b
Examples:
  batcher database prepare 'postgresql://db.example.org/fleet?user=batcher'
  batcher database prepare 'postgresql://db.example.org/fleet?user=batcher' --apply
  batcher database prepare 'postgresql://?service=fleet'

\b
The password comes from ~/.pgpass (or PGPASSFILE), from a service of pg_service.conf,
or from PGPASSWORD; never from the address, which everybody on the machine can read.
batcher's tables are in a schema `batcher`; with ?schema=NAME they are in another one,
so that one database can have several of them.
"""


@click.group(epilog=_EPILOG)
def command() -> None:
    """Prepare a PostgreSQL database that several machines share."""


@command.command("prepare", epilog=_EPILOG)
@click.argument("url")
@click.option("--apply", is_flag=True, help="Change what is to be changed. Without it, nothing is.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
def prepare_command(url: str, apply: bool, as_json: bool) -> int:
    """Look at the server behind URL, and say what would be changed there; with --apply, change it.

    Tables are made, or brought to this version, in one transaction: waves that run meanwhile are not harmed. That takes
    as long as it takes, over many waves minutes, and is said every half minute.

    Exits with 0 where nothing is left to be changed, with 1 where something is and --apply was not given, with 2
    where no wave can be kept there, and with 3 where the database is away.
    """
    from batcher.journal.errors import JournalFailed, NotAJournal, unusable
    from batcher.journal.postgres.address import Address

    address = Address.of(url)
    from batcher.journal.postgres.link import DatabaseLink, Patience

    try:
        # Who changes tables and who writes may wait for each other: the server breaks that off, and it is done anew.
        patience = Patience(answer_s=_ANSWER_S, grace_s=30.0)
        link = DatabaseLink(address, patience, program="batcher database", trusting=True)
        try:
            return _prepare(link, apply=apply, as_json=as_json)
        finally:
            link.close()
    except (JournalFailed, NotAJournal) as error:
        raise unusable(error) from error


@contextmanager
def _said_to_go_on(clock: Clock) -> Iterator[None]:
    """While the context lasts, say now and then that the server is at it, and how to look."""
    over = threading.Event()

    def say() -> None:
        began = clock.monotonic()
        while not over.wait(_SAY_EVERY_S):
            lasted = duration_text(round(clock.monotonic() - began))
            note(f"the server is at it, for {lasted} by now, and is waited for. {_HOW_TO_LOOK}")

    saying = threading.Thread(target=say, daemon=True)
    saying.start()
    try:
        yield
    finally:
        over.set()
        saying.join()


def _prepare(link: "DatabaseLink", *, apply: bool, as_json: bool) -> int:
    from batcher.journal.postgres.checks import Fitness, examine
    from batcher.journal.postgres.migrations import migrate, pending

    checks = examine(link)
    usable = all(check.verdict is not Fitness.BAD for check in checks)
    steps = pending(link) if usable else []
    if apply and steps:
        with _said_to_go_on(SystemClock()):
            migrate(link)
    if as_json:
        import orjson

        told = [{"verdict": check.verdict.value, "what": check.what} for check in checks]
        said = {"database": str(link.address), "usable": usable, "checks": told, "steps": steps, "applied": apply}
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
    else:
        click.echo(str(link.address))
        for check in checks:
            click.echo(f"  {check.verdict:7}{check.what}")
        for step in steps:
            click.echo(f"{'done:' if apply else 'would'} {step}")
    if not usable:
        raise UserError("no wave can be kept there, as what is marked bad says. Nothing was changed.")
    if not steps:
        tell(f"the tables in the schema {link.address.schema} are those of this version: nothing to change")
        return exits.CREATED
    if not apply:
        tell("nothing was changed: run it again with --apply")
        return exits.INCOMPLETE
    return exits.CREATED
