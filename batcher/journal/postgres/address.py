"""Where a database that machines share is: what was typed of it, and what may be shown.

A password is never part of it: an address stands in the list of processes, in shells' histories and in logs. libpq
finds passwords by itself, in PGPASSFILE (`~/.pgpass`), in a service (PGSERVICE, `pg_service.conf`) or in PGPASSWORD.

What several machines take is in an extra: psycopg is loaded with the first address, and what is missing is told in one
sentence.
"""

import re
from importlib.util import find_spec
from urllib.parse import SplitResult, parse_qsl, urlsplit

from msgspec import Struct

from batcher.errors import UserError
from batcher.journal.errors import WaveRefused

SCHEMES = ("postgresql://", "postgres://")
DEFAULT_SCHEMA = "batcher"
_SECRETS = ("password", "sslpassword", "oauth_client_secret")
_NOT_OURS = ("options",)  # what would be said there is said once the connection stands; a pooler refuses it
_LONGEST_SCHEMA = 63  # bytes, of any name in PostgreSQL
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")


class Address(Struct, frozen=True):
    """A database, as a URL for libpq; in it batcher's tables are in the *schema* of that name."""

    url: str
    schema: str = DEFAULT_SCHEMA

    @classmethod
    def of(cls, url: str) -> "Address":
        """The address that *url* tells, with `schema=NAME` among its options where it is not the default.

        Raises `WaveRefused` for what is none, and for one with a password in it; `UserError` where psycopg is missing.
        """
        if not url.startswith(SCHEMES):
            raise WaveRefused(
                "that is no address of a PostgreSQL database: write postgresql://HOST/DATABASE?user=NAME, "
                "or postgresql://?service=NAME"
            )
        url, schema = _without_schema(url)
        parts = _checked(url)
        if "/" in parts.path.removeprefix("/"):
            raise WaveRefused("the address names more than a database: write postgresql://HOST/DATABASE and no more")
        return cls(url, schema)

    def __str__(self) -> str:
        """What people know the database by: without what is about the connection alone."""
        parts = urlsplit(self.url)
        shown = f"postgresql://{parts.netloc}{parts.path}"
        kept = [f"{name}={value}" for name, value in parse_qsl(parts.query) if name in ("service", "host", "dbname")]
        kept += [f"schema={self.schema}"] if self.schema != DEFAULT_SCHEMA else []
        return f"{shown}?{'&'.join(kept)}" if kept else shown


def _without_schema(url: str) -> tuple[str, str]:
    """*url* for libpq, which knows no schemas, and the schema. Raises `WaveRefused`."""
    base, _, query = url.partition("?")
    options = [option for option in query.split("&") if option]
    named = [option.removeprefix("schema=") for option in options if option.startswith("schema=")]
    kept = "&".join(option for option in options if not option.startswith("schema="))
    schema = named[-1] if named else DEFAULT_SCHEMA
    if not schema.isidentifier() or not schema.isascii() or schema != schema.lower() or len(schema) > _LONGEST_SCHEMA:
        raise WaveRefused("schema= in the address takes a name of small letters, digits and underscores")
    return f"{base}?{kept}" if kept else base, schema


def unreadable() -> WaveRefused:
    """What to say of an address that cannot be read: without a word of it, which may be a password's."""
    return WaveRefused(
        "the address of the database cannot be read: write postgresql://HOST/DATABASE?user=NAME, with %40 for "
        "an @ in a name, and %2F for a /"
    )


def _not_installed(package: str, error: ImportError | None = None) -> UserError:
    why = "which is not installed here" if error is None or error.name == package else f"which does not load: {error}"
    return UserError(
        f"a wave in a database takes {package}, {why}. Install what several machines take: pip install "
        "'drs-batcher[fleet]'."
    )


def _checked(url: str) -> SplitResult:
    """The parts of *url*, in which libpq finds everything and no secret stands. Raises `WaveRefused`, `UserError`."""
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise _not_installed("psycopg", error) from None
    if find_spec("procrastinate") is None:  # here once for all: whoever needs it has had an address read before
        raise _not_installed("procrastinate")
    try:
        said = conninfo_to_dict(url)
        parts = urlsplit(url, allow_fragments=False)
    except (ProgrammingError, ValueError):  # its text quotes what may be a password
        raise unreadable() from None
    if any(name in said for name in _SECRETS) or parts.password is not None:
        raise WaveRefused(
            "the address of the database holds a password, which everybody on this machine can read there: put it "
            "into ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, mode 0600; another file with PGPASSFILE), or into a "
            "service of pg_service.conf (postgresql://?service=NAME), and leave it out of the address"
        )
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if "@" in parts.path or not all(_HOST.fullmatch(host) for host in hosts):  # of a password with a / in it
        raise unreadable()
    for name in _NOT_OURS:
        if name in dict(parse_qsl(parts.query)):
            raise WaveRefused(f"leave {name}= out of the address of the database: batcher sets what it needs")
    return parts
