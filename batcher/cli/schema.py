"""`batcher schema`: the JSON Schemas of what goes in and of what comes out."""

from typing import Any

import click

from batcher.cli import exits

_EPILOG = """\b
Examples:
  batcher schema result > result.schema.json
  batcher schema manifest | jq '."$defs".Entry.properties | keys'
"""


@click.command(epilog=_EPILOG)
@click.argument("what", type=click.Choice(["manifest", "result", "verdict"]))
def command(what: str) -> int:
    """Print the JSON Schema of a manifest, of a line of results, or of a line of verdicts."""
    import orjson

    click.echo(orjson.dumps(schema_of(what), option=orjson.OPT_INDENT_2))
    return exits.CREATED


def schema_of(what: str) -> dict[str, Any]:
    """The schema called *what*: manifest, result or verdict."""
    if what == "manifest":
        from batcher.manifest.schema import manifest_schema

        return manifest_schema()
    if what == "result":
        from batcher.wave.result import Result

        schema = Result.model_json_schema(mode="serialization")
    else:
        from batcher.follow.verdict import VerdictLine

        schema = VerdictLine.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
