"""Version 4 of the tables: verdicts, and the order that they are wanted.

What it says is done to a database, and never changed.
"""

_TABLES = """
ALTER TABLE waves ADD next_verdict int NOT NULL DEFAULT 0, ADD verdicts jsonb NOT NULL DEFAULT '{}';
ALTER TABLE wave_scopes ADD decided int NOT NULL DEFAULT 0;
ALTER TABLE wave_orders ADD follow boolean NOT NULL DEFAULT false, ADD watch_timeout_s float8,
    ADD follow_until timestamptz;
CREATE TABLE verdicts (
    wave int, seq int, idx int NOT NULL, epoch bigint, verdict text NOT NULL, line bytea NOT NULL,
    PRIMARY KEY (wave, seq), UNIQUE (wave, idx)
);
"""

# Whether the comparisons of a wave are followed at this moment: somebody wants to know their verdicts, and the wave was
# not ended before its time. A deadline and the most failures are about what is sent: they end nothing once all is.
_FOLLOWED = """
CREATE FUNCTION followed(p_wave int) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(
        o.follow AND o.stop IS NULL AND coalesce(o.follow_until > clock_timestamp(), true) AND (
            (SELECT coalesce(sum(c.value::int), 0) FROM jsonb_each_text(w.counts) c) >= w.entries
            OR coalesce(forbidden(w.number, NULL), 'paused') = 'paused'), false)
    FROM waves w LEFT JOIN wave_orders o ON o.wave = w.number WHERE w.number = p_wave
$$;
"""

# A result that is taken back takes the verdict on it along.
_TAKEN_BACK = """
CREATE FUNCTION verdict_taken_back() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    gone text;
BEGIN
    DELETE FROM verdicts v WHERE v.wave = old.wave AND v.idx = old.idx RETURNING v.verdict INTO gone;
    IF FOUND THEN
        UPDATE waves w SET verdicts = w.verdicts || jsonb_build_object(gone, (w.verdicts ->> gone)::int - 1)
            WHERE w.number = old.wave;
        UPDATE wave_scopes p SET decided = p.decided - 1 FROM entries e
            WHERE e.wave = old.wave AND e.idx = old.idx AND p.wave = e.wave AND p.scope = e.scope;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER verdict_taken_back AFTER DELETE ON results FOR EACH ROW EXECUTE FUNCTION verdict_taken_back();
"""

# The answer: whether the lease is still that of the scope, without which nothing is written. A verdict that is there
# stays as it is, so this may come twice. Without a scope it is about entries that are in none.
_RECORD_VERDICTS = """
CREATE FUNCTION record_verdicts(
    p_version int, p_wave int, p_scope int, p_epoch bigint, p_idx int[], p_verdict text[], p_line bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    base int;
    added int;
    by_verdict jsonb;
BEGIN
    IF p_version <> 4 THEN
        RAISE EXCEPTION 'version % of batcher''s verdicts is gone', p_version
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF p_scope IS NOT NULL THEN
        PERFORM 1 FROM scopes s WHERE s.id = p_scope AND s.epoch = p_epoch FOR SHARE;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    SELECT w.next_verdict INTO base FROM waves w WHERE w.number = p_wave FOR NO KEY UPDATE;
    WITH added AS (
        INSERT INTO verdicts AS v (wave, seq, idx, epoch, verdict, line)
            SELECT p_wave, base + row_number() OVER (ORDER BY g.n) - 1, g.idx, p_epoch, g.verdict, g.line
            FROM unnest(p_idx, p_verdict, p_line) WITH ORDINALITY AS g(idx, verdict, line, n)
            JOIN entries e ON e.wave = p_wave AND e.idx = g.idx AND e.scope IS NOT DISTINCT FROM p_scope
            WHERE EXISTS (SELECT 1 FROM results r WHERE r.wave = p_wave AND r.idx = g.idx)
                AND NOT EXISTS (SELECT 1 FROM verdicts d WHERE d.wave = p_wave AND d.idx = g.idx)
            RETURNING v.verdict
    ), counted AS (SELECT a.verdict, count(*)::int AS n FROM added a GROUP BY 1)
    SELECT coalesce(sum(c.n), 0), jsonb_object_agg(c.verdict, c.n) INTO added, by_verdict FROM counted c;
    IF added > 0 THEN
        UPDATE waves w SET next_verdict = base + added, verdicts = w.verdicts || (
            SELECT jsonb_object_agg(a.key, coalesce((w.verdicts ->> a.key)::int, 0) + a.value::int)
            FROM jsonb_each_text(by_verdict) a)
            WHERE w.number = p_wave;
        UPDATE wave_scopes p SET decided = p.decided + added WHERE p.wave = p_wave AND p.scope = p_scope;
    END IF;
    RETURN true;
END $$;
"""

MIGRATION = _TABLES + _FOLLOWED + _TAKEN_BACK + _RECORD_VERDICTS
"""Makes them of those of version 3."""
