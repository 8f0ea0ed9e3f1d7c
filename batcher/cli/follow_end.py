"""How a following ended: the ruling over it, its exit code, and whom it is told."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson
from rich.text import Text

from batcher.cli import exits
from batcher.cli.at_the_end import tell_end
from batcher.cli.ruling import headline, print_ruling
from batcher.cli.terminal import console
from batcher.follow.accepted import Acceptance
from batcher.follow.gate import Ruling, rule
from batcher.follow.session import FollowEnd
from batcher.follow.waves import entries_of
from batcher.settings import RunSettings
from batcher.text import printable

_CODES = {"SIGINT": exits.SIGINT, "SIGTERM": exits.SIGTERM}


def end_of_following(
    results: Path,
    end: FollowEnd,
    settings: RunSettings,
    acceptances: Sequence[Acceptance],
    *,
    event: str,
    as_json: bool,
) -> int:
    """Show and tell how the following of *results* ended; returns the exit code."""
    ruling = rule(entries_of([results]), acceptances, datetime.now(UTC).date())
    code = exit_code(end, ruling)
    facts = {
        "results": str(results),
        "verdicts": str(end.verdicts),
        "exit_code": code,
        "stopped": end.stopped,
        "gate": ruling.as_json(),
    }
    if as_json:
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    elif not settings.quiet:
        err = console(stderr=True)
        print_ruling(err, ruling)
        for line in _why_stopped(end):
            err.print(line, soft_wrap=True)
        err.print(Text(f"\n  Verdicts: {end.verdicts}", "dim"), soft_wrap=True)
    tell_end(settings, event, headline(ruling).plain, facts)
    return code


def exit_code(end: FollowEnd, ruling: Ruling) -> int:
    """The exit code of a following that ended so."""
    if end.signal is not None:
        return _CODES[end.signal]
    if end.halted:
        return exits.STOPPED
    return exits.CREATED if ruling.go else exits.INCOMPLETE


def _why_stopped(end: FollowEnd) -> list[Text]:
    said = [f"{end.stopped}. The same command goes on where this one ended."] if end.stopped else []
    for (endpoint, project_id), trouble in end.halted.items():
        why = printable(trouble.error_msg or trouble.kind.value)
        said.append(f"project {project_id} at {endpoint} is followed no more: {why}")
    return [Text(f"\n  {printable(line)}", "yellow") for line in said]
