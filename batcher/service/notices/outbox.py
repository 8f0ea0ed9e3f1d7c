"""What is still to be told: rows in the service's database, put there in the transaction that does what they tell of.

So nothing that happened goes untold, whenever the service dies; and as it may die between sending and noting it, a
message may come twice, with the same id. `shared/outbox.py` keeps the same in a database that services share.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from msgspec import Struct

from batcher.clock import Clock
from batcher.service.notices.targets import Event, Target

T = TypeVar("T")

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
KEPT_S = 14 * 86400.0  # what was sent, or given up, is kept for a look
LONGEST_SAID = 300  # characters
_LOOK_S = 60.0  # a clock may step: the outbox is looked into at least so often


class Notice(Struct, frozen=True, kw_only=True):
    """What is to be told of *event*, at *made_at* (Unix seconds): *text* is a sentence for people, *body* the JSON that
    a webhook gets."""

    id: str
    event: Event
    text: str
    body: bytes
    made_at: float


class Message(Struct, frozen=True, kw_only=True):
    """A message to one target. *text* is a sentence for people, *body* the JSON that a webhook gets."""

    id: str
    target: str
    event: str
    text: str
    body: bytes
    made_at: float
    attempts: int


class OutboxDatabase(Protocol):
    """The service's own database, as far as it is used here."""

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What *work* finds."""
        ...

    async def change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What *work* answers, once what it changed is on disk."""
        ...


class OwnOutbox:
    """The outbox in a service's own *database*: an `Outbox` of one process."""

    look_s = _LOOK_S

    def __init__(self, database: OutboxDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, targets: Sequence[Target]) -> None:
        """These are told from here; what is for others is given up."""
        await self._database.change(lambda db: drop_unknown(db, targets))

    async def due(self, target: Target, most: int) -> tuple[Sequence[Message], float | None]:
        """Up to *most* messages to *target* whose time has come, and seconds until the next one's; None: there is
        none."""
        now = self._clock.now()
        messages, later = await self._database.read(partial(due, target=target.name, now=now, most=most))
        return messages, None if later is None else max(0.0, later - now)

    async def sent(self, message: Message) -> None:
        """The message was taken."""
        await self._database.change(lambda db: sent(db, message))

    async def failed(self, message: Message, said: str, *, for_good: bool, asked_s: float | None) -> str:
        """The message was not taken: it is tried again, or given up. The state it is in then."""
        now = self._clock.now()
        return await self._database.change(
            lambda db: failed(db, message, said, now, for_good=for_good, asked_s=asked_s)
        )

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many messages there are, by target and state."""
        return await self._database.read(counts)


def put(db: sqlite3.Connection, targets: Iterable[Target], notice: Notice) -> int:
    """Have *notice* told to those of *targets* that want to hear of it; how many. In the caller's transaction."""
    wanted = [target.name for target in targets if notice.event in target.events]
    now = notice.made_at
    db.execute("DELETE FROM outbox WHERE made_at < ? AND due_at IS NULL", (now - KEPT_S,))
    db.executemany(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, NULL)",
        [(notice.id, name, notice.event, notice.text, notice.body, now, now, WAITING) for name in wanted],
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
    wait_s = again_in_s(message, for_good=for_good, asked_s=asked_s)
    state = GIVEN_UP if wait_s is None else WAITING
    _settle(db, message, state, None if wait_s is None else now + wait_s, said)
    return state


def again_in_s(message: Message, *, for_good: bool, asked_s: float | None) -> float | None:
    """Seconds until a message that was not taken is tried again; None: it is given up."""
    if for_good or message.attempts >= len(BACK_OFF_S):
        return None
    return min(max(BACK_OFF_S[message.attempts], asked_s or 0.0), LONGEST_WAIT_S)


def _settle(db: sqlite3.Connection, message: Message, state: str, due_at: float | None, said: str | None) -> None:
    db.execute(
        "UPDATE outbox SET state = ?, due_at = ?, said = ?, attempts = attempts + 1 WHERE id = ? AND target = ?",
        (state, due_at, None if said is None else said[:LONGEST_SAID], message.id, message.target),
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
