"""What is made durable in the journal, one value a fact: all that a keeper of journals has to know how to write."""

from collections import Counter
from typing import Any

from msgspec import Struct

from batcher.life.events import Event
from batcher.life.result import Status


class Happened(Struct, frozen=True, kw_only=True):
    """An event of entry *index*."""

    index: int
    event: Event


class Settled(Struct, frozen=True, kw_only=True):
    """The final result of entry *index*; *line* is what the results file has of it. Its number the keeper gives."""

    index: int
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


class Receipt(Struct, frozen=True):
    """What the journal says when a result is durable.

    *seq* is its number in the wave: its place in the results file. *counts* are the wave's results by status, whichever
    process recorded them; they are shared, and not to be changed.
    """

    seq: int
    counts: Counter[Status]
