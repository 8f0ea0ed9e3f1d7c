"""`batcher explain`: every attempt made for an entry, and why what came next was decided."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.entries import entry_options, journal_option, missing, one_entry, places_of, shared_place
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.service_options import WAY, is_at_service, only_here, only_with_service, service_options
from batcher.cli.timezone import timezone_option

if TYPE_CHECKING:
    from rich.text import Text

    from batcher.journal.place import JournalPlace
    from batcher.wave.explain import EntryStep

_EPILOG = """\b
Examples:
  batcher explain results.jsonl --job 7b1c…
  batcher explain results.jsonl --key 3f2a…
  batcher explain results.jsonl --index 41 --json | jq '.steps[].request_id'
  batcher explain --service https://batcher.example.com night-3 --key 3f2a…
  batcher explain --journal postgresql://db.example.org/fleet/night-3 --key 3f2a…
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("results", required=False, type=click.Path(path_type=Path))
@entry_options
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
@service_options
@settings_options(WAY)
@timezone_option
def command(
    results: Path | None,
    key: str | None,
    job: str | None,
    index: int | None,
    journal: "JournalPlace | None",
    as_json: bool,
    service: str | None,
    service_token_file: str | None,
    **parameters: Any,
) -> int:
    """Show everything that was done for one entry of the wave of RESULTS, in order; with --job, for each of the job's.

    Each request, answer and look-up with its time, status, code and the cloud's request id, and what was decided
    and why. Works while the wave runs. With --job, --json prints an array. With --service RESULTS is a wave of that
    service; of a wave in a database --journal names the place, and RESULTS is left out.
    """
    one_entry(key, job, index)
    place = shared_place(journal, service)
    if results is None and place is None:
        raise missing("results")
    if results is not None and place is None and is_at_service(results, service, service_token_file):
        only_with_service(("key", "job", "index"))
        from batcher.cli.commands.client.steering import asked_of, steps_of
        from batcher.cli.commands.client.steering import explain as explain_there

        asked = asked_of(results, service, service_token_file, load_given(parameters, WAY).settings)
        found = explain_there(asked, key, job, index)
        if as_json:
            _print_json(found if job is not None else found[0])
        else:
            _print_all([(entry, steps_of(entry)) for entry in found], runs=True)
        return exits.CREATED
    only_here(WAY)
    from batcher.journal.wave_lock import is_held
    from batcher.journals import journal_file_of, reading
    from batcher.wave.explain import entry_as_json, explain, steps_as_json

    path = place or journal_file_of(results or Path(), journal if isinstance(journal, Path) else None)
    with reading(path) as record:
        told = [
            (entry_as_json(record, place, record.facts().get("manifest")), list(explain(record.events(place))))
            for place in places_of(record, key, job, index)
        ]
    if as_json:
        plain = [{**about, "steps": steps_as_json(steps)} for about, steps in told]
        _print_json(plain if job is not None else plain[0])
        return exits.CREATED
    _print_all(told, runs=isinstance(path, Path) and is_held(path), shared=place is not None)
    return exits.CREATED


def _print_all(told: "Sequence[tuple[dict[str, Any], list[EntryStep]]]", *, runs: bool, shared: bool = False) -> None:
    for number, (about, steps) in enumerate(told):
        if number:
            click.echo()
        _print(about, steps, runs=runs, shared=shared)


def _print_json(said: Any) -> None:
    import orjson

    click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))


def _print(about: dict[str, Any], steps: "list[EntryStep]", *, runs: bool, shared: bool) -> None:
    from rich.text import Text

    from batcher.cli.show.terminal import console, say

    out = console()
    for line in _head(about):
        say(out, line)
    for step in steps:
        out.print()
        for line in _step_lines(step):
            say(out, line)
    if not steps:
        out.print(Text("\n  Nothing was sent for it."))
    out.print()
    say(out, _end(about["result"], runs=runs, shared=shared))


def _head(about: dict[str, Any]) -> "Iterator[Text]":
    from rich.text import Text

    from batcher.text import printable

    if "key" not in about:
        yield Text(f"entry {about['index']}", "bold")
        return
    yield Text(printable(f"{about['key']}  job {about['job_id']}"), "bold")
    where = f"line {about['line']} of {about['manifest']}, project {about['project_id']} at {about['endpoint']}"
    yield Text(f"  {printable(where)}", "dim")


def _end(result: dict[str, Any] | None, *, runs: bool, shared: bool) -> "Text":
    from rich.text import Text

    from batcher.life.result import Status
    from batcher.report.summary import STYLES
    from batcher.text import printable

    if result is None:
        said = "the wave is running, and has it in hand" if runs else "`batcher run` goes on with it"
        said = "`batcher status --journal` tells who has its scope" if shared else said
        return Text(f"  not settled yet: {said}", "yellow")
    line = Text("  ") + Text(result["status"], STYLES[Status(result["status"])])
    return line.append(f": {printable(result['error_msg'])}") if result["error_msg"] else line


def _step_lines(step: "EntryStep") -> "Iterator[Text]":
    from rich.text import Text

    from batcher import zone
    from batcher.clock import utc
    from batcher.text import printable

    head = Text(f"  {zone.moment_text(utc(step.at), fraction=True)}  ", "dim")
    number = f" {step.attempt}" if step.attempt is not None else ""
    head.append(f"{step.what}{number}", "not dim bold")
    for part in (step.http_status, step.error_code):
        if part is not None:
            head.append(f"  {printable(str(part))}", "not dim")
    if step.request_id:
        head.append(f"  request id {printable(step.request_id)}", "dim")
    yield head
    if step.told:
        yield Text(f"    {printable(step.told)}")
    if step.decided:
        yield Text(f"    → {printable(step.decided)}", "cyan")
