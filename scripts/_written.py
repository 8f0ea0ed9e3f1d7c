"""Makes `tests/manifest/written` anew: one manifest, as spreadsheets, databases and data frames write it.

Each program is given the same rows, and its defaults. What it makes of them is kept with the version that wrote it, and
a test holds what batcher says of each. Programs come from the system where they are there (LibreOffice, gnumeric,
sqlite3, PostgreSQL, R, miller; Debian packages libreoffice-calc, gnumeric, sqlite3, postgresql, r-base-core, miller),
Python's packages from the registry, in a temporary environment. Files of a program that is not there stay as they are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WRITTEN = Path(__file__).resolve().parent.parent / "tests" / "manifest" / "written"
PACKAGES = ("pandas==3.1.1", "polars==2.1.0", "duckdb==2.0.1", "csvkit==2.2.0")

# A zero in front, more digits than a number keeps, an id that looks like a number, one that does not; a gap.
ROWS = """job_id,object_level_compare_type,key,label.team
0123,objects,k8100000000000017,blue
12345678901234567890,objects,81000000000000000017,
9480060700012e15,objects,810000000000e017,red
8f4e0c1ajb101,objects,k810000000000e017,blue
,objects,8f4e0c1a,red
"""
# The ids alone, which is what makes a column one of numbers.
DIGITS = """job_id,object_level_compare_type,key
0123,objects,k1
94800607000,objects,k2
,objects,k3
8100000000000001,objects,k4
"""
FRAMES = """
import sys
from pathlib import Path
import duckdb, pandas as pd, polars as pl
out, digits, rows = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
frame = pd.read_csv(digits)
frame.to_csv(out / "pandas.csv")
frame.to_csv(out / "pandas-no-index.csv", index=False)
frame.to_json(out / "pandas.json")
frame.to_json(out / "pandas.jsonl", orient="records", lines=True)
words = pd.read_csv(rows, dtype=str)
words.to_csv(out / "pandas-words.csv", index=False)
Path(out / "numpy-words.csv").write_text(
    "job_id,object_level_compare_type\\n"
    + "".join(f"{job},objects\\n" for job in pd.read_csv(rows, dtype=object).job_id)
)
pl.read_csv(digits).write_csv(out / "polars.csv")
times = {
    "job_id": ["j1", "j2"],
    "data_level_compare_info": [
        {"conflict_policy": "keep", "compare_type": "lines", "start_time": time, "compare_object_infos": infos}
        for time, infos in ((1890000000000.0, [{"db_name": "hr", "table_name": ["staff"]}]),
                            (1890000000000.0, [{"db_name": "shop", "table_name": None}]))
    ],
    "labels": [{"team": "blue", "wave": None}, {"team": None, "wave": "7"}],
}
pl.DataFrame(times).write_ndjson(out / "polars.jsonl")
duckdb.sql(f"COPY (SELECT * FROM read_csv('{digits}')) TO '{out}/duckdb.csv'")
duckdb.sql(f"COPY (SELECT job_id::DOUBLE * 1e5 AS job_id, object_level_compare_type FROM read_csv('{digits}')) TO "
           f"'{out}/duckdb-double.csv'")
duckdb.sql("COPY (SELECT 'j1' AS job_id, 'keep' AS conflict_policy, 'lines' AS compare_type, 'shop' AS "
           "compare_object_infos, TIMESTAMPTZ '2029-02-01 14:00:00+00' AS start_time) TO "
           f"'{out}/duckdb-time.csv'")
duckdb.sql("COPY (SELECT 'j1' AS job_id, 'objects' AS object_level_compare_type, "
           "{'team': 'blue', 'wave': NULL} AS labels) TO " f"'{out}/duckdb.jsonl' (FORMAT json)")
print(f"pandas {pd.__version__}\\npolars {pl.__version__}\\nduckdb {duckdb.__version__}")
"""
R_CODE = """
arguments <- commandArgs(TRUE)
x <- read.csv(arguments[2])
write.csv(x, file.path(arguments[1], "r.csv"))
write.table(x, file.path(arguments[1], "r-table.csv"), sep = ",")
y <- data.frame(job_id = "j1", conflict_policy = "keep", compare_type = "lines", compare_object_infos = "shop",
                start_time = 1.89e12)
write.csv(y, file.path(arguments[1], "r-time.csv"), row.names = FALSE)
"""
SQL = """
create table wave (job_id {text}, object_level_compare_type {text}, key {text}, ticket {float});
insert into wave values ('j1', 'objects', 'k1', 94800607000), ('j2', 'objects', null, 8100000000000001);
"""
SQL_JOBS = "select {}, object_level_compare_type, key from wave order by key"

Versions = dict[str, str]


def output(*command: object, **more: object) -> str:
    """What *command* prints. Raises `subprocess.CalledProcessError`."""
    words = [str(word) for word in command]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=180, **more)  # type: ignore[call-overload]
    return str(done.stdout)


def libreoffice(folder: Path, sources: dict[str, Path]) -> Versions:
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    for name, source in sources.items():
        office = ("soffice", profile, "--headless", "--convert-to")
        output(*office, "ods", "--outdir", folder, source)
        output(*office, "csv", "--outdir", folder / "saved", folder / f"{source.stem}.ods")
        shutil.copy(folder / "saved" / f"{source.stem}.csv", WRITTEN / f"libreoffice-{name}.csv")
    german = "csv:Text - txt - csv (StarCalc):59,34,76,1,,1031,false,true,false,false,false,-1"
    sheet = folder / "formulas.fods"
    sheet.write_text(SHEET, encoding="utf-8")
    output("soffice", profile, "--headless", "--convert-to", german, "--outdir", folder / "saved", sheet)
    (made,) = (folder / "saved").glob("formulas*.csv")
    shutil.copy(made, WRITTEN / "libreoffice-german.csv")
    return {"LibreOffice": output("soffice", "--version").split()[1]}


SHEET = """<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2" office:version="1.2"
 office:mimetype="application/vnd.oasis.opendocument.spreadsheet"><office:body>
<office:spreadsheet><table:table table:name="wave">
<table:table-row><table:table-cell office:value-type="string"><text:p>job_id</text:p></table:table-cell>
<table:table-cell office:value-type="string"><text:p>object_level_compare_type</text:p></table:table-cell>
</table:table-row>
<table:table-row><table:table-cell office:value-type="float" office:value="8100000000000000000"/>
<table:table-cell office:value-type="string"><text:p>objects</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:formula="of:=VLOOKUP(1;[.C1:.C1];1;0)"/>
<table:table-cell office:value-type="string"><text:p>objects</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:formula="of:=#REF!"/>
<table:table-cell office:value-type="string"><text:p>objects</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:formula="of:=1/0"/>
<table:table-cell office:value-type="string"><text:p>objects</text:p></table:table-cell></table:table-row>
</table:table></office:spreadsheet></office:body></office:document>
"""


def gnumeric(folder: Path, sources: dict[str, Path]) -> Versions:
    for name, source in sources.items():
        output("ssconvert", source, folder / "sheet.gnumeric")
        output("ssconvert", folder / "sheet.gnumeric", WRITTEN / f"gnumeric-{name}.csv")
    return {"gnumeric": output("ssconvert", "--version").split("'")[1]}


def sqlite(folder: Path, sources: dict[str, Path]) -> Versions:
    base = folder / "wave.db"
    output("sqlite3", base, SQL.format(text="text", float="real"))
    tickets = SQL_JOBS.format("ticket as job_id")
    for name, words in {
        "sqlite-real.csv": ("-csv", "-header", tickets),
        "sqlite-list.csv": ("-header", tickets),
        "sqlite-column.csv": ("-column", "-header", tickets),
        "sqlite-null.csv": ("-csv", "-header", "-nullvalue", "NULL", SQL_JOBS.format("job_id")),
    }.items():
        (WRITTEN / name).write_text(output("sqlite3", base, *words))
    return {"sqlite3": output("sqlite3", "--version").split()[0]}


def postgresql(folder: Path, sources: dict[str, Path]) -> Versions:
    with _cluster(folder) as psql:
        psql("-c", SQL.format(text="text", float="double precision"))
        tickets = SQL_JOBS.format("ticket as job_id")
        for name, words in {
            "psql-aligned.csv": ("-c", tickets),
            "psql-unaligned.csv": ("-A", "-c", tickets),
            "psql-double.csv": ("--csv", "-c", SQL_JOBS.format("ticket * 1e5 as job_id")),
            "psql-null.csv": ("--csv", "-P", "null=NULL", "-c", SQL_JOBS.format("job_id")),
            "psql-copy.tsv": ("-c", f"copy ({SQL_JOBS.format('job_id')}) to stdout with (header)"),
            "psql-time.csv": (
                "--csv",
                "-c",
                "set time zone 'UTC'",
                "-c",
                "select 'j1' as job_id, 'keep' as conflict_policy, 'lines' as compare_type, 'shop' as "
                "compare_object_infos, timestamptz '2029-02-01 14:00:00+00' as start_time union all select "
                "'j2', 'keep', 'lines', 'hr', timestamptz '2029-02-01 19:30:00+05:30'",
            ),
        }.items():
            (WRITTEN / name).write_text(psql("-q", *words))
        return {"PostgreSQL": psql("-V").split()[2]}


@contextmanager
def _cluster(folder: Path) -> Iterator[Callable[..., str]]:
    """A server of its own on a socket in a folder of its own; it refuses to run as root, so it does as its user."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    data = folder / "cluster"
    data.mkdir()
    user: dict[str, object] = {"user": "postgres", "cwd": data} if os.geteuid() == 0 else {"cwd": data}
    if os.geteuid() == 0:
        for path in (folder, data):
            shutil.chown(path, "postgres")
    output(binaries / "initdb", "-D", data / "base", "-A", "trust", "-U", "wave", "--no-sync", **user)
    options = f"-c listen_addresses= -c unix_socket_directories={data} -c fsync=off"
    control = (binaries / "pg_ctl", "-D", data / "base", "-w")
    output(*control, "-l", data / "log", "-o", options, "start", **user)
    try:
        yield lambda *words: output("psql", "-X", "-h", data, "-U", "wave", "-d", "postgres", *words)
    finally:
        output(*control, "-m", "fast", "stop", **user)


def r(folder: Path, sources: dict[str, Path]) -> Versions:
    code = folder / "write.R"
    code.write_text(R_CODE)
    output("Rscript", code, WRITTEN, sources["digits"])
    return {"R": output("Rscript", "-e", "cat(as.character(getRversion()))")}


def miller(folder: Path, sources: dict[str, Path]) -> Versions:
    sums = '$key = $key . ""; $job_id = $job_id * 1.5'
    (WRITTEN / "miller-error.csv").write_text(output("mlr", "--icsv", "--ocsv", "put", sums, sources["rows"]))
    (WRITTEN / "miller-pretty.csv").write_text(
        output("mlr", "--icsv", "--opprint", "--barred", "cat", sources["digits"])
    )
    (WRITTEN / "miller-pretty.jsonl").write_text(output("mlr", "--icsv", "--ojson", "cat", sources["rows"]))
    return {"miller": output("mlr", "--version").split()[1]}


def frames(folder: Path, sources: dict[str, Path]) -> Versions:
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    output(python, "-m", "pip", "install", "--quiet", *PACKAGES)
    said = output(python, "-c", FRAMES, WRITTEN, sources["digits"], sources["rows"])
    csvkit = python.with_name
    (WRITTEN / "csvkit-sql.csv").write_text(
        output(csvkit("csvsql"), "--query", "select * from digits", sources["digits"])
    )
    numbers = folder / "numbers.csv"
    numbers.write_text("job_id,object_level_compare_type,key\n0123,objects,b\n12e3,objects,a\n")
    (WRITTEN / "csvkit-sort.csv").write_text(output(csvkit("csvsort"), "-c", "key", numbers))
    (WRITTEN / "csvkit.json").write_text(output(csvkit("csvjson"), sources["digits"]))
    versions = dict(line.split() for line in said.splitlines())
    return {**versions, "csvkit": next(one.split("==")[1] for one in PACKAGES if one.startswith("csvkit"))}


PROGRAMS: dict[str, Callable[[Path, dict[str, Path]], Versions]] = {
    "soffice": libreoffice,
    "ssconvert": gnumeric,
    "sqlite3": sqlite,
    "psql": postgresql,
    "Rscript": r,
    "mlr": miller,
    "": frames,
}


def main() -> int:
    """Make the files, and say by which versions. 1 where a program was not there."""
    WRITTEN.mkdir(exist_ok=True)
    record = WRITTEN / "versions.json"
    versions = json.loads(record.read_text()) if record.exists() else {}
    missing = []
    for program, write in PROGRAMS.items():
        if program and shutil.which(program) is None:
            missing.append(program)
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sources = {"rows": folder / "rows.csv", "digits": folder / "digits.csv"}
            sources["rows"].write_text(ROWS)
            sources["digits"].write_text(DIGITS)
            versions |= write(folder, sources)
    record.write_text(json.dumps(dict(sorted(versions.items())), indent=2) + "\n")
    print("\n".join(f"{name} {version}" for name, version in versions.items()))
    for program in missing:
        print(f"{program} is not there: what it wrote stays as it was", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
