"""`batcher gate`: may the cutover go ahead?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.all_of_it import counts_of, entries_option, one_journal
from batcher.cli.entries import journal_option, label_option, shared_place
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.service_options import WAY, are_at_service, only_here, only_with_service, service_options
from batcher.clock import utc_now
from batcher.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batcher.gate.accepted import Acceptance
    from batcher.journal.place import JournalPlace
    from batcher.manifest.labels import LabelFilter
    from batcher.settings import RunSettings

_SETTINGS = ("allow_inconsistent", "notify", "on_end", *WAY)

_EPILOG = """\b
Examples:
  batcher gate wave1.jsonl wave2.jsonl wave3.jsonl
  batcher gate wave*.jsonl --allow-inconsistent accepted.csv --junit gate.xml
  batcher gate wave*.jsonl --label team=pay
  batcher gate results.jsonl --json | jq -r '.blockers[].why'
  batcher gate --service https://batcher.example.com night-3 night-4

\b
Exit codes: 0 GO; 1 NO-GO; 2 UNKNOWN, or a file, the database or the service cannot be used: it cannot be told.
A rerun's verdict replaces the earlier one of the same key, in whatever order the files are named.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@journal_option
@entries_option
@label_option("Look at")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write the result as JUnit XML, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object instead.")
@service_options
@settings_options(_SETTINGS)
def command(
    results: tuple[Path, ...],
    journal: "JournalPlace | None",
    entries: tuple[str, ...],
    labels: "LabelFilter",
    junit: Path | None,
    as_json: bool,
    service: str | None,
    service_token_file: str | None,
    **parameters: Any,
) -> int:
    """Say GO or NO-GO over one or several waves, from the verdicts beside their RESULTS files, with reasons.

    GO takes that every entry was created, followed to its end and found consistent; what differs must have been
    accepted by name, with a reason, and the acceptance must not have expired. No cloud is asked. That every entry was
    seen is known from the journal beside each file, or from the lines themselves; where neither tells, it is UNKNOWN.
    With --label it speaks of these entries alone, and says so. With --service RESULTS are waves of that service, whose
    own word it is: what its configuration accepts is accepted, unless --allow-inconsistent names something else. Of a
    wave in a database --journal names the place; RESULTS is its copy here, with the verdicts beside it, and both are
    brought in line first.
    """
    settings = load_given(parameters, _SETTINGS).settings
    try:
        return _told(results, journal, entries, labels, junit, service, service_token_file, settings, as_json=as_json)
    except UserError as error:
        if error.exit_code == exits.STOPPED:  # a database or a service that is away: it cannot be told
            error.exit_code = exits.USAGE
        raise


def _told(
    results: tuple[Path, ...],
    journal: "JournalPlace | None",
    entries: tuple[str, ...],
    labels: "LabelFilter",
    junit: Path | None,
    service: str | None,
    service_token_file: str | None,
    settings: "RunSettings",
    *,
    as_json: bool,
) -> int:
    """Find who knows of the waves, and say what the gate says. Raises `UserError`."""
    place = shared_place(journal, service)
    if place is None and are_at_service(results, service, service_token_file):
        only_with_service(("labels", "junit", "allow_inconsistent", "notify", "on_end"))
        if len(set(results)) == 1 and not labels and junit is None and settings.allow_inconsistent is None:
            from batcher.cli.commands.client.ruling import ruled

            return ruled(results[0], service, service_token_file, settings, as_json=as_json)
        return _judge_here(results, labels, junit, service, service_token_file, settings, as_json=as_json)
    only_here(("insecure_http",))

    from batcher.cli.show.at_the_end import accepted_by
    from batcher.journal.files import is_verdicts

    results = tuple(path for path in dict.fromkeys(results) if not is_verdicts(path))
    if not results:
        raise click.UsageError("Name the results files; the verdicts are found beside them.")
    one_journal(results, journal)
    if place is not None:
        from batcher.cli.commands.shared.lines import bring_in_line

        bring_in_line(place, results[0])
    return _judge(
        results, journal, entries, labels, junit, accepted_by(settings), settings, as_json=as_json, words=None
    )


def _judge_here(
    waves: tuple[Path, ...],
    labels: "LabelFilter",
    junit: Path | None,
    service: str | None,
    token_file: str | None,
    settings: "RunSettings",
    *,
    as_json: bool,
) -> int:
    """Say what the gate says of *waves* of a service, over copies of their lines: more than a service is asked for."""
    from batcher.cli.at_service import copies
    from batcher.cli.show.at_the_end import accepted_by

    ours = accepted_by(settings)  # read where its name means what was typed
    is_ours = settings.allow_inconsistent is not None
    junit = None if junit is None else junit.absolute()
    with copies(waves, service, token_file, settings, with_acceptances=not is_ours) as here:
        return _judge(
            here.paths,
            None,
            (),
            labels,
            junit,
            ours if is_ours else here.acceptances,
            settings,
            as_json=as_json,
            words=here.words,
        )


def _judge(
    results: tuple[Path, ...],
    journal: "JournalPlace | None",
    entries: tuple[str, ...],
    labels: "LabelFilter",
    junit: Path | None,
    acceptances: "Sequence[Acceptance]",
    settings: "RunSettings",
    *,
    as_json: bool,
    words: "Mapping[str, str] | None",
) -> int:
    """Say what the gate says, and what to type. *words* name waves of a service by their files; None: they are ours."""

    from batcher.cli.outputs import refuse_outputs
    from batcher.cli.show.at_the_end import MOST_TOLD, check_end, tell_end
    from batcher.cli.show.blockers import advice_for, at_service
    from batcher.cli.show.gate_result import exit_code, headline, print_gate
    from batcher.gate.junit import write_junit
    from batcher.gate.result import evaluate
    from batcher.gate.wave_entries import entries_of

    check_end(settings)
    refuse_outputs(results, {"--junit": junit})
    read = entries_of(results, journal=journal, entries=counts_of(results, entries), labels=labels)
    gate = evaluate(read, acceptances, utc_now().date())
    if junit is not None:
        write_junit(junit, gate, read)
    if as_json:
        from batcher.cli.show.json_pieces import print_json

        print_json(gate.told())
    else:
        from batcher.cli.show.terminal import console

        print_gate(console(), gate, advice=advice_for(journal) if words is None else at_service(words))
    code = exit_code(gate)
    facts = {"results": [str(path) for path in results], "exit_code": code, "gate": gate.as_json(MOST_TOLD)}
    tell_end(settings, "gate", headline(gate).plain, facts)
    return code
