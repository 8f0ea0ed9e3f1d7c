"""The create requests of a wave, packed by the page into the index of its entries: those of any entry are at hand.

To read the manifest up to there instead takes seconds where it is one of the last of many.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any

import orjson

from batcher.manifest import Entry

SCHEMA = "CREATE TABLE requests (last INTEGER PRIMARY KEY, packed BLOB NOT NULL);"
_MOST, _MOST_BYTES = 256, 1024 * 1024  # in a page


class RequestPages:
    """Gathers requests for the database *db*, which has the `SCHEMA`; `flush` writes what is left."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._gathered: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, entry: Entry, project_id: str | None) -> None:
        """Take the request of *entry*; entries come in the order of the manifest."""
        self._gathered.append(
            {
                "index": entry.index,
                "line": entry.line,
                "key": entry.key,
                "endpoint": entry.endpoint,
                "project_id": project_id,
                "body": orjson.Fragment(entry.body),
            }
        )
        self._bytes += len(entry.body)
        if len(self._gathered) >= _MOST or self._bytes >= _MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            packed = zlib.compress(orjson.dumps(self._gathered), 1)
            self._db.execute("INSERT INTO requests VALUES (?, ?)", (self._gathered[-1]["index"], packed))
        self._gathered, self._bytes = [], 0


def requests_from(db: sqlite3.Connection, first: int, limit: int) -> dict[str, Any]:
    """The requests of the entries from the place *first* on, at most *limit*, as they are told: see `RequestsPage`."""
    found: list[dict[str, Any]] = []
    for request in _requests(db, first):
        if len(found) == limit:
            return {"requests": found, "next": found[-1]["index"] + 1}
        found.append(request)
    return {"requests": found, "next": None}


def _requests(db: sqlite3.Connection, first: int) -> Iterator[dict[str, Any]]:
    last = first
    while row := db.execute(
        "SELECT last, packed FROM requests WHERE last >= ? ORDER BY last LIMIT 1", (last,)
    ).fetchone():
        last = row[0] + 1
        yield from (request for request in orjson.loads(zlib.decompress(row[1])) if request["index"] >= first)
