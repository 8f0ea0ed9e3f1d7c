#!/bin/sh
# PostgreSQL reads a whole new batch to find one row by its primary key, until it has counted that batch.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -x "${bin:-}/initdb" ] || { echo "cannot be tried here: Debian's package postgresql is not installed" >&2; exit 77; }
as=
if [ "$(id -u)" = 0 ]; then # which the server refuses to be
    user=nobody
    if id postgres >/dev/null 2>&1; then user=postgres; fi
    as="runuser -u $user --"
fi
folder=$(mktemp -d)
if [ -n "$as" ]; then chown "$user" "$folder"; fi
cd /
trap '$as "$bin/pg_ctl" stop -s -m immediate -D "$folder/data" >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT INT TERM
$as "$bin/initdb" --no-sync -A trust -U me -D "$folder/data" >/dev/null
$as "$bin/pg_ctl" start -w -s -D "$folder/data" -l "$folder/log" \
    -o "-c listen_addresses='' -c unix_socket_directories='$folder' -c autovacuum=off"
ask() { "$bin/psql" -X -A -t -q -h "$folder" -U me -d postgres "$@"; }
removed() { # rows that were read and thrown away for entry 15998 of batch 2
    ask -c "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT body FROM entries WHERE batch = 2 AND entry = 15998" >"$folder/plan"
    sed -n 's/.*Rows Removed by Filter: //p' "$folder/plan"
}

ask -c 'CREATE TABLE entries (batch int, entry int, name text, body text, PRIMARY KEY (batch, entry))' \
    -c 'CREATE INDEX by_name ON entries (batch, name)' \
    -c "INSERT INTO entries SELECT 1, n, 'job ' || n, 'body' FROM generate_series(1, 200) n" \
    -c 'ANALYZE' \
    -c "INSERT INTO entries SELECT 2, n, 'job ' || n, 'body' FROM generate_series(1, 20000) n"

echo 'A table of batches. The server counted it (ANALYZE, as autovacuum does from time to time) while there was one small batch.'
echo 'Then a batch of 20,000 came, and one row of that is asked for by its primary key.'
echo 'Expected: the index of the primary key, and one row that is read.'
before=$(removed)
echo "Seen with $("$bin/postgres" --version), from Debian:"
cat "$folder/plan"
ask -c 'ALTER TABLE entries ALTER batch SET STATISTICS 0' -c 'ALTER TABLE entries ALTER batch TYPE int' -c 'ANALYZE'
after=$(removed)
echo 'The same where it is told to count nothing of the column "batch":'
cat "$folder/plan"
cat <<'EOF'
What it means: what was counted has batch 1 alone, so the server takes batch 2 for one row at most. To it each index that begins with the batch
is as good as the primary key then, and it takes the one that was made last, or any. A submitter that plans a batch and works on it at once
reads all of it for each entry, until autovacuum has come by: with 20,000 entries for each, seconds where it should be microseconds.
Joins are worse: an EXISTS goes through all of the batch for each row.
Way out: ALTER … SET STATISTICS 0 for the columns by which batches are told apart, and a TYPE that is given again, which forgets what was
counted. Without counts the server takes a value for one of 200, so that the index that fits best is the cheapest. ANALYZE after each load
helps for what is loaded, not for what grows while it is worked on.
EOF
[ "${before:-0}" -gt 10000 ] && [ "${after:-0}" = 0 ]
