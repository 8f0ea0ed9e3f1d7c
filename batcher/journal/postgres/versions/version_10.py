"""Version 10 of the tables: `record_commit`, which does what `record_ops` did for less than half of the work.

`record_ops` stays, and writes the same: for commits that take results back, which are rare, and for processes of older
versions, which go on with it until they are started anew.

What it says is done to a database, and never changed.
"""

# Why nothing may be intended where these are the orders; NULL: it may. Without a FROM, so that whoever calls it in a
# statement has it planned along: a function that is called is planned anew each time.
_FORBIDDEN = """
CREATE FUNCTION forbids(
    p_stop text, p_deadline_at timestamptz, p_max_failures int, p_counts jsonb, p_paused text, p_scope_paused text
) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE
        WHEN p_stop IS NOT NULL THEN 'stopped'
        WHEN p_deadline_at <= clock_timestamp() THEN 'deadline'
        WHEN p_max_failures IS NOT NULL AND coalesce((p_counts ->> 'failed')::int, 0)
            + coalesce((p_counts ->> 'partial')::int, 0) + coalesce((p_counts ->> 'unsettled')::int, 0)
            >= p_max_failures THEN 'max_failures'
        WHEN p_paused IS NOT NULL THEN 'paused'
        WHEN p_scope_paused IS NOT NULL THEN 'scope paused' END
$$;
CREATE OR REPLACE FUNCTION forbidden(p_wave int, p_scope int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT forbids(o.stop, o.deadline_at, o.max_failures, w.counts, o.paused, s.paused)
    FROM waves w LEFT JOIN wave_orders o ON o.wave = w.number LEFT JOIN scopes s ON s.id = p_scope
    WHERE w.number = p_wave
$$;
"""

# Everything is counted from 1, as arrays are. A binding is a wave, and the lease by which it is written: `b_…` is for
# each that there is, and `g_binding` says which is that of each group of ops. `e_…` is for each event, `r_…` for each
# result, `f_…` for each fact, `c_…` for each clock; `e_n` and `r_n`, the places of ops among all, are needed where a
# result is taken back. Each statement is planned once in a session: what it is planned for makes no difference.
_RECORD_COMMIT = """
CREATE FUNCTION record_commit(
    p_version int, p_writer uuid, p_number bigint, p_all boolean,
    b_wave int[], b_scope int[], b_epoch bigint[], g_binding int[],
    e_n int[], e_group int[], e_idx int[], e_kind text[], e_body bytea[],
    r_n int[], r_group int[], r_idx int[], r_status text[], r_line bytea[],
    f_group int[], f_name text[], f_value text[], c_group int[], c_scope int[], c_offset float8[],
    OUT lost int[], OUT seqs int[], OUT counts jsonb, OUT refused int[], OUT whys text[], OUT versions bigint[]
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    skipped int[];
    u_scope int[];  -- that groups without a lease may be about
    b_lost int[];
    b_whys text[];
    leased int[];
    w_wave int[];  -- the waves that get results, and the number of the first in each
    w_base int[];
    part record;
    base int;
    counted jsonb;
BEGIN
    IF p_version <> 10 THEN
        RAISE EXCEPTION 'version % of batcher''s tables is gone', p_version
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF 'reopened' = ANY (e_kind) THEN  -- takes a result away, so ops are carried out one by one
        SELECT o.lost, o.seqs, o.counts, o.refused, o.whys, ARRAY(
                SELECT (o.versions ->> concat(b.wave, '/', b.scope))::bigint
                FROM unnest(b_wave, b_scope) WITH ORDINALITY AS b(wave, scope, n) ORDER BY b.n)
            INTO lost, seqs, counts, refused, whys, versions
            FROM record_ops(
                2, p_writer, p_number, p_all,
                ARRAY(SELECT b_wave[g.b] FROM unnest(g_binding) WITH ORDINALITY AS g(b, n) ORDER BY g.n),
                ARRAY(SELECT b_scope[g.b] FROM unnest(g_binding) WITH ORDINALITY AS g(b, n) ORDER BY g.n),
                ARRAY(SELECT b_epoch[g.b] FROM unnest(g_binding) WITH ORDINALITY AS g(b, n) ORDER BY g.n),
                e_n, e_group, e_idx, e_kind, e_body, r_n, r_group, r_idx, r_status, r_line,
                f_group, f_name, f_value, c_group, c_scope, c_offset) o;
        RETURN;
    END IF;
    UPDATE writers w SET last = p_number, lost = '{}', refused = '{}', whys = '{}', seen_at = clock_timestamp()
        WHERE w.id = p_writer AND w.last < p_number;
    IF NOT FOUND THEN  -- it may be this writer's first
        INSERT INTO writers AS w (id, last) VALUES (p_writer, p_number)
            ON CONFLICT (id) DO UPDATE SET last = excluded.last, lost = '{}', refused = '{}', whys = '{}',
                seen_at = clock_timestamp()
            WHERE w.last < excluded.last;
    END IF;
    IF NOT FOUND THEN
        -- The one before it is there. Writing makes this commit wait for a standby, as that one may not have done.
        UPDATE writers w SET seen_at = clock_timestamp() WHERE w.id = p_writer AND w.last = p_number
            RETURNING w.lost, w.refused, w.whys INTO lost, refused, whys;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'commit % comes too late', p_number USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        skipped := lost || refused;
        versions := ARRAY(
            SELECT coalesce(o.version, 0) + coalesce(s.orders, 0)
            FROM unnest(b_wave, b_scope) WITH ORDINALITY AS b(wave, scope, n)
            LEFT JOIN wave_orders o ON o.wave = b.wave LEFT JOIN scopes s ON s.id = b.scope ORDER BY b.n);
        seqs := ARRAY(
            SELECT s.seq FROM unnest(r_group, r_idx) WITH ORDINALITY AS r(grp, idx, n)
            LEFT JOIN results s ON s.wave = b_wave[g_binding[r.grp]] AND s.idx = r.idx AND r.grp <> ALL (skipped)
            ORDER BY r.n);
        counts := (SELECT jsonb_object_agg(v.number, v.counts) FROM waves v WHERE v.number = ANY (b_wave));
        RETURN;
    END IF;

    -- The fence: a group has its lease, or there is none on what it writes for, not even one that ran out.
    IF array_position(b_scope, NULL) IS NOT NULL THEN
        u_scope := ARRAY(
            SELECT DISTINCT p.scope FROM unnest(b_wave, b_scope) AS b(wave, scope)
            JOIN wave_scopes p ON p.wave = b.wave WHERE b.scope IS NULL LIMIT 17);
        IF cardinality(u_scope) > 16 THEN  -- too many to hold them all up
            u_scope := ARRAY(
                SELECT DISTINCT e.scope FROM unnest(e_group || r_group, e_idx || r_idx) AS o(grp, idx)
                JOIN entries e ON e.wave = b_wave[g_binding[o.grp]] AND e.idx = o.idx
                WHERE b_scope[g_binding[o.grp]] IS NULL AND e.scope IS NOT NULL);
        END IF;
    END IF;
    SELECT array_agg(l.id) FILTER (WHERE l.lease_until IS NOT NULL AND l.id = ANY (u_scope)) INTO leased FROM (
        SELECT s.id, s.lease_until FROM scopes s WHERE s.id = ANY (b_scope || u_scope) ORDER BY s.id FOR SHARE) l;
    -- The orders: nothing is intended that they forbid. Whoever changes them updates a row that is locked here.
    IF 'intended' = ANY (e_kind) THEN
        PERFORM 1 FROM wave_orders o WHERE o.wave = ANY (b_wave) ORDER BY o.wave FOR SHARE;
    END IF;
    -- What both say, as it is now that nobody changes it.
    SELECT array_agg(b.version), array_agg(b.why), array_agg(b.n) FILTER (WHERE b.is_lost)
        INTO versions, b_whys, b_lost FROM (
        SELECT i.n::int, i.scope IS NOT NULL AND s.epoch IS DISTINCT FROM i.epoch AS is_lost,
            coalesce(o.version, 0) + coalesce(s.orders, 0) AS version, forbids(
                o.stop, o.deadline_at, o.max_failures, w.counts, o.paused, s.paused) AS why
        FROM unnest(b_wave, b_scope, b_epoch) WITH ORDINALITY AS i(wave, scope, epoch, n)
        LEFT JOIN wave_orders o ON o.wave = i.wave LEFT JOIN scopes s ON s.id = i.scope
        LEFT JOIN waves w ON w.number = o.wave AND o.max_failures IS NOT NULL ORDER BY i.n) b;
    lost := '{}';
    IF b_lost IS NOT NULL OR leased IS NOT NULL THEN
        lost := ARRAY(
            SELECT g.n::int FROM unnest(g_binding) WITH ORDINALITY AS g(binding, n) WHERE g.binding = ANY (b_lost)
            UNION SELECT o.grp FROM unnest(e_group || r_group, e_idx || r_idx) AS o(grp, idx)
            JOIN entries e ON e.wave = b_wave[g_binding[o.grp]] AND e.idx = o.idx
            WHERE leased IS NOT NULL AND b_scope[g_binding[o.grp]] IS NULL AND e.scope = ANY (leased)
            ORDER BY 1);
        INSERT INTO late (wave, idx, epoch, kind, body)
            SELECT b_wave[g_binding[o.grp]], o.idx, b_epoch[g_binding[o.grp]], o.kind, o.body
            FROM unnest(e_group, e_idx, e_kind, e_body) WITH ORDINALITY AS o(grp, idx, kind, body, n)
            WHERE o.grp = ANY (lost) AND o.kind = 'answered' ORDER BY o.n;
    END IF;
    refused := '{}';
    whys := '{}';
    IF 'intended' = ANY (e_kind) AND array_remove(b_whys, NULL) <> '{}' THEN
        SELECT coalesce(array_agg(i.grp), '{}'), coalesce(array_agg(i.why), '{}') INTO refused, whys
        FROM (SELECT DISTINCT o.grp, b_whys[g_binding[o.grp]] AS why FROM unnest(e_group, e_kind) AS o(grp, kind)
            WHERE o.kind = 'intended' AND o.grp <> ALL (lost)) i
        WHERE i.why IS NOT NULL;
    END IF;
    skipped := lost || refused;
    IF skipped <> '{}' THEN
        UPDATE writers w SET lost = record_commit.lost, refused = record_commit.refused, whys = record_commit.whys
            WHERE w.id = p_writer;
        IF p_all THEN
            RETURN;
        END IF;
    END IF;

    INSERT INTO events (wave, idx, epoch, kind, body)
        SELECT b_wave[g_binding[o.grp]], o.idx, b_epoch[g_binding[o.grp]], o.kind, o.body
        FROM unnest(e_group, e_idx, e_kind, e_body) WITH ORDINALITY AS o(grp, idx, kind, body, n)
        WHERE o.grp <> ALL (skipped) ORDER BY o.n;
    IF r_group IS NOT NULL THEN
        counts := '{}';
        FOR part IN
            SELECT c.wave, sum(c.n)::int AS n, jsonb_object_agg(c.status, c.n) AS by_status FROM (
                SELECT b_wave[g_binding[r.grp]] AS wave, r.status, count(*) AS n
                FROM unnest(r_group, r_status) AS r(grp, status) WHERE r.grp <> ALL (skipped) GROUP BY 1, 2) c
            GROUP BY 1 ORDER BY 1
        LOOP
            UPDATE waves v SET next_seq = v.next_seq + part.n, counts = v.counts || (
                SELECT jsonb_object_agg(a.key, coalesce((v.counts ->> a.key)::int, 0) + a.value::int)
                FROM jsonb_each_text(part.by_status) a)
                WHERE v.number = part.wave RETURNING v.next_seq - part.n, v.counts INTO base, counted;
            w_wave := w_wave || part.wave;
            w_base := w_base || base;
            counts := counts || jsonb_build_object(part.wave, counted);
        END LOOP;
        seqs := ARRAY(
            SELECT w.base + r.place - 1 FROM (
                SELECT p.n, p.wave, row_number() OVER (PARTITION BY p.wave ORDER BY p.n)::int AS place FROM (
                    SELECT r.n, CASE WHEN r.grp <> ALL (skipped) THEN b_wave[g_binding[r.grp]] END AS wave
                    FROM unnest(r_group) WITH ORDINALITY AS r(grp, n)) p) r
            LEFT JOIN unnest(w_wave, w_base) AS w(wave, base) ON w.wave = r.wave ORDER BY r.n);
        INSERT INTO results (wave, seq, idx, status, line)
            SELECT b_wave[g_binding[r.grp]], r.seq, r.idx, r.status, r.line
            FROM unnest(seqs, r_group, r_idx, r_status, r_line) AS r(seq, grp, idx, status, line)
            WHERE r.seq IS NOT NULL;
        UPDATE wave_scopes w SET settled = w.settled + c.n FROM (
            SELECT s.wave, s.scope, count(*)::int AS n FROM (
                SELECT b_wave[g_binding[r.grp]] AS wave, coalesce(b_scope[g_binding[r.grp]], (
                    SELECT e.scope FROM entries e WHERE e.wave = b_wave[g_binding[r.grp]] AND e.idx = r.idx)) AS scope
                FROM unnest(seqs, r_group, r_idx) AS r(seq, grp, idx) WHERE r.seq IS NOT NULL) s GROUP BY 1, 2) c
            WHERE w.wave = c.wave AND w.scope = c.scope;
    END IF;

    IF f_group IS NOT NULL THEN
        INSERT INTO facts (wave, name, value)
            SELECT DISTINCT ON (b_wave[g_binding[f.grp]], f.name) b_wave[g_binding[f.grp]], f.name, f.value
            FROM unnest(f_group, f_name, f_value) WITH ORDINALITY AS f(grp, name, value, n)
            WHERE f.grp <> ALL (skipped) ORDER BY 1, 2, f.n DESC
            ON CONFLICT (wave, name) DO UPDATE SET value = excluded.value;
    END IF;
    IF c_group IS NOT NULL THEN
        UPDATE wave_scopes w SET clock_offset_s = c.offset_s
            FROM (SELECT DISTINCT ON (b_wave[g_binding[o.grp]], o.scope) b_wave[g_binding[o.grp]] AS wave, o.scope,
                    o.offset_s
                FROM unnest(c_group, c_scope, c_offset) WITH ORDINALITY AS o(grp, scope, offset_s, n)
                WHERE o.grp <> ALL (skipped) ORDER BY 1, 2, o.n DESC) c
            WHERE w.wave = c.wave AND w.number = c.scope;
    END IF;
END $$;
"""

# Of nearly all results nobody ever asks for those with their status, so they need no place in an index of it.
_INDEX = """
DROP INDEX results_by_status;
CREATE INDEX results_by_status ON results (wave, status, idx) WHERE status <> 'created';
"""

MIGRATION = _INDEX + _FORBIDDEN + _RECORD_COMMIT
"""Makes them of those of version 9."""
