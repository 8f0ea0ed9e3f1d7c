"""Ops into the arrays that `record_commit` takes, and its answer into receipts."""

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import assert_never
from uuid import UUID

import msgspec
import orjson
from msgspec import Struct

from batcher.journal.errors import IntentRefused, LaneLost
from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Receipt, Settled
from batcher.journal.postgres.link import DatabaseLink, Prepared
from batcher.journal.postgres.schema import RECORD_COMMIT
from batcher.life.events import encode, kind_of
from batcher.life.result import Status


class Binding(Struct, frozen=True):
    """What a group of ops is written for: a wave, and the lease by which.

    *wave* and *scope* are numbers of the database. Without a scope it is written by nobody's lease, which holds as
    long as there is none on any scope that it is about. *name* is the wave's, for people.
    """

    wave: int
    name: str
    scope: int | None = None
    epoch: int | None = None


Outcome = Receipt | LaneLost | IntentRefused | None


class CommitWriter:
    """Writes groups of ops through *link*, each commit with the next number of this writer: *identity*, its own."""

    def __init__(self, link: DatabaseLink, identity: UUID) -> None:
        self._link = link
        self._identity = str(identity).encode()
        self._last = 0
        self._versions: dict[Binding, int] = {}

    def orders_version(self, binding: Binding) -> int:
        """Which version the orders for it had at the last commit that was written for it; 0: none was."""
        return self._versions.get(binding, 0)

    def write(self, groups: Sequence[tuple[Binding, Sequence[Op]]], *, whole: bool = False) -> list[Outcome]:
        """Make *groups* durable in one statement; what became of each. Raises `JournalFailed`.

        Groups whose lease is lost, or whose intent an order forbids, are left out; with *whole* nothing is written
        then. What is tried again after a failure bears the same number, so it is written once, whether or not the first
        try was.
        """
        if not groups:
            return []
        arrays = _Arrays(groups)  # before a number is used: what cannot be encoded is a defect of whoever has it
        values = arrays.values()
        with self._link.lock:  # so that numbers arrive in their order
            self._last += 1
            numbered = (self._identity, b"%d" % self._last, b"true" if whole else b"false", *values)
            answer = self._link.do(lambda c: c.answer(_COMMIT, numbered), writing=True)
        told = msgspec.json.decode(answer, type=_CommitAnswer)
        self._versions |= zip(arrays.bindings, told.versions or (), strict=True)
        return arrays.outcomes(told)


class _CommitAnswer(Struct, frozen=True):
    """What `record_commit` answers: for groups, by their number, for results in their order, and for bindings."""

    lost: list[int] | None
    seqs: list[int | None] | None
    counts: dict[int, dict[str, int]] | None
    refused: list[int] | None
    whys: list[str] | None
    versions: list[int] | None


class _Arrays:
    """*groups* as columns. Raises what the encoding of an op does."""

    def __init__(self, groups: Sequence[tuple[Binding, Sequence[Op]]]) -> None:
        self._groups = [binding for binding, _ in groups]
        self.bindings = {binding: number for number, binding in enumerate(dict.fromkeys(self._groups), 1)}
        self._events: list[tuple[int, int, int, str, bytes]] = []
        self._results: list[tuple[int, int, int, str, bytes]] = []
        self._facts: list[tuple[int, bytes, bytes]] = []
        self._clocks: list[tuple[int, int, float]] = []
        ops = ((group, op) for group, (_, ops) in enumerate(groups, 1) for op in ops)
        for number, (group, op) in enumerate(ops):
            match op:
                case Happened():
                    self._events.append((number, group, op.index, kind_of(op.event), encode(op.event)))
                case Settled():
                    self._results.append((number, group, op.index, op.status.value, op.line))
                case Noted():
                    self._facts.append((group, op.name.encode(), orjson.dumps(op.value)))
                case ClockNoted():
                    self._clocks.append((group, op.scope, op.offset_s))
                case _:
                    assert_never(op)

    def values(self) -> list[bytes | None]:
        """What `record_commit` takes behind the commit's number, as `_FORMATS` tells."""
        values: list[bytes | None] = [
            _words("NULL" if value is None else str(value) for value in column)
            for column in zip(*((one.wave, one.scope, one.epoch) for one in self.bindings), strict=True)
        ]
        values.append(_words(map(str, (self.bindings[binding] for binding in self._groups))))
        for rows in (self._events, self._results):
            if rows:
                numbers, groups, indexes, words, bodies = zip(*rows, strict=True)
                values += [_words(map(str, column)) for column in (numbers, groups, indexes)]
                values += [_words(words), _array(_BYTEA, bodies)]
            else:
                values += [None] * 5
        if self._facts:
            groups, names, facts = zip(*self._facts, strict=True)
            values += [_words(map(str, groups)), _array(_TEXT, names), _array(_TEXT, facts)]
        else:
            values += [None] * 3
        values += [_words(map(repr, column)) for column in zip(*self._clocks, strict=True)] or [None] * 3
        return values

    def outcomes(self, told: _CommitAnswer) -> list[Outcome]:
        """What became of each group."""
        lost = set(told.lost or ())
        refused = dict(zip(told.refused or (), told.whys or (), strict=True))
        last = {group: seq for (_, group, _, _, _), seq in zip(self._results, told.seqs or (), strict=False)}
        by_wave = {
            wave: Counter({Status(name): n for name, n in counts.items() if n})
            for wave, counts in (told.counts or {}).items()
        }
        outcomes: list[Outcome] = []
        for group, binding in enumerate(self._groups, 1):
            if group in lost:
                why = "has a lease on what this is about" if binding.scope is None else "has taken its scope over"
                outcomes.append(LaneLost(f"{binding.name}: another process {why}"))
            elif (reason := refused.get(group)) is not None:
                outcomes.append(IntentRefused(f"{binding.name}: nothing new is sent: {reason}", reason))
            elif (seq := last.get(group)) is None:
                outcomes.append(None)
            else:
                outcomes.append(Receipt(seq, by_wave[binding.wave]))
        return outcomes


_BYTEA, _TEXT = 17, 25  # as PostgreSQL numbers these types
_ARRAY, _ITEM = struct.Struct("!iiiii").pack, struct.Struct("!i").pack
_NUMBERS, _BINARY = (0,), (1,)
_FORMATS = (*_NUMBERS * 11, *_BINARY, *_NUMBERS * 4, *_BINARY, *_NUMBERS, *_BINARY * 2, *_NUMBERS * 3)
_COMMIT = Prepared(b"batcher_record_commit", RECORD_COMMIT.encode(), _FORMATS)


def _words(words: Iterable[str]) -> bytes:
    """An array of numbers, or of words of letters, as PostgreSQL writes it."""
    return f"{{{','.join(words)}}}".encode()


def _array(of: int, items: Sequence[bytes]) -> bytes:
    """An array of *items* of the type with that number, in binary: its dimensions, whether it has NULL, and so on."""
    parts = [_ARRAY(1, 0, of, len(items), 1)]
    for item in items:
        parts += (_ITEM(len(item)), item)
    return b"".join(parts)
