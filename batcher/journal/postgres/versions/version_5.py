"""Version 5 of the tables: what is taken back is counted by itself.

Until then every commit that took a result back counted all results of its wave anew: 1000 failed ones of a million,
taken up again, cost as much as reading the whole wave, and the next 1000 the same.

What it says is done to a database, and never changed.
"""

from batcher.journal.postgres.versions.version_2 import RECORD_OPS

_DECLARED = """    base int;
BEGIN
"""
_DECLARED_NOW = """    base int;
    gone text;
    d_wave int[] := '{}';  -- what changes in counts: so many more, or less, of a status, for an entry
    d_idx int[] := '{}';
    d_status text[] := '{}';
    d_n int[] := '{}';
BEGIN
"""
_DELETED = """                    DELETE FROM results s WHERE s.wave = g_wave[op.grp] AND s.idx = op.idx;
                END IF;
"""
_DELETED_NOW = """                    DELETE FROM results s WHERE s.wave = g_wave[op.grp] AND s.idx = op.idx
                        RETURNING s.status INTO gone;
                    IF FOUND THEN
                        d_wave := d_wave || g_wave[op.grp];
                        d_idx := d_idx || op.idx;
                        d_status := d_status || gone;
                        d_n := d_n || -1;
                    END IF;
                END IF;
"""
_ADDED = """                seqs := seqs || base;
"""
_ADDED_NOW = """                seqs := seqs || base;
                d_wave := d_wave || g_wave[op.grp];
                d_idx := d_idx || op.idx;
                d_status := d_status || op.what;
                d_n := d_n || 1;
"""
_COUNTED = """        UPDATE waves v SET
            next_seq = (SELECT coalesce(max(s.seq) + 1, 0) FROM results s WHERE s.wave = v.number),
            counts = (SELECT coalesce(jsonb_object_agg(c.status, c.n), '{}') FROM (
                SELECT s.status, count(*) AS n FROM results s WHERE s.wave = v.number GROUP BY 1) c)
            WHERE v.number = ANY (g_wave);
        UPDATE wave_scopes w SET settled = (
            SELECT count(*) FROM results s JOIN entries e USING (wave, idx) WHERE s.wave = w.wave AND e.scope = w.scope)
            WHERE w.wave = ANY (g_wave);
"""
_COUNTED_NOW = """        UPDATE waves v SET
            next_seq = (SELECT coalesce(max(s.seq) + 1, 0) FROM results s WHERE s.wave = v.number),
            counts = v.counts || coalesce((
                SELECT jsonb_object_agg(c.status, coalesce((v.counts ->> c.status)::int, 0) + c.n) FROM (
                    SELECT d.status, sum(d.n)::int AS n FROM unnest(d_wave, d_status, d_n) AS d(wave, status, n)
                    WHERE d.wave = v.number GROUP BY 1) c), '{}')
            WHERE v.number = ANY (g_wave);
        UPDATE wave_scopes w SET settled = w.settled + c.n FROM (
            SELECT e.wave, e.scope, sum(d.n)::int AS n FROM unnest(d_wave, d_idx, d_n) AS d(wave, idx, n)
            JOIN entries e ON e.wave = d.wave AND e.idx = d.idx GROUP BY 1, 2) c
            WHERE w.wave = c.wave AND w.scope = c.scope;
"""


def _changed(text: str, *changes: tuple[str, str]) -> str:
    for before, now in changes:
        assert text.count(before) == 1  # noqa: S101 - both are ours, and neither changes
        text = text.replace(before, now)
    return text


MIGRATION = _changed(
    RECORD_OPS,
    ("DROP FUNCTION record_ops;\nCREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
    (_DECLARED, _DECLARED_NOW),
    (_DELETED, _DELETED_NOW),
    (_ADDED, _ADDED_NOW),
    (_COUNTED, _COUNTED_NOW),
)
"""Makes them of those of version 4. `record_ops` is called as before."""
