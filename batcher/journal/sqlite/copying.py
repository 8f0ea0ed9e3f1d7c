"""A copy of a journal, also while its wave runs: one moment of it, whole in one file, which needs no log beside it.

SQLite's own backup reads one snapshot and keeps nobody waiting. What it cannot tell is that a copy is older than what
happened since: so the caller puts facts into the copy that make whoever goes on with it look first.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from batcher.journal.errors import JournalFailed, NotAJournal
from batcher.journal.sqlite.file import ReadFile
from batcher.journal.sqlite.log import unmark
from batcher.journal.sqlite.places import Places
from batcher.journal.sqlite.writing import note

_TRIES = 5  # where somebody opens or closes the journal while it is copied


def copy_journal(journal: Path, target: Path, facts: Mapping[str, Any]) -> bool:
    """Copy *journal* to *target*, which is not there yet, with *facts* put into each wave of it.

    False: no wave is planned in it, so that nothing was sent by it, and nothing is copied. Raises OSError,
    `NotAJournal`, `JournalFailed`.
    """
    for left in reversed(range(_TRIES)):
        try:
            if not journal.stat().st_size:
                return False  # planning begins with an empty file
        except FileNotFoundError:
            return False
        try:
            if (has_many := _copied(journal, target)) is not None:
                return _finished(target, facts, has_many=has_many)
        except NotAJournal:
            if not left:
                raise
        target.unlink(missing_ok=True)
    raise NotAJournal(f"the journal {journal} was opened anew again and again while it was copied")


def _copied(journal: Path, target: Path) -> bool | None:
    """Copy it; whether it is one of many waves. None: it was changed meanwhile, and the copy is void."""
    file = ReadFile(journal)
    try:
        with closing(sqlite3.connect(target)) as copy:
            file.database.connection.backup(copy)
        return None if file.was_changed else file.has_many
    except sqlite3.Error as error:
        raise JournalFailed(f"cannot copy the journal {journal}: {error}", reason=str(error)) from error
    finally:
        file.close()


def _finished(copy: Path, facts: Mapping[str, Any], *, has_many: bool) -> bool:
    """Take off what says that somebody has it open, and put *facts* in; whether a wave is planned in it."""
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("BEGIN IMMEDIATE")
            unmark(db)
            numbers = [number for (number,) in db.execute("SELECT number FROM waves")] if has_many else [0]
            places = [Places(number) for number in numbers]
            planned = [place for place in places if _is_planned(db, place)]
            for place in planned:
                for name, value in facts.items():
                    note(db, place.fact(name), value)
            db.execute("COMMIT")
    except sqlite3.Error as error:
        raise JournalFailed(f"cannot write the copy {copy}: {error}", reason=str(error)) from error
    if not planned:
        with suppress(FileNotFoundError):
            copy.unlink()
    return bool(planned)


def _is_planned(db: sqlite3.Connection, place: Places) -> bool:
    return db.execute("SELECT 1 FROM meta WHERE name = ?", (place.fact("planned"),)).fetchone() is not None
