"""`batcher waves`: a service's waves at a glance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.service_options import WAY, service_options

if TYPE_CHECKING:
    from rich.text import Text

    from batcher.client.service import Service

_STATES = ("held", "queued", "running", "paused", "stopping", "stopped", "ended")
_STYLES = {"held": "yellow", "paused": "yellow", "stopping": "yellow", "stopped": "yellow", "running": "cyan"}
_SHOWN = 50  # without --all

_EPILOG = """\b
Examples:
  batcher waves --service https://batcher.example.com
  batcher waves --state held
  batcher waves --all --json | jq -r '.waves[] | select(.exit_code == 4) | .id'
  batcher waves --workers

\b
held      it waits to be approved, or started
queued    it is run as soon as there is room for it
running, paused, stopping
stopped   it ended before its last entry was settled
ended     every entry has its result

\b
Exit codes: 0 told; 2 bad usage, or the service refuses; 3 it does not answer.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.option("--state", type=click.Choice(_STATES), metavar="STATE", help="Only waves in this state; see below.")
@click.option("--all", "all_", is_flag=True, help=f"All of them, and not only the {_SHOWN} newest.")
@click.option(
    "--workers", is_flag=True, help="In their place who runs them: each worker's scopes, and what it refuses."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
@service_options
@settings_options((*WAY, "timezone"))
def command(
    state: str | None,
    all_: bool,
    workers: bool,
    as_json: bool,
    service: str | None,
    service_token_file: str | None,
    **parameters: Any,
) -> int:
    """Show a service's waves, the newest first: how far each is, what went wrong, its verdicts, whose it is."""
    settings = load_given(parameters, (*WAY, "timezone")).settings

    from batcher.cli.at_service import ask

    if workers:
        if state is not None or all_:
            raise click.UsageError("--workers is about workers, --state and --all are about waves: use one of the two.")
        from batcher.cli.show.workers import print_workers

        told = ask(lambda asked: asked.workers(), service, service_token_file, settings)
        print_workers(told, as_json=as_json)
        return exits.CREATED

    async def work(asked: "Service") -> tuple[list[dict[str, Any]], bool]:
        found: list[dict[str, Any]] = []
        async for told in asked.waves(state):
            if len(found) == _SHOWN and not all_:
                return found, True
            found.append(told)
        return found, False

    waves, are_more = ask(work, service, service_token_file, settings)
    if as_json:
        import orjson

        click.echo(orjson.dumps({"waves": waves}, option=orjson.OPT_INDENT_2))
    else:
        _print(waves, are_more=are_more, state=state)
    return exits.CREATED


def _print(waves: Sequence[Mapping[str, Any]], *, are_more: bool, state: str | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from batcher.cli.show.terminal import console, say
    from batcher.text import printable

    out = console()
    if not waves:
        out.print(Text(f"no waves{'' if state is None else f' are {state}'}", "dim"))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("wave", "name", "state", "created", "", "by", "handed in"):
        table.add_column(title, overflow="fold")
    for told in waves:
        table.add_row(
            told["id"],
            Text(printable(told["name"], 40), "bold"),
            Text(told["state"], _STYLES.get(told["state"], "")),
            f"{told['counts']['created']:,} of {told['entries']:,}",
            _rest(told),
            Text(printable(told["submitted_by"], 30)),
            _moment(told["created_at"]),
        )
    out.print(table)
    for told in waves:
        if told["reason"]:
            first, _, _ = told["reason"].partition("\n")
            say(out, Text(f"{told['id']}  {printable(first, 200)}", "yellow"))
    if are_more:
        out.print(Text("… and older ones: --all shows them", "dim"))


def _rest(told: Mapping[str, Any]) -> "Text":
    """What else there is to know: the pace, what is not created, and the verdicts."""
    from rich.text import Text

    from batcher.cli.show.gate_result import STYLES as VERDICTS
    from batcher.durations import rough_duration
    from batcher.follow.verdict import Verdict
    from batcher.life.result import Status
    from batcher.report.summary import STYLES as STATUSES

    parts = []
    if told["state"] == "running":
        left = "" if told["eta_s"] is None else f", {rough_duration(told['eta_s'])} left"
        parts.append(Text(f"{told['rate_per_s']:.1f}/s{left}"))
    for status in Status:
        if status is not Status.CREATED and (count := told["counts"].get(status.value, 0)):
            parts.append(Text(f"{status.value} {count:,}", STATUSES[status]))
    for verdict in Verdict:
        if count := told["verdicts"].get(verdict.value, 0):
            parts.append(Text(f"{verdict.value} {count:,}", VERDICTS[verdict]))
    return Text("  ").join(parts)


def _moment(text: str) -> str:
    from datetime import datetime

    from batcher import zone

    return zone.moment_text(datetime.fromisoformat(text))
