"""Version 7 of the tables: what services over one database have still to tell others.

A message is put into `service_outbox` for each target by the transaction that does what it tells of. Whichever service
has that target in its config file takes it for a while, sends it and says so; a service that dies over it leaves it to
the others. `service_targets` are the targets that services have, so that also one that has not a target of another's
notes what is for it.

What it says is done to a database, and never changed.
"""

MIGRATION = """
CREATE TABLE service_targets (name text PRIMARY KEY, events text[] NOT NULL, seen_at timestamptz NOT NULL);
CREATE TABLE service_outbox (
    id text, target text, event text NOT NULL, text text NOT NULL, body bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(), attempts int NOT NULL DEFAULT 0, due_at timestamptz,
    taken_by text, taken_until timestamptz, state text NOT NULL, said text, PRIMARY KEY (id, target)
) WITH (fillfactor = 70);
CREATE INDEX service_outbox_by_due ON service_outbox (target, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX service_outbox_by_age ON service_outbox (made_at);
"""
"""Makes them of those of version 6."""
