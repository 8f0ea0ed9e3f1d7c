"""What is made durable in the journal, one value a fact: all that a keeper of journals has to know how to write."""

from dataclasses import dataclass
from typing import Any

from batcher.wave.events import Event
from batcher.wave.result import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An event of entry *index*."""

    index: int
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The final result of entry *index*; *seq* is its place in the results file, *line* what stands there."""

    index: int
    seq: int
    status: Status
    line: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A fact about the wave, by *name*; a later one replaces it."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockNoted:
    """How far the cloud's clock is ahead of ours, for a scope."""

    scope: int
    offset_s: float


Op = Happened | Settled | Noted | ClockNoted
