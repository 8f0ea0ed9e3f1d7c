"""What the entries of a wave are found by: a small database beside its files, made as the manifest is checked, and
brought up to date from result and verdict lines whenever somebody looks. It holds nothing that those do not.

Blocks. One thread at a time uses an index.
"""

import base64
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from batcher.manifest import Entry, Finding
from batcher.service.given import finding, invalid
from batcher.service.kept import request_pages
from batcher.service.kept.folders import Folder
from batcher.service.models import ListEntries
from batcher.whole import is_at

FORMAT = 3
_AT_ONCE = 1000
_SCHEMA = f"""
PRAGMA user_version = {FORMAT};
CREATE TABLE scopes (number INTEGER PRIMARY KEY, endpoint TEXT, project_id TEXT);
CREATE TABLE entries (
    idx INTEGER PRIMARY KEY, key TEXT, job_id TEXT NOT NULL DEFAULT '', scope INTEGER, labels BLOB,
    status TEXT NOT NULL DEFAULT '', verdict TEXT NOT NULL DEFAULT '', error_code TEXT NOT NULL DEFAULT '',
    error_kind TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0, finished_at TEXT NOT NULL DEFAULT '', offset INTEGER);
CREATE TABLE labels (name TEXT, value TEXT, idx INTEGER, PRIMARY KEY (name, value, idx)) WITHOUT ROWID;
CREATE TABLE read (kind TEXT PRIMARY KEY, ino INTEGER, offset INTEGER, lines INTEGER, run INTEGER);
{request_pages.SCHEMA}
"""
_SORTS = {
    "index": "idx", "key": "key", "job_id": "job_id", "status": "status", "verdict": "verdict",
    "error_code": "error_code", "attempts": "attempts", "finished_at": "finished_at",
}  # fmt: skip
_MANY = 20_000  # entries from which on an index pays


class ResultLimits(NamedTuple):
    """How many result lines count (None: all), and the number of the run that is under way, or was the last."""

    lines: int | None
    run: int


class IndexWriter:
    """Makes the index at *path*, an entry at a time; `close` makes it whole."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("synchronous = OFF", "journal_mode = OFF", "temp_store = FILE"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")
        self._scopes: dict[tuple[str | None, str | None], int] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._labels: list[tuple[str, str, int]] = []
        self._requests = request_pages.RequestPages(self._db)
        self._last = -1

    def add(self, entry: Entry, project_id: str) -> None:
        """Take a sound entry; *project_id* is "" where IAM is still to name it."""
        labels = None
        if entry.labels:
            labels = orjson.dumps(dict(entry.labels))
            self._labels += [(name, value, entry.index) for name, value in entry.labels.items()]
        self._row(entry.index, entry.key, entry.job_id, self._scope(entry.endpoint, project_id), labels)
        self._requests.add(entry, project_id or None)

    def add_invalid(self, found: Finding) -> None:
        """Take an entry that is not valid, by one of its findings."""
        if found.index is None or found.index == self._last:
            return
        labels = orjson.dumps(dict(found.labels)) if found.labels else None
        self._labels += [(name, value, found.index) for name, value in found.labels.items()]
        key = found.key or f"invalid-{found.index}"
        self._row(found.index, key, found.job_id or "", self._scope(found.endpoint, found.project_id), labels)

    def _row(self, index: int, key: str, job_id: str, scope: int, labels: bytes | None) -> None:
        self._last = index
        self._rows.append((index, key, job_id, scope, labels))
        if len(self._rows) >= _AT_ONCE:
            self._flush()

    def _scope(self, endpoint: str | None, project_id: str | None) -> int:
        number = self._scopes.get((endpoint, project_id))
        if number is None:
            number = self._scopes[endpoint, project_id] = len(self._scopes)
            self._db.execute("INSERT INTO scopes VALUES (?, ?, ?)", (number, endpoint, project_id))
        return number

    def _flush(self) -> None:
        self._db.executemany("INSERT INTO entries (idx, key, job_id, scope, labels) VALUES (?, ?, ?, ?, ?)", self._rows)
        self._db.executemany("INSERT OR IGNORE INTO labels VALUES (?, ?, ?)", self._labels)
        self._rows.clear()
        self._labels.clear()

    def close(self, *, keep: bool) -> None:
        """Let go of it; whole, if it is to be kept."""
        try:
            if keep:
                self._flush()
                self._requests.flush()
                self._db.execute("COMMIT")
        finally:
            self._db.close()


class EntryIndex:
    """The index of the wave in *folder*, which is there. Raises `sqlite3.Error`, OSError."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._db = sqlite3.connect(f"file:{folder.entries}?mode=rw", uri=True, isolation_level=None,
                                   check_same_thread=False)  # fmt: skip
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = MEMORY")
        if self._db.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
            raise sqlite3.DatabaseError("the index of entries is of another format")
        self._count = int(self._db.execute("SELECT count(*) FROM entries").fetchone()[0])

    def close(self) -> None:
        """Let go of it."""
        self._db.close()

    # --- bringing it up to date -------------------------------------------------------------------------

    def refresh(self, limits: ResultLimits) -> None:
        """Take in the lines that came since."""
        with closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN")
            try:
                self._take(cursor, "results", self._folder.results, limits)
                self._take(cursor, "verdicts", self._folder.verdicts, ResultLimits(None, limits.run))
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise

    def _take(self, db: sqlite3.Cursor, kind: str, path: Path, limits: ResultLimits) -> None:
        known = db.execute("SELECT ino, offset, lines, run FROM read WHERE kind = ?", (kind,)).fetchone()
        ino, offset, lines, run = known or (None, 0, 0, limits.run)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            # Lines were taken back: it is another file, or a later run took off what an earlier one left open.
            if known is not None and (ino != found.st_ino or run != limits.run or offset > found.st_size):
                _forget(db, kind)
                offset, lines = 0, 0
            file.seek(offset)
            rows = []
            for line in file:
                if not line.endswith(b"\n") or (limits.lines is not None and lines >= limits.lines):
                    break
                rows.append(_row_of(kind, line, offset))
                offset += len(line)
                lines += 1
                if len(rows) >= _AT_ONCE:
                    db.executemany(_UPDATES[kind], rows)
                    rows.clear()
            db.executemany(_UPDATES[kind], rows)
            values = (kind, found.st_ino, offset, lines, limits.run)
            db.execute("INSERT OR REPLACE INTO read VALUES (?, ?, ?, ?, ?)", values)

    # --- looking ----------------------------------------------------------------------------------------

    def page(self, asked: ListEntries) -> dict[str, Any]:
        """The entries that are *asked* for, as they are told. Raises `Problem`."""
        where, values = _where(asked)
        self._index_for(asked)
        condition = " AND ".join(where) or "1"
        total = self._count
        if where:
            total = self._db.execute(f"SELECT count(*) FROM entries e WHERE {condition}", values).fetchone()[0]  # noqa: S608
        column = _SORTS[asked.sort.removeprefix("-")]
        order, beyond = ("DESC", "<") if asked.sort.startswith("-") else ("ASC", ">")
        if asked.after is not None:
            at = _place(asked)
            if column == "idx":
                condition += f" AND e.idx {beyond} ?"
                values = [*values, at[1]]
            else:
                condition += f" AND (e.{column}, e.idx) {beyond} (?, ?)"
                values = [*values, *at]
        ordered = f"e.idx {order}" if column == "idx" else f"e.{column} {order}, e.idx {order}"
        rows = self._db.execute(
            "SELECT e.idx, e.key, e.job_id, s.endpoint, s.project_id, e.labels, e.status, e.verdict, e.error_code, "  # noqa: S608
            f"e.attempts, e.finished_at, e.offset, e.{column} FROM entries e LEFT JOIN scopes s ON s.number = e.scope "
            f"WHERE {condition} ORDER BY {ordered} LIMIT ?",
            (*values, asked.limit + 1),
        ).fetchall()
        shown = rows[: asked.limit]
        return {
            "entries": list(self._told(shown)),
            "next": _token(asked.sort, shown[-1]) if len(rows) > len(shown) else None,
            "total": total,
        }

    def requests(self, first: int, limit: int) -> dict[str, Any]:
        """The create requests of the sound entries from the place *first* on, at most *limit*, as they are told."""
        return request_pages.requests_from(self._db, first, limit)

    def causes(self) -> list[dict[str, Any]]:
        """All trouble by its cause, the most frequent first, as it is told."""
        rows = self._db.execute(
            "SELECT c.*, e.key, e.job_id, e.offset FROM (SELECT status, error_kind, error_code, count(*) AS count, "
            "min(idx) AS example FROM entries WHERE status NOT IN ('', 'created') "
            "GROUP BY status, error_kind, error_code) c "
            "JOIN entries e ON e.idx = c.example ORDER BY c.count DESC, c.status, c.error_kind, c.error_code"
        ).fetchall()
        lines = self._lines([row[7] for row in rows])
        return [
            {
                "status": row[0],
                "error_kind": row[1] or None,
                "error_code": row[2] or None,
                "error_msg": line.get("error_msg"),
                "count": row[3],
                "example": row[4],
                "key": row[5],
                "job_id": row[6] or None,
            }
            for row, line in zip(rows, lines, strict=True)
        ]

    def _index_for(self, asked: ListEntries) -> None:
        """Of many entries an order, or a few of them, is only found quickly by an index."""
        wanted = {_SORTS[asked.sort.removeprefix("-")]} - {"idx"}
        wanted |= {
            name for name in ("status", "verdict", "error_code", "error_kind") if getattr(asked, name) is not None
        }
        if self._count >= _MANY:
            for column in wanted:
                self._db.execute(f"CREATE INDEX IF NOT EXISTS by_{column} ON entries ({column})")

    def _told(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
        lines = self._lines([row[11] for row in rows])
        for row, line in zip(rows, lines, strict=True):
            index, key, job_id, endpoint, project_id, labels, status, verdict, error_code, attempts, ended = row[:11]
            yield {
                "index": index,
                "key": key,
                "job_id": job_id or None,
                "project_id": line.get("project_id") or project_id or None,
                "endpoint": endpoint,
                "status": status or None,
                "verdict": verdict or None,
                "attempts": attempts,
                "error_kind": line.get("error_kind"),
                "error_code": error_code or None,
                "error_msg": line.get("error_msg"),
                "finished_at": ended or None,
                "labels": orjson.loads(labels) if labels else {},
            }

    def _lines(self, offsets: Sequence[int | None]) -> Iterator[dict[str, Any]]:
        """The result lines at *offsets*; empty where there is none."""
        try:
            file = self._folder.results.open("rb")
        except FileNotFoundError:
            yield from ({} for _ in offsets)
            return
        with file:
            for offset in offsets:
                if offset is None or not is_at(file.fileno(), self._folder.results):
                    yield {}
                    continue
                file.seek(offset)
                try:
                    line = orjson.loads(file.readline())
                except orjson.JSONDecodeError:
                    line = {}
                yield line if isinstance(line, dict) else {}


_UPDATES = {
    "results": "UPDATE entries SET status = ?, error_code = ?, error_kind = ?, attempts = ?, finished_at = ?, "
    "offset = ? WHERE idx = ?",
    "verdicts": "UPDATE entries SET verdict = ? WHERE idx = ?",
}


def _forget(db: sqlite3.Cursor, kind: str) -> None:
    if kind == "results":
        db.execute(
            "UPDATE entries SET status = '', error_code = '', error_kind = '', attempts = 0, finished_at = '', "
            "offset = NULL WHERE offset IS NOT NULL"
        )
    else:
        db.execute("UPDATE entries SET verdict = '' WHERE verdict <> ''")


def _row_of(kind: str, line: bytes, offset: int) -> tuple[Any, ...]:
    told = orjson.loads(line)
    if kind == "verdicts":
        return told["verdict"], told["index"]
    return (
        told["status"],
        told["error_code"] or "",
        told["error_kind"] or "",
        told["attempts"],
        told["finished_at"],
        offset,
        told["index"],
    )


def _where(asked: ListEntries) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for name, none in (("status", "open"), ("verdict", "none"), ("error_code", "none"), ("error_kind", "none")):
        given = getattr(asked, name)
        if given is None:
            continue
        words = [word.strip() for word in given.split(",")]
        where.append(f"e.{name} IN ({', '.join('?' * len(words))})")
        values += ["" if word == none else word for word in words]
    if asked.q is not None and asked.q.strip():
        part = asked.q.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        where.append("(e.key LIKE ? ESCAPE '\\' OR e.job_id LIKE ? ESCAPE '\\')")
        values += [f"%{part}%"] * 2
    for name, value in asked.label.items():
        where.append("e.idx IN (SELECT idx FROM labels WHERE name = ? AND value = ?)")
        values += [name, value]
    return where, values


def _token(sort: str, row: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([sort, row[12], row[0]])).decode().rstrip("=")


def _place(asked: ListEntries) -> tuple[Any, int]:
    """Where the page before ended. Raises `Problem`."""
    text = asked.after or ""
    try:
        sort, value, index = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if sort == asked.sort and isinstance(index, int) and isinstance(value, int | str):
            return value, index
    except (ValueError, TypeError):
        pass
    why = "is no `next` of a page in this order"
    raise invalid([finding("after", text, why, "Copy it from the page before, and keep `sort` as it was")])
