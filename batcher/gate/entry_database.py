"""A temporary database for what is known of some entries of a wave only. All SQL on entries is in here.

It has no name, and nobody else can open it: SQLite makes its file in the folder for temporary files once it outgrows
memory, and takes the name away at once, so that it is gone with the process.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple
from weakref import finalize

from batcher.errors import UserError

_CACHE_KB = 8 * 1024
_AT_ONCE = 250  # rows

_SCHEMA = """
CREATE TABLE scopes (number INTEGER PRIMARY KEY, endpoint TEXT, project_id TEXT);
CREATE TABLE missing (
    wave INTEGER, idx INTEGER, key TEXT, job_id TEXT, scope INTEGER, unwritten INTEGER,
    PRIMARY KEY (wave, idx)) WITHOUT ROWID;
CREATE TABLE named (place INTEGER PRIMARY KEY, wave INTEGER, scope INTEGER, key TEXT);
CREATE TABLE runs (place INTEGER PRIMARY KEY, nth INTEGER, first INTEGER, runs INTEGER);
CREATE INDEX runs_by_first ON runs (first, place);
CREATE TABLE ranks (
    place INTEGER PRIMARY KEY, rank INTEGER, wave INTEGER, status TEXT, plain INTEGER, differs INTEGER);
"""
_MISSING = """
SELECT m.key, m.job_id, s.endpoint, s.project_id, m.unwritten IS NOT NULL, m.scope
FROM missing m LEFT JOIN scopes s ON s.number = m.scope WHERE m.wave = ? AND m.idx = ?
"""
_ADD_RUNS = """
INSERT INTO runs SELECT place, nth, min(place) OVER one, count(*) OVER one FROM (
    SELECT place, scope, key, row_number() OVER (PARTITION BY wave, scope, key ORDER BY place) - 1 AS nth
    FROM named WHERE key IN (SELECT key FROM named GROUP BY key HAVING count(*) > 1))
WINDOW one AS (PARTITION BY scope, key, nth)
"""
_NTH = "SELECT nth FROM runs WHERE place = ?"
_RUNS_OF = "SELECT place FROM runs WHERE first = (SELECT first FROM runs WHERE place = ?) ORDER BY place"
_SEVERAL = "SELECT place FROM runs WHERE runs > 1 ORDER BY place"
_FIRST_OF_SEVERAL = "SELECT place FROM runs WHERE runs > 1 AND first = place ORDER BY place"
_RANKED = "SELECT place FROM ranks WHERE NOT plain ORDER BY rank, place LIMIT ?"
_DIFFERING = "SELECT place FROM ranks WHERE differs ORDER BY rank, place"


Named = tuple[int, int, int | None, str]
"""What an entry is called among all: its place, wave, the number of its scope (None: not known), its key."""


class MissingEntry(NamedTuple):
    """An entry without a result, as its journal has it. *unwritten* says that the journal has its result."""

    key: str
    job_id: str | None
    endpoint: str | None
    project_id: str | None
    unwritten: bool
    scope: int | None  # its number


class EntryDatabase:
    """What is known of entries without a result, of runs of the same entry, and of those that somebody has ranked.

    Places are of all waves together. Its methods raise `UserError` where there is no room for it.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        finalize(self, self._db.close)
        self._scopes: dict[tuple[str | None, str | None], int] = {}
        self._has_runs = False
        for name, value in (("cache_size", -_CACHE_KB), ("temp_store", "FILE"), ("journal_mode", "OFF")):
            self._run(f"PRAGMA {name} = {value}")
        self._db.executescript(_SCHEMA)
        self._run("BEGIN")

    def _run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        with _told():
            return self._db.execute(sql, values)

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        with _told():
            return self._db.execute(sql, values).fetchone()

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        cursor = self._run(sql, values)
        while True:
            with _told():
                rows = cursor.fetchmany(_AT_ONCE)
            if not rows:
                return
            yield from rows

    def _add(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """What goes wrong while *rows* are made is not taken for a fault of the database."""
        rows = iter(rows)
        while batch := list(islice(rows, _AT_ONCE)):
            with _told():
                self._db.executemany(sql, batch)

    def scope(self, endpoint: str | None, project_id: str | None) -> int:
        """The number of a scope."""
        number = self._scopes.get((endpoint, project_id))
        if number is None:
            number = self._scopes[endpoint, project_id] = len(self._scopes)
            self._run("INSERT INTO scopes VALUES (?, ?, ?)", (number, endpoint, project_id))
        return number

    # --- entries without a result -----------------------------------------------------------------------

    def add_missing(self, wave: int, entries: Iterable[tuple[int, str, str | None, int | None]]) -> None:
        """Add *entries* without a result: index, key, job, scope."""
        self._add("INSERT OR REPLACE INTO missing VALUES (?, ?, ?, ?, ?, NULL)", ((wave, *entry) for entry in entries))

    def forget_missing(self, wave: int) -> None:
        """Forget those of the wave again."""
        self._run("DELETE FROM missing WHERE wave = ?", (wave,))

    def mark_unwritten(self, wave: int, indexes: Iterable[int]) -> None:
        """Take note that the journal has results of these entries."""
        self._add("UPDATE missing SET unwritten = 1 WHERE wave = ? AND idx = ?", ((wave, index) for index in indexes))

    def missing(self, wave: int, index: int) -> MissingEntry:
        """An entry without a result; of one that no journal tells of, nothing is known but its place."""
        found = self._one(_MISSING, (wave, index)) or (f"entry {index}", None, None, None, False, None)
        return MissingEntry(*found)

    # --- runs of the same entry -------------------------------------------------------------------------

    def add_runs(self, named: Iterable[Named]) -> Iterator[int]:
        """Find out which entries among *named* are runs of the same one: their places."""
        self._add("INSERT INTO named VALUES (?, ?, ?, ?)", named)
        self._run("CREATE INDEX named_by_key ON named (key)")
        self._run(_ADD_RUNS)
        self._run("DROP TABLE named")
        self._has_runs = self._one("SELECT 1 FROM runs LIMIT 1") is not None
        return self._rows_of_places(_SEVERAL)

    def nth(self, place: int) -> int:
        """How many entries of the same wave, scope and key stand before the one at *place*."""
        found = self._one(_NTH, (place,)) if self._has_runs else None
        return 0 if found is None else int(found[0])

    def runs_of(self, place: int) -> list[int]:
        """The places of all runs of the entry at *place*, ascending."""
        return list(self._rows_of_places(_RUNS_OF, (place,))) or [place]

    def first_runs(self) -> Iterator[int]:
        """The place of the first run of each entry that has several, ascending."""
        return self._rows_of_places(_FIRST_OF_SEVERAL) if self._has_runs else iter(())

    # --- those that somebody has ranked -----------------------------------------------------------------

    def rank(self, place: int, rank: int, wave: int, status: str | None, *, plain: bool, differs: bool) -> None:
        """Take note of the rank of an entry; see `EntryTable.rank`."""
        self._run("INSERT INTO ranks VALUES (?, ?, ?, ?, ?, ?)", (place, rank, wave, status, plain, differs))

    def by_rank(self) -> Iterator[tuple[int, int, int]]:
        """How many there are of each rank in each wave."""
        return self._rows("SELECT rank, wave, count(*) FROM ranks GROUP BY rank, wave")

    def by_status(self) -> Iterator[tuple[str | None, int]]:
        """How many there are of each status."""
        return self._rows("SELECT status, count(*) FROM ranks GROUP BY status")

    def ranked(self, most: int) -> Iterator[int]:
        """The places of at most *most* that are not plain, the gravest first."""
        return self._rows_of_places(_RANKED, (most,))

    def plain(self) -> Iterator[int]:
        """The places of those that are plain, ascending."""
        return self._rows_of_places("SELECT place FROM ranks WHERE plain ORDER BY place")

    def differing(self) -> Iterator[int]:
        """The places of those that differ, the gravest first."""
        return self._rows_of_places(_DIFFERING)

    def _rows_of_places(self, sql: str, values: Sequence[Any] = ()) -> Iterator[int]:
        return (place for (place,) in self._rows(sql, values))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UserError(
            f"the temporary database of the entries cannot be used: {error}. It takes some 200 bytes for each "
            "entry that has no result, or several runs, in the folder for temporary files: make room there, or name "
            "another one in TMPDIR."
        ) from error
