"""The journal's format: its tables, and how a file is told to be one."""

import sqlite3
from pathlib import Path

import orjson

from batcher.journal.errors import NotAJournal
from batcher.journal.filesystem import elsewhere, named

ROWS = 1  # a wave in a file of its own, each entry of whose plan is a row: as earlier versions made them
MANY = 2  # many waves in a database: the same tables, and one of waves
PACKED = 3  # a wave in a file of its own, whose plan is in chunks
_ALL = (ROWS, MANY, PACKED)
APPLICATION_ID = 0x44525342  # "DRSB": tells our journal from any other SQLite file

# In one transaction: a process that dies in between leaves an empty database, not half a journal.
_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {{format}};
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE scopes (number INTEGER PRIMARY KEY, endpoint TEXT, project_id TEXT, clock_offset_s REAL);
CREATE TABLE events (id INTEGER PRIMARY KEY, idx INTEGER, kind TEXT, body BLOB);
CREATE TABLE results (seq INTEGER PRIMARY KEY, idx INTEGER UNIQUE, status TEXT, line BLOB);
{{rest}}
COMMIT;
"""
_ENTRIES = """
CREATE TABLE entries (
    idx INTEGER PRIMARY KEY, line INTEGER, key TEXT, scope INTEGER, job_id TEXT, x_language TEXT, labels BLOB, body BLOB
);
"""
_WAVES = """
CREATE TABLE waves (number INTEGER PRIMARY KEY, id TEXT UNIQUE);
CREATE INDEX scopes_by_name ON scopes (endpoint, project_id);
"""
_INDEXES = """
CREATE INDEX events_by_entry ON events (idx);
CREATE INDEX results_by_status ON results (status, idx);
"""
# Made after the plan is in, where one sort is cheaper than a million insertions.
INDEXES = f"""
CREATE INDEX entries_by_job ON entries (scope, job_id);
CREATE INDEX entries_by_key ON entries (key);
{_INDEXES.strip()}
"""
# Only where a plan has several: a scope's entries in manifest order, without walking over those of the others.
INDEX_OF_SCOPES = "CREATE INDEX entries_by_scope ON entries (scope);\n"
# The plan in chunks (`chunk.py`), each of one scope; in groups by hash (`hash_groups.py`) where an entry's key and job
# are; entries whose job others name as well; and, where there are several scopes, that of each entry, by the block.
# What is packed has a checksum of it and of the numbers in its row (`packing.py`).
_CHUNKS = f"""
CREATE TABLE plan_chunks (
    id INTEGER PRIMARY KEY, scope INTEGER, first INTEGER, last INTEGER, entries INTEGER, crc INTEGER, content BLOB
);
CREATE UNIQUE INDEX plan_chunks_by_scope ON plan_chunks (scope, first, last, entries);
CREATE TABLE plan_invalid (idx INTEGER PRIMARY KEY, line INTEGER, key TEXT, job_id TEXT);
CREATE TABLE plan_keys (hash INTEGER PRIMARY KEY, crc INTEGER, pairs BLOB);
CREATE TABLE plan_jobs (hash INTEGER PRIMARY KEY, crc INTEGER, pairs BLOB);
CREATE TABLE plan_shared (idx INTEGER PRIMARY KEY);
CREATE TABLE plan_scopes (block INTEGER PRIMARY KEY, crc INTEGER, numbers BLOB);
{_INDEXES}
"""
_REST = {
    ROWS: _ENTRIES,
    MANY: _ENTRIES + _WAVES + INDEXES + INDEX_OF_SCOPES,
    PACKED: _CHUNKS,
}


def schema_of(format: int) -> str:
    """The statements that make a journal of that *format*."""
    return _SCHEMA.format(format=format, rest=_REST[format])


def prepare(db: sqlite3.Connection, path: Path, *, many: bool = False) -> int:
    """Make the database a journal of one wave or of *many*, or see that it is one; its format.

    Raises `NotAJournal`, `sqlite3.Error`.
    """
    try:
        empty = not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise NotAJournal(f"{path} is not a batcher journal; name another with --journal") from error
        raise
    format = (MANY if many else PACKED) if empty else check(db, path)
    if (format == MANY) != many:
        kind = "the journal of one wave" if many else "a database of many waves"
        raise NotAJournal(f"{path} is {kind}; name another with --journal")
    if empty:  # made before there is a log: the file by itself tells what it is
        db.executescript(schema_of(format))
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise NotAJournal(
            f"{named(path)} has no shared memory, which the write-ahead log of the journal {path} needs. "
            f"{elsewhere(path)}"
        )
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 4000")
    return format


def check(db: sqlite3.Connection, path: Path) -> int:
    """The format of the database, which has to be a journal. Raises `NotAJournal`, `sqlite3.Error`."""
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise NotAJournal(f"{path} is not a batcher journal") from error
        raise
    if application != APPLICATION_ID:
        raise NotAJournal(f"{path} is an SQLite database, but not a batcher journal; name another with --journal")
    if version not in _ALL:
        raise NotAJournal(
            f"{path} is a journal of format {version}, and this batcher reads formats up to {max(_ALL)}: go on with "
            "the version of batcher that began the wave, or begin a new one with --restart"
        )
    return int(version)


def identity_of(db: sqlite3.Connection) -> tuple[str | None, int]:
    """The name of the wave in the journal *db*, None where an earlier version began it, and the journal's generation.

    Raises `sqlite3.Error`.
    """
    rows = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('wave', 'generation')"))
    wave = orjson.loads(rows["wave"]) if "wave" in rows else None
    return wave, int(orjson.loads(rows.get("generation", "0")))
