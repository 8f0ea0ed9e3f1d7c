#!/bin/sh
# pandas 3 makes floats of ids that stand in quotes in JSON, and writes them back as other ids.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
python3 -m pip install --quiet --no-compile --disable-pip-version-check --target lib pandas==3.1.1 2>pip.log ||
    { cat pip.log >&2; echo "cannot be tried here: pandas could not be installed" >&2; exit 77; }
cat >look.py <<'EOF'
import pandas as pd

with open("jobs.jsonl", "w") as out:
    out.write('{"job":"1234567890123456789"}\n{"job":"0012"}\n{"job":null}\n')
for dtype in (None, False):
    print(pd.read_json("jobs.jsonl", lines=True, dtype=dtype).to_json(orient="records", lines=True).replace("\n", " "))
EOF
echo 'JSON lines with ids in quotes: "1234567890123456789", "0012", and a null.'
echo 'Expected: texts stay texts; JSON has types, and these are strings.'
PYTHONPATH=lib python3 look.py >seen
echo 'Seen with pandas 3.1.1 after read_json and to_json, as it is by default and with dtype=False:'
cat seen
cat <<'EOF'
What it means: a column whose texts all look like numbers becomes one of floats where a null is among them: the last digits
of a long id are lost, as are zeros in front, and what is written back names another job. One id with a letter among them,
and nothing happens: it shows on the day when a selection has none. Way out: dtype=False.
EOF
[ "$(cat seen)" = '{"job":1.23456789e+18} {"job":12.0} {"job":null} 
{"job":"1234567890123456789"} {"job":"0012"} {"job":null} ' ]
