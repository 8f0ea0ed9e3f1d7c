"""`batcher database`: whether a PostgreSQL database can keep waves, and batcher's tables in it."""

from typing import TYPE_CHECKING

import click

from batcher.cli import exits
from batcher.cli.show.terminal import tell
from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.journal.postgres.link import DatabaseLink

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

    Tables are made, or brought to this version, in one transaction: waves that run meanwhile are not harmed.

    Exits with 0 where nothing is left to be changed, with 1 where something is and --apply was not given, with 2
    where no wave can be kept there, and with 3 where the database is away.
    """
    from batcher.journal.errors import JournalFailed, NotAJournal, unusable
    from batcher.journal.postgres.address import Address

    address = Address.of(url)
    from batcher.journal.postgres.link import DatabaseLink, Patience

    try:
        # Who changes tables and who writes may wait for each other: the server breaks that off, and it is done anew.
        patience = Patience(answer_s=120.0, grace_s=30.0)
        link = DatabaseLink(address, patience, program="batcher database", trusting=True)
        try:
            return _prepare(link, apply=apply, as_json=as_json)
        finally:
            link.close()
    except (JournalFailed, NotAJournal) as error:
        raise unusable(error) from error


def _prepare(link: "DatabaseLink", *, apply: bool, as_json: bool) -> int:
    from batcher.journal.postgres.checks import Fitness, examine
    from batcher.journal.postgres.migrations import migrate, pending

    checks = examine(link)
    usable = all(check.verdict is not Fitness.BAD for check in checks)
    steps = pending(link) if usable else []
    if apply and steps:
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
