"""`batcher control`: a hand on a running wave."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.entries import journal_option, missing, shared_place
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.service_options import (
    VARIABLE,
    WAY,
    is_at_service,
    only_here,
    only_with_service,
    service_options,
)
from batcher.cli.timezone import timezone_option

if TYPE_CHECKING:
    from batcher.journal.place import JournalPlace, WavePlace

_VERBS = ("status", "pause", "resume", "rate", "concurrency", "stop")
_AT_SERVICE = ("start", "approve", "priority", "retry-failed", "recheck")
_VALUED = {"rate": "5/s", "concurrency": "8", "approve": "sha256:…", "priority": "10"}

_OF_SCOPES = ("status", "pause", "resume", "rate")

_EPILOG = """\b
Examples:
  batcher control results.jsonl status
  batcher control results.jsonl pause
  batcher control results.jsonl rate 5/s
  batcher control results.jsonl concurrency 8
  batcher control results.jsonl stop
  batcher control --service https://batcher.example.com night-3 pause
  batcher control --journal postgresql://db.example.org/fleet/night-3 pause
  batcher control --journal postgresql://db.example.org/fleet --scope 0123abcd rate 2/s
  batcher control --service https://batcher.example.com 6i3zv3tgumaq approve sha256:…

Only the user who runs the wave can steer it, from the same machine; a wave in a database whoever may write there,
from any. What is changed holds until the wave ends, in all its scopes; `rate` takes what --rate takes and leaves
look-ups as they are. With --scope it holds for every wave of the database in that scope, also those that come
later; `rate off` takes a rate back there.
A wave of a service is named by its id or its name; it has also start, approve, priority, retry-failed and recheck.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("results", required=False)
@click.argument("verb", required=False, metavar="|".join(_VERBS))
@click.argument("value", required=False)
@journal_option
@click.option("--scope", metavar="PROJECT[@HOST]",
              help="Order for all waves of the database in this scope: status, pause, resume, rate.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
@service_options
@settings_options(WAY)
@timezone_option
def command(
    results: str | None,
    verb: str | None,
    value: str | None,
    journal: "JournalPlace | None",
    scope: str | None,
    as_json: bool,
    service: str | None,
    service_token_file: str | None,
    **parameters: Any,
) -> int:
    """Ask the wave that is writing RESULTS where it stands, or change how it runs.

    With --service RESULTS is a wave of that service. Of a wave in a database --journal names the place, and RESULTS is
    left out: what is ordered holds for all machines, from the moment that this returns.
    """
    place = shared_place(journal, service)
    wave, verb, value = _words(place, results, verb, value)
    if verb in _VALUED and value is None:
        raise click.UsageError(f"{verb} needs a value, such as: batcher control {wave} {verb} {_VALUED[verb]}")
    if verb not in _VALUED and value is not None:
        raise click.UsageError(f"{verb} takes no value: drop {value!r}.")
    if scope is not None and (place is None or place.wave is not None):
        raise click.UsageError("--scope is of a database: name that with --journal, without a wave.")
    if scope is not None and verb not in _OF_SCOPES:
        raise click.UsageError(f"{verb} is for a wave: a scope takes {', '.join(_OF_SCOPES)}.")
    if place is not None:
        return _shared(place, verb, value, scope, as_json=as_json)
    named = Path(wave)
    if is_at_service(named, service, service_token_file):
        only_with_service(())
        return _at_service(named, verb, value, service, service_token_file, parameters, as_json=as_json)
    only_here(WAY)
    if verb in _AT_SERVICE:
        raise click.UsageError(f"{verb} is for waves of a service: give --service URL, or set {VARIABLE}.")
    from batcher.journal.files import WaveFiles
    from batcher.wave.control import ask

    answer = ask(WaveFiles.of(named, journal if isinstance(journal, Path) else None), verb, value)
    if as_json:
        import orjson

        click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))
        return exits.CREATED
    if answer["said"]:
        click.echo(answer["said"])
    else:
        _show(answer["status"])
    return exits.CREATED


def _words(
    place: "WavePlace | None", results: str | None, verb: str | None, value: str | None
) -> tuple[str, str, str | None]:
    """RESULTS, the verb and its value; without RESULTS where the wave is at a *place*. Raises `UsageError`."""
    known = click.Choice((*_VERBS, *_AT_SERVICE))
    if place is None:
        if results is None or verb is None:
            raise missing("results" if results is None else "verb")
        return results, known.convert(verb, None, click.get_current_context()), value
    words = [word for word in (results, verb, value) if word is not None]
    if not words:
        raise missing("verb")
    if words[0] not in known.choices and len(words) > 1 and words[1] in known.choices:
        raise click.UsageError(f"--journal names the wave: leave {words[0]} out.")
    if len(words) > 2:
        raise click.UsageError(f"{words[0]} takes no more than one value: drop {words[2]!r}.")
    verb = known.convert(words[0], None, click.get_current_context())
    return f"--journal '{place}'", verb, words[1] if len(words) > 1 else None


def _shared(place: "WavePlace", verb: str, value: str | None, scope: str | None, *, as_json: bool) -> int:
    """Give the order to the wave at *place*, or to all in *scope*, and tell where they stand then."""
    if verb in _AT_SERVICE:
        raise click.UsageError(f"{verb} is for waves of a service.")
    from batcher.cli.commands.shared import steering

    if scope is None:
        said, standing, workers = steering.control(place, verb, value)
        standings = [standing]
    else:
        said, standings, workers = steering.control_scope(place, scope, verb, value)
    if as_json:
        import orjson

        told = {"said": said, "status": steering.as_json(place, standings, workers)}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        return exits.CREATED
    from batcher.cli.show.terminal import console, say

    if said is not None:
        click.echo(said)
    for line in steering.lines_of(standings, workers):
        say(console(), line)
    return exits.CREATED


def _at_service(
    wave: Path,
    verb: str,
    value: str | None,
    service: str | None,
    token_file: str | None,
    parameters: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    from batcher.cli.commands.client.steering import asked_of, control

    asked = asked_of(wave, service, token_file, load_given(parameters, WAY).settings)
    told, status, said = control(asked, verb, value)
    if as_json:
        import orjson

        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    elif said:
        click.echo(said)
    else:
        from msgspec import to_builtins

        from batcher.text import printable

        reason = f" ({printable(told['reason'])})" if told["reason"] else ""
        click.echo(f"{told['id']}  {printable(told['name'])}  {told['state']}{reason}")
        _show({**to_builtins(status), "throttled": None})  # which a service does not tell
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
    turned_away = "" if status["throttled"] is None else f", {status['throttled']:,} turned away"
    out.print(f"{status['created']:,} created, {status['in_flight']:,} in flight{turned_away}")
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
