"""The events of a wave, each a row: what the database answers about what happened."""

from collections.abc import Iterable, Iterator

import orjson

from batcher.journal.sqlite.database import SENSELESS, JournalDatabase, Row
from batcher.journal.sqlite.places import Places, index_at
from batcher.life.events import Answered, Event, Intended, decode

_PAGE = 1000  # rows read at a time by whoever goes through all of them
_NEWEST = 2**63 - 1  # no event's id is as large
_NEAR = 2000  # events on either side of one that are near it


class EventRows:
    """What happened in the wave at *places*. Its methods raise `JournalFailed`."""

    def __init__(self, database: JournalDatabase, places: Places) -> None:
        self._db = database
        self._base = places.base
        self._ends = places.ends

    def of(self, index: int) -> list[Event]:
        """What happened to the entry at *index*, oldest first."""
        return self.at(self._base + index)

    def at(self, place: int) -> list[Event]:
        """The same of an entry in whichever wave."""
        rows = self._db.rows("SELECT kind, body FROM events WHERE idx = ? ORDER BY id", (place,))
        try:
            return [decode(kind, body) for kind, body in rows]
        except SENSELESS as error:
            raise self._db.senseless(f"the events of entry {index_at(place)} make no sense") from error

    def last_at(self) -> float | None:
        """When the last one happened, Unix seconds by our clock; None: none has yet."""
        row = self._db.row(
            "SELECT kind, body FROM events WHERE +idx BETWEEN ? AND ? ORDER BY id DESC LIMIT 1", self._ends
        )
        return self._decoded(*row).at if row else None

    def happened_to(self, first: int, last: int) -> set[int]:
        """The indexes from *first* to *last* of entries that something has happened to."""
        rows = self._db.rows(
            "SELECT idx FROM events WHERE idx BETWEEN ? AND ?", (self._base + first, self._base + last)
        )
        return {index_at(place) for (place,) in rows}

    def among(self, indexes: Iterable[int]) -> set[int]:
        """Those of *indexes* whose entries something has happened to."""
        sought = orjson.dumps([self._base + index for index in indexes]).decode()
        rows = self._db.rows("SELECT idx FROM events WHERE idx IN (SELECT value FROM json_each(?))", (sought,))
        return {index_at(place) for (place,) in rows}

    def intended_since(self, moment: float) -> list[int]:
        """The indexes of the entries of which a request was intended at *moment* or later, from the newest back."""
        places: dict[int, None] = {}
        for rows in self._db.pages(
            "SELECT id, idx, kind, body FROM events WHERE id < ? AND +idx BETWEEN ? AND ? ORDER BY id DESC LIMIT ?",
            _NEWEST,
            (*self._ends, _PAGE),
            is_backward=True,
        ):
            events = [(place, self._decoded(kind, body)) for _, place, kind, body in rows]
            places |= {place: None for place, event in events if isinstance(event, Intended) and event.at >= moment}
            if all(event.at < moment for _, event in events):  # a clock that was set may mix a few
                break
        return [index_at(place) for place in places]

    def answered_around(self, index: int) -> Iterator[Iterator[int]]:
        """The indexes of entries with an answer near the first event of that at *index*: those before it, the nearest
        first, and then those behind it."""
        row = self._db.row("SELECT min(id) FROM events WHERE idx = ?", (self._base + index,))
        if row is None or row[0] is None:
            return
        at = row[0]
        for near, order in ((f"id < ? AND id > ? - {_NEAR}", "DESC"), (f"id > ? AND id < ? + {_NEAR}", "ASC")):
            rows: list[Row] = self._db.rows(
                f"SELECT idx FROM events WHERE {near} AND kind = 'answered' AND +idx BETWEEN ? AND ? "  # noqa: S608
                f"ORDER BY id {order}",
                (at, at, *self._ends),
            )
            yield (index_at(place) for (place,) in rows)

    def answers(self) -> Iterator[tuple[int, Answered]]:
        """Every create request that ended, with its entry's index, in the order in which they did."""
        for rows in self._db.pages(
            "SELECT id, idx, body FROM events WHERE id > ? AND kind = 'answered' AND +idx BETWEEN ? AND ? "
            "ORDER BY id LIMIT ?",
            -1,
            (*self._ends, _PAGE),
        ):
            for _, place, body in rows:
                event = self._decoded("answered", body)
                if isinstance(event, Answered):
                    yield index_at(place), event

    def _decoded(self, kind: str, body: bytes) -> Event:
        try:
            return decode(kind, body)
        except SENSELESS as error:
            raise self._db.senseless("an event makes no sense") from error
