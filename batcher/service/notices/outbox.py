"""What is still to be told: rows in the service's database, put there in the transaction that does what they tell of.

So nothing that happened goes untold, whenever the service dies; and as it may die between sending and noting it, a
message may come twice, with the same id.
"""

import sqlite3
from collections.abc import Iterable

from msgspec import Struct

from batcher.service.notices.targets import Target

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    id TEXT NOT NULL, target TEXT NOT NULL, event TEXT NOT NULL, text TEXT NOT NULL, body BLOB NOT NULL,
    made_at REAL NOT NULL, attempts INTEGER NOT NULL, due_at REAL, state TEXT NOT NULL, said TEXT,
    PRIMARY KEY (id, target)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outbox_by_due ON outbox (target, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS outbox_by_age ON outbox (made_at);
"""
WAITING, SENT, GIVEN_UP = "waiting", "sent", "given_up"  # states
# Between the attempts; some 28 hours in all, so that a receiver may be down over night.
BACK_OFF_S = (5.0, 60.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)
LONGEST_WAIT_S = 36000.0  # also where a receiver asks for a longer one
_KEPT_S = 14 * 86400.0  # what was sent, or given up, is kept for a look
_LONGEST_SAID = 300  # characters


class Message(Struct, frozen=True, kw_only=True):
    """A message to one target. *text* is a sentence for people, *body* the JSON that a webhook gets."""

    id: str
    target: str
    event: str
    text: str
    body: bytes
    made_at: float
    attempts: int


def put(
    db: sqlite3.Connection, targets: Iterable[Target], *, id: str, event: str, text: str, body: bytes, now: float
) -> int:
    """Have *event* told to those of *targets* that want to hear of it; how many. In the caller's transaction."""
    wanted = [target.name for target in targets if event in target.events]
    db.execute("DELETE FROM outbox WHERE made_at < ? AND due_at IS NULL", (now - _KEPT_S,))
    db.executemany(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, NULL)",
        [(id, name, event, text, body, now, now, WAITING) for name in wanted],
    )
    return len(wanted)


def due(db: sqlite3.Connection, target: str, now: float, most: int) -> tuple[list[Message], float | None]:
    """Up to *most* messages to *target* whose time has come, and when the next one's comes; None: there is none."""
    rows = db.execute(
        "SELECT id, target, event, text, body, made_at, attempts FROM outbox WHERE target = ? AND due_at <= ? "
        "ORDER BY due_at LIMIT ?",
        (target, now, most),
    ).fetchall()
    (later,) = db.execute("SELECT min(due_at) FROM outbox WHERE target = ? AND due_at > ?", (target, now)).fetchone()
    names = ("id", "target", "event", "text", "body", "made_at", "attempts")
    return [Message(**dict(zip(names, row, strict=True))) for row in rows], later


def sent(db: sqlite3.Connection, message: Message) -> None:
    """The message was taken."""
    _settle(db, message, SENT, None, None)


def failed(
    db: sqlite3.Connection, message: Message, said: str, now: float, *, for_good: bool, asked_s: float | None
) -> str:
    """The message was not taken, for what *said* says: it is tried again, or given up. The state it is in then.

    *asked_s* is how long its receiver asks us to wait.
    """
    if for_good or message.attempts >= len(BACK_OFF_S):
        _settle(db, message, GIVEN_UP, None, said)
        return GIVEN_UP
    wait_s = min(max(BACK_OFF_S[message.attempts], asked_s or 0.0), LONGEST_WAIT_S)
    _settle(db, message, WAITING, now + wait_s, said)
    return WAITING


def _settle(db: sqlite3.Connection, message: Message, state: str, due_at: float | None, said: str | None) -> None:
    db.execute(
        "UPDATE outbox SET state = ?, due_at = ?, said = ?, attempts = attempts + 1 WHERE id = ? AND target = ?",
        (state, due_at, None if said is None else said[:_LONGEST_SAID], message.id, message.target),
    )


def drop_unknown(db: sqlite3.Connection, targets: Iterable[Target]) -> int:
    """Give up what is for targets that the configuration no longer names; how many."""
    names = [target.name for target in targets]
    marks = ", ".join("?" * len(names))
    cursor = db.execute(
        f"UPDATE outbox SET state = ?, due_at = NULL, said = 'no longer in the configuration' "  # noqa: S608 - marks only
        f"WHERE due_at IS NOT NULL AND target NOT IN ({marks})",
        (GIVEN_UP, *names),
    )
    return cursor.rowcount


def counts(db: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """How many messages there are, by target and state."""
    rows = db.execute("SELECT target, state, count(*) FROM outbox GROUP BY target, state")
    return {(target, state): count for target, state, count in rows}
