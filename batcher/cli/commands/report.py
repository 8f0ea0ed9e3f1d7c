"""`batcher report`: what a wave came to, for the terminal, as a page, as tables or for a ticket; or what changed."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.all_of_it import counts_of, entries_option, one_journal
from batcher.cli.entries import journal_option, label_option, missing, shared_place
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.service_options import WAY, are_at_service, only_here, only_with_service, service_options
from batcher.cli.show.terminal import tell
from batcher.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from batcher.cli.outputs import Outputs
    from batcher.gate.accepted import Acceptance
    from batcher.journal.place import JournalPlace, WavePlace
    from batcher.manifest.labels import LabelFilter
    from batcher.report.gather import Report
    from batcher.settings import RunSettings

_SETTINGS = ("allow_inconsistent", "timezone", *WAY)

_EPILOG = """\b
Examples:
  batcher report results.jsonl
  batcher report results.jsonl --html report.html --allow-inconsistent accepted.csv
  batcher report results.jsonl --markdown - | xclip
  batcher report wave1.jsonl wave1-again.jsonl wave2.jsonl --html night.html
  batcher report results.jsonl --label team=pay --html pay.html
  batcher report monday.jsonl tuesday.jsonl
  batcher report results.jsonl --json | jq .by_status
  batcher report --service https://batcher.example.com night-3 --html report.html
  batcher report --journal postgresql://db.example.org/fleet/night-3
"""

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("results", type=click.Path(path_type=Path), nargs=-1)
@journal_option
@entries_option
@label_option("Report on")
@click.option("--html", type=_FILE, help="Write one self-contained page: verdict, what to do, entries, differences.")
@click.option("--csv", type=_FILE, help="Write a row for each entry, for spreadsheets.")
@click.option("--differences-csv", type=_FILE, help="Write a row for each difference that was found.")
@click.option(
    "--delimiter", metavar="SIGN", type=click.Choice([",", ";", "|", "tab"]),
    help="What stands between the cells of the CSV files: , ; | or tab. [,]",
)  # fmt: skip
@click.option(
    "--markdown", type=click.Path(path_type=Path, allow_dash=True), help="Write a summary for a ticket; - prints it."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
@service_options
@settings_options(_SETTINGS)
def command(
    results: tuple[Path, ...],
    journal: "JournalPlace | None",
    entries: tuple[str, ...],
    labels: "LabelFilter",
    html: Path | None,
    csv: Path | None,
    differences_csv: Path | None,
    delimiter: str | None,
    markdown: Path | None,
    as_json: bool,
    service: str | None,
    service_token_file: str | None,
    **parameters: Any,
) -> int:
    """Summarise the results file RESULTS: counts, troubles with an example and a way out, pace, and the gate's word.

    The verdicts and the journal beside it are used where they are there. Two files: what changed from the first
    wave to the second. With --html any number of files: one page over these waves and their reruns, as the gate sees
    them. A wave that is still running can be looked at as well. With --service RESULTS are waves of that service. Of a
    wave in a database --journal names the place: RESULTS, its copy here, is brought in line first; without it the
    lines are read there, and no verdicts.
    """
    named = parameters["allow_inconsistent"] is not None
    settings = load_given(parameters, _SETTINGS).settings
    place = shared_place(journal, service)
    if not results and place is None:
        raise missing("results")
    at_service = place is None and are_at_service(results, service, service_token_file)
    if at_service:
        only_with_service(("labels", "html", "csv", "differences_csv", "delimiter", "markdown", "allow_inconsistent"))
    from batcher.cli.outputs import Outputs

    outputs = Outputs(html=html, csv=csv, differences_csv=differences_csv, delimiter=delimiter, markdown=markdown)
    if at_service:
        return _at_service(results, labels, outputs, settings, service, service_token_file, named, as_json=as_json)
    if place is not None:
        one_journal(results, journal)
        if entries:
            raise click.UsageError("--entries says nothing of a wave in a database, which knows how many it has.")
        return _shared(place, results, labels, outputs, settings, named, as_json=as_json)
    only_here(WAY)

    from batcher.cli.show.at_the_end import accepted_by

    return _report(results, journal, entries, labels, outputs, lambda: accepted_by(settings), named, as_json=as_json)


def _shared(
    place: "WavePlace",
    results: tuple[Path, ...],
    labels: "LabelFilter",
    outputs: "Outputs",
    settings: "RunSettings",
    named: bool,
    *,
    as_json: bool,
) -> int:
    """Report on the wave at *place*: over *results*, its copy here, brought in line; or over one for the moment."""
    from batcher.cli.commands.shared.lines import bring_in_line, copy_of
    from batcher.cli.show.at_the_end import accepted_by

    def report(files: tuple[Path, ...], out: "Outputs", accepted: "Sequence[Acceptance]") -> int:
        return _report(files, place, (), labels, out, lambda: accepted, named, as_json=as_json)

    accepted = accepted_by(settings)  # read where its name means what was typed
    if results:
        bring_in_line(place, results[0])
        return report(results, outputs, accepted)
    out = outputs.elsewhere()
    with copy_of(place) as here:
        return report(here, out, accepted)


def _at_service(
    waves: tuple[Path, ...],
    labels: "LabelFilter",
    outputs: "Outputs",
    settings: "RunSettings",
    service: str | None,
    token_file: str | None,
    named: bool,
    *,
    as_json: bool,
) -> int:
    """Report on *waves* of a service: in its own words where it has them, else here, over copies of their lines."""
    from batcher.cli.at_service import copies
    from batcher.cli.commands.client.ruling import report_of
    from batcher.cli.show.at_the_end import accepted_by

    plain = len(waves) == 1 and not labels and settings.allow_inconsistent is None
    if plain and (as_json or outputs.are_of_service):
        for told in report_of(waves[0], outputs, service, token_file, settings, as_json=as_json):
            tell(told)
        return exits.CREATED
    ours = accepted_by(settings)  # read where its name means what was typed
    is_ours = settings.allow_inconsistent is not None
    out = outputs.elsewhere()
    with copies(waves, service, token_file, settings, with_acceptances=not is_ours) as here:
        accepted = ours if is_ours else here.acceptances
        return _report(here.paths, None, (), labels, out, lambda: accepted, named, words=here.words, as_json=as_json)


def _report(
    results: tuple[Path, ...],
    journal: "JournalPlace | None",
    entries: tuple[str, ...],
    labels: "LabelFilter",
    out: "Outputs",
    accepted: "Callable[[], Sequence[Acceptance]]",
    named: bool,
    *,
    words: "Mapping[str, str] | None" = None,
    as_json: bool,
) -> int:
    """Report on the files *results*; *named*: a file of accepted differences was typed. *words* name waves of a service
    by their files; None: they are ours."""
    files = {"--html": out.html, "--csv": out.csv, "--differences-csv": out.differences_csv, "--markdown": out.markdown}
    asked = [name for name, path in files.items() if path is not None]
    if out.delimiter and out.csv is None and out.differences_csv is None:
        raise click.UsageError("--delimiter is for --csv and --differences-csv: give one of them.")
    if len(results) > 1 and out.html is not None:
        results = _of_one_page(results, journal, as_json, [name for name in asked if name != "--html"])
    elif len(results) > 2:
        raise click.UsageError("Name one results file, two to see what changed between them, or several with --html.")
    elif len(results) == 2:
        if asked:
            raise click.UsageError(f"{asked[0]} takes one results file; two files are only compared.")
        if named:
            raise click.UsageError("Two files are only compared: --allow-inconsistent says nothing about that.")
        if journal is not None or entries:
            raise click.UsageError("Two files are only compared: --journal and --entries say nothing about that.")
        return _compare(results[0], results[1], labels, as_json)

    said = counts_of(results, entries)
    acceptances = accepted()
    if not asked:
        return _summary(results[0], journal, said.get(results[0]), acceptances, labels, words, as_json)
    if as_json:
        raise click.UsageError(f"--json prints a summary, {asked[0]} writes one: use one of the two.")
    from batcher.cli.outputs import refuse_outputs

    refuse_outputs(results, files)
    if out.html is not None:
        _write_page(out.html, results, acceptances, journal, said, labels)
    if len(asked) > (out.html is not None):
        from batcher.report.gather import gather

        report = gather(results[0], acceptances, journal=journal, entries=said.get(results[0]), labels=labels)
        _write(report, out.csv, out.differences_csv, out.delimiter or ",", out.markdown)
    return exits.CREATED


def _of_one_page(
    results: "Sequence[Path]", journal: "JournalPlace | None", as_json: bool, also: "Sequence[str]"
) -> tuple[Path, ...]:
    """The results files of a page over several waves, each once. Raises `UsageError`."""
    from batcher.journal.files import is_verdicts

    if also or as_json:
        raise click.UsageError(
            f"{also[0] if also else '--json'} takes one results file; of several --html makes one page."
        )
    one_journal(results, journal)
    kept = tuple(path for path in dict.fromkeys(results) if not is_verdicts(path))
    if not kept:
        raise click.UsageError("Name the results files; the verdicts are found beside them.")
    return kept


def _write_page(
    html: Path,
    results: "Sequence[Path]",
    acceptances: "Sequence[Acceptance]",
    journal: "JournalPlace | None",
    entries: "Mapping[Path, int]",
    labels: "LabelFilter",
) -> None:
    from batcher.report.html import write_page
    from batcher.report.page_data import gather_page

    data = gather_page(results, acceptances, journal=journal, entries=entries, labels=labels)
    with _told(html):
        write_page(html, data)


def _summary(
    results: Path,
    journal: "JournalPlace | None",
    entries: int | None,
    acceptances: "Sequence[Acceptance]",
    labels: "LabelFilter",
    words: "Mapping[str, str] | None",
    as_json: bool,
) -> int:
    from batcher.report.gather import coverage_of_file, only, read_verdicts
    from batcher.report.read import tally_file

    whole, tally, torn = tally_file(results, labels)
    coverage = coverage_of_file(results, whole, journal, entries)
    verdicts = read_verdicts(results, acceptances, journal=journal, entries=entries, labels=labels)
    if as_json:
        problems = [*whole.misfits(coverage.entries), *([coverage.unproven] if coverage.unproven else [])]
        gate = verdicts and verdicts.gate.told()
        told = {"file": str(results), "torn": torn, "problems": problems, **tally.as_json()}
        told["labels"] = {name: sorted(values) for name, values in labels.wanted.items()}
        _print_json({**told, "wave": coverage.as_json(), "gate": gate})
        return exits.CREATED
    from batcher.cli.show.terminal import console
    from batcher.report.summary import print_summary

    note = coverage.note if words is None else None
    notes = [said for said in (coverage.unproven or note,) if said is not None and verdicts is None]
    if torn:
        notes.append(
            "The last line is cut off (the wave is running, or was killed) and not counted. A resumed wave mends it."
        )
    known = coverage.entries
    if labels:
        notes += [*(f"{misfit}." for misfit in whole.misfits(known)), only(labels, tally, coverage)]
        known = None
    out = console()
    print_summary(out, tally, title=str(results), entries=known, notes=tuple(notes))
    if verdicts is not None:
        from batcher.cli.show.blockers import advice_for, at_service
        from batcher.cli.show.gate_result import print_gate

        out.print()
        print_gate(out, verdicts.gate, advice=advice_for(journal) if words is None else at_service(words))
    return exits.CREATED


def _write(
    report: "Report",
    csv: Path | None,
    differences_csv: Path | None,
    delimiter: str,
    markdown: Path | None,
) -> None:
    from batcher.whole import whole_text

    results = report.file
    if report.verdicts is None and differences_csv:
        raise UserError(f"{results} has no verdicts beside it yet: run `batcher watch {results}` first.")
    if csv is not None:
        from batcher.report.tables import DELIMITERS, write_entries

        with _told(csv), whole_text(csv, encoding="utf-8-sig", newline="") as out:
            write_entries(out, results, report.verdicts, DELIMITERS[delimiter], report.wave.labels)
    if differences_csv is not None and report.verdicts is not None:
        from batcher.report.tables import DELIMITERS, write_differences

        with _told(differences_csv), whole_text(differences_csv, encoding="utf-8-sig", newline="") as out:
            write_differences(out, report.verdicts, DELIMITERS[delimiter])
    if markdown is not None:
        from batcher.report.markdown import markdown as as_markdown

        text = as_markdown(report)
        if str(markdown) == "-":
            click.echo(text, nl=False)
        else:
            with _told(markdown), whole_text(markdown) as out:
                out.write(text)


@contextmanager
def _told(path: Path) -> "Iterator[None]":
    """Say that *path* was written, or why not."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}.", exit_code=exits.STOPPED) from None
    tell(f"wrote {path}")


def _compare(first: Path, second: Path, labels: "LabelFilter", as_json: bool) -> int:
    from batcher.report.changes import changes
    from batcher.report.standing import standings

    found = changes(standings(first, labels), standings(second, labels))
    if as_json:
        _print_json(
            {
                "first": str(first),
                "second": str(second),
                "changes": [
                    {
                        "kind": change.kind.value,
                        "key": change.entry.key,
                        "job_id": change.entry.job_id,
                        "before": change.before and change.before.text,
                        "after": change.after and change.after.text,
                    }
                    for change in found
                ],
            }
        )
        return exits.CREATED
    from batcher.cli.show.terminal import console
    from batcher.report.summary import print_changes

    print_changes(console(), found, first=first.name, second=second.name)
    return exits.CREATED


def _print_json(value: dict[str, Any]) -> None:
    from batcher.cli.show.json_pieces import print_json

    print_json(value)
