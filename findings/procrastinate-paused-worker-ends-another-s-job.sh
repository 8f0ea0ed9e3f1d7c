#!/bin/sh
# procrastinate ends a job by its number alone: a worker that was paused ends the run that another has taken over.
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

echo 'Two jobs with one lock, so that they never run at once. The worker with the first is paused (a virtual machine is moved).'
echo 'Its job is retried as the documentation shows for stalled jobs, and taken by another worker. Then the first goes on.'
echo 'Expected: it finds that the job is not its own any more. The second job waits until the other worker has done the first.'
cat >"$folder/app.py" <<'PYTHON'
import asyncio, os, sys, time
import procrastinate
folder = os.path.dirname(os.path.abspath(__file__))
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=f"host={folder} user=me dbname=postgres"))
def say(what):
    with open(f"{folder}/happened", "a") as happened:
        happened.write(f"{what}\n")
@app.task(name="job")
async def job(number, seconds):
    say(f"begins {number} {sys.argv[1]}")
    await asyncio.sleep(seconds)
    say(f"ends {number} {sys.argv[1]}")
async def main():
    async with app.open_async():
        await app.run_worker_async(name=sys.argv[1], install_signal_handlers=False, update_heartbeat_interval=0.5,
                                   fetch_job_polling_interval=0.2, stalled_worker_timeout=1000)
if __name__ == "__main__":
    asyncio.run(main())
PYTHON
cat >"$folder/try.py" <<'PYTHON'
import asyncio, os, signal, subprocess, sys
from app import app, folder, job
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
        await job.configure(lock="scope").defer_async(number=1, seconds=8)
        first = worker("first")
        await until("begins 1 first")
        os.kill(first.pid, signal.SIGSTOP)
        await asyncio.sleep(3)
        (stalled,) = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=2)
        await app.job_manager.retry_job(stalled)
        others = [worker("second")]
        await until("begins 1 second")
        others.append(worker("third"))
        await job.configure(lock="scope").defer_async(number=2, seconds=0)
        os.kill(first.pid, signal.SIGCONT)
        await asyncio.sleep(14)
        for one in (first, *others):
            one.kill()
asyncio.run(main())
print("\n".join(happened()))
PYTHON
(cd "$folder" && PYTHONDONTWRITEBYTECODE=1 "$folder/venv/bin/python" try.py) >"$folder/seen"
echo "Seen with procrastinate 3.10.0 and $("$bin/postgres" --version), from Debian:"
sed 's/^/  /' "$folder/seen"
cat <<'EOT'
What it means: the worker that was paused ended the job, in the name of the one that is at it, and so freed the lock: the second
job began while the first was still under way. Whoever has one job for each account or project, under a lock, so that its
requests go out in one place and under one limit, has two such places after a pause; and both send.
Way out: let nothing depend on the lock or on who may have the job. Keep a lease with a number that grows in a row of your own, and
compare that number in the statement that records what is about to be sent.
EOT
begins2=$(grep -n '^begins 2 ' "$folder/seen" | cut -d: -f1)
ends1=$(grep -n '^ends 1 second' "$folder/seen" | cut -d: -f1)
[ -n "$begins2" ] && { [ -z "$ends1" ] || [ "$begins2" -lt "$ends1" ]; }
