"""Version 1 of the tables: the first. What it says is done to a database, and never changed."""

_TABLES = """
CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE scopes (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, endpoint text NOT NULL, project_id text NOT NULL,
    epoch bigint NOT NULL DEFAULT 0, owner text, lease_until timestamptz,
    free_since timestamptz, UNIQUE (endpoint, project_id)
) WITH (fillfactor = 50);
CREATE TABLE waves (
    number int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE,
    planned boolean NOT NULL DEFAULT false, entries int NOT NULL DEFAULT 0,
    next_seq int NOT NULL DEFAULT 0, counts jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
CREATE TABLE facts (wave int, name text, value text NOT NULL, PRIMARY KEY (wave, name));
CREATE TABLE wave_scopes (wave int, number int, scope int NOT NULL, clock_offset_s float8, PRIMARY KEY (wave, number));
CREATE TABLE entries (
    wave int, idx int, line int NOT NULL, key text NOT NULL, scope int, job_id text, x_language text, labels bytea,
    body bytea, PRIMARY KEY (wave, idx)
);
CREATE INDEX entries_by_job ON entries (scope, job_id);
CREATE INDEX entries_by_key ON entries (wave, key);
CREATE INDEX entries_by_scope ON entries (wave, scope, idx);
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, wave int NOT NULL, idx int NOT NULL, epoch bigint,
    kind text NOT NULL, body bytea NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX events_by_entry ON events (wave, idx, id);
CREATE TABLE results (
    wave int, seq int, idx int NOT NULL, status text NOT NULL, line bytea NOT NULL, PRIMARY KEY (wave, seq),
    UNIQUE (wave, idx)
);
CREATE INDEX results_by_status ON results (wave, status, idx);
CREATE TABLE late (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, wave int NOT NULL, idx int NOT NULL, epoch bigint,
    kind text NOT NULL, body bytea NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX late_by_entry ON late (wave, idx, id);
CREATE TABLE writers (
    id uuid PRIMARY KEY, last bigint NOT NULL, lost int[] NOT NULL DEFAULT '{}',
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
"""

# Groups are counted from 1, as arrays are. `g_…` is for each group, `e_…` for each event, `r_…` for each result,
# `f_…` for each fact, `c_…` for each clock; `…_n` is the place of an op among all.
_RECORD_OPS = """
CREATE FUNCTION record_ops(
    p_writer uuid, p_number bigint, p_all boolean,
    g_wave int[], g_scope int[], g_epoch bigint[],
    e_n int[], e_group int[], e_idx int[], e_kind text[], e_body bytea[],
    r_n int[], r_group int[], r_idx int[], r_status text[], r_line bytea[],
    f_group int[], f_name text[], f_value text[], c_group int[], c_scope int[], c_offset float8[],
    OUT lost int[], OUT seqs int[], OUT counts jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    u_group int[];
    u_scope int[];
    settled record;
    op record;
    base int;
BEGIN
    INSERT INTO writers AS w (id, last) VALUES (p_writer, p_number)
        ON CONFLICT (id) DO UPDATE SET last = excluded.last, lost = '{}', seen_at = clock_timestamp()
        WHERE w.last < excluded.last;
    IF NOT FOUND THEN
        -- The one before it is there. Writing makes this commit wait for a standby, as that one may not have done.
        UPDATE writers w SET seen_at = clock_timestamp() WHERE w.id = p_writer AND w.last = p_number
            RETURNING w.lost INTO lost;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'commit % comes too late', p_number USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        seqs := ARRAY(
            SELECT s.seq FROM unnest(r_n, r_group, r_idx) AS r(n, grp, idx)
            LEFT JOIN results s ON s.wave = g_wave[r.grp] AND s.idx = r.idx AND r.grp <> ALL (lost) ORDER BY r.n);
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
        UPDATE writers w SET lost = record_ops.lost WHERE w.id = p_writer;
        INSERT INTO late (wave, idx, epoch, kind, body)
            SELECT g_wave[o.grp], o.idx, g_epoch[o.grp], o.kind, o.body
            FROM unnest(e_n, e_group, e_idx, e_kind, e_body) AS o(n, grp, idx, kind, body)
            WHERE o.grp = ANY (lost) AND o.kind = 'answered' ORDER BY o.n;
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
            IF op.grp = ANY (lost) THEN
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
    ELSE
        INSERT INTO events (wave, idx, epoch, kind, body)
            SELECT g_wave[o.grp], o.idx, g_epoch[o.grp], o.kind, o.body
            FROM unnest(e_n, e_group, e_idx, e_kind, e_body) AS o(n, grp, idx, kind, body)
            WHERE o.grp <> ALL (lost) ORDER BY o.n;
        FOR settled IN
            SELECT c.wave, sum(c.n)::int AS n, jsonb_object_agg(c.status, c.n) AS by_status FROM (
                SELECT g_wave[r.grp] AS wave, r.status, count(*) AS n FROM unnest(r_group, r_status) AS r(grp, status)
                WHERE r.grp <> ALL (lost) GROUP BY 1, 2) c
            GROUP BY 1 ORDER BY 1
        LOOP
            UPDATE waves v SET next_seq = v.next_seq + settled.n, counts = v.counts || (
                SELECT jsonb_object_agg(a.key, coalesce((v.counts ->> a.key)::int, 0) + a.value::int)
                FROM jsonb_each_text(settled.by_status) a)
                WHERE v.number = settled.wave RETURNING v.next_seq - settled.n INTO base;
            INSERT INTO results (wave, seq, idx, status, line)
                SELECT settled.wave, base + row_number() OVER (ORDER BY r.n) - 1, r.idx, r.status, r.line
                FROM unnest(r_n, r_group, r_idx, r_status, r_line) AS r(n, grp, idx, status, line)
                WHERE g_wave[r.grp] = settled.wave AND r.grp <> ALL (lost);
        END LOOP;
        IF r_n IS NOT NULL THEN
            seqs := ARRAY(
                SELECT s.seq FROM unnest(r_n, r_group, r_idx) AS r(n, grp, idx)
                LEFT JOIN results s ON s.wave = g_wave[r.grp] AND s.idx = r.idx AND r.grp <> ALL (lost) ORDER BY r.n);
        END IF;
    END IF;

    IF f_group IS NOT NULL THEN
        INSERT INTO facts (wave, name, value)
            SELECT DISTINCT ON (g_wave[f.grp], f.name) g_wave[f.grp], f.name, f.value
            FROM unnest(f_group, f_name, f_value) WITH ORDINALITY AS f(grp, name, value, n)
            WHERE f.grp <> ALL (lost) ORDER BY 1, 2, f.n DESC
            ON CONFLICT (wave, name) DO UPDATE SET value = excluded.value;
    END IF;
    IF c_group IS NOT NULL THEN
        UPDATE wave_scopes w SET clock_offset_s = c.offset_s
            FROM (SELECT DISTINCT ON (g_wave[o.grp], o.scope) g_wave[o.grp] AS wave, o.scope, o.offset_s
                FROM unnest(c_group, c_scope, c_offset) WITH ORDINALITY AS o(grp, scope, offset_s, n)
                WHERE o.grp <> ALL (lost) ORDER BY 1, 2, o.n DESC) c
            WHERE w.wave = c.wave AND w.number = c.scope;
    END IF;
    IF r_n IS NOT NULL THEN
        counts := (SELECT jsonb_object_agg(v.number, v.counts) FROM waves v WHERE v.number = ANY (g_wave));
    END IF;
END $$;
"""

MIGRATION = _TABLES + _RECORD_OPS
"""Makes them, from nothing on."""
