"""`batcher select`: some entries of a wave as the manifest of the next one."""

import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from batcher import streams
from batcher.cli import exits
from batcher.cli.entries import journal_option, label_option, missing, shared_place
from batcher.cli.show.terminal import note, tell
from batcher.errors import UserError
from batcher.nearest import nearest

if TYPE_CHECKING:
    from batcher.journal.place import JournalPlace
    from batcher.journal.port import Record
    from batcher.manifest.labels import LabelFilter
    from batcher.manifest.write import ManifestLine
    from batcher.wave.selection import EntrySelection, NamedEntries

T = TypeVar("T", bound=StrEnum)

_EPILOG = """\b
Examples:
  batcher select results.jsonl -o next.jsonl
  batcher select results.jsonl --status failed,partial -o next.jsonl
  batcher select results.jsonl --label team=pay --label tier=1 -o pay.csv
  batcher select results.jsonl --job 7b1c… --status created -o once-more.jsonl
  batcher select results.jsonl --status failed --kind state,conflict -o later.csv
  batcher select results.jsonl --kind throttled -o - | jq -r .job_id
  batcher select results.jsonl --recheck inconsistent,failed -o recheck.jsonl

\b
Statuses: created, partial, failed, unsettled, not_submitted (invalid ones have no request to write).
Kinds: validation, auth, permission, not_found, state, conflict, throttled, server, network, timeout,
protocol, stopped.
Verdicts, for --recheck: inconsistent, failed, timeout, cancelled, unknown.

\b
Exit codes: 0 written; 1 no entry is chosen, and nothing written; 2 bad usage, or a file cannot be used; 3 the
database is away.
"""


@click.command(epilog=_EPILOG)
@click.argument("results", required=False, type=click.Path(path_type=Path))
@click.option("--status", metavar="STATUS,…", help="Statuses to choose. [all but created]")
@click.option("--kind", metavar="KIND,…", help="Of these, only those with one of these values of error_kind.")
@click.option("--recheck", metavar="VERDICT,…", help="Comparisons with one of these verdicts, to be made once more.")
@click.option("--key", "keys", metavar="KEY", multiple=True, help="Choose only entries with this key, or one of these.")
@click.option("--job", "jobs", metavar="ID", multiple=True, help="Choose only entries of this job, or one of these.")
@label_option("Choose")
@click.option(
    "-o", "--output", metavar="MANIFEST", required=True, type=click.Path(allow_dash=True),
    help="File to write, .csv, .json or .jsonl; - for standard output.",
)  # fmt: skip
@click.option("--format", "format_", metavar="csv|json|jsonl", help="Its format. [by its extension; for -: jsonl]")
@click.option("--force", is_flag=True, help="Replace MANIFEST where it exists.")
@journal_option
def command(
    results: Path | None,
    status: str | None,
    kind: str | None,
    recheck: str | None,
    keys: tuple[str, ...],
    jobs: tuple[str, ...],
    labels: "LabelFilter",
    output: str,
    format_: str | None,
    force: bool,
    journal: "JournalPlace | None",
) -> int:
    """Write the entries of RESULTS that ended in some way as a manifest.

    Keys, labels, projects and languages are kept. Of a partial entry only the half that is missing is asked for; with
    --recheck, only the comparisons in question, and of their tables those that are not known to agree. Of a wave in a
    database --journal names the place: RESULTS, its copy here, is brought in line first, or left out.
    """
    from batcher.cli.outputs import refuse_outputs
    from batcher.drs.outcome import ErrorKind
    from batcher.journals import journal_of, reading
    from batcher.life.result import Status
    from batcher.wave.known_files import MANIFEST
    from batcher.wave.results_file import result_lines
    from batcher.wave.selection import EntrySelection, NamedEntries

    place = shared_place(journal)
    if results is None and (place is None or recheck is not None):
        raise missing("results")
    if recheck is not None and (status is not None or kind is not None):
        raise click.UsageError("--recheck chooses by verdict: leave --status and --kind out.")
    not_created = frozenset(Status) - {Status.CREATED}
    statuses = _parsed("--status", status, Status) if status else not_created
    chosen = NamedEntries(keys=frozenset(keys), jobs=frozenset(jobs), labels=labels)
    kinds = _parsed("--kind", kind, ErrorKind) if kind else frozenset[ErrorKind]()
    selection = EntrySelection(statuses=statuses, kinds=kinds, chosen=chosen)
    path = None if output == "-" else Path(output)
    if path is not None and path.exists() and not force:
        raise UserError(f"{path} exists: choose another file, or replace it with --force.")
    refuse_outputs([] if results is None else [results], {"-o": path}, but=[MANIFEST])
    if place is not None and results is not None:
        from batcher.cli.commands.shared.lines import bring_in_line

        bring_in_line(place, results)
    if recheck is not None and results is not None:
        return _recheck(results, recheck, chosen, path, format_, journal)
    with reading(place or journal_of(results or Path(), journal)) as record:
        refuse_outputs([], {"-o": path}, but=[MANIFEST], and_not=_manifest_of(record))
        told = (line for _, line in result_lines(results)) if results is not None else _told_by(record)
        written = _write(path, format_, selection.lines(record, told))
    if written:
        _tell(selection, output)
    else:
        ended = " or ".join(sorted(statuses)) if status else "other than created"
        of_kind = f", of the kind {' or '.join(sorted(kinds))}" if kinds else ""
        _tell_nothing(f"has ended {ended}{of_kind}", chosen, output, selection.passed_over)
    _tell_others(selection)
    return exits.CREATED if written else exits.INCOMPLETE


def _told_by(record: "Record") -> Iterator[dict[str, Any]]:
    """The result lines of the wave in *record*, as objects: of what is settled, as the rest may be sent any time."""
    import orjson

    for line in record.lines():
        yield orjson.loads(line)


def _recheck(
    results: Path,
    recheck: str,
    chosen: "NamedEntries",
    path: Path | None,
    format_: str | None,
    journal: "JournalPlace | None",
) -> int:
    """Write the comparisons to be made once more."""
    from batcher.cli.outputs import refuse_outputs
    from batcher.follow.recheck import Recheck
    from batcher.follow.verdict import Verdict
    from batcher.gate.wave_entries import entries_of
    from batcher.journal.files import WaveFiles
    from batcher.journals import journal_of, reading
    from batcher.text import counted
    from batcher.wave.known_files import MANIFEST

    again = Recheck(_parsed("--recheck", recheck, Verdict), chosen)
    files = WaveFiles.of(results)
    if not files.is_followed:
        raise UserError(f"{results} has no verdicts yet ({files.verdicts.name}): run `batcher watch {results}` first.")
    with reading(journal_of(results, journal)) as record:
        refuse_outputs([], {"-o": path}, but=[MANIFEST], and_not=_manifest_of(record))
        lines = again.lines(record, (entry.verdict for entry in entries_of([results]) if entry.verdict))
        written = _write(path, format_, lines)
    if not written:
        _tell_nothing(
            f"has the verdict {' or '.join(sorted(again.verdicts))}", chosen, str(path or "-"), again.passed_over
        )
        return exits.INCOMPLETE
    where = "" if path is None else f" in {path}"
    cut = f", cut down to {counted(again.tables, 'table')}" if again.tables else ""
    tell(f"{counted(again.count, 'entry', 'entries')}{where}{cut}")
    return exits.CREATED


def _manifest_of(record: "Record") -> list[Path]:
    """The wave's own manifest: the wave cannot go on with any other."""
    manifest = record.facts().get("manifest")
    return [Path(manifest)] if isinstance(manifest, str) else []


def _write(path: Path | None, format_: str | None, lines: "Iterable[ManifestLine]") -> bool:
    """Write the manifest; False: there are no *lines*, and nothing was written."""
    from batcher.manifest.manifest import format_of
    from batcher.manifest.write import write_manifest, writer_of

    format_of(path or "-", format_ or (None if path else "jsonl"))
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        return False
    lines = chain([first], lines)
    if path is not None:
        write_manifest(path, lines, format_)
        return True
    # A manifest is UTF-8, whatever this terminal's encoding is.
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        writer = writer_of(format_of("-", format_ or "jsonl"), out, "standard output")
        for line in streams.while_read(lines):
            writer.write(line)
        writer.close()
    finally:
        out.detach()
    return True


def _tell(selection: "EntrySelection", output: str) -> None:
    from batcher.life.result import Status
    from batcher.text import counted

    where = "" if output == "-" else f" in {output}"
    tell(f"{counted(selection.count, 'entry', 'entries')}{where}")
    if Status.UNSETTLED in selection.statuses:
        note("an unsettled entry may exist already: submitted again, there may be two")


def _tell_nothing(ended: str, chosen: "NamedEntries", output: str, others: Mapping[str, int]) -> None:
    """Say that no entry is chosen, and how those that were meant stand instead."""
    named = [*chosen.keys, *chosen.jobs]
    of = f" of {', '.join(sorted(named)[:3])}{', …' if len(named) > 3 else ''}" if named else ""
    labelled = f" with label {chosen.labels}" if chosen.labels else ""
    there = ", ".join(f"{name} {count:,}" for name, count in others.items())
    tell(f"nothing is chosen: no entry{of}{labelled} {ended}" + (f" (there are: {there})" if there else ""))
    if output != "-":
        from batcher.cli.outputs import nothing_for

        tell(nothing_for(Path(output)))


def _tell_others(selection: "EntrySelection") -> None:
    """Which entries of the wave could not be chosen, and what goes on with them."""
    from batcher.text import counted

    if selection.unwritable:
        lines = ", ".join(map(str, selection.unwritable[:10])) + (", …" if len(selection.unwritable) > 10 else "")
        invalid = counted(len(selection.unwritable), "invalid entry has", "invalid entries have")
        note(f"{invalid} no request to write: mend them in the manifest, at line {lines}")
    if selection.unended > 0:
        rest = counted(selection.unended, "entry has", "entries have")
        tell(f"note: {rest} no result line (yet): not chosen; the same `batcher run` goes on with what is open")


def _parsed(option: str, text: str, kind: type[T]) -> frozenset[T]:
    """The values that *text* names, with commas between. Raises `UsageError` with the nearest known one."""
    found = set()
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word not in list(kind):
            near = nearest(word, list(kind))
            mend = f"Did you mean {near}?" if near else f"Known are {', '.join(kind)}."
            raise click.UsageError(f"{option}: there is no {word!r}. {mend}")
        found.add(kind(word))
    return frozenset(found)
