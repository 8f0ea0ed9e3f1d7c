"""What `batcher schema … --for PROGRAM` prints reads our lines as they are, in the real program."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.columns.lines import ENTRIES, FAILED, results, verdicts, write
from tests.packaging.checkout import ROOT

# How many lines each reads, and the first and last of them: making objects of all takes longer than reading them.
_ENDS = 100
_PYTHON = {
    "duckdb": """
import duckdb, json
duckdb.sql("SET TimeZone = 'UTC'")
duckdb.sql(open("read.sql").read())
duckdb.sql("CREATE TABLE lines AS FROM read_{what}s('{what}s.jsonl')")
[(count,)] = duckdb.sql("SELECT count(*) FROM lines").fetchall()
ends = duckdb.sql(f"SELECT to_json(t) FROM lines t WHERE index NOT BETWEEN {ends} AND {{count - {ends} - 1}}")
lines = sorted((json.loads(line) for (line,) in ends.fetchall()), key=lambda line: line["index"])
""",
    "polars": """
from read import read_{what}s
table = read_{what}s("{what}s.jsonl")
count, lines = len(table), table.head({ends}).to_dicts() + table.tail({ends}).to_dicts()
""",
    "pandas": """
from read import read_{what}s
table = read_{what}s("{what}s.jsonl")
count, lines = len(table), table.head({ends}).to_dict("records") + table.tail({ends}).to_dict("records")
""",
    "pyarrow": """
from read import read_{what}s
table = read_{what}s("{what}s.jsonl", labels=["day"])
count, lines = len(table), table.slice(0, {ends}).to_pylist() + table.slice(len(table) - {ends}).to_pylist()
""",
}
_PRINT = """
import json
print(json.dumps([count, lines], default=lambda one: None if str(one) in ("<NA>", "NaT") else str(one)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wave's results and verdicts."""
    made = tmp_path_factory.mktemp("wave")
    write(made / "results.jsonl", results())
    write(made / "verdicts.jsonl", verdicts())
    return made


@pytest.mark.parametrize("what", ["result", "verdict"])
@pytest.mark.parametrize("program", _PYTHON)
def test_every_value_is_read_as_it_stands_also_what_comes_late(program: str, what: str, folder: Path) -> None:
    suffix = "sql" if program == "duckdb" else "py"
    run(folder, f"batcher schema {what} --for {program} > read.{suffix}")
    printed = run(folder, [sys.executable, "-c", _PYTHON[program].format(what=what, ends=_ENDS) + _PRINT])
    count, found = json.loads(printed.splitlines()[-1])  # DuckDB shows its progress on stdout, also to a pipe
    with (folder / f"{what}s.jsonl").open() as written:
        lines = list(written)
    made = map(json.loads, lines[:_ENDS] + lines[-_ENDS:])
    assert count == len(lines) == ENTRIES
    differing = [pair for pair in zip(map(plain, found), map(plain, made), strict=True) if pair[0] != pair[1]]
    assert not differing, differing[0]


def plain(value: Any) -> Any:
    """*value* with its moments written alike, and without nulls: a missing label is one in a table."""
    match value:
        case dict():
            return {name: plain(one) for name, one in value.items() if one is not None and one == one}
        case list():
            return [plain(one) for one in value]
        case str() if re.fullmatch(r"2026-11-01[ T]10:00:00(\.000)?(Z|\+00(:00)?)", value):
            return "at ten"
        case _:
            return value


def recipes() -> Iterator[Any]:
    """Each program of docs/results.md with its recipe: blocks of (language, code)."""
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    chapter = text.split("\n## Reading them with other programs\n")[1].split("\n## ")[0]
    for section in chapter.split("\n### ")[1:]:
        name = section.partition("\n")[0]
        blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        if blocks:
            yield pytest.param(name, blocks, id=name)


@pytest.mark.parametrize(("name", "blocks"), list(recipes()))
def test_each_recipe_of_the_documentation_finds_what_failed(
    name: str, blocks: list[tuple[str, str]], folder: Path, request: pytest.FixtureRequest
) -> None:
    where = {"jq": "jq", "SQLite": "sqlite3", "PostgreSQL": "psql"}.get(name, sys.executable)
    if shutil.which(where) is None:
        pytest.skip(f"there is no {where} here")
    more = request.getfixturevalue("postgresql") if name == "PostgreSQL" else {}
    printed = ""
    for language, code in blocks:
        printed = run(folder, code if language == "sh" else [sys.executable, "-c", code], more)
    counted = rf"failed\W+(error_kind\W+)?not_found\W+(key_count\W+)?{FAILED}\b|\b{FAILED} failed not_found"
    assert re.search(counted, printed), printed


def run(folder: Path, command: str | list[str], more: dict[str, str] | None = None) -> str:
    """What *command* prints that runs in *folder*, with our `batcher` on its path; it must succeed."""
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TZ": "Asia/Shanghai"}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else command,
        cwd=folder, env=env | (more or {}), capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server of our own on a socket in a folder of its own; what psql finds it by."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries or os.getuid() != 0 or shutil.which("runuser") is None:
        pytest.skip("there is no PostgreSQL server here, or nobody to run it as")
    folder = Path("/tmp") / f"batcher-pg-{os.getpid()}"  # noqa: S108 # a socket's path is short, and its owner another
    folder.mkdir(mode=0o700)
    shutil.chown(folder, "postgres", "postgres")
    as_postgres = ["runuser", "-u", "postgres", "--", "env", "-C", str(folder)]
    control = [*as_postgres, str(binaries[-1].with_name("pg_ctl")), "-D", str(folder / "data"), "-s", "-w"]
    try:
        for command in (
            [*as_postgres, str(binaries[-1]), "-D", str(folder / "data"), "-A", "trust", "-N"],
            [*control, "-l", str(folder / "log"), "-o", f"-F -h '' -k {folder}", "start"],
        ):
            subprocess.run(command, check=True, capture_output=True)
        yield {"PGHOST": str(folder), "PGUSER": "postgres", "PGDATABASE": "postgres", "PGOPTIONS": ""}
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], capture_output=True)
        shutil.rmtree(folder)
