"""Making the tables of a database that machines share, and seeing that they are this version's."""

from batcher.journal.errors import NotAJournal
from batcher.journal.postgres.inviting import made
from batcher.journal.postgres.link import Connection, DatabaseLink
from batcher.journal.postgres.schema import MIGRATIONS, VERSION

_AS_LONG_AS_IT_TAKES_S = 7 * 86_400.0
_LOCK = 0x44525342  # "DRSB": whoever changes the tables holds it, for the length of the transaction


def version_of(link: DatabaseLink) -> int | None:
    """The version of batcher's tables in the database; None: there are none. Raises `JournalFailed`."""
    there = link.row("SELECT to_regclass(%s)", (f'"{link.address.schema}".meta',))
    if there is None or there[0] is None:
        return None
    row = link.row("SELECT value FROM meta WHERE name = 'version'")
    return None if row is None else int(row[0])


def require_current(link: DatabaseLink) -> None:
    """See that the tables are those of this version. Raises `NotAJournal`, `JournalFailed`."""
    version = version_of(link)
    if version == VERSION:
        return
    prepare = "batcher database prepare URL --apply"
    if version is None:
        raise NotAJournal(f"the database {link.name} has no tables of batcher yet: {prepare}")
    if version > VERSION:
        raise NotAJournal(
            f"the tables in {link.name} are of version {version}, and this batcher knows version {VERSION}: use the "
            "version of batcher that prepared them, or a newer one"
        )
    raise NotAJournal(f"the tables in {link.name} are of version {version}, older than this batcher's: {prepare}")


def pending(link: DatabaseLink) -> list[str]:
    """What `migrate` would do, for people. Raises `NotAJournal` where the tables are a newer version's."""
    version = version_of(link)
    if version is not None and version > VERSION:
        require_current(link)
    if version is None:
        return [f"make the schema {link.address.schema} with batcher's tables, version {VERSION}"]
    return [f"bring the tables from version {one} to {one + 1}" for one in range(version, VERSION)]


def migrate(link: DatabaseLink) -> None:
    """Make the tables those of this version, in one transaction; nothing where they are. Raises `NotAJournal`,
    `JournalFailed`.

    Whoever does so at the same moment waits, and then finds it done. A statement takes as long as it takes, which for
    an index over many waves is minutes: given up here, it would go on there, hold what it has locked, and come to
    nothing. A server that is gone is noticed by its connection all the same.
    """
    schema = link.address.schema

    def work(connection: Connection) -> None:
        connection.answer_s = _AS_LONG_AS_IT_TAKES_S  # of this connection: the next one is another
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '60s'")
            connection.execute("SET LOCAL statement_timeout = 0")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            there = connection.execute("SELECT to_regclass(%s)", (f'"{schema}".meta',)).fetchone()
            version = 0
            if there != (None,):
                row = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
                version = int(row[0]) if row else 0
            if version == 0:
                connection.execute(made(schema))
            for migration in MIGRATIONS[version:]:
                connection.execute(migration(schema))
            connection.execute(
                "INSERT INTO meta VALUES ('version', %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (str(max(version, VERSION)),),
            )

    link.do(work, writing=True)
