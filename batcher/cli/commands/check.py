"""`batcher check`: what is wrong with a manifest, or what it asks for; touches no network."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.lists import ListedCommand
from batcher.cli.options import OF_MANIFEST, given, load_given, settings_options
from batcher.clock import SystemClock
from batcher.settings.names import flag_name
from batcher.text import counted, printable

if TYPE_CHECKING:
    from batcher.cli.show.terminal import Span
    from batcher.manifest import Finding, Manifest, RunDefaults
    from batcher.manifest.grouped import FindingGroup, GroupedFindings
    from batcher.manifest.overview import Overview
    from batcher.pace.estimate import Estimate
    from batcher.settings import RunSettings

_SETTINGS = (*OF_MANIFEST, "rate", "timezone")
_GROUPS = 12  # shown
_SCOPES = 8
_OF_INVALID = ("endpoint", "project_id", "labels")  # of a finding; for `run --skip-invalid`
_VALUES = 6
_REMARKS = {
    "digits": "with a job id of digits alone. Compare it with the console: a spreadsheet drops zeros in front, and "
    "all digits behind the 15th",
    "nothings": "with a database or table called NULL, None or nan. Is there one? Programs write it for nothing",
}

_EPILOG = """\b
Examples:
  batcher check wave.csv --region eu-west-101 --project-id 0123…
  batcher check wave.csv --json | jq '.findings[].line'
  batcher check - --format jsonl < wave.jsonl
  batcher check wave.csv --against approved.csv
  batcher check wave.csv --show 0 | jq .body
  batcher check wave.csv --job 7b1c… --curl

Exits with 0 where the manifest is sound, and with 2 where it is not; with --against, 1 where it is sound and differs.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("manifest", type=click.Path(allow_dash=True))
@click.option("--format", "format_", metavar="csv|json|jsonl", help="Format of MANIFEST; by default by its extension.")
@click.option("--encoding", metavar="NAME", help="Encoding of MANIFEST; by default UTF-8.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead, with every finding.")
@click.option(
    "--against",
    metavar="APPROVED",
    type=click.Path(path_type=Path),
    help="Tell what differs from this manifest.",
)
@click.option("--show", "index", metavar="N", type=int, help="Print the request of this entry, counted from 0.")
@click.option("--key", metavar="KEY", help="Print the request of the entry with this key.")
@click.option("--job", metavar="ID", help="Print the request of each entry of this job.")
@click.option("--curl", is_flag=True, help="Print it as a command for a shell; its token is taken from BATCHER_TOKEN.")
@settings_options(_SETTINGS)
def command(
    manifest: str,
    format_: str | None,
    encoding: str | None,
    as_json: bool,
    against: Path | None,
    index: int | None,
    key: str | None,
    job: str | None,
    curl: bool,
    **parameters: Any,
) -> int:
    """Check the whole of MANIFEST, and show what it asks for; nothing is sent and no network touched.

    The digest it shows belongs to this very file: `batcher run --digest` runs no other. --show, --key and --job print
    requests as they will leave instead, as JSON, without the credential.
    """
    named = _one_request(index, key, job, curl=curl, against=against is not None, as_json=as_json)
    flags = {**given(dict(parameters), _SETTINGS), "config": parameters["config"], "profile": parameters["profile"]}
    settings = load_given(parameters, _SETTINGS).settings

    from batcher.manifest import ManifestError, open_manifest
    from batcher.manifest.grouped import GroupedFindings
    from batcher.run_defaults import run_defaults

    defaults = run_defaults(settings)
    try:
        opened = open_manifest(manifest, format_, encoding)
    except ManifestError as error:
        if not as_json:
            raise
        print_findings(GroupedFindings([error.finding]), entries=0, as_json=True)
        return exits.USAGE
    if named:
        from batcher.cli.show.request import Wanted, print_requests
        from batcher.run_defaults import checked

        wanted = Wanted(index=index, key=key, job_id=job)
        items = checked(opened, defaults, now=SystemClock.now(), allow_duplicates=settings.allow_duplicates)
        theirs, shown = print_requests(items, wanted, opened.file, curl=curl)
        if theirs.count:
            print_findings(theirs, entries=shown, as_json=as_json and not shown)
        return exits.USAGE if theirs.count else exits.CREATED
    found: _JsonFindings | GroupedFindings = _JsonFindings(opened.file) if as_json else GroupedFindings()
    overview = _read(opened, defaults, found.add, allow_duplicates=settings.allow_duplicates)
    if found.count:
        if isinstance(found, _JsonFindings):
            found.end(overview.entries)
        else:
            _print_groups(found, overview.entries, stderr=False)
        return exits.USAGE
    if against is not None:
        return _compared(against, opened, defaults, as_json=as_json)
    typed = _run_command(manifest, {**flags, "format": format_, "encoding": encoding}, opened.digest)
    if as_json:
        _print_overview_json(opened, overview, settings, typed)
    else:
        _print_overview(opened, overview, settings, typed)
    return exits.CREATED


def _one_request(
    index: int | None, key: str | None, job: str | None, *, curl: bool, against: bool, as_json: bool
) -> bool:
    """Whether single requests are to be printed. Raises `UsageError` where what was typed does not go together."""
    named = sum(value is not None for value in (index, key, job))
    if named > 1:
        raise click.UsageError("Say which request: give one of --show, --key and --job.")
    if curl and not named:
        raise click.UsageError("--curl is for one request: say which, with --show, --key or --job.")
    if named and against:
        raise click.UsageError("--against compares whole manifests: leave --show, --key and --job out.")
    if curl and as_json:
        raise click.UsageError("--json prints the request as JSON, --curl as a command: use one of the two.")
    return named == 1


def _compared(against: Path, opened: "Manifest", defaults: "RunDefaults", *, as_json: bool) -> int:
    """Print what came, went and changed in *opened* since the manifest *against*. Both may hold past start times."""
    from batcher.cli.failures import told
    from batcher.cli.show import changed
    from batcher.manifest.changes import changes

    with told(as_json=as_json):
        before = changed.entries_of(against, defaults, now=0.0)
        after = changed.entries_of(opened, defaults, now=0.0)
    found = list(changes(before, after))
    if as_json:
        _print_json({"file": str(opened.file), "against": str(against), "changes": changed.as_json(found)})
    else:
        for line in changed.table(found, str(against)):
            click.echo(line)
    return exits.INCOMPLETE if found else exits.CREATED


def print_findings(found: "GroupedFindings", *, entries: int, as_json: bool = False) -> None:
    """Print what was *found* for people on stderr, or the first thousand findings as a JSON object on standard output.

    *entries* are the sound ones.
    """
    if as_json:
        said = _JsonFindings(found.first[0].file)
        for finding in found.first:
            said.add(finding)
        said.end(entries, count=found.count)
    else:
        _print_groups(found, entries, stderr=True)


class _JsonFindings:
    """Prints findings as they come, in one JSON object, so that a million of them need no memory."""

    def __init__(self, file: str) -> None:
        self._out = sys.stdout.buffer
        self._begin = {"file": file, "sound": False}
        self.count = 0

    def add(self, finding: "Finding") -> None:
        """Print one more."""
        import orjson
        from msgspec.structs import asdict

        if self.count == 0:
            self._out.write(orjson.dumps(self._begin)[:-1] + b',"findings":[')
        told = {name: value for name, value in asdict(finding).items() if name not in _OF_INVALID}
        self._out.write((b",\n" if self.count else b"\n") + orjson.dumps(told))
        self.count += 1

    def end(self, entries: int, count: int | None = None) -> None:
        """End the object. *entries* are the sound ones, *count* all findings where not all of them were printed."""
        import orjson

        rest = {"count": self.count if count is None else count, "entries": entries}
        self._out.write(b"\n]," + orjson.dumps(rest)[1:] + b"\n")
        self._out.flush()


def _print_json(said: Mapping[str, Any]) -> None:
    import orjson

    click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))


def _print_groups(found: "GroupedFindings", entries: int, *, stderr: bool) -> None:
    from batcher.cli.show.terminal import Screen

    screen = Screen(sys.stderr if stderr else sys.stdout)
    for line in _finding_lines(found, entries):
        screen.say(*line)


def _read(
    manifest: "Manifest", defaults: "RunDefaults", found: "Callable[[Finding], None]", *, allow_duplicates: bool
) -> "Overview":
    """What *manifest* asks for; *found* is called with everything that is wrong with it."""
    from batcher.manifest import Entry
    from batcher.manifest.overview import Overview
    from batcher.run_defaults import checked

    overview = Overview()
    for item in checked(manifest, defaults, now=SystemClock.now(), allow_duplicates=allow_duplicates):
        if isinstance(item, Entry):
            overview.add(item)
        else:
            found(item)
    return overview


# --- what is wrong --------------------------------------------------------------------------------------


def _finding_lines(grouped: "GroupedFindings", entries: int) -> "Iterator[tuple[Span, ...]]":
    file = grouped.first[0].file
    count = counted(grouped.count, "finding")
    where = f" in {grouped.entries:,} of {counted(grouped.entries + entries, 'entry', 'entries')}"
    yield ((f"{printable(file)}: {count}{where if grouped.entries and not grouped.whole else ''}", "bold"),)
    for group in grouped.groups[:_GROUPS]:
        yield ()
        yield from _group_lines(group)
    rest = sum(group.count for group in grouped.groups[_GROUPS:]) + grouped.left_out
    if rest:
        yield ()
        yield ((f"  … and {counted(rest, 'more finding')} of other kinds; batcher check --json has all.", "dim"),)


def _group_lines(group: "FindingGroup") -> "Iterator[tuple[Span, ...]]":
    from msgspec.structs import replace

    from batcher.manifest.findings import finding_text, place_parts

    first = group.examples[0]
    if group.count == 1:
        place = f"{', '.join(place_parts(first)[1:])}: " if first.line else ""
        yield ((f"  {place}{finding_text(first)}", "cyan"),)
        return
    alike = {(finding.field, finding.mend) for finding in group.examples}
    shared = len(alike) == 1
    head = finding_text(replace(first, value=None)) if shared else f"{first.field or ''} {first.problem}".strip()
    yield (f"  {head}",)
    for finding in group.examples:
        told = f'"{finding.value}"' if shared and finding.value is not None else ""
        rest = f": {told or finding_text(finding)}" if told or not shared else ""
        yield ((f"    {', '.join(place_parts(finding)[1:])}{rest}", "cyan"),)
    if group.count > len(group.examples):
        more = f"    … and {group.count - len(group.examples):,} more like it; batcher check --json has all."
        yield ((more, "dim"),)


# --- what a sound manifest asks for ---------------------------------------------------------------------


def _print_overview(manifest: "Manifest", overview: "Overview", settings: "RunSettings", typed: str) -> None:
    from batcher.cli.show.terminal import Screen

    screen = Screen(sys.stdout)
    for line in _overview_lines(manifest, overview, settings):
        screen.say(*line)
    screen.say()
    screen.say("  To run exactly this:")
    screen.offer(f"  {typed}")


def _overview_lines(
    manifest: "Manifest", overview: "Overview", settings: "RunSettings"
) -> "Iterator[tuple[Span, ...]]":
    from batcher.run_defaults import UNNAMED_PROJECT

    sound = "no findings, but something to look at" if overview.remarks else "all sound"
    yield ((f"{printable(manifest.file)}  {counted(overview.entries, 'entry', 'entries')}, {sound}", "bold"),)
    yield ()
    for (endpoint, project_id), count in list(overview.scopes.items())[:_SCOPES]:
        name = f"project {project_id}" if project_id != UNNAMED_PROJECT else "the project that IAM names for the user"
        yield (f"  {count:>9,}  {printable(name)} at {printable(endpoint)}",)
    if (more := len(overview.scopes) - _SCOPES) > 0:
        rest = sum(list(overview.scopes.values())[_SCOPES:])
        yield (f"  {rest:>9,}  in {counted(more, 'further project')}",)
    yield ()
    for count, what in _asked(overview):
        yield (f"  {count:>9,}  {what}",)
    for name, values in overview.labels.items():
        shown = [f"{printable(value, 30)} {count:,}" for value, count in values.most_common(_VALUES)]
        more_values = ["…"] if len(values) > _VALUES else []
        yield ((f"  label {printable(name, 40)}: {', '.join(shown + more_values)}", "dim"),)
    for remark, remarked in overview.remarks.items():
        yield ()
        yield ((f"  {remarked.count:>9,}  {_REMARKS[remark.value]}", "yellow"),)
        yield ((f"             The first is in line {remarked.line}, index {remarked.index}.", "dim"),)
    yield ()
    yield (f"  digest  {manifest.digest}",)
    yield (f"  time    {_time(overview, settings)}",)


def _asked(overview: "Overview") -> Iterator[tuple[int, str]]:
    asked = overview.asked
    told = (
        ("object_level", "object-level comparisons"),
        ("lines", "comparisons of row counts (lines)"),
        ("contents", "comparisons of values (contents)"),
        ("keep", "leave an unfinished comparison of their job alone (keep)"),
        ("cancel", "end an unfinished comparison of their job (cancel)"),
        ("quick_comparison", "in the quick mode"),
        ("scheduled", "with a start time"),
    )
    yield from ((asked[name], what) for name, what in told if asked[name])


def _estimated(overview: "Overview", settings: "RunSettings") -> "Estimate[tuple[str, str]]":
    from batcher.pace.estimate import estimate
    from batcher.rates import Rate

    return estimate(overview.scopes, settings.pace if isinstance(settings.pace, Rate) else None)


def _time(overview: "Overview", settings: "RunSettings") -> str:
    match settings.pace:
        case "off":
            return "as long as the cloud takes: no rate is set"
        case "auto":
            return "as long as the cloud takes: the rate is found on the way"
    return f"{_estimated(overview, settings).text} at {settings.pace} in each project, if all goes well"


def _print_overview_json(manifest: "Manifest", overview: "Overview", settings: "RunSettings", typed: str) -> None:
    from batcher.run_defaults import UNNAMED_PROJECT

    estimated = _estimated(overview, settings)
    scopes = [
        {
            "endpoint": endpoint,
            "project_id": None if project_id == UNNAMED_PROJECT else project_id,
            "entries": count,
            "seconds": estimated.seconds_by_scope[endpoint, project_id],
        }
        for (endpoint, project_id), count in overview.scopes.items()
    ]
    said = {"file": manifest.file, "sound": True, "findings": [], "count": 0, "entries": overview.entries}
    rest = {"rate": str(settings.rate), "seconds": estimated.seconds, "command": typed}
    _print_json({**said, "digest": manifest.digest, "scopes": scopes, **overview.as_json(), **rest})


def _run_command(manifest: str, flags: Mapping[str, Any], digest: str) -> str:
    """The command that runs this manifest with the flags that were given, and no other manifest."""
    stem = "wave" if manifest == "-" else Path(manifest).stem
    words = ["batcher", "run", manifest, "-o", f"{stem}.results.jsonl"]
    for name, value in flags.items():
        if value is True:
            words.append(flag_name(name))
        elif value is False:
            words.append(flag_name(f"no_{name}"))
        elif value is not None:
            words += [flag_name(name), str(value)]
    return shlex.join([*words, "--digest", digest])
