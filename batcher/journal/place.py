"""A wave's place in a database that machines share: `postgresql://[USER@]HOST[:PORT]/DATABASE/WAVE[?OPTIONS]`.

One value for all who take one from the command line, and for all who print one to be typed again. It is read without a
look at the database.
"""

import re
from pathlib import Path

from msgspec import Struct

from batcher.journal.errors import WaveRefused
from batcher.journal.postgres.address import DEFAULT_SCHEMA, SCHEMES, Address, unreadable

_WAVE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_URL = re.compile(r"(postgres(?:ql)?://[^/?]*)([^?]*)((?:\?.*)?)", re.DOTALL)
_LONGEST_STEM = 100
_DIGITS_OF_DIGEST = 12


def is_place(text: str) -> bool:
    """Whether *text* means a place in a database, well written or not, and no file."""
    return text.lower().startswith(("postgresql:", "postgres:"))


def wave_id(stem: str, digest: str) -> str:
    """The id of the wave of the manifest called *stem*, by its *digest* in hex: the same wherever it is run."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("._-")[:_LONGEST_STEM]
    return f"{plain or 'wave'}-{digest.rpartition(':')[2][:_DIGITS_OF_DIGEST]}"


class WavePlace(Struct, frozen=True):
    """The *wave* with that id in the database at *address*; None: the database, and no wave of it yet."""

    address: Address
    wave: str | None = None

    @classmethod
    def of(cls, text: str) -> "WavePlace":
        """The place that *text* tells. Raises `WaveRefused`, which never repeats what may be a password; `UserError`
        where psycopg is missing."""
        if not text.startswith(SCHEMES):
            raise WaveRefused(
                "that is no place in a database: write postgresql://HOST/DATABASE/WAVE, or without WAVE for all of it"
            )
        whole = _URL.fullmatch(text)
        assert whole is not None  # noqa: S101 - of all that begins with a scheme
        server, path, options = whole.groups()
        if "@" in path:
            raise unreadable()
        named = path.split("/")[1:]
        address = Address.of(server + (f"/{named[0]}" if named and named[0] else "") + options)
        if len(named) > 2:
            raise WaveRefused(
                "the place in a database has too many parts: write postgresql://HOST/DATABASE/WAVE, with %2F for a / "
                "in the database's name"
            )
        wave = named[1] if len(named) > 1 else ""
        if wave and _WAVE_ID.fullmatch(wave) is None:
            raise WaveRefused(
                f"{wave!r} can be no wave's id: it begins with a letter or a digit, and then has letters, digits, "
                "`.`, `_` and `-`"
            )
        return cls(address, wave or None)

    def at(self, wave: str) -> "WavePlace":
        """The place of that *wave* of the same database."""
        return WavePlace(self.address, wave)

    def required_wave(self) -> str:
        """The wave's id. Raises `WaveRefused` where none is named."""
        if self.wave is None:
            raise WaveRefused(
                f"{self.address} is a database of many waves: say which, {self.at('WAVE')}. "
                f"`batcher status --journal '{self}'` lists them"
            )
        return self.wave

    def __str__(self) -> str:
        """The same as it is typed, with everything that the way to the database takes."""
        whole = _URL.fullmatch(self.address.url)
        assert whole is not None  # noqa: S101 - as it was read
        server, database, options = whole.groups()
        server = server.replace("postgres://", "postgresql://", 1)
        path = f"{database or '/'}/{self.wave}" if self.wave is not None else database
        if self.address.schema != DEFAULT_SCHEMA:
            options = f"{options}&schema={self.address.schema}" if options else f"?schema={self.address.schema}"
        return f"{server}{path}{options}"


JournalPlace = Path | WavePlace
"""Where a wave's record is: in a file, or in a database that machines share."""
