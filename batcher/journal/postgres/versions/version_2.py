"""Version 2 of the tables: orders for waves and scopes, the workers, and what each scope of a wave has settled.

What it says is done to a database, and never changed.
"""

_TABLES = """
ALTER TABLE scopes ADD paused text, ADD rate text, ADD orders bigint NOT NULL DEFAULT 0;
ALTER TABLE waves ADD planned_at timestamptz, ADD cluster text;
ALTER TABLE wave_scopes ADD entries int NOT NULL DEFAULT 0, ADD settled int NOT NULL DEFAULT 0;
CREATE INDEX wave_scopes_by_scope ON wave_scopes (scope, wave);
ALTER TABLE writers ADD refused int[] NOT NULL DEFAULT '{}', ADD whys text[] NOT NULL DEFAULT '{}';
UPDATE wave_scopes w SET
    entries = (SELECT count(*) FROM entries e WHERE e.wave = w.wave AND e.scope = w.scope),
    settled = (SELECT count(*) FROM results s JOIN entries e USING (wave, idx)
        WHERE s.wave = w.wave AND e.scope = w.scope);
CREATE TABLE wave_orders (
    wave int PRIMARY KEY, version bigint NOT NULL DEFAULT 0, stop text, paused text, rate text, read_rate text,
    concurrency int, priority int NOT NULL DEFAULT 0, deadline_at timestamptz, max_failures int
);
INSERT INTO wave_orders (wave) SELECT number FROM waves;
CREATE TABLE workers (
    name text PRIMARY KEY, host text NOT NULL, pid int NOT NULL, lanes int NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(), seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    refuses jsonb NOT NULL DEFAULT '[]'
);
"""

# Why nothing may be intended for a wave, in a scope (NULL: in whichever); NULL: it may.
_FORBIDDEN = """
CREATE FUNCTION forbidden(p_wave int, p_scope int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE
        WHEN o.stop IS NOT NULL THEN 'stopped'
        WHEN o.deadline_at <= clock_timestamp() THEN 'deadline'
        WHEN coalesce((w.counts ->> 'failed')::int, 0) + coalesce((w.counts ->> 'partial')::int, 0)
            + coalesce((w.counts ->> 'unsettled')::int, 0) >= o.max_failures THEN 'max_failures'
        WHEN o.paused IS NOT NULL THEN 'paused'
        WHEN s.paused IS NOT NULL THEN 'scope paused' END
    FROM waves w LEFT JOIN wave_orders o ON o.wave = w.number LEFT JOIN scopes s ON s.id = p_scope
    WHERE w.number = p_wave
$$;
CREATE FUNCTION versions_of(g_wave int[], g_scope int[]) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_object_agg(concat(g.wave, '/', g.scope), coalesce(o.version, 0) + coalesce(s.orders, 0))
    FROM (SELECT DISTINCT wave, scope FROM unnest(g_wave, g_scope) AS u(wave, scope)) g
    LEFT JOIN wave_orders o ON o.wave = g.wave LEFT JOIN scopes s ON s.id = g.scope
$$;
"""

# Groups are counted from 1, as arrays are. `g_…` is for each group, `e_…` for each event, `r_…` for each result,
# `f_…` for each fact, `c_…` for each clock; `…_n` is the place of an op among all.
RECORD_OPS = """
DROP FUNCTION record_ops;
CREATE FUNCTION record_ops(
    p_version int, p_writer uuid, p_number bigint, p_all boolean,
    g_wave int[], g_scope int[], g_epoch bigint[],
    e_n int[], e_group int[], e_idx int[], e_kind text[], e_body bytea[],
    r_n int[], r_group int[], r_idx int[], r_status text[], r_line bytea[],
    f_group int[], f_name text[], f_value text[], c_group int[], c_scope int[], c_offset float8[],
    OUT lost int[], OUT seqs int[], OUT counts jsonb, OUT refused int[], OUT whys text[], OUT versions jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    skipped int[];
    u_group int[];
    u_scope int[];
    part record;
    op record;
    base int;
BEGIN
    IF p_version <> 2 THEN
        RAISE EXCEPTION 'version % of batcher''s tables is gone', p_version
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    INSERT INTO writers AS w (id, last) VALUES (p_writer, p_number)
        ON CONFLICT (id) DO UPDATE SET last = excluded.last, lost = '{}', refused = '{}', whys = '{}',
            seen_at = clock_timestamp()
        WHERE w.last < excluded.last;
    IF NOT FOUND THEN
        -- The one before it is there. Writing makes this commit wait for a standby, as that one may not have done.
        UPDATE writers w SET seen_at = clock_timestamp() WHERE w.id = p_writer AND w.last = p_number
            RETURNING w.lost, w.refused, w.whys INTO lost, refused, whys;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'commit % comes too late', p_number USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        skipped := lost || refused;
        versions := versions_of(g_wave, g_scope);
        seqs := ARRAY(
            SELECT s.seq FROM unnest(r_n, r_group, r_idx) AS r(n, grp, idx)
            LEFT JOIN results s ON s.wave = g_wave[r.grp] AND s.idx = r.idx AND r.grp <> ALL (skipped) ORDER BY r.n);
        counts := (SELECT jsonb_object_agg(v.number, v.counts) FROM waves v WHERE v.number = ANY (g_wave));
        RETURN;
    END IF;

    -- The fence: a group has its lease, or there is none on what it writes for, not even one that ran out.
    IF array_position(g_scope, NULL) IS NOT NULL THEN
        SELECT array_agg(o.grp), array_agg(e.scope) INTO u_group, u_scope
        FROM (SELECT * FROM unnest(e_group, e_idx) UNION SELECT * FROM unnest(r_group, r_idx)) AS o(grp, idx)
        JOIN entries e ON e.wave = g_wave[o.grp] AND e.idx = o.idx AND e.scope IS NOT NULL
        WHERE g_scope[o.grp] IS NULL;
    END IF;
    PERFORM 1 FROM scopes s WHERE s.id = ANY (g_scope) OR s.id = ANY (u_scope) ORDER BY s.id FOR SHARE;
    lost := ARRAY(
        SELECT g.n::int FROM unnest(g_scope, g_epoch) WITH ORDINALITY AS g(scope, epoch, n) WHERE g.scope IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM scopes s WHERE s.id = g.scope AND s.epoch = g.epoch)
        UNION
        SELECT u.grp FROM unnest(u_group, u_scope) AS u(grp, scope) JOIN scopes s ON s.id = u.scope
            WHERE s.lease_until IS NOT NULL
        ORDER BY 1);
    IF lost <> '{}' THEN
        INSERT INTO late (wave, idx, epoch, kind, body)
            SELECT g_wave[o.grp], o.idx, g_epoch[o.grp], o.kind, o.body
            FROM unnest(e_n, e_group, e_idx, e_kind, e_body) AS o(n, grp, idx, kind, body)
            WHERE o.grp = ANY (lost) AND o.kind = 'answered' ORDER BY o.n;
    END IF;

    -- The orders: nothing is intended that they forbid. Whoever changes them updates a row that is locked here.
    refused := '{}';
    whys := '{}';
    IF 'intended' = ANY (e_kind) THEN
        PERFORM 1 FROM wave_orders o WHERE o.wave = ANY (g_wave) ORDER BY o.wave FOR SHARE;
        WITH intents AS MATERIALIZED (
            SELECT DISTINCT e.grp, g_wave[e.grp] AS wave, g_scope[e.grp] AS scope
            FROM unnest(e_group, e_kind) AS e(grp, kind) WHERE e.kind = 'intended' AND e.grp <> ALL (lost)
        ), judged AS MATERIALIZED (
            SELECT p.wave, p.scope, forbidden(p.wave, p.scope) AS why
            FROM (SELECT DISTINCT wave, scope FROM intents) p
        )
        SELECT coalesce(array_agg(i.grp), '{}'), coalesce(array_agg(j.why), '{}') INTO refused, whys
        FROM judged j JOIN intents i ON i.wave = j.wave AND i.scope IS NOT DISTINCT FROM j.scope
        WHERE j.why IS NOT NULL;
    END IF;
    versions := versions_of(g_wave, g_scope);
    skipped := lost || refused;
    IF skipped <> '{}' THEN
        UPDATE writers w SET lost = record_ops.lost, refused = record_ops.refused, whys = record_ops.whys
            WHERE w.id = p_writer;
        IF p_all THEN
            RETURN;
        END IF;
    END IF;

    IF 'reopened' = ANY (e_kind) THEN  -- takes a result away, so the order of events and results counts: one by one
        seqs := '{}';
        FOR op IN
            SELECT n, grp, idx, what, body, true AS happened
                FROM unnest(e_n, e_group, e_idx, e_kind, e_body) AS e(n, grp, idx, what, body)
            UNION ALL
            SELECT n, grp, idx, what, body, false
                FROM unnest(r_n, r_group, r_idx, r_status, r_line) AS r(n, grp, idx, what, body)
            ORDER BY n
        LOOP
            IF op.grp = ANY (skipped) THEN
                IF NOT op.happened THEN
                    seqs := seqs || NULL::int;
                END IF;
                CONTINUE;
            END IF;
            PERFORM 1 FROM waves v WHERE v.number = g_wave[op.grp] FOR NO KEY UPDATE;
            IF op.happened THEN
                IF op.what = 'reopened' THEN
                    DELETE FROM results s WHERE s.wave = g_wave[op.grp] AND s.idx = op.idx;
                END IF;
                INSERT INTO events (wave, idx, epoch, kind, body)
                    VALUES (g_wave[op.grp], op.idx, g_epoch[op.grp], op.what, op.body);
            ELSE
                SELECT coalesce(max(s.seq) + 1, 0) INTO base FROM results s WHERE s.wave = g_wave[op.grp];
                INSERT INTO results VALUES (g_wave[op.grp], base, op.idx, op.what, op.body);
                seqs := seqs || base;
            END IF;
        END LOOP;
        UPDATE waves v SET
            next_seq = (SELECT coalesce(max(s.seq) + 1, 0) FROM results s WHERE s.wave = v.number),
            counts = (SELECT coalesce(jsonb_object_agg(c.status, c.n), '{}') FROM (
                SELECT s.status, count(*) AS n FROM results s WHERE s.wave = v.number GROUP BY 1) c)
            WHERE v.number = ANY (g_wave);
        UPDATE wave_scopes w SET settled = (
            SELECT count(*) FROM results s JOIN entries e USING (wave, idx) WHERE s.wave = w.wave AND e.scope = w.scope)
            WHERE w.wave = ANY (g_wave);
    ELSE
        INSERT INTO events (wave, idx, epoch, kind, body)
            SELECT g_wave[o.grp], o.idx, g_epoch[o.grp], o.kind, o.body
            FROM unnest(e_n, e_group, e_idx, e_kind, e_body) AS o(n, grp, idx, kind, body)
            WHERE o.grp <> ALL (skipped) ORDER BY o.n;
        FOR part IN
            SELECT c.wave, sum(c.n)::int AS n, jsonb_object_agg(c.status, c.n) AS by_status FROM (
                SELECT g_wave[r.grp] AS wave, r.status, count(*) AS n FROM unnest(r_group, r_status) AS r(grp, status)
                WHERE r.grp <> ALL (skipped) GROUP BY 1, 2) c
            GROUP BY 1 ORDER BY 1
        LOOP
            UPDATE waves v SET next_seq = v.next_seq + part.n, counts = v.counts || (
                SELECT jsonb_object_agg(a.key, coalesce((v.counts ->> a.key)::int, 0) + a.value::int)
                FROM jsonb_each_text(part.by_status) a)
                WHERE v.number = part.wave RETURNING v.next_seq - part.n INTO base;
            INSERT INTO results (wave, seq, idx, status, line)
                SELECT part.wave, base + row_number() OVER (ORDER BY r.n) - 1, r.idx, r.status, r.line
                FROM unnest(r_n, r_group, r_idx, r_status, r_line) AS r(n, grp, idx, status, line)
                WHERE g_wave[r.grp] = part.wave AND r.grp <> ALL (skipped);
            UPDATE wave_scopes w SET settled = w.settled + c.n FROM (
                SELECT coalesce(g_scope[r.grp], (
                    SELECT e.scope FROM entries e WHERE e.wave = part.wave AND e.idx = r.idx)) AS scope,
                    count(*)::int AS n
                FROM unnest(r_group, r_idx) AS r(grp, idx)
                WHERE g_wave[r.grp] = part.wave AND r.grp <> ALL (skipped) GROUP BY 1) c
                WHERE w.wave = part.wave AND w.scope = c.scope;
        END LOOP;
        IF r_n IS NOT NULL THEN
            seqs := ARRAY(
                SELECT s.seq FROM unnest(r_n, r_group, r_idx) AS r(n, grp, idx)
                LEFT JOIN results s ON s.wave = g_wave[r.grp] AND s.idx = r.idx AND r.grp <> ALL (skipped)
                ORDER BY r.n);
        END IF;
    END IF;

    IF f_group IS NOT NULL THEN
        INSERT INTO facts (wave, name, value)
            SELECT DISTINCT ON (g_wave[f.grp], f.name) g_wave[f.grp], f.name, f.value
            FROM unnest(f_group, f_name, f_value) WITH ORDINALITY AS f(grp, name, value, n)
            WHERE f.grp <> ALL (skipped) ORDER BY 1, 2, f.n DESC
            ON CONFLICT (wave, name) DO UPDATE SET value = excluded.value;
    END IF;
    IF c_group IS NOT NULL THEN
        UPDATE wave_scopes w SET clock_offset_s = c.offset_s
            FROM (SELECT DISTINCT ON (g_wave[o.grp], o.scope) g_wave[o.grp] AS wave, o.scope, o.offset_s
                FROM unnest(c_group, c_scope, c_offset) WITH ORDINALITY AS o(grp, scope, offset_s, n)
                WHERE o.grp <> ALL (skipped) ORDER BY 1, 2, o.n DESC) c
            WHERE w.wave = c.wave AND w.number = c.scope;
    END IF;
    IF r_n IS NOT NULL THEN
        counts := (SELECT jsonb_object_agg(v.number, v.counts) FROM waves v WHERE v.number = ANY (g_wave));
    END IF;
END $$;
"""

MIGRATION = _TABLES + _FORBIDDEN + RECORD_OPS
"""Makes them of those of version 1."""
