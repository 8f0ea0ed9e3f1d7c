"""Ops into rows: one transaction for all that is committed together."""

import sqlite3
from collections.abc import Iterable
from typing import Any, assert_never

import orjson

from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Settled
from batcher.life.events import Reopened, encode, kind_of

_ROWS = 100  # to a statement


def write_ops(db: sqlite3.Connection, ops: Iterable[Op]) -> None:
    """Write *ops* by *db*, in order. Raises `sqlite3.Error`.

    Many rows to a statement: Python gives the interpreter away around each, and on a busy event loop it takes
    milliseconds to have it back.
    """
    events: list[Any] = []
    results: list[Any] = []
    for op in ops:
        match op:
            case Happened():
                if isinstance(op.event, Reopened):
                    _insert(db, events, results)
                    db.execute("DELETE FROM results WHERE idx = ?", (op.index,))
                events += (op.index, kind_of(op.event), encode(op.event))
            case Settled():
                results += (op.seq, op.index, op.status.value, op.line)
            case Noted():
                note(db, op.name, op.value)
            case ClockNoted():
                db.execute("UPDATE scopes SET clock_offset_s = ? WHERE number = ?", (op.offset_s, op.scope))
            case _:
                assert_never(op)
    _insert(db, events, results)


def note(db: sqlite3.Connection, name: str, value: Any) -> None:
    """Write the fact *name*, in the place of what it was. Raises `sqlite3.Error`."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, orjson.dumps(value).decode()))


def _insert(db: sqlite3.Connection, events: list[Any], results: list[Any]) -> None:
    """Insert the rows of both lists, and empty them."""
    for into, width, values in (("events (idx, kind, body)", 3, events), ("results", 4, results)):
        row = f"({', '.join('?' * width)})"
        for start in range(0, len(values), _ROWS * width):
            part = values[start : start + _ROWS * width]
            rows = ", ".join([row] * (len(part) // width))
            db.execute(f"INSERT INTO {into} VALUES {rows}", part)  # noqa: S608 - no value is in the text
        values.clear()
