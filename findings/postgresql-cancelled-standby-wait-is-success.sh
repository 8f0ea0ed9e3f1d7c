#!/bin/sh
# PostgreSQL answers an INSERT whose wait for its synchronous standby is cancelled with success: only a warning differs.
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
# No address at all: a socket in the folder. The standby that every commit is to wait for is not there.
$as "$bin/pg_ctl" start -w -s -D "$folder/data" -l "$folder/log" \
    -o "-c listen_addresses='' -c unix_socket_directories='$folder' -c synchronous_standby_names=standby"
ask() { "$bin/psql" -X -A -t -h "$folder" -U me -d postgres "$@"; }
ask -q -c 'SET synchronous_commit = local' -c 'CREATE TABLE intents (entry int)'

echo 'A server that is to answer a commit only when its standby has it, too; and somebody who cancels the statement that waits.'
echo 'Expected: an error, so that whoever inserted knows that the row may be lost with this server.'
ask -c 'INSERT INTO intents VALUES (1)' >"$folder/said" 2>"$folder/warned" &
inserting=$!
tries=0
until [ "$(ask -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")" = 1 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo 'it does not wait' >&2; exit 1; }
    sleep 0.1
done
ask -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'" >/dev/null
code=0
wait "$inserting" || code=$?
echo "Seen with $("$bin/postgres" --version), from Debian:"
echo "psql exits with $code, and says: $(cat "$folder/said")"
cat "$folder/warned"
echo "rows there, on this server alone: $(ask -c 'SELECT count(*) FROM intents')"
cat <<'EOF'
What it means: a driver returns from execute() as after any other commit, since a warning is no error; a driver that cancels
a statement for a timeout of its own asks the server for just that. Whoever records "this request is about to leave" and then sends it may find, after a failover,
that no server ever heard of it, and send it a second time.
Way out: take a warning 01000 on a commit for a failure, and write again: a later commit waits for the standby anew, and covers the
earlier one. Give a statement that hangs up by closing the connection, not by cancelling it.
EOF
[ "$code" = 0 ] && [ "$(cat "$folder/said")" = 'INSERT 0 1' ] && grep -q 'canceling wait for synchronous replication' "$folder/warned"
