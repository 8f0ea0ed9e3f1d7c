"""`batcher control`: a hand on a running wave."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from batcher.cli import exits
from batcher.cli.timezone import timezone_option

_VERBS = ("status", "pause", "resume", "rate", "concurrency", "stop")
_VALUED = {"rate": "5/s", "concurrency": "8"}

_EPILOG = """\b
Examples:
  batcher control results.jsonl status
  batcher control results.jsonl pause
  batcher control results.jsonl rate 5/s
  batcher control results.jsonl concurrency 8
  batcher control results.jsonl stop

Only the user who runs the wave can steer it, from the same machine. What is changed holds until the
wave ends, in all its scopes; `rate` takes what --rate takes and leaves look-ups as they are.
"""


@click.command(epilog=_EPILOG)
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("verb", metavar="|".join(_VERBS), type=click.Choice(_VERBS))
@click.argument("value", required=False)
@click.option("--journal", type=click.Path(path_type=Path), help="The wave's journal, where it is not beside RESULTS.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
@timezone_option
def command(results: Path, verb: str, value: str | None, journal: Path | None, as_json: bool) -> int:
    """Ask the wave that is writing RESULTS where it stands, or change how it runs."""
    if verb in _VALUED and value is None:
        raise click.UsageError(f"{verb} needs a value, such as: batcher control {results} {verb} {_VALUED[verb]}")
    if verb not in _VALUED and value is not None:
        raise click.UsageError(f"{verb} takes no value: drop {value!r}.")
    from batcher.journal.files import WaveFiles
    from batcher.wave.control import ask

    answer = ask(WaveFiles.of(results, journal), verb, value)
    if as_json:
        import orjson

        click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))
        return exits.CREATED
    if answer["said"]:
        click.echo(answer["said"])
    else:
        _show(answer["status"])
    return exits.CREATED


def _show(status: Mapping[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from batcher.cli.show.terminal import console
    from batcher.durations import rough_duration
    from batcher.text import counted, printable

    out = console()
    settled = status["entries"] - _open(status)
    out.print(Text(f"{settled:,} of {counted(status['entries'], 'entry', 'entries')} settled, ", "bold"), end="")
    out.print(f"{status['created']:,} created, {status['in_flight']:,} in flight, {status['throttled']:,} turned away")
    eta = "" if status["eta_s"] is None else f", {rough_duration(status['eta_s'])} left"
    out.print(f"{status['rate_per_s']:.1f}/s, running for {rough_duration(status['elapsed_s'])}{eta}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("endpoint", "project", "settled", "pace", ""):
        table.add_column(title, overflow="fold")
    for scope in status["scopes"]:
        table.add_row(
            Text(scope["endpoint"]),
            Text(scope["project_id"]),
            f"{scope['settled']:,}/{scope['entries']:,}",
            scope["rate_text"],
            Text(printable(scope["reason"] or ""), "yellow"),
        )
    out.print(table)
    for change in status["changed"]:
        out.print(f"changed: {change}", style="yellow")
    if status["stopping"]:
        out.print(Text(f"stopping: {printable(status['stopping'])}", "yellow"))


def _open(status: Mapping[str, Any]) -> int:
    from batcher.life.result import Status

    return int(status["entries"]) - sum(int(status[name.value]) for name in Status)
