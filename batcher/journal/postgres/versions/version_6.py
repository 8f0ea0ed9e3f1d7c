"""Version 6 of the tables: what services over one database share, and the version of each worker.

A service's wave is `service_waves.row`, as its submitter and its approvers left it; `waves` has it as well once it is
planned. The manifest stays as it was handed in, in parts, so that any service can plan it. What somebody did stands in
`service_audit`, written in the transaction that does it, and is never changed.

What it says is done to a database, and never changed.
"""

MIGRATION = """
CREATE TABLE service_waves (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, state text NOT NULL,
    row bytea NOT NULL, change uuid NOT NULL, opened_by text, opening_until timestamptz
) WITH (fillfactor = 50);
CREATE INDEX service_waves_by_state ON service_waves (state, number);
CREATE TABLE service_keys (who text, key bytea, digest text NOT NULL, wave text NOT NULL, PRIMARY KEY (who, key));
CREATE TABLE service_manifests (wave text, part int, body bytea NOT NULL, PRIMARY KEY (wave, part));
ALTER TABLE service_manifests ALTER body SET STORAGE EXTERNAL;
CREATE TABLE service_audit (
    seq bigint PRIMARY KEY, change uuid NOT NULL UNIQUE, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL, role text NOT NULL, address text NOT NULL, action text NOT NULL, wave text,
    outcome text NOT NULL, detail text
);
CREATE INDEX service_audit_by_wave ON service_audit (wave, seq);
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was done stays on record';
END $$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON service_audit FOR EACH ROW EXECUTE FUNCTION audit_stays();
ALTER TABLE workers ADD version text;
CREATE INDEX events_reopened ON events (wave) WHERE kind = 'reopened';
"""
"""Makes them of those of version 5."""
