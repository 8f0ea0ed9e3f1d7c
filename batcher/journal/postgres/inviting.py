"""Inviting workers to a scope that has work: SQL alone, so that a plan invites in the transaction that writes it.

An invitation is a job of procrastinate (https://procrastinate.readthedocs.io), which wakes whoever listens. Nothing
depends on it: who may send in a scope is the lease's to say, and workers look around by themselves as well
(`batcher/machines`). So an invitation may be lost, come twice, or come to nobody.

Its tables are in a schema beside ours, made by the same migration: procrastinate has no version table, and a second try
to make them fails. It finds them by `search_path`, which `invite` therefore sets for itself and for its triggers.
"""

from importlib import resources

QUEUE = "batcher"
TASK = "batcher.invited"
ENGINE_VERSION = "3.10"
"""Of procrastinate, whose tables were made; `pyproject.toml` pins it."""

_INVITE = """
CREATE FUNCTION invite(p_scopes int[], p_priority int DEFAULT 0, p_at timestamptz DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SET search_path = {beside}, pg_temp AS $$
DECLARE
    one int;
    invited int := 0;
BEGIN
    FOREACH one IN ARRAY p_scopes LOOP
        -- Somebody whose transaction is still open invites to it: to wait for that one would be to wait for its plan.
        IF NOT pg_try_advisory_xact_lock(hashtextextended('{name}', one)) THEN
            CONTINUE;
        END IF;
        BEGIN
            PERFORM procrastinate_defer_jobs_v1(ARRAY[ROW(
                '{queue}', '{task}', p_priority, NULL, one::text, jsonb_build_object('scope', one), p_at
            )::procrastinate_job_to_defer_v1]);
            invited := invited + 1;
        EXCEPTION WHEN unique_violation THEN NULL;  -- an invitation to it waits already
        END;
    END LOOP;
    RETURN invited;
END $$;
CREATE FUNCTION tidy_invitations() RETURNS void LANGUAGE sql SET search_path = {beside}, pg_temp AS $$
    DELETE FROM procrastinate_jobs
    WHERE status NOT IN ('todo', 'doing') OR (status = 'doing' AND worker_id IS NULL);
$$;
"""


def beside(schema: str) -> str:
    """The schema of the invitations to what is in *schema*."""
    return f"{schema}_invitations"


def invitations_migration(schema: str) -> str:
    """What makes the tables of procrastinate, and `invite`, for batcher's tables in *schema*."""
    engine = (resources.files("procrastinate.sql") / "schema.sql").read_text(encoding="utf-8")
    name = beside(schema)
    invite = _INVITE.format(beside=f'"{name}"', name=name, queue=QUEUE, task=TASK)
    return (
        f'CREATE SCHEMA IF NOT EXISTS "{name}"; SET LOCAL search_path = "{name}";\n'
        f'{engine}\nSET LOCAL search_path = "{schema}";\n{invite}'
        f"INSERT INTO meta VALUES ('procrastinate', '{ENGINE_VERSION}');"
    )
