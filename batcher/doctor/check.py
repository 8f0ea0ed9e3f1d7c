"""One thing that was looked at, and what came of it."""

from enum import StrEnum

from msgspec import Struct


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # a wave can run, and may be surprised
    FAULT = "fault"  # a wave would stop, or not begin


class Check(Struct, frozen=True, kw_only=True):
    """*subject* is what was looked at, in a word or two; *said* what was found; *mend* what to do about it."""

    subject: str
    level: Level
    said: str
    mend: str | None = None


def ok(subject: str, said: str) -> Check:
    """A check that found *subject* to be well."""
    return Check(subject=subject, level=Level.OK, said=said)


def warning(subject: str, said: str, mend: str) -> Check:
    """A check that found what may surprise, but stops no wave."""
    return Check(subject=subject, level=Level.WARNING, said=said, mend=mend)


def fault(subject: str, said: str, mend: str | None) -> Check:
    """A check that found what would stop a wave, or keep it from beginning."""
    return Check(subject=subject, level=Level.FAULT, said=said, mend=mend)
