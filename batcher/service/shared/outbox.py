"""What services over one database have still to tell others; see `notices/outbox.py`.

Invariants:
- A message is put there by the transaction that does what it tells of, for every target that any service has.
- Whoever sends it has taken it before, in a transaction of its own: for a while nobody else does. A service that dies
  over it leaves it to the others once that while is over; so it comes twice only where it was sent and that was not
  noted, as with a service that is alone.
- Times are the database's: services need not agree on theirs.
"""

from collections.abc import Mapping, Sequence

from batcher.clock import Clock
from batcher.journal.postgres.link import Connection
from batcher.service.notices.outbox import GIVEN_UP, KEPT_S, LONGEST_SAID, SENT, WAITING, Message, Notice, again_in_s
from batcher.service.notices.targets import Target
from batcher.service.shared.database import SharedServiceDatabase

_LOOK_S = 5.0  # what another service has noted is for this one to find
_TAKEN_S = 120.0  # longer than any receiver may take for an answer
_NAMED_AGAIN_S = 600.0
_FORGOTTEN = "7 days"  # a target that no service has named for so long is no longer noted for

_PUT = f"""
INSERT INTO service_outbox (id, target, event, text, body, due_at, state)
SELECT %s, t.name, %s, %s, %s, clock_timestamp(), %s FROM (
    SELECT unnest(%s::text[]) AS name
    UNION SELECT name FROM service_targets WHERE name <> ALL (%s) AND %s = ANY (events)
        AND seen_at > clock_timestamp() - interval '{_FORGOTTEN}') t
"""  # noqa: S608 - a length of ours
_TAKE = """
UPDATE service_outbox SET taken_by = %(who)s, taken_until = clock_timestamp() + make_interval(secs => %(for_s)s)
WHERE (id, target) = (
    SELECT id, target FROM service_outbox
    WHERE target = %(target)s AND due_at <= clock_timestamp()
        AND (taken_until IS NULL OR taken_until <= clock_timestamp())
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, target, event, text, body, extract(epoch FROM made_at)::float8, attempts
"""
_NEXT = """
SELECT extract(epoch FROM min(greatest(due_at, taken_until)) - clock_timestamp())::float8
FROM service_outbox WHERE target = %s AND due_at IS NOT NULL
"""
_NAME = """
INSERT INTO service_targets VALUES (%s, %s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET events = excluded.events, seen_at = excluded.seen_at
"""
_FORGET = f"""
UPDATE service_outbox SET state = %s, due_at = NULL, said = 'in no service''s configuration any more'
WHERE due_at IS NOT NULL AND target NOT IN (
    SELECT name FROM service_targets WHERE seen_at > clock_timestamp() - interval '{_FORGOTTEN}')
"""  # noqa: S608 - a length of ours


class SharedOutbox:
    """The outbox of all services of *database*, for the one that is known there by *name*: an `Outbox`."""

    look_s = _LOOK_S

    def __init__(self, database: SharedServiceDatabase, clock: Clock, *, name: str) -> None:
        self._database = database
        self._clock = clock
        self._name = name
        self._named_at: dict[str, float] = {}  # monotonic: when a target was last said to be told from here

    async def begin(self, targets: Sequence[Target]) -> None:
        """These are told from here. What is for targets that no service has named for a week is given up."""
        for target in targets:
            await self._say(target)
        await self._database.change(lambda c: c.execute(_FORGET, (GIVEN_UP,)))

    async def _say(self, target: Target) -> None:
        values = (target.name, sorted(event.value for event in target.events))
        await self._database.change(lambda c: c.execute(_NAME, values))
        self._named_at[target.name] = self._clock.monotonic()

    async def due(self, target: Target, most: int) -> tuple[Sequence[Message], float | None]:
        """A message to *target* whose time has come, taken by this service, and seconds until the next one's; None:
        there is none. One at a time: another service may take the next."""
        named_at = self._named_at.get(target.name)
        if named_at is None or self._clock.monotonic() - named_at > _NAMED_AGAIN_S:
            await self._say(target)
        values = {"who": self._name, "for_s": _TAKEN_S, "target": target.name}

        def work(connection: Connection) -> tuple[list[Message], float | None]:
            row = connection.execute(_TAKE, values).fetchone()
            if row is not None:
                names = ("id", "target", "event", "text", "body", "made_at", "attempts")
                return [Message(**dict(zip(names, row, strict=True)))], None
            found = connection.execute(_NEXT, (target.name,)).fetchone()
            return [], None if found is None or found[0] is None else max(0.0, found[0])

        return await self._database.change(work)

    async def sent(self, message: Message) -> None:
        """The message was taken."""
        sql = (
            "UPDATE service_outbox SET state = %s, due_at = NULL, attempts = attempts + 1, said = NULL, "
            "taken_by = NULL, taken_until = NULL WHERE id = %s AND target = %s AND state <> %s"
        )
        values = (SENT, message.id, message.target, SENT)
        await self._database.change(lambda c: c.execute(sql, values))

    async def failed(self, message: Message, said: str, *, for_good: bool, asked_s: float | None) -> str:
        """The message was not taken: it is tried again, or given up. The state it is in then."""
        wait_s = again_in_s(message, for_good=for_good, asked_s=asked_s)
        state = GIVEN_UP if wait_s is None else WAITING
        sql = (
            "UPDATE service_outbox SET state = %s, due_at = clock_timestamp() + make_interval(secs => %s), "
            "attempts = attempts + 1, said = %s, taken_by = NULL, taken_until = NULL "
            "WHERE id = %s AND target = %s AND taken_by = %s AND due_at IS NOT NULL"  # else another has it by now
        )
        values = (state, wait_s, said[:LONGEST_SAID], message.id, message.target, self._name)
        await self._database.change(lambda c: c.execute(sql, values))
        return state

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many messages there are, by target and state: the same at every service."""
        sql = "SELECT target, state, count(*) FROM service_outbox GROUP BY target, state"
        rows = await self._database.ask(lambda link: link.rows(sql))
        return {(target, state): count for target, state, count in rows}


def put(connection: Connection, targets: Sequence[Target], notice: Notice) -> None:
    """Have *notice* told to those that want to hear of it: *targets* of this service, and those of others. In the
    caller's transaction."""
    own = [target.name for target in targets]
    wanted = [target.name for target in targets if notice.event in target.events]
    event = notice.event.value
    connection.execute(
        "DELETE FROM service_outbox WHERE due_at IS NULL AND made_at < clock_timestamp() - make_interval(secs => %s)",
        (KEPT_S,),
    )
    connection.execute(_PUT, (notice.id, event, notice.text, notice.body, WAITING, wanted, own, event))
