#!/bin/sh
# DuckDB 2 leaves the quotes of CSV in a cell, doubled as they stand in the file, if the first 20,480 rows have none.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
python3 -m pip install --quiet --no-compile --disable-pip-version-check --target lib duckdb==2.0.1 2>pip.log ||
    { cat pip.log >&2; echo "cannot be tried here: DuckDB could not be installed" >&2; exit 77; }
cat >look.py <<'EOF'
import csv, duckdb

OBJECTS = '[{"db_name":"shop"}]'
for name, quoting in (("plain", csv.QUOTE_MINIMAL), ("quoted", csv.QUOTE_ALL)):
    with open(f"{name}.csv", "w", newline="") as out:
        csv.writer(out, quoting=quoting).writerow(["job", "objects"])
        csv.writer(out).writerows([f"job-{number}", "shop"] for number in range(30_000))
        csv.writer(out).writerow(["job-last", OBJECTS])
for name in ("plain", "quoted"):
    (cell,) = duckdb.sql(f"SELECT objects FROM '{name}.csv' WHERE job = 'job-last'").fetchall()[0]
    print(name, cell == OBJECTS, cell)
EOF
echo 'A CSV file as the csv module writes it: 30,000 rows without a quote, then one with a cell of JSON.'
echo 'Expected: [{"db_name":"shop"}], or an error.'
PYTHONPATH=lib python3 look.py >seen
echo 'Seen with DuckDB 2.0.1, with the header plain and with its names in quotes:'
cat seen
cat <<'EOF'
What it means: the sniffer looks at the first 20,480 rows, finds no quote, and reads what comes later without any: the
cell keeps its quotes, doubled, and is no JSON any more. No error tells of it (only a comma inside the cell would give one).
Way out: quote = '"' in read_csv; who writes the file puts the names of the header in quotes.
EOF
[ "$(cat seen)" = 'plain False "[{""db_name"":""shop""}]"
quoted True [{"db_name":"shop"}]' ]
