"""The journal's format: its tables, and how a file is told to be one."""

import sqlite3
from pathlib import Path

import orjson

from batcher.journal.errors import NotAJournal
from batcher.journal.filesystem import elsewhere, named

FORMAT = 1  # a wave in a file of its own
MANY = 2  # many waves in a database: the same tables, and one of waves
APPLICATION_ID = 0x44525342  # "DRSB": tells our journal from any other SQLite file

# In one transaction: a process that dies in between leaves an empty database, not half a journal.
SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE scopes (number INTEGER PRIMARY KEY, endpoint TEXT, project_id TEXT, clock_offset_s REAL);
CREATE TABLE entries (
    idx INTEGER PRIMARY KEY, line INTEGER, key TEXT, scope INTEGER, job_id TEXT, x_language TEXT, labels BLOB, body BLOB
);
CREATE TABLE events (id INTEGER PRIMARY KEY, idx INTEGER, kind TEXT, body BLOB);
CREATE TABLE results (seq INTEGER PRIMARY KEY, idx INTEGER UNIQUE, status TEXT, line BLOB);
{{rest}}
COMMIT;
"""
_WAVES = f"""
PRAGMA user_version = {MANY};
CREATE TABLE waves (number INTEGER PRIMARY KEY, id TEXT UNIQUE);
CREATE INDEX scopes_by_name ON scopes (endpoint, project_id);
"""
# Made after the plan is in, where one sort is cheaper than a million insertions.
INDEXES = """
CREATE INDEX entries_by_job ON entries (scope, job_id);
CREATE INDEX entries_by_key ON entries (key);
CREATE INDEX events_by_entry ON events (idx);
CREATE INDEX results_by_status ON results (status, idx);
"""
# Only where a plan has several: a scope's entries in manifest order, without walking over those of the others.
INDEX_OF_SCOPES = "CREATE INDEX entries_by_scope ON entries (scope);\n"


def prepare(db: sqlite3.Connection, path: Path, *, many: bool = False) -> None:
    """Make the database a journal of one wave or of *many*, or see that it is one. Raises `NotAJournal`,
    `sqlite3.Error`."""
    try:
        empty = not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise NotAJournal(f"{path} is not a batcher journal; name another with --journal") from error
        raise
    if not empty and check(db, path) != many:
        kind = "the journal of one wave" if many else "a database of many waves"
        raise NotAJournal(f"{path} is {kind}; name another with --journal")
    if empty:  # made before there is a log: the file by itself tells what it is
        db.executescript(SCHEMA.format(rest=_WAVES + INDEXES + INDEX_OF_SCOPES if many else ""))
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise NotAJournal(
            f"{named(path)} has no shared memory, which the write-ahead log of the journal {path} needs. "
            f"{elsewhere(path)}"
        )
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 4000")


def check(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the database, which has to be a journal, is one of many waves. Raises `NotAJournal`, `sqlite3.Error`."""
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise NotAJournal(f"{path} is not a batcher journal") from error
        raise
    if application != APPLICATION_ID:
        raise NotAJournal(f"{path} is an SQLite database, but not a batcher journal; name another with --journal")
    if version not in (FORMAT, MANY):
        raise NotAJournal(
            f"{path} is a journal of format {version}, and this batcher reads format {FORMAT}: go on with the "
            "version of batcher that began the wave, or begin a new one with --restart"
        )
    return bool(version == MANY)


def identity_of(db: sqlite3.Connection) -> tuple[str | None, int]:
    """The name of the wave in the journal *db*, None where an earlier version began it, and the journal's generation.

    Raises `sqlite3.Error`.
    """
    rows = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('wave', 'generation')"))
    wave = orjson.loads(rows["wave"]) if "wave" in rows else None
    return wave, int(orjson.loads(rows.get("generation", "0")))
