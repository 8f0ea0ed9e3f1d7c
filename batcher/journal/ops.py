"""What is made durable in the journal, one value a fact: all that a keeper of journals has to know how to write."""

from typing import Any

from msgspec import Struct

from batcher.life.events import Event
from batcher.life.result import Status


class Happened(Struct, frozen=True, kw_only=True):
    """An event of entry *index*."""

    index: int
    event: Event


class Settled(Struct, frozen=True, kw_only=True):
    """The final result of entry *index*; *seq* is its place in the results file, *line* what stands there."""

    index: int
    seq: int
    status: Status
    line: bytes


class Noted(Struct, frozen=True, kw_only=True):
    """A fact about the wave, by *name*; a later one replaces it."""

    name: str
    value: Any


class ClockNoted(Struct, frozen=True, kw_only=True):
    """How far the cloud's clock is ahead of ours, for a scope."""

    scope: int
    offset_s: float


Op = Happened | Settled | Noted | ClockNoted
