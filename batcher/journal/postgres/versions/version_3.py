"""Version 3 of the tables: invitations, by procrastinate; see `inviting.py`.

What it says is done to a database, and never changed.
"""

from importlib import resources

from batcher.journal.postgres.inviting import ENGINE_VERSION, beside, made

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
                'batcher', 'batcher.invited', p_priority, NULL, one::text, jsonb_build_object('scope', one), p_at
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


def migration(schema: str) -> str:
    """Makes them of those of version 2, where these are in *schema*."""
    engine = (resources.files("procrastinate.sql") / "schema.sql").read_text(encoding="utf-8")
    name = beside(schema)
    invite = _INVITE.format(beside=f'"{name}"', name=name)
    beginning = f'{made(name)} SET LOCAL search_path = "{name}";'
    then = f'SET LOCAL search_path = "{schema}";'
    noted = f"INSERT INTO meta VALUES ('procrastinate', '{ENGINE_VERSION}');"  # noqa: S608 - a version of ours
    return "\n".join([beginning, engine, then, invite, noted])
