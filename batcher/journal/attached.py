"""Which wave of a service the lines of a results file are of, as the file beside it says: `batcher submit` keeps one,
and commands over copies of a service's lines write one.

It is only appended to, a JSON object a line; what is torn at its end counts for nothing.
"""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct

SUFFIX = ".service.json"
MOST_BYTES = 16 * 1024 * 1024


class AttachedWave(Struct, frozen=True, kw_only=True):
    """The wave with the id *wave* at *service*, an address. *entries* are its own; None: nobody wrote that down."""

    service: str
    wave: str
    entries: int | None

    @property
    def words(self) -> str:
        """The words that name it in a command."""
        return f"--service {shlex.quote(self.service)} {shlex.quote(self.wave)}"


def attachment_of(results: Path) -> Path:
    """The file beside *results*: `wave.results.jsonl` has `wave.results.service.json`."""
    return results.with_name(f"{results.name.removesuffix('.jsonl')}{SUFFIX}")


def known_in(body: bytes) -> dict[str, Any]:
    """What the whole lines of *body* say, later ones over earlier ones. Raises `ValueError`, `TypeError`."""
    known: dict[str, Any] = {}
    for line in body[: body.rfind(b"\n") + 1].splitlines():
        known |= orjson.loads(line)
    return known


def attached_to(results: Path) -> AttachedWave | None:
    """The wave that *results* belong to; None where they are of no service, or nobody can tell."""
    with suppress(OSError, ValueError, TypeError):
        with attachment_of(results).open("rb") as file:
            known = known_in(file.read(MOST_BYTES))
        service, wave, entries = known.get("service"), known.get("wave"), known.get("entries")
        if isinstance(service, str) and isinstance(wave, str):
            return AttachedWave(service=service, wave=wave, entries=entries if isinstance(entries, int) else None)
    return None
