#!/bin/sh
# SQLite reads a file that was cut off within its last page without an error: rows lose what NOT NULL columns held.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
python3 -m pip install --quiet --no-compile --disable-pip-version-check --target lib apsw==3.54.1.0 2>pip.log ||
    { cat pip.log >&2; echo "cannot be tried here: apsw could not be installed" >&2; exit 77; }
cat >look.py <<'EOF'
import apsw

made = apsw.Connection("made.db")
made.execute("PRAGMA page_size = 4096")
made.execute("CREATE TABLE sent (id INTEGER PRIMARY KEY, job TEXT NOT NULL, task TEXT NOT NULL) STRICT")
rows = [(number, f"job-{number}", f"task-{number}".ljust(90, ".")) for number in range(1, 401)]
made.executemany("INSERT INTO sent VALUES (?, ?, ?)", rows)
made.close()
with open("made.db", "rb") as file:
    body = file.read()
for lost in (0, 1, 100, 4096):
    with open("cut.db", "wb") as file:
        file.write(body[: len(body) - lost])
    cut = apsw.Connection("cut.db", flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = cut.execute("SELECT id, job, task FROM sent").fetchall()
        nulls = [number for number, job, task in found if job is None or task is None]
        other = [number for (number, _, task), row in zip(found, rows) if task is not None and task != row[2]]
        check = cut.execute("PRAGMA quick_check(1)").fetchall()[0][0]
        print(f"{lost} bytes lost: {len(found)} rows, without job or task {nulls}, with another task {other}; {check}")
    except apsw.CorruptError as error:
        print(f"{lost} bytes lost: {type(error).__name__}")
    cut.close()
EOF
echo 'A table of 400 rows, its columns NOT NULL, in a file of whole pages. Copies of it lack their last bytes.'
echo 'Expected: a file that is no whole number of pages, and shorter than its header says, is an error, as one is that lacks a page.'
PYTHONPATH=lib python3 look.py >seen
echo 'Seen with SQLite 3.54.1 (apsw 3.54.1.0), with what PRAGMA quick_check says:'
cat seen
cat <<'EOF'
What it means: what is missing of the last page is taken for zeros. A copy that a full disk or a broken transfer cut short has all
its rows by number, and of some not what they say; no error is raised, and where few bytes are missing, quick_check says ok.
A record of what was sent that was copied in this way tells of requests without their ids. Way out: compare the file's
length with page_size times page_count, take nothing as there because a column is NOT NULL, and copy with a checksum.
EOF
[ "$(cat seen)" = '0 bytes lost: 400 rows, without job or task [], with another task []; ok
1 bytes lost: 400 rows, without job or task [], with another task [382]; ok
100 bytes lost: 400 rows, without job or task [382], with another task []; NULL value in sent.job
4096 bytes lost: CorruptError' ]
