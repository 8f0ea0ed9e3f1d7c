#!/bin/sh
# DuckDB 2 reads JSON lines whose column is null in the first 20,480 of them as NULL throughout, and says nothing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
for version in 1.4.4 2.0.1; do
    python3 -m pip install --quiet --no-compile --disable-pip-version-check --target "$version" "duckdb==$version" 2>pip.log ||
        { cat pip.log >&2; echo "cannot be tried here: DuckDB $version could not be installed" >&2; exit 77; }
done
cat >look.py <<'EOF'
import duckdb, json

with open("results.jsonl", "w") as out:
    for number in range(20_480):
        print(json.dumps({"job": f"job-{number}", "error": None}), file=out)
    print(json.dumps({"job": "job-last", "error": "no such job"}), file=out)
asked = "SELECT count(*), count(error), any_value(typeof(error)) FROM 'results.jsonl'"
print(duckdb.__version__, *duckdb.sql(asked).fetchall()[0])
EOF
cat <<'EOF'
Lines of JSON, the results of 20,481 requests: "error" is null in all but the last, where it is "no such job".
Expected of SELECT count(*), count(error): 20481 and 1, as in DuckDB 1; or an error where the guessed type does not fit.
EOF
seen=
for version in 1.4.4 2.0.1; do
    line=$(PYTHONPATH=$version python3 look.py)
    echo "Seen with DuckDB $line"
    seen="$seen[$line]"
done
cat <<'EOF'
What it means: the type is guessed from the first 20,480 lines. DuckDB 1 took a column of nulls for JSON and read the
value; DuckDB 2 gives it the type "NULL", and each value that comes later is read as NULL. A wave that began well has no
errors, whoever asks. COPY … TO writes these nulls into the next file. Way out: sample_size = -1, or name the columns.
EOF
[ "$seen" = '[1.4.4 20481 1 JSON][2.0.1 20481 0 "NULL"]' ]
