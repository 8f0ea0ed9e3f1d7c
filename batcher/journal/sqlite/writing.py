"""Ops into rows, and the numbers and counts of a wave's results.

Invariants:
- All of it happens in a transaction of the caller's, in the order of the ops.
- The next number is read in that very transaction, so it holds whoever wrote before. One that fails uses none.
- The counts are kept from commit to commit, as one process writes a wave at a time. After a transaction that failed
  `forget` has them read anew.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any, assert_never

import orjson

from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Receipt, Settled
from batcher.journal.sqlite.places import Places
from batcher.life.events import Reopened, encode, kind_of
from batcher.life.result import Status

_ROWS = 100  # to a statement
CACHED = 3 * _ROWS  # statements: one for each number of rows, into either table


class WaveWriter:
    """Writes the ops of the wave at *places*."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._counts: Counter[Status] | None = None

    def forget(self) -> None:
        """The transaction failed: what is known of the results is read anew."""
        self._counts = None

    def write(self, db: sqlite3.Connection, groups: Sequence[Sequence[Op]]) -> list[Receipt | None]:
        """Write the ops of all *groups* by *db*; the receipt of each, None where it settles nothing.

        Raises `sqlite3.Error`.
        """
        base, rows = self._places.base, _RowBatch(db)
        events, results = rows.events, rows.results
        settled: dict[str, int] = {}
        seqs: list[int | None] = []
        following: int | None = None
        for ops in groups:
            seq: int | None = None
            for op in ops:
                match op:
                    case Happened():
                        if isinstance(op.event, Reopened):
                            rows.insert()
                            db.execute("DELETE FROM results WHERE idx = ?", (base + op.index,))
                            following, self._counts = None, None
                        events += (base + op.index, kind_of(op.event), encode(op.event))
                    case Settled():
                        if following is None:
                            rows.insert()
                            following = self.next_seq(db)
                        seq, following, status = following, following + 1, op.status.value
                        results += (base + seq, base + op.index, status, op.line)
                        settled[status] = settled.get(status, 0) + 1
                    case Noted():
                        note(db, self._places.fact(op.name), op.value)
                    case ClockNoted():
                        place = base + op.scope
                        db.execute("UPDATE scopes SET clock_offset_s = ? WHERE number = ?", (op.offset_s, place))
                    case _:
                        assert_never(op)
            seqs.append(seq)
        if not settled:
            rows.insert()
            return [None] * len(seqs)
        rows.insert()
        if self._counts is None:
            self._counts = self._counted(db)
        else:
            self._counts = self._counts.copy()  # those of before are in the hands of others
            for status, count in settled.items():
                self._counts[Status(status)] += count
        counts = self._counts
        return [None if seq is None else Receipt(seq, counts) for seq in seqs]

    def next_seq(self, db: sqlite3.Connection) -> int:
        """The number of the wave's next result. Raises `sqlite3.Error`."""
        (last,) = db.execute("SELECT max(seq) FROM results WHERE seq BETWEEN ? AND ?", self._places.ends).fetchone()
        return 0 if last is None else int(last) - self._places.base + 1

    def _counted(self, db: sqlite3.Connection) -> Counter[Status]:
        """How many results the wave has of each status, as it stands in the database."""
        found = db.execute(*self._places.counting()).fetchall()
        return Counter({Status(status): count for status, count in found})


def note(db: sqlite3.Connection, name: str, value: Any) -> None:
    """Write what `meta` has under *name*, in the place of what it was. Raises `sqlite3.Error`."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, orjson.dumps(value).decode()))


def tell_count(db: sqlite3.Connection, places: Places, entries: int) -> None:
    """Put the count into the lines of invalid entries, which are from when nobody knew how many there would be.

    Raises `sqlite3.Error`.
    """
    db.execute(
        "UPDATE results SET line = CAST(replace(CAST(line AS TEXT), ?, ?) AS BLOB) WHERE seq BETWEEN ? AND ?",
        ('"wave_entries":null}', f'"wave_entries":{entries}}}', *places.ends),
    )


class _RowBatch:
    """Rows that are inserted together.

    Many to a statement: Python gives the interpreter away around each, and on a busy event loop it takes milliseconds
    to have it back.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.events: list[Any] = []
        self.results: list[Any] = []

    def insert(self) -> None:
        """Insert what was gathered."""
        for into, width, values in (("events (idx, kind, body)", 3, self.events), ("results", 4, self.results)):
            row = f"({', '.join('?' * width)})"
            for start in range(0, len(values), _ROWS * width):
                part = values[start : start + _ROWS * width]
                rows = ", ".join([row] * (len(part) // width))
                self._db.execute(f"INSERT INTO {into} VALUES {rows}", part)  # noqa: S608 - no value is in the text
            values.clear()
