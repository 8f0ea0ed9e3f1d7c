"""The entries of waves in a temporary database, for whoever counts, chooses or pairs them. All SQL on them is in here.

It has no name, and nobody else can open it: SQLite makes its file in the folder for temporary files once it outgrows
memory, and takes the name away at once, so that it is gone with the process. It holds what entries are counted and
found by. What else there is to know of one stands in its files, at `EntryRow.offset` and `EntryRow.verdict_at`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple
from weakref import finalize

from batcher.errors import UserError
from batcher.follow.verdict import Verdict
from batcher.life.result import Status

_CACHE_KB = 8 * 1024
_AT_ONCE = 250  # rows

_SCHEMA = """
CREATE TABLE scopes (number INTEGER PRIMARY KEY, endpoint TEXT, project_id TEXT);
CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY, made_of BLOB, verdict TEXT, sound INTEGER, differences INTEGER, offset INTEGER);
CREATE TABLE plan (idx INTEGER PRIMARY KEY, key TEXT, job_id TEXT, scope INTEGER);
CREATE TABLE entries (
    place INTEGER PRIMARY KEY, wave INTEGER, idx INTEGER, key TEXT, job_id TEXT, scope INTEGER,
    status TEXT, offset INTEGER,
    verdict TEXT, sound INTEGER, differences INTEGER, verdict_at INTEGER, unwritten INTEGER);
CREATE INDEX entries_by_index ON entries (wave, idx);
CREATE TABLE runs (place INTEGER PRIMARY KEY, nth INTEGER, first INTEGER, runs INTEGER);
CREATE INDEX runs_by_first ON runs (first, place);
CREATE TABLE ranks (place INTEGER PRIMARY KEY, rank INTEGER, plain INTEGER, differs INTEGER);
"""
_ADD_VERDICT = "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)"
_ADD_RESULT = """
INSERT INTO entries
SELECT NULL, given.wave, given.idx, given.key, given.job_id, given.scope, given.status, given.offset,
    v.verdict, v.sound AND given.status = 'created', v.differences, v.offset, NULL
FROM (SELECT ? AS wave, ? AS idx, ? AS key, ? AS job_id, ? AS scope, ? AS status, ? AS offset, ? AS made_of) given
LEFT JOIN verdicts v ON v.id = given.idx AND v.made_of = given.made_of
"""
_ADD_PLANNED = "INSERT INTO plan VALUES (?, ?, ?, ?)"
_ADD_MISSING = """
INSERT INTO entries (wave, idx, key, job_id, scope)
SELECT given.wave, p.idx, ifnull(p.key, 'entry ' || (p.idx + 1)), p.job_id, p.scope
FROM (SELECT ? AS wave) given, plan p
WHERE NOT EXISTS (SELECT 1 FROM entries e WHERE e.wave = given.wave AND e.idx = p.idx) ORDER BY p.idx
"""
_OTHER_KEY = """
SELECT p.idx, e.place + 1 - (SELECT min(place) FROM entries WHERE wave = e.wave)
FROM plan p JOIN entries e ON e.wave = ? AND e.idx = p.idx
WHERE e.key <> p.key AND e.place = (SELECT max(place) FROM entries WHERE wave = e.wave AND idx = e.idx) LIMIT 1
"""
_COUNTS = """
SELECT ifnull(sum(lines), 0), count(*), ifnull(max(idx), -1)
FROM (SELECT idx, count(*) AS lines FROM entries WHERE wave = ? GROUP BY idx)
"""
_ADD_RUNS = """
INSERT INTO runs SELECT place, nth, min(place) OVER one, count(*) OVER one FROM (
    SELECT place, scope, key, row_number() OVER (PARTITION BY wave, scope, key ORDER BY place) - 1 AS nth
    FROM entries WHERE key IN (SELECT key FROM entries GROUP BY key HAVING count(*) > 1))
WINDOW one AS (PARTITION BY scope, key, nth)
"""
_ROW = """
SELECT e.wave, e.idx, e.key, e.job_id, s.endpoint, s.project_id, e.offset, e.verdict_at, e.unwritten IS NOT NULL,
    ifnull(r.nth, 0)
FROM entries e LEFT JOIN scopes s ON s.number = e.scope LEFT JOIN runs r ON r.place = e.place WHERE e.place = ?
"""
_FROM = "FROM entries e LEFT JOIN runs r ON r.place = e.place AND r.runs > 1 LEFT JOIN ranks k ON k.place = e.place"
# Created and found consistent, and no other run of it is there: the gate need not hear more of it.
_SOUND = f"SELECT e.verdict, count(*) {_FROM} WHERE e.sound IS 1 AND r.place IS NULL GROUP BY e.verdict"
_IN_QUESTION = (
    f"SELECT e.place {_FROM} WHERE r.first = e.place OR (r.place IS NULL AND e.sound IS NOT 1) ORDER BY e.place"
)
_SPEAKING = "(k.place IS NOT NULL OR (r.place IS NULL AND e.sound IS 1))"  # once somebody has ranked those in question
_BY_RANK = f"SELECT k.rank, e.wave, count(*) {_FROM} WHERE {_SPEAKING} GROUP BY k.rank, e.wave"
_BY_STATUS = f"SELECT e.status, count(*) {_FROM} WHERE {_SPEAKING} GROUP BY e.status"
_PLAIN = f"SELECT e.place {_FROM} WHERE {_SPEAKING} AND k.plain IS NOT 0 ORDER BY e.place LIMIT ?"
_RUNS_OF = "SELECT place FROM runs WHERE first = (SELECT first FROM runs WHERE place = ?) ORDER BY place"


class EntryRow(NamedTuple):
    """An entry as the table has it; *idx* is its place in the manifest.

    *offset* is where its result line begins, *verdict_at* where its verdict line does; None: it has none. *unwritten*
    says that its journal has a result that its results file lacks.
    """

    wave: int
    idx: int
    key: str
    job_id: str | None
    endpoint: str | None
    project_id: str | None
    offset: int | None
    verdict_at: int | None
    unwritten: bool
    nth: int


class EntryTable:
    """Entries by their places: 0-based, in the order in which they were added.

    Its methods raise `UserError` where there is no room for it.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        finalize(self, self._db.close)
        self._scopes: dict[tuple[str | None, str | None], int] = {}
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

    # --- filling it, wave by wave -----------------------------------------------------------------------

    def add_verdicts(self, verdicts: Iterable[tuple[int, bytes, str, bool, int, int]]) -> None:
        """Add the verdicts of the next wave: index, what it is on, verdict, whether it is sound, differences, offset.

        Of several on one entry the last counts.
        """
        self._run("DELETE FROM verdicts")
        self._add(_ADD_VERDICT, verdicts)

    def add_results(self, wave: int, results: Iterable[tuple[int, str, str | None, int, str, int, bytes]]) -> None:
        """Add its results: index, key, job, scope, status, offset, what a verdict on it has to be on."""
        self._add(_ADD_RESULT, ((wave, *result) for result in results))

    def add_plan(
        self, wave: int, planned: Iterable[tuple[int, str | None, str | None, int | None]]
    ) -> tuple[int, int] | None:
        """Add, behind the others, those entries of the wave that have no result: *planned* has all of its entries, each
        with index, key, job and scope, as far as they are known. What was planned of it before is forgotten.

        Returns the index of an entry whose result has another key, and the number of its line, if there is one.
        """
        self._run("DELETE FROM entries WHERE wave = ? AND offset IS NULL", (wave,))
        self._run("DELETE FROM plan")
        self._add(_ADD_PLANNED, planned)
        other: tuple[int, int] | None = self._one(_OTHER_KEY, (wave,))
        self._run(_ADD_MISSING, (wave,))
        return other

    def counts(self, wave: int) -> tuple[int, int, int]:
        """How many results the wave has, of how many entries, and the last index among them; -1: there is none."""
        found: tuple[int, int, int] = self._one(_COUNTS, (wave,))
        return found

    def missing(self, wave: int) -> Iterator[int]:
        """The indexes of the wave's entries without a result."""
        return (index for (index,) in self._rows("SELECT idx FROM entries WHERE wave = ? AND offset IS NULL", (wave,)))

    def mark_unwritten(self, wave: int, indexes: Iterable[int]) -> None:
        """Take note that the journal has results of these entries."""
        self._add("UPDATE entries SET unwritten = 1 WHERE wave = ? AND idx = ?", ((wave, index) for index in indexes))

    def leave_out(self, wave: int, indexes: Iterable[int]) -> None:
        """Forget these entries of the wave, which is the last one so far; the others close up."""
        self._run("CREATE TABLE left_out (idx INTEGER PRIMARY KEY)")
        self._add("INSERT OR IGNORE INTO left_out VALUES (?)", ((index,) for index in indexes))
        self._run("DELETE FROM entries WHERE wave = ? AND idx IN (SELECT idx FROM left_out)", (wave,))
        self._run("CREATE TABLE kept AS SELECT * FROM entries WHERE wave = ? ORDER BY place", (wave,))
        self._run("DELETE FROM entries WHERE wave = ?", (wave,))
        self._run("UPDATE kept SET place = NULL")
        self._run("INSERT INTO entries SELECT * FROM kept ORDER BY rowid")
        self._run("DROP TABLE kept")
        self._run("DROP TABLE left_out")

    def lines(self, wave: int) -> int:
        """How many results of the wave are here."""
        return int(self._one("SELECT count(*) FROM entries WHERE wave = ? AND offset IS NOT NULL", (wave,))[0])

    def complete(self) -> None:
        """All entries are there: find out which are runs of the same one."""
        self._run("DELETE FROM verdicts")
        self._run("DELETE FROM plan")
        self._run("CREATE INDEX entries_by_key ON entries (key)")
        self._run(_ADD_RUNS)

    # --- reading it -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self._one("SELECT ifnull(max(place), 0) FROM entries")[0])

    def row(self, place: int) -> EntryRow:
        """The entry at *place*."""
        found = self._one(_ROW, (place + 1,))
        if found is None:
            raise IndexError(place)
        return EntryRow(*found)

    def runs_of(self, place: int) -> list[int]:
        """The places of all runs of the entry at *place*, ascending."""
        return [found - 1 for (found,) in self._rows(_RUNS_OF, (place + 1,))] or [place]

    def verdict_at(self, place: int) -> Verdict | None:
        """The verdict on the run at *place*; None: there is none."""
        found = self._one("SELECT verdict FROM entries WHERE place = ?", (place + 1,))
        return Verdict(found[0]) if found and found[0] else None

    def sound(self) -> Mapping[Verdict | None, int]:
        """How many entries there are that were created and found consistent and have no other run, by their verdict."""
        return {Verdict(verdict): count for verdict, count in self._rows(_SOUND)}

    def in_question(self) -> Iterator[int]:
        """The place of the first run of each other entry, ascending."""
        return (place - 1 for (place,) in self._rows(_IN_QUESTION))

    def rank(self, place: int, rank: int, *, plain: bool, differs: bool) -> None:
        """Take note of how grave an entry in question is, for which the run at *place* speaks: the gravest has rank 0.

        *plain* is one of which there is no more to be told, *differs* one with differences.
        """
        self._run("INSERT INTO ranks VALUES (?, ?, ?, ?)", (place + 1, rank, plain, differs))

    def by_rank(self) -> Iterator[tuple[int | None, int, int]]:
        """How many entries there are of each rank (None: that of those that are not in question) in each wave."""
        return self._rows(_BY_RANK)

    def by_status(self) -> Mapping[Status | None, int]:
        """How many entries there are of each status."""
        return {status and Status(status): count for status, count in self._rows(_BY_STATUS)}

    def ranked(self, most: int) -> Iterator[int]:
        """The places of at most *most* entries that have a rank and are not plain, the gravest first."""
        rows = self._rows("SELECT place FROM ranks WHERE NOT plain ORDER BY rank, place LIMIT ?", (most,))
        return (place - 1 for (place,) in rows)

    def plain(self, most: int) -> Iterator[int]:
        """The places of at most *most* entries that are plain, or not in question, ascending."""
        return (place - 1 for (place,) in self._rows(_PLAIN, (most,)))

    def ranked_differing(self) -> Iterator[int]:
        """The places of all that have a rank and differ, the gravest first."""
        rows = self._rows("SELECT place FROM ranks WHERE differs ORDER BY rank, place")
        return (place - 1 for (place,) in rows)

    def differing(self) -> Iterator[tuple[int, int]]:
        """The place of each run whose verdict has differences, ascending, and how many there are."""
        rows = self._rows("SELECT place, differences FROM entries WHERE differences")
        return ((place - 1, count) for place, count in rows)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UserError(
            f"the temporary database of the entries cannot be used: {error}. It takes some 300 bytes an entry in the "
            "folder for temporary files: make room there, or name another one in TMPDIR."
        ) from error
