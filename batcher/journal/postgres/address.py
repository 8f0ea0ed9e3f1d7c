"""Where a database that machines share is: what was typed of it, and what may be shown.

A password is never part of it: an address stands in the list of processes, in shells' histories and in logs. libpq
finds passwords by itself, in PGPASSFILE (`~/.pgpass`), in a service (PGSERVICE, `pg_service.conf`) or in PGPASSWORD.
"""

from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from batcher.journal.errors import WaveRefused

SCHEMES = ("postgresql://", "postgres://")
_SECRETS = ("password", "sslpassword", "oauth_client_secret")
_NOT_OURS = ("options",)  # what would be said there is said once the connection stands; a pooler refuses it


class Address(Struct, frozen=True):
    """A database, as a URL for libpq; in it batcher's tables are in the *schema* of that name."""

    url: str
    schema: str = "batcher"

    @classmethod
    def of(cls, url: str, schema: str = "batcher") -> "Address":
        """The address that *url* tells. Raises `WaveRefused` for what is none, and for one with a password in it."""
        if not url.startswith(SCHEMES):
            raise WaveRefused(
                "that is no address of a PostgreSQL database: write postgresql://HOST/DATABASE?user=NAME, "
                "or postgresql://?service=NAME"
            )
        try:
            said = conninfo_to_dict(url)
            parts = urlsplit(url)
        except (ProgrammingError, ValueError):  # its text quotes what may be a password
            raise WaveRefused(
                "the address of the database cannot be read: write postgresql://HOST/DATABASE?user=NAME, with %40 for "
                "an @ in a name"
            ) from None
        if any(name in said for name in _SECRETS) or parts.password is not None:
            raise WaveRefused(
                "the address of the database holds a password, which everybody on this machine can read there: put it "
                "into ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, mode 0600; another file with PGPASSFILE), or into a "
                "service of pg_service.conf (postgresql://?service=NAME), and leave it out of the address"
            )
        for name in _NOT_OURS:
            if name in dict(parse_qsl(parts.query)):
                raise WaveRefused(f"leave {name}= out of the address of the database: batcher sets what it needs")
        return cls(url, schema)

    def __str__(self) -> str:
        """What people know the database by: without what is about the connection alone."""
        parts = urlsplit(self.url)
        shown = f"postgresql://{parts.netloc}{parts.path}"
        kept = [f"{name}={value}" for name, value in parse_qsl(parts.query) if name in ("service", "host", "dbname")]
        return f"{shown}?{'&'.join(kept)}" if kept else shown
