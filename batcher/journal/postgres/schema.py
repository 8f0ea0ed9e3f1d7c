"""The tables of a database that machines share, and the one statement that writes into them.

Invariants:
- `record_commit` is called by itself, in a transaction of its own: the server has all of it or nothing, and no
  transaction is ever left open by somebody who went away.
- It locks the rows of the scopes that it writes for, `FOR SHARE`, before it looks at their epochs. Whoever takes a
  scope over updates that row: so that waits for what is being written, and what comes after it finds another epoch.
- A commit has its writer's number, which only grows. One that comes twice is written once, and one that was given up
  and comes late, after a later one, not at all.
- The number of a result is counted in the wave's row, which stays locked until the commit: so numbers have no gaps and
  become visible in their order, whichever machine writes. Commits of one wave that settle entries go one after another.
- Orders (stop, pause, deadline, most failures) are seen by the statement that intends: it locks the row of orders
  `FOR SHARE`, so once an order is committed nothing is intended any more that it forbids, on whichever machine.
- A verdict is written by the lease on its scope as well, or by none with the number of the result that it is on; and
  once: what is there stays.
- A process of another version is refused by `record_commit`, not misunderstood: it says which version it speaks.
"""

from collections.abc import Callable

from batcher.journal.postgres.versions import (
    version_1,
    version_2,
    version_3,
    version_4,
    version_5,
    version_6,
    version_7,
    version_8,
    version_9,
    version_10,
)

MIGRATIONS: tuple[Callable[[str], str], ...] = (
    lambda _: version_1.MIGRATION,
    lambda _: version_2.MIGRATION,
    version_3.migration,
    lambda _: version_4.MIGRATION,
    lambda _: version_5.MIGRATION,
    lambda _: version_6.MIGRATION,
    lambda _: version_7.MIGRATION,
    lambda _: version_8.MIGRATION,
    lambda _: version_9.MIGRATION,
    lambda _: version_10.MIGRATION,
)
"""What makes each version of the one before it, from nothing on: the statements, for tables in the schema named."""

VERSION = len(MIGRATIONS)
_SPOKEN = 10  # the version since which `record_commit` is as it is
_VERDICTS_SPOKEN = 4  # likewise `record_verdicts`

RECORD_COMMIT = f"""
SELECT to_json(told) FROM record_commit(
    {_SPOKEN}, $1::uuid, $2::bigint, $3::boolean, $4::int[], $5::int[], $6::bigint[], $7::int[],
    $8::int[], $9::int[], $10::int[], $11::text[], $12::bytea[],
    $13::int[], $14::int[], $15::int[], $16::text[], $17::bytea[],
    $18::int[], $19::text[], $20::text[], $21::int[], $22::int[], $23::float8[]) told
"""  # noqa: S608 - a number of ours

RECORD_VERDICTS = f"SELECT record_verdicts({_VERDICTS_SPOKEN}, %s, %s, %s, %s::int[], %s::text[], %b::bytea[])"
"""Writes verdicts of one wave by the lease on a scope, in a transaction of its own as well; see `version_4.py`."""

RECORD_FOUND_VERDICTS = "SELECT record_found_verdicts(%s, %s::int[], %s::int[], %s::text[], %b::bytea[])"
"""Writes verdicts of one wave by no lease, each with the number of the result that it is on; see `version_8.py`."""
