"""Manifests as real programs wrote them: `scripts/write-manifests` makes them, `written/versions.json` says by what."""

import json
from pathlib import Path

import pytest

from batcher.manifest import Entry, Finding, open_manifest
from batcher.manifest.entry import DEFAULT_KEY_LENGTH
from tests.manifest.reading import DEFAULTS, NOW

WRITTEN = Path(__file__).parent / "written"

FRACTION = "job_id was made a number with a fraction, as pandas, csvkit and SQL's float types do"
EXPONENT = "job_id was made a number with an exponent, as Excel, gnumeric and LibreOffice do"
LONG = "job_id was made a number with an exponent, as LibreOffice does with long ones"
FLOAT = "job_id was made a number with an exponent, as R, pandas, polars, DuckDB, SQLite and PostgreSQL write floats"
NUMBER = "job_id must be text, and is a number"
MISSING = "job_id is missing"
NULL = "job_id is null"
ERROR = "job_id is the error of a formula in a spreadsheet"
INDEX = "the first column has no name in the header"
DRAWN = "this is a table drawn for people, not CSV"
BARS = "the columns are separated by |"

SAID: dict[str, tuple[int, list[tuple[int | None, str]]]] = {
    "csvkit-sort.csv": (1, [(0, "job_id was made a number with an exponent, as csvkit does")]),
    "csvkit-sql.csv": (0, [(0, FRACTION), (1, FRACTION), (2, MISSING), (3, FRACTION)]),
    "csvkit.json": (0, [(0, NUMBER), (1, NUMBER), (2, NULL), (3, NUMBER)]),
    "duckdb-double.csv": (0, [(0, FRACTION), (1, FRACTION), (2, MISSING), (3, FLOAT)]),
    "duckdb-time.csv": (1, []),
    "duckdb.csv": (3, [(2, MISSING)]),
    "duckdb.jsonl": (1, []),
    "gnumeric-digits.csv": (3, [(2, MISSING)]),
    "gnumeric-rows.csv": (3, [(2, EXPONENT), (2, EXPONENT.replace("job_id", "key")), (4, MISSING)]),
    "libreoffice-digits.csv": (3, [(2, MISSING)]),
    "libreoffice-german.csv": (0, [(0, LONG), (1, ERROR), (2, ERROR), (3, ERROR)]),
    "libreoffice-rows.csv": (
        2,
        [
            (1, LONG),
            (1, LONG.replace("job_id", "key")),
            (2, LONG),
            (2, LONG.replace("job_id", "key")),
            (4, MISSING),
        ],
    ),
    "miller-error.csv": (
        1,
        [*((index, "job_id is a word for nothing: miller writes it") for index in (0, 1, 3)), (4, MISSING)],
    ),
    "miller-pretty.csv": (0, [(None, DRAWN)]),
    "miller-pretty.jsonl": (0, [(None, "JSONL has one whole entry a line")]),
    "numpy-words.csv": (4, [(4, "job_id is a word for nothing: numpy and pandas write it")]),
    "pandas-no-index.csv": (0, [(0, FRACTION), (1, FRACTION), (2, MISSING), (3, FRACTION)]),
    "pandas-words.csv": (4, [(4, MISSING)]),
    "pandas.csv": (0, [(None, INDEX), (0, FRACTION), (1, FRACTION), (2, MISSING), (3, FRACTION)]),
    "pandas.json": (0, [(None, "the file holds columns, and not entries")]),
    "pandas.jsonl": (0, [(0, NUMBER), (1, NUMBER), (2, NULL), (3, NUMBER)]),
    "polars.csv": (3, [(2, MISSING)]),
    "polars.jsonl": (2, []),
    "psql-aligned.csv": (0, [(None, DRAWN)]),
    "psql-copy.tsv": (1, [(1, "key is a word for nothing: MySQL and PostgreSQL write it")]),
    "psql-double.csv": (0, [(0, FLOAT), (1, FLOAT)]),
    "psql-null.csv": (1, [(1, "key is a word for nothing: databases and DBeaver write it")]),
    "psql-time.csv": (2, []),
    "psql-unaligned.csv": (0, [(None, BARS)]),
    "r-table.csv": (0, [(None, "the rows have one cell more than the header, a number in front")]),
    "r-time.csv": (0, [(0, "start_time is a number with an exponent, which may have lost digits")]),
    "r.csv": (2, [(None, INDEX), (2, "job_id is a word for nothing: R writes it"), (3, FLOAT)]),
    "sqlite-column.csv": (0, [(None, "the columns are separated by spaces")]),
    "sqlite-list.csv": (0, [(None, BARS)]),
    "sqlite-null.csv": (1, [(0, "key is a word for nothing: databases and DBeaver write it")]),
    "sqlite-real.csv": (0, [(0, FLOAT), (1, FRACTION)]),
}


def read(name: str) -> list[Entry | Finding]:
    """All that the file *name* gives."""
    return list(open_manifest(WRITTEN / name).read(DEFAULTS, now=NOW))


@pytest.mark.parametrize("name", SAID)
def test_what_a_program_wrote_is_taken_where_it_is_sound_and_told_where_it_is_not(name: str) -> None:
    """Every ruined cell is a finding that names who writes so; what is whole is an entry."""
    sound, expected = SAID[name]
    items = read(name)
    found = [item for item in items if isinstance(item, Finding)]
    assert len(items) - len(found) == sound
    assert [finding.index for finding in found] == [index for index, _ in expected]
    for finding, (_, text) in zip(found, expected, strict=True):
        assert f"{finding.field or ''} {finding.problem}".strip().startswith(text)


def test_every_file_is_judged_and_has_the_version_that_wrote_it() -> None:
    """None is left behind by a program that is no longer asked."""
    assert {path.name for path in WRITTEN.iterdir()} == {*SAID, "versions.json"}
    versions = {name.lower() for name in json.loads((WRITTEN / "versions.json").read_text())}
    writers = {"postgresql" if name.startswith("psql") else name.replace(".", "-").split("-")[0] for name in SAID}
    assert {writer.replace("sqlite", "sqlite3").replace("numpy", "pandas") for writer in writers} == versions


@pytest.mark.parametrize("program", ["libreoffice", "gnumeric"])
def test_default_keys_survive_a_spreadsheet(program: str) -> None:
    """Whatever their digits are; without the letter in front they did not."""
    keys = [item.own_key for item in read(f"{program}-rows.csv") if isinstance(item, Entry)]
    kept = [key for key in keys if key and len(key) == DEFAULT_KEY_LENGTH]
    assert {"k8100000000000017", "k810000000000e017"} >= set(kept)
    text = (WRITTEN / f"{program}-rows.csv").read_text()
    assert "k8100000000000017" in text
    assert "k810000000000e017" in text
    assert ",81000000000000000017," not in text
    assert ",810000000000e017," not in text


def test_times_and_nulls_are_taken_as_programs_write_them() -> None:
    """The same moment from PostgreSQL, DuckDB and polars; a null is nothing."""
    made = [*read("psql-time.csv"), *read("duckdb-time.csv")]
    assert {item.terms.start_time for item in made if isinstance(item, Entry)} == {"1864648800000"}
    first, second = read("polars.jsonl")
    assert isinstance(first, Entry)
    assert isinstance(second, Entry)
    assert (first.terms.start_time, first.labels, second.labels) == ("1890000000000", {"team": "blue"}, {"wave": "7"})
