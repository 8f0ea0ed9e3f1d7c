#!/bin/sh
# procrastinate's sign of life ends at the first failure, and the worker works on: its job passes for stalled, and runs twice.
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
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'procrastinate==3.10.0' 'psycopg[binary]==3.3.9' >"$folder/pip" 2>&1 || { cat "$folder/pip" >&2; exit 77; }
$as "$bin/initdb" --no-sync -A trust -U me -E UTF8 -D "$folder/data" >/dev/null
# No address at all: a socket in the folder.
$as "$bin/pg_ctl" start -w -s -D "$folder/data" -l "$folder/log" \
    -o "-c listen_addresses='' -c unix_socket_directories='$folder'"

echo 'A worker is at a long job while the database restarts. Then it is asked, as the documentation shows, which jobs are stalled.'
echo 'Expected: the worker gives signs of life again once the database is back, or ends. The job that it is at is not stalled.'
cat >"$folder/app.py" <<'PYTHON'
import asyncio, os, sys
import procrastinate
folder = os.path.dirname(os.path.abspath(__file__))
# timeout: how long a connection is waited for; 30 s by default.
app = procrastinate.App(connector=procrastinate.PsycopgConnector(
    conninfo=f"host={folder} user=me dbname=postgres", timeout=1))
def say(what):
    with open(f"{folder}/happened", "a") as happened:
        happened.write(f"{what}\n")
@app.task(name="job")
async def job():
    say(f"begins {sys.argv[1]}")
    await asyncio.sleep(25)
    say(f"ends {sys.argv[1]}")
async def main():
    async with app.open_async():
        await app.run_worker_async(name=sys.argv[1], install_signal_handlers=False, update_heartbeat_interval=1,
                                   stalled_worker_timeout=1000)
if __name__ == "__main__":
    asyncio.run(main())
PYTHON
cat >"$folder/try.py" <<'PYTHON'
import asyncio, os, subprocess, sys
from app import app, folder, job, say
def happened():
    return open(f"{folder}/happened").read().split("\n")[:-1] if os.path.exists(f"{folder}/happened") else []
async def until(line):
    for _ in range(300):
        if line in happened():
            return
        await asyncio.sleep(0.1)
    sys.exit(f"it did not come to {line}: {happened()}")
def worker(name):
    return subprocess.Popen([sys.executable, f"{folder}/app.py", name], stderr=subprocess.DEVNULL)
async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await job.configure().defer_async()
        first = worker("first")
        await until("begins first")
    say("the database is stopped")
    subprocess.run([f"{folder}/stop"], check=True)
    await asyncio.sleep(4)
    subprocess.run([f"{folder}/start"], check=True)
    say("the database is back")
    await asyncio.sleep(7)
    async with app.open_async():
        for one in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=5):
            say(f"stalled, after 5 s without a sign of life: job {one.id}")
            await app.job_manager.retry_job(one)
        second = worker("second")
        await asyncio.sleep(20)
        for one in (first, second):
            one.kill()
asyncio.run(main())
print("\n".join(happened()))
PYTHON
printf '#!/bin/sh\ncd / && %s "%s/pg_ctl" stop -w -s -m immediate -D "%s/data"\n' "$as" "$bin" "$folder" >"$folder/stop"
printf '#!/bin/sh\ncd / && %s "%s/pg_ctl" start -w -s -D "%s/data" -l "%s/log" -o "-c listen_addresses= -c unix_socket_directories=%s"\n' \
    "$as" "$bin" "$folder" "$folder" "$folder" >"$folder/start"
chmod +x "$folder/stop" "$folder/start"
(cd "$folder" && PYTHONDONTWRITEBYTECODE=1 "$folder/venv/bin/python" try.py) >"$folder/seen"
echo "Seen with procrastinate 3.10.0 and $("$bin/postgres" --version), from Debian:"
sed 's/^/  /' "$folder/seen"
cat <<'EOT'
What it means: a few seconds without the database end the sign of life for good, in an app that has no periodic task (with one, the
worker ends itself). The worker is at its job all the while, and the job counts as stalled: the rescue that the documentation
shows starts it a second time beside the first, and what it sends is sent twice.
Way out: never start work because such a list says so. Whether a worker may go on is for a lease of your own to say, which the worker
itself looks at right before it sends.
EOT
begins=$(grep -n '^begins second' "$folder/seen" | cut -d: -f1)
ends=$(grep -n '^ends first' "$folder/seen" | cut -d: -f1)
grep -q '^stalled' "$folder/seen" && [ -n "$begins" ] && [ -n "$ends" ] && [ "$begins" -lt "$ends" ]
