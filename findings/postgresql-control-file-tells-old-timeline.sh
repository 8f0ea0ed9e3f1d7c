#!/bin/sh
# A promoted PostgreSQL takes writes for minutes while pg_control_checkpoint() goes on telling the timeline of before.
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
trap 'for one in primary standby; do $as "$bin/pg_ctl" stop -s -m immediate -D "$folder/$one" >/dev/null 2>&1 || true; done; rm -rf "$folder"' EXIT INT TERM
# No address at all: a socket of each in a folder of its own.
start() { $as mkdir -p "$folder/at-$1"; $as "$bin/pg_ctl" start -w -s -D "$folder/$1" -l "$folder/$1.log" -o "-c listen_addresses='' -c unix_socket_directories='$folder/at-$1'"; }
ask() { of=$1; shift; "$bin/psql" -X -A -t -q -h "$folder/at-$of" -U me -d postgres "$@"; }
$as "$bin/initdb" --no-sync -A trust -U me -D "$folder/primary" >/dev/null
start primary
ask primary -c "CREATE TABLE intents AS SELECT n AS entry, repeat('x', 500) AS body FROM generate_series(1, 20000) n"
$as "$bin/pg_basebackup" --no-sync -c fast -R -h "$folder/at-primary" -U me -D "$folder/standby"
start standby
ask primary -c "UPDATE intents SET body = repeat('y', 500)" # so that the standby has something to write back
tries=0
until [ "$(ask standby -c "SELECT count(*) FROM intents WHERE body LIKE 'y%'")" = 20000 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo 'the standby does not follow' >&2; exit 1; }
    sleep 0.1
done
$as "$bin/pg_ctl" stop -s -m immediate -D "$folder/primary"
$as "$bin/pg_ctl" promote -w -s -D "$folder/standby"
ask standby -c "INSERT INTO intents VALUES (20001, 'after the promotion')"

echo 'A standby that was promoted, and has just taken a write. Who wants to know whether the database is still the one of before asks for its timeline.'
echo 'Expected: 2, by either way of asking.'
control=$(ask standby -c 'SELECT timeline_id FROM pg_control_checkpoint()')
log=$(ask standby -c 'SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)')
sleep 5
later=$(ask standby -c 'SELECT timeline_id FROM pg_control_checkpoint()')
ask standby -c 'CHECKPOINT'
checkpointed=$(ask standby -c 'SELECT timeline_id FROM pg_control_checkpoint()')
echo "Seen with $("$bin/postgres" --version), from Debian:"
echo "pg_control_checkpoint().timeline_id: $control; five seconds later: $later; after a CHECKPOINT: $checkpointed"
echo "the name of the log's current file begins with: $log"
cat <<'EOF2'
What it means: the control file learns of the new timeline with the first checkpoint after the promotion, which is spread over minutes as any other. A client
that keeps records of what it has sent, and compares timelines to notice a failover to a standby which may have forgotten some of them, notices nothing in the very
minutes in which it goes on, and sends again what it has no record of.
Way out: take the first eight digits of pg_walfile_name(pg_current_wal_lsn()), which any role may ask for; on a standby that is an error.
EOF2
[ "$control" = 1 ] && [ "$later" = 1 ] && [ "$log" = 00000002 ] && [ "$checkpointed" = 2 ]
