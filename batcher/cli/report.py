"""`batcher report`: what a results file says, summed up."""

from pathlib import Path

import click

from batcher.cli import exits

_EPILOG = """\b
Examples:
  batcher report results.jsonl
  batcher report results.jsonl --json | jq .by_status
"""


@click.command(epilog=_EPILOG)
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
def command(results: Path, as_json: bool) -> int:
    """Summarise the results file RESULTS: counts, troubles with an example and a way out, pace.

    The file is streamed; a wave that is still running can be looked at as well.
    """
    from batcher.report.read import tally_file

    tally, torn = tally_file(results)
    if as_json:
        import orjson

        problems = list(tally.misfits())
        said = {"file": str(results), "torn": torn, "problems": problems, **tally.as_json()}
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
        return exits.CREATED
    from batcher.cli.terminal import console
    from batcher.report.summary import print_summary

    notes = (
        ("The last line is cut off (the wave is running, or was killed) and not counted. A resumed wave mends it.",)
        if torn
        else ()
    )
    print_summary(console(), tally, title=str(results), notes=notes)
    return exits.CREATED
