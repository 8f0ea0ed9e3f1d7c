"""The columns in SQL: for DuckDB a reader, for PostgreSQL and SQLite a table of lines and a view on it."""

from batcher.columns.kinds import Kind, ListColumn, RecordColumn, ValueColumn

_DUCKDB = {
    ValueColumn.TEXT: "VARCHAR",
    ValueColumn.WHOLE: "BIGINT",
    ValueColumn.TRUTH: "BOOLEAN",
    ValueColumn.MOMENT: "TIMESTAMPTZ",
    ValueColumn.LABELS: "MAP(VARCHAR, VARCHAR)",
}


def duckdb(what: str, columns: RecordColumn) -> str:
    """A table macro that reads lines with the types of *columns*; read_json's own guess drops what it did not meet."""
    types = ",\n".join(f"    {_name(name)}: {_text(_duckdb_type(kind))}" for name, kind in columns.fields.items())
    return f"""\
-- {what.capitalize()} lines of batcher with the types of all their columns, for DuckDB. Without them it guesses from
-- the first 20,480 lines and reads as NULL, without a word, what was null in all of them: the errors of a wave.
--
--   .read read_{what}s.sql
--   FROM read_{what}s('{what}s.jsonl');
CREATE OR REPLACE MACRO read_{what}s(file) AS TABLE
  FROM read_json(file, format = 'newline_delimited', maximum_object_size = 268435456, columns = {{
{types}
  }});
"""


def _duckdb_type(kind: Kind) -> str:
    match kind:
        case ListColumn():
            return f"{_duckdb_type(kind.item)}[]"
        case RecordColumn():
            return f"STRUCT({', '.join(f'{_name(name)} {_duckdb_type(one)}' for name, one in kind.fields.items())})"
        case _:
            return _DUCKDB[kind]


_POSTGRESQL = {
    ValueColumn.TEXT: "line ->> {}",
    ValueColumn.WHOLE: "(line ->> {})::bigint",
    ValueColumn.TRUTH: "(line ->> {})::boolean",
    ValueColumn.MOMENT: "(line ->> {})::timestamptz",
}


def postgresql(what: str, columns: RecordColumn) -> str:
    """A table that takes lines as they are, and a view on it that has *columns*; objects and lists stay jsonb."""
    return f"""\
-- {what.capitalize()} lines of batcher, for PostgreSQL: a table that takes the lines as they are, and a view on it.
--
--   \\i read_{what}s.sql
--   \\copy {what}_lines FROM '{what}s.jsonl' WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')
--   SELECT * FROM {what}s;
CREATE TABLE {what}_lines (line jsonb NOT NULL);
CREATE VIEW {what}s AS SELECT
{_view(columns, _POSTGRESQL, "line -> {}")}
FROM {what}_lines;
"""  # noqa: S608 # all of it our own words


def sqlite(what: str, columns: RecordColumn) -> str:
    """The same for SQLite, where objects and lists are JSON text, moments text, and true is 1."""
    return f"""\
-- {what.capitalize()} lines of batcher, for SQLite: a table that takes the lines as they are, and a view on it.
--
--   .read read_{what}s.sql
--   .mode ascii
--   .separator "\\001" "\\n"
--   .import {what}s.jsonl {what}_lines
--   .mode box
--   SELECT * FROM {what}s;
CREATE TABLE {what}_lines (line TEXT NOT NULL);
CREATE VIEW {what}s AS SELECT
{_view(columns, {}, "json_extract(line, '$.' || {})")}
FROM {what}_lines;
"""  # noqa: S608 # all of it our own words


def _view(columns: RecordColumn, plain: dict[ValueColumn, str], nested: str) -> str:
    return ",\n".join(
        f"  {plain.get(kind, nested) if isinstance(kind, ValueColumn) else nested} AS {_name(name)}".format(_text(name))
        for name, kind in columns.fields.items()
    )


def _name(name: str) -> str:
    return f'"{name}"'


def _text(text: str) -> str:
    return f"'{text}'"
