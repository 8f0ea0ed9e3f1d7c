"""Version 9 of the tables: the server reckons without counts of what is in the large ones.

It counts from time to time which values a column has (ANALYZE). A wave is planned and run before the next count, so its
number is no value that the server knows: it takes the wave for one row at most. Then every index that begins with the
wave is as good to it as any other, and a question about one entry may go through all of them. Without any counts it
takes a value for one of some two hundred, of each column of an index: so the index that fits best is the cheapest, for
a small wave and for a large one.

What it says is done to a database, and never changed.
"""

MIGRATION = """
DO $do$
DECLARE
    of record;
BEGIN
    FOR of IN
        SELECT a.attrelid::regclass AS tab, a.attname AS col, format_type(a.atttypid, a.atttypmod) AS typ,
            EXISTS (SELECT 1 FROM pg_stats s JOIN pg_class c ON c.relname = s.tablename
                    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname
                    WHERE c.oid = a.attrelid AND s.attname = a.attname) AS counted
        FROM pg_attribute a
        WHERE a.attrelid IN ('entries'::regclass, 'events'::regclass, 'results'::regclass, 'late'::regclass,
            'verdicts'::regclass) AND a.attnum > 0 AND NOT a.attisdropped
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', of.tab, of.col);
        IF of.counted THEN  -- what was counted before is forgotten with a type that is given, be it the same
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', of.tab, of.col, of.typ);
        END IF;
    END LOOP;
END $do$;
"""
"""Makes them of those of version 8."""
