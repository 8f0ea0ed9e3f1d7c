"""Ops into the arrays that `record_ops` takes, and its answer into receipts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never
from uuid import UUID

import orjson
from msgspec import Struct

from batcher.journal.errors import IntentRefused, LaneLost
from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Receipt, Settled
from batcher.journal.postgres.link import DatabaseLink
from batcher.journal.postgres.schema import RECORD_OPS
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
        self._identity = identity
        self._last = 0
        self._versions: dict[str, int] = {}

    def orders_version(self, binding: Binding) -> int:
        """Which version the orders for it had at the last commit that was written for it; 0: none was."""
        return self._versions.get(_named(binding), 0)

    def write(self, groups: Sequence[tuple[Binding, Sequence[Op]]], *, whole: bool = False) -> list[Outcome]:
        """Make *groups* durable in one statement; what became of each. Raises `JournalFailed`.

        Groups whose lease is lost, or whose intent an order forbids, are left out; with *whole* nothing is written
        then. What is tried again after a failure bears the same number, so it is written once, whether or not the first
        try was.
        """
        arrays = _Arrays(groups)  # before a number is used: what cannot be encoded is a defect of whoever has it
        with self._link.lock:  # so that numbers arrive in their order
            self._last += 1
            values = (self._identity, self._last, whole, *arrays.values())
            answer = self._link.do(lambda c: c.execute(RECORD_OPS, values, prepare=True).fetchone(), writing=True)
        assert answer is not None  # noqa: S101 - one row, always
        lost, seqs, counts, refused, whys, versions = answer
        self._versions |= versions or {}
        kept_out = dict(zip(refused or (), whys or (), strict=True))
        return arrays.outcomes(set(lost or ()), kept_out, seqs or [], counts or {})


class _Arrays:
    """*groups* as columns. Raises what the encoding of an op does."""

    def __init__(self, groups: Sequence[tuple[Binding, Sequence[Op]]]) -> None:
        self._bindings = [binding for binding, _ in groups]
        self._events: list[tuple[int, int, int, str, bytes]] = []
        self._results: list[tuple[int, int, int, str, bytes]] = []
        self._facts: list[tuple[int, str, str]] = []
        self._clocks: list[tuple[int, int, float]] = []
        ops = ((group, op) for group, (_, ops) in enumerate(groups, 1) for op in ops)
        for number, (group, op) in enumerate(ops):
            match op:
                case Happened():
                    self._events.append((number, group, op.index, kind_of(op.event), encode(op.event)))
                case Settled():
                    self._results.append((number, group, op.index, op.status.value, op.line))
                case Noted():
                    self._facts.append((group, op.name, orjson.dumps(op.value).decode()))
                case ClockNoted():
                    self._clocks.append((group, op.scope, op.offset_s))
                case _:
                    assert_never(op)

    def values(self) -> list[Any]:
        """What `record_ops` takes behind the commit's number."""
        values: list[Any] = [
            _numbers(binding.wave for binding in self._bindings),
            _numbers(binding.scope for binding in self._bindings),
            _numbers(binding.epoch for binding in self._bindings),
        ]
        for rows, texts in ((self._events, (3, 4)), (self._results, (3, 4)), (self._facts, (1, 2)), (self._clocks, ())):
            width = 5 if rows is self._events or rows is self._results else 3
            columns: Sequence[Any] = list(zip(*rows, strict=True)) or [None] * width
            for number, column in enumerate(columns):
                values.append(None if column is None else [*column] if number in texts else _numbers(column))
        return values

    def outcomes(
        self,
        lost: set[int],
        refused: Mapping[int, str],
        seqs: Sequence[int | None],
        counts: dict[str, dict[str, int]],
    ) -> list[Outcome]:
        """What became of each group."""
        last = {group: seq for (_, group, _, _, _), seq in zip(self._results, seqs, strict=False)}
        by_wave = {int(wave): Counter({Status(name): n for name, n in c.items() if n}) for wave, c in counts.items()}
        told: list[Outcome] = []
        for group, binding in enumerate(self._bindings, 1):
            if group in lost:
                why = "has a lease on what this is about" if binding.scope is None else "has taken its scope over"
                told.append(LaneLost(f"{binding.name}: another process {why}"))
            elif (reason := refused.get(group)) is not None:
                told.append(IntentRefused(f"{binding.name}: nothing new is sent: {reason}", reason))
            elif (seq := last.get(group)) is None:
                told.append(None)
            else:
                told.append(Receipt(seq, by_wave[binding.wave]))
        return told


def _named(binding: Binding) -> str:
    """As `versions_of` of the database names it."""
    return f"{binding.wave}/{'' if binding.scope is None else binding.scope}"


def _numbers(values: Iterable[float | None]) -> str:
    """An array as PostgreSQL writes it: of the same type whatever it holds, so that a prepared statement fits."""
    return "{" + ",".join("NULL" if value is None else repr(value) for value in values) + "}"
