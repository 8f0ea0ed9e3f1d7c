"""The workers of a service's waves, for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
import orjson
from rich.text import Text

from batcher import zone
from batcher.cli.show.terminal import console, say
from batcher.text import counted, printable


def print_workers(workers: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print *workers*, as `GET /v1/workers` tells them."""
    if as_json:
        click.echo(orjson.dumps({"workers": list(workers)}, option=orjson.OPT_INDENT_2))
        return
    out = console()
    for line in worker_lines(workers):
        say(out, line)


def worker_lines(workers: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """A line for each worker, one for each scope that it has, and one for each that it cannot take, with why."""
    if not workers:
        yield Text("no worker was heard of lately: start one, batcher worker --database URL", "yellow")
    for worker in workers:
        line = Text(printable(worker["id"], 100), "bold")
        lanes = "" if worker["lanes"] is None else f", {counted(worker['lanes'], 'lane')}"
        version = "" if worker["version"] is None else f", batcher {printable(worker['version'], 30)}"
        seen = zone.moment_text(datetime.fromisoformat(worker["seen_at"]))
        line.append(f"  on {printable(worker['host'], 60)}{version}{lanes}, seen {seen}", "not bold")
        yield line
        for scope in worker["scopes"]:
            lease = "" if scope["lease_left_s"] is None else f", lease {scope['lease_left_s']:.0f} s left"
            epoch = "" if scope["epoch"] is None else f"  epoch {scope['epoch']}"
            yield Text(f"  {_named(scope)}{epoch}{lease}", "dim")
        if not worker["scopes"]:
            yield Text("  it has no scope at the moment", "dim")
        for refused in worker["refuses"]:
            yield Text(f"  does not take {_named(refused)}: {printable(refused['why'], 300)}", "yellow")


def _named(scope: Mapping[str, Any]) -> str:
    return printable(f"{scope['endpoint']} {scope['project_id']}", 200)
