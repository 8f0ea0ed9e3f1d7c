"""A database that goes on elsewhere: on a standby that was promoted, or as what a backup had of it.

What was committed last may be missing there, though it was acknowledged: intents, answers, who has which scope. Nothing
in the tables tells. What tells is the cluster's own history: its identifier, and the timeline of its log, which grows
with each promotion. A wave knows on which it was planned. Where that has changed,

- every entry without a result is looked up in the cloud's lists before it is sent (`look_first`, a fact of the wave);
- whoever has one of its scopes, or believes so, has it no more: epochs grow by more than can have been forgotten.

A standby that was waited for (`synchronous_standby_names`) has forgotten nothing, and costs only the look-ups.

The timeline is read from the name of the log's current file: `pg_control_checkpoint()` goes on telling the old one
until the first checkpoint after a promotion.
"""

from typing import Any

import psycopg

CLUSTER = (
    "CASE WHEN pg_is_in_recovery() THEN NULL ELSE concat((SELECT system_identifier FROM pg_control_system()), '/', "
    "left(pg_walfile_name(pg_current_wal_lsn()), 8)) END"
)
"""In SQL, on which cluster and timeline the server is; NULL: it is a standby."""

_FORGOTTEN_EPOCHS = 10_000  # more than a standby lags behind: each take-over takes a second at least

_NOTICE = f"""
WITH was AS (SELECT number, cluster FROM waves WHERE planned AND cluster IS DISTINCT FROM %(now)s),
noticed AS (
    UPDATE waves v SET cluster = %(now)s FROM was
    WHERE v.number = was.number AND v.cluster IS DISTINCT FROM %(now)s RETURNING v.number, v.id, was.cluster AS before),
moved AS (SELECT number, id FROM noticed WHERE before IS NOT NULL),
told AS (
    INSERT INTO facts (wave, name, value) SELECT number, 'look_first', 'true' FROM moved
    ON CONFLICT (wave, name) DO UPDATE SET value = excluded.value),
fenced AS (
    UPDATE scopes SET epoch = epoch + {_FORGOTTEN_EPOCHS}, owner = NULL, lease_until = NULL,
        free_since = clock_timestamp()
    WHERE id IN (SELECT w.scope FROM wave_scopes w JOIN moved ON moved.number = w.wave))
SELECT id FROM moved ORDER BY number
"""  # noqa: S608 - a number of ours


def notice_failover(connection: "psycopg.Connection[tuple[Any, ...]]", cluster: str) -> list[str]:
    """Have the waves that were on another than *cluster* be looked up, and fence off whoever had their scopes.

    The ids of those waves; each is told once. A single statement. Raises `psycopg.Error`.
    """
    return [wave for (wave,) in connection.execute(_NOTICE, {"now": cluster}).fetchall()]
