"""`batcher schema`: the JSON Schemas of what goes in and of what comes out."""

from typing import Any

import click

from batcher.cli import exits

_EPILOG = """\b
Examples:
  batcher schema result > result.schema.json
  batcher schema manifest | jq '."$defs".Entry.properties | keys'
  batcher schema result --for duckdb > read_results.sql
  batcher schema verdict --for polars > read_verdicts.py
"""

_PROGRAMS = ("duckdb", "pandas", "polars", "postgresql", "pyarrow", "sqlite")


@click.command(epilog=_EPILOG)
@click.argument("what", type=click.Choice(["manifest", "result", "verdict"]))
@click.option(
    "--for", "program", type=click.Choice(_PROGRAMS),
    help="Print instead what this program reads such lines with: code that names the type of every column.",
)  # fmt: skip
def command(what: str, program: str | None) -> int:
    """Print the JSON Schema of a manifest, of a line of results, or of a line of verdicts.

    Programs that guess types from the first lines lose what comes later, such as the errors of a wave that began well:
    --for gives them the types. A manifest is that of JSONL as `batcher select` writes it.
    """
    import orjson

    if program is not None:
        click.echo(reader_of(what, program), nl=False)
        return exits.CREATED
    click.echo(orjson.dumps(schema_of(what), option=orjson.OPT_INDENT_2))
    return exits.CREATED


def schema_of(what: str) -> dict[str, Any]:
    """The schema called *what*: manifest, result or verdict."""
    if what == "manifest":
        from batcher.manifest.schema import manifest_schema

        return manifest_schema()
    if what == "result":
        from batcher.life.result import Result

        schema = Result.model_json_schema(mode="serialization")
    else:
        from batcher.follow.verdict import VerdictLine

        schema = VerdictLine.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def reader_of(what: str, program: str) -> str:
    """What *program* (one of `duckdb`, `pandas`, …) reads lines of *what* with: a module of Python, or SQL."""
    from batcher.columns import python, sql
    from batcher.columns.kinds import columns_of

    writers = {
        "duckdb": sql.duckdb,
        "pandas": python.pandas,
        "polars": python.polars,
        "postgresql": sql.postgresql,
        "pyarrow": python.pyarrow,
        "sqlite": sql.sqlite,
    }
    return writers[program](what, columns_of(what))
