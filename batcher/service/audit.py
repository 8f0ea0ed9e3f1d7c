"""Who did what, when, from where: in the service's database, and in `audit.jsonl` beside it, which is only appended to.

Nothing is done that is not in both. What is done in the database is done inside of `Audit.transaction`: the row is
inserted, the line is appended and on disk, and only then is the transaction committed. What cannot be written (a full
disk, say) raises, and with the transaction the action is undone. What is done elsewhere (a wave is paused, say) is
recorded before it is begun, with the outcome `begun`, and once more with how it went.

A process that dies between line and commit leaves a line of what was not done, and a database that is brought back from
a backup does not know what was done since. The file then gets a line with a `note` that names those lines; it is never
shortened, except by a line that was not written to its end, which stood for nothing. A file that was lost, or is
behind, is filled up from the database.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct

from batcher.clock import utc
from batcher.life.result import rfc3339
from batcher.masking import mask
from batcher.service.kept.errors import AuditFailed, is_no_room
from batcher.service.roles import Who
from batcher.whole import is_at, sync_folder

SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
    action TEXT NOT NULL, wave TEXT, outcome TEXT NOT NULL, detail BLOB
);
CREATE INDEX IF NOT EXISTS audit_by_wave ON audit (wave, seq);
"""
DONE, BEGUN, REFUSED, FAILED = "done", "begun", "refused", "failed"  # outcomes
FIELDS = ("seq", "at", "who", "role", "address", "action", "wave", "outcome", "detail")
_SELECT = "SELECT seq, at, who, role, address, action, wave, outcome, detail FROM audit"
_TAIL = 1024 * 1024  # bytes at the end of the file that are looked at; a line is far shorter
_LONGEST_DETAIL = 16 * 1024  # bytes


class AuditEntry(Struct, frozen=True, kw_only=True):
    """What somebody does: *who*, the *action* by its name ("submit", "approve", …), to which *wave*, and its *outcome*.

    *detail* has what else there is to know, such as the digest that was approved; secrets in it are masked.
    """

    who: Who
    action: str
    wave: str | None = None
    outcome: str = DONE
    detail: Mapping[str, Any] = {}


def detail_of(deed: AuditEntry) -> bytes | None:
    """What else there is to know of *deed*, as JSON, with secrets masked; None: nothing."""
    told = dict(deed.detail)
    if deed.who.forwarded_for is not None:
        told["forwarded_for"] = deed.who.forwarded_for
    detail = orjson.dumps(mask(told)) if told else None
    if detail is not None and len(detail) > _LONGEST_DETAIL:
        detail = orjson.dumps({"cut": detail[:_LONGEST_DETAIL].decode("utf-8", "replace")})
    return detail


class Audit:
    """The record, its file at *path*. *now* is Unix seconds. All of it blocks: it is used in the database's thread."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self.path = path
        self._now = now
        self._fd: int | None = None
        self._next = 1
        self._undone: list[int] = []  # numbers of lines in the file that were not done, and that no note speaks of yet

    def open(self, db: sqlite3.Connection) -> None:
        """Open the file, and bring it and the table into agreement. Raises `AuditFailed`, `sqlite3.Error`."""
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            sync_folder(self.path.parent)
            _cut_torn_end(self._fd)
            lines = _last_lines(self._fd)
        except OSError as error:
            raise self._failed(error) from error
        (held,) = db.execute("SELECT coalesce(max(seq), 0) FROM audit").fetchone()
        last = max((line.get("seq", line.get("last_seq", 0)) for line in lines), default=0)
        for row in db.execute(f"{_SELECT} WHERE seq > ? ORDER BY seq", (last,)):
            self._append(_line(row))
        for first, end in _unknown(lines, db, held):
            self._append(self._note("the service died before it was done, or the database is an older one", first, end))
        self._next = max(held, last) + 1

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @contextmanager
    def transaction(self, db: sqlite3.Connection, deed: Callable[[], AuditEntry | None]) -> Iterator[None]:
        """Do what stands inside, with the *deed* that it turned out to be (None: nobody's), or nothing at all.

        Raises `AuditFailed`, `sqlite3.Error`, and what is raised inside: then nothing was done.
        """
        db.execute("BEGIN IMMEDIATE")
        seq = None
        try:
            yield
            if (done := deed()) is not None:
                seq = self.add(db, done)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if seq is not None:
                self.note_undone(seq)
            raise

    def add(self, db: sqlite3.Connection, deed: AuditEntry) -> int:
        """Record *deed* in a transaction that is open, and is committed next; its number. Raises as `record` does."""
        self._note_undone()
        seq = self._next
        detail = detail_of(deed)
        who = deed.who
        row = (
            seq,
            rfc3339(utc(self._now())),
            who.name,
            who.role.word,
            who.address,
            deed.action,
            deed.wave,
            deed.outcome,
            detail,
        )
        db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._append(_line(row))
        self._next = seq + 1
        return seq

    def note_undone(self, seq: int) -> None:
        """What was recorded under *seq* was not done after all: its transaction was not committed."""
        self._undone.append(seq)
        with suppress(AuditFailed):  # then before the next line, or at the next start
            self._note_undone()

    def _note_undone(self) -> None:
        """Have a note of all that was not done. Raises `AuditFailed`."""
        while self._undone:
            self._append(self._note("the database could not commit it", self._undone[0], self._undone[0]))
            del self._undone[0]

    def _note(self, why: str, first: int, last: int) -> dict[str, Any]:
        note = {"note": f"not in the database: {why}", "at": rfc3339(utc(self._now()))}
        return {**note, "first_seq": first, "last_seq": last}

    def _append(self, line: Mapping[str, Any]) -> None:
        """Have *line* on disk. Raises `AuditFailed`; then nothing of it is in the file."""
        if self._fd is None:
            raise AuditFailed(f"the audit log {self.path} is not open")
        if not is_at(self._fd, self.path):
            raise AuditFailed(f"the audit log {self.path} was deleted or moved: nothing is done until a restart")
        before = os.fstat(self._fd).st_size
        try:
            _write(self._fd, orjson.dumps(line) + b"\n")
        except OSError as error:
            with suppress(OSError):  # half a line at the end is taken away by the next start
                os.ftruncate(self._fd, before)
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> AuditFailed:
        text = f"the audit log {self.path} cannot be written, and so nothing is done: {error.strerror}"
        return AuditFailed(text, is_full=is_no_room(error))


def page(
    db: sqlite3.Connection,
    *,
    limit: int,
    after: int = 0,
    before: int | None = None,
    wave: str | None = None,
    who: str | None = None,
) -> tuple[list[dict[str, Any]], int | None]:
    """The first *limit* deeds after number *after*, oldest first, and the `after` of the next page; None: no more.

    With *before* those before that number (0: all), newest first, and the `before` of the next page.
    """
    where = "seq > :after" if before is None else "seq < :before" if before else "seq > 0"
    rows = db.execute(
        f"{_SELECT} WHERE {where} AND (:wave IS NULL OR wave = :wave) AND (:who IS NULL OR who = :who) "
        f"ORDER BY seq {'ASC' if before is None else 'DESC'} LIMIT :most",
        {"after": after, "before": before, "wave": wave, "who": who, "most": limit + 1},
    ).fetchall()
    lines = [_line(row) for row in rows[:limit]]
    return lines, lines[-1]["seq"] if len(rows) > limit else None


def _line(row: tuple[Any, ...]) -> dict[str, Any]:
    line = dict(zip(FIELDS, row, strict=True))
    return {**line, "detail": {} if line["detail"] is None else orjson.loads(line["detail"])}


def _write(fd: int, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[os.write(fd, left) :]
    os.fdatasync(fd) if hasattr(os, "fdatasync") else os.fsync(fd)


def _cut_torn_end(fd: int) -> None:
    """Take away a last line that was not written to its end: what it stood for was not committed."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, _TAIL, max(0, size - _TAIL))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(fd, size - (len(tail) - (tail.rfind(b"\n") + 1)))
        os.fsync(fd)


def _last_lines(fd: int) -> list[dict[str, Any]]:
    """The last lines. What is no line of ours (somebody edited the file) is passed over."""
    size = os.fstat(fd).st_size
    lines = []
    for text in os.pread(fd, _TAIL, max(0, size - _TAIL)).splitlines():
        try:
            line = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue  # also the first, where reading began in its middle
        if isinstance(line, dict) and isinstance(line.get("seq", line.get("last_seq")), int):
            lines.append(line)
    return lines


def _unknown(lines: list[dict[str, Any]], db: sqlite3.Connection, held: int) -> Iterator[tuple[int, int]]:
    """The first and last number of each run of *lines* that the table does not have, and that no note speaks of."""
    noted = [range(line["first_seq"], line["last_seq"] + 1) for line in lines if "note" in line]
    seqs = [line["seq"] for line in lines if "seq" in line]
    if not seqs:
        return
    known = {seq for (seq,) in db.execute("SELECT seq FROM audit WHERE seq >= ?", (min(seqs),))}
    unknown = [seq for seq in seqs if seq not in known and not any(seq in numbers for numbers in noted)]
    if unknown and unknown[0] == seqs[0] > held:
        unknown[0] = held + 1  # there are more of them than were looked at
    for place, seq in enumerate(unknown):
        if place == 0 or unknown[place - 1] < seq - 1:
            first = seq
        if place == len(unknown) - 1 or unknown[place + 1] > seq + 1:
            yield first, seq
