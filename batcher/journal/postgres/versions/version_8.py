"""Version 8 of the tables: a verdict that was found past the leases, by a `watch`, is kept as well.

It says on which result of the entry it is, by that one's number in its wave: where the result was taken back meanwhile,
it is a verdict on something else, and is left out. The row of the wave is locked first, as whoever takes results back
does, so that this cannot happen in between.

What it says is done to a database, and never changed.
"""

MIGRATION = """
CREATE FUNCTION record_found_verdicts(
    p_wave int, p_idx int[], p_seq int[], p_verdict text[], p_line bytea[]
) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    base int;
    added int;
BEGIN
    SELECT w.next_verdict INTO base FROM waves w WHERE w.number = p_wave FOR NO KEY UPDATE;
    WITH added AS (
        INSERT INTO verdicts AS v (wave, seq, idx, verdict, line)
            SELECT p_wave, base + row_number() OVER (ORDER BY g.n) - 1, g.idx, g.verdict, g.line
            FROM unnest(p_idx, p_seq, p_verdict, p_line) WITH ORDINALITY AS g(idx, seq, verdict, line, n)
            JOIN results r ON r.wave = p_wave AND r.seq = g.seq AND r.idx = g.idx
            WHERE NOT EXISTS (SELECT 1 FROM verdicts d WHERE d.wave = p_wave AND d.idx = g.idx)
            RETURNING v.idx, v.verdict
    ), by_scope AS (
        UPDATE wave_scopes p SET decided = p.decided + c.n FROM (
            SELECT e.scope, count(*)::int AS n FROM added a JOIN entries e ON e.wave = p_wave AND e.idx = a.idx
            GROUP BY 1) c
        WHERE p.wave = p_wave AND p.scope = c.scope
    ), counted AS (
        SELECT coalesce(sum(c.n), 0)::int AS n, coalesce(jsonb_object_agg(c.verdict, c.n), '{}') AS by_verdict
        FROM (SELECT a.verdict, count(*)::int AS n FROM added a GROUP BY 1) c
    )
    UPDATE waves w SET next_verdict = base + c.n, verdicts = w.verdicts || coalesce((
        SELECT jsonb_object_agg(k.key, coalesce((w.verdicts ->> k.key)::int, 0) + k.value::int)
        FROM jsonb_each_text(c.by_verdict) k), '{}')
        FROM counted c WHERE w.number = p_wave RETURNING c.n INTO added;
    RETURN coalesce(added, 0);
END $$;
"""
"""Makes them of those of version 7."""
