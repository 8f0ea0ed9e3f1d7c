#!/bin/sh
# polars 2 leaves out fields of JSON lines that the first 100 lines do not have, also inside lists, without a word.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
python3 -m pip install --quiet --no-compile --disable-pip-version-check --target lib polars==2.1.0 2>pip.log ||
    { cat pip.log >&2; echo "cannot be tried here: polars could not be installed" >&2; exit 77; }
cat >look.py <<'EOF'
import json
import polars as pl

with open("requests.jsonl", "w") as out:
    for number in range(100):
        print(json.dumps({"job": f"job-{number}", "objects": [{"db_name": "shop"}]}), file=out)
    print(json.dumps({"job": "job-last", "objects": [{"db_name": "shop", "table_name": ["orders"]}]}), file=out)
for length in (100, None):
    print(json.dumps(pl.read_ndjson("requests.jsonl", infer_schema_length=length).tail(1).to_dicts()[0]))
EOF
echo 'Request bodies as JSON lines: the 101st is the first that names a table, and not only a database.'
echo 'Expected: the table is read, or an error says that the schema does not have it.'
PYTHONPATH=lib python3 look.py >seen
echo 'Seen with polars 2.1.0, as it is by default and with infer_schema_length=None:'
cat seen
cat <<'EOF'
What it means: read, filtered and written again with write_ndjson, a request for one table has become one for the whole
database. A value where the first 100 lines have null is an error; a field that they do not have is only left out. Way out:
infer_schema_length=None; who writes the lines writes every field, as null where there is nothing.
EOF
[ "$(cat seen)" = '{"job": "job-last", "objects": [{"db_name": "shop"}]}
{"job": "job-last", "objects": [{"db_name": "shop", "table_name": ["orders"]}]}' ]
