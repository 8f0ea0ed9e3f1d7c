"""docs/make-manifest.md: each recipe makes a sound manifest of the same list, and each program ruins what is said."""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pytest

from tests.cli.conftest import Batcher, _elsewhere, batcher
from tests.packaging.checkout import ROOT

__all__ = ["_elsewhere", "batcher"]

PAGE = (ROOT / "docs" / "make-manifest.md").read_text(encoding="utf-8")
(INVENTORY,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
JOBS = re.findall(r"8f4e0c1ajb\d+", INVENTORY)
TO = ("--region", "eu-west-101", "--project-id", "p")


def recipe(language: str, title: str) -> str:
    """The block whose first line is a comment that begins with *title*."""
    (found,) = re.findall(rf"```{language}\n((?:#|--) {title}\b.*?)```", PAGE, re.DOTALL)
    return str(found)


def in_python(title: str) -> Callable[[], None]:
    return lambda: exec(compile(recipe("python", title), title, "exec"), {})  # noqa: S102 - it is our own page


def in_duckdb() -> None:
    duckdb.sql(recipe("sql", "DuckDB"))


def in_shell(title: str) -> Callable[[], None]:
    def typed() -> None:
        Path("ids.txt").write_text("".join(f"{job}\n" for job in JOBS))
        with sqlite3.connect("inventory.db") as db:
            pd.read_csv("inventory.csv", dtype=str).to_sql("inventory", db)
        db.close()
        subprocess.run(["sh", "-ec", recipe("sh", title)], check=True)

    return typed


RECIPES = {
    "ids": in_shell("ids to wave.csv"),
    "sqlite": in_shell("SQLite"),
    "duckdb": in_duckdb,
    "pandas": in_python("pandas"),
    "polars": in_python("polars"),
    "json": in_python("json"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_makes_a_sound_manifest(name: str, batcher: Batcher) -> None:
    if name == "sqlite" and shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not here")
    Path("inventory.csv").write_text(INVENTORY, encoding="utf-8")
    RECIPES[name]()
    made = Path("wave.jsonl" if name == "json" else "wave.csv")
    ended = batcher("check", made, *TO)
    assert ended.code == 0, ended.err
    text = made.read_text(encoding="utf-8")
    assert [job for job in JOBS if job not in text] == []
    if name != "ids":
        assert [number for number in ("0017", "0018", "0019") if number not in text] == []


def test_what_each_ruins_when_it_is_not_told() -> None:
    Path("keys.csv").write_text("zeros,hexadecimal,gap\n0017,12e5,0017\n0018,13e5,\n", encoding="utf-8")
    told = {
        row[0]: row[1:] for row in re.findall(r"^\| (pandas|polars|DuckDB) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    }
    pd.read_csv("keys.csv").to_csv("pandas.csv", index=False)
    pl.read_csv("keys.csv").write_csv("polars.csv")
    duckdb.sql("COPY (FROM read_csv('keys.csv')) TO 'DuckDB.csv'")
    for program, (zeros, hexadecimal) in told.items():
        written = Path(f"{program}.csv").read_text(encoding="utf-8").splitlines()[1].split(",")
        assert (zeros.split(",")[0].strip("`"), hexadecimal.strip("`")) == (written[0], written[1]), program
    assert Path("pandas.csv").read_text(encoding="utf-8").splitlines()[1].endswith(",17.0")
    assert len(told) == 3
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE kept (as_text TEXT, as_integer INTEGER, as_numeric NUMERIC)")
    db.executemany("INSERT INTO kept VALUES (?, ?, ?)", [("0017",) * 3, ("12e5",) * 3])
    assert db.execute("SELECT * FROM kept").fetchall() == [("0017", 17, 17), ("12e5", 1200000, 1200000)]
    db.close()
