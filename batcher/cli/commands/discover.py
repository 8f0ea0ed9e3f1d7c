"""`batcher discover`: from the fleet to the manifest."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.credential_flags import credential_flags, credential_options
from batcher.cli.discover_files import lines_of, part_paths, refuse_unusable, write_jobs, write_parts
from batcher.cli.lists import ListedCommand, ListedOption
from batcher.cli.options import load_given, settings_options
from batcher.cli.show.terminal import tell
from batcher.clock import SystemClock
from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.discover.choice import ComparisonOptions
    from batcher.discover.discovery import DiscoveredProject, DiscoveryQuery
    from batcher.drs.auth.sources import CredentialSources
    from batcher.manifest.changes import ManifestChange
    from batcher.manifest.write import ManifestLine
    from batcher.settings import RunSettings

_SETTINGS = (
    *("endpoint", "language", "read_rate", "concurrency", "timeout", "connect_timeout", "ca_bundle", "proxy"),
    *("insecure_http", "quiet", "timezone"),
)
_COMPARABLE = "INCRE_TRANSFER_STARTED"
_WHICH, _WHAT, _OUT = "Which jobs", "What to compare", "What is written"

_EPILOG = """\b
Examples:
  batcher discover --region eu-west-101 -o wave.csv
  batcher discover --region eu-west-101 --all-projects --report jobs.csv -o wave.jsonl
  batcher discover --kind sync --engine 'postgresql*' --tag team=pay --compare lines -o pay.csv
  batcher discover --since wave.csv --force -o wave.csv

\b
Tables are chosen by patterns with *, ? and […]: `orders` in every database, `shop.*` in one.
A job with more tables than --max-tables is split: the parts go to wave.csv, wave.part-2.csv, …, to be run one
after the other with `batcher run --wait`, as a job has one unfinished data comparison at the most.
Jobs of enterprise projects that the credential may not see are not listed by the cloud, and so not here.

\b
Exit codes: 0 every project was told whole; 1 some were not, and the report names them, or no job is to be compared;
2 bad usage or configuration; 3 no project could be read: nothing was written.
"""


def _option(*names: str, group: str, **given: Any) -> Callable[[Any], Any]:
    return click.option(*names, cls=ListedOption, group=group, **given)


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.option("-o", "--output", metavar="MANIFEST", required=True, type=click.Path(allow_dash=True),
              help="File to write, .csv, .json or .jsonl; - for standard output.")  # fmt: skip
@click.option("--format", "format_", metavar="csv|json|jsonl", help="Its format. [by its extension; for -: jsonl]")
@click.option("--force", is_flag=True, help="Replace MANIFEST, its parts and the report where they exist.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as a JSON object on standard output.")
@_option("--region", "regions", metavar="NAME", multiple=True, group=_WHICH,
         help="Region to look in; may be given more than once. [BATCHER_REGION]")  # fmt: skip
@_option("--project-id", "project_ids", metavar="ID", multiple=True, group=_WHICH,
         help="Project to look in; may be given more than once. [BATCHER_PROJECT_ID; else the region's]")  # fmt: skip
@_option("--all-projects", is_flag=True, group=_WHICH, help="Every project that the credential's user may see.")
@_option("--enterprise-project-id", "enterprise_projects", metavar="ID", multiple=True, group=_WHICH,
         help="Only jobs of these enterprise projects. [all that may be seen]")  # fmt: skip
@_option("--kind", "kinds", type=click.Choice(["migration", "sync", "dr"]), multiple=True, group=_WHICH,
         help="Kind of jobs; may be given more than once. [all]")  # fmt: skip
@_option("--engine", "engines", metavar="GLOB", multiple=True, group=_WHICH, help="Engines, like 'mysql*'.")
@_option("--name", "names", metavar="GLOB", multiple=True, group=_WHICH, help="Names of jobs.")
@_option("--tag", "tags", metavar="K=V", multiple=True, group=_WHICH, help="Only jobs that have this tag.")
@_option("--status", "statuses", metavar="STATUS", multiple=True, group=_WHICH,
         help=f"Only jobs with this status. [{_COMPARABLE}: what can be compared now]")  # fmt: skip
@_option("--any-status", is_flag=True, group=_WHICH, help="Jobs whatever their status, to plan ahead.")
@_option("--job-id", "job_ids", metavar="FILE", type=click.Path(path_type=Path), group=_WHICH,
         help="Only the jobs whose ids this file has, one a line.")  # fmt: skip
@_option("--exclude", metavar="FILE", type=click.Path(path_type=Path), group=_WHICH,
         help="Not the jobs whose ids this file has, one a line.")  # fmt: skip
@_option("--compare", type=click.Choice(["auto", "objects", "lines", "contents", "objects+lines"]), default="auto",
         show_default=True, group=_WHAT, help="Comparisons of each job; auto: objects and lines.")  # fmt: skip
@_option("--conflict-policy", type=click.Choice(["keep", "cancel"]), default="keep", show_default=True, group=_WHAT,
         help="What becomes of an unfinished comparison of the job.")  # fmt: skip
@_option("--tables", metavar="all|database|FILE", default="all", show_default=True, group=_WHAT,
         help="Write the tables out, or databases alone, or only tables that a pattern in FILE matches.")  # fmt: skip
@_option("--exclude-tables", metavar="PATTERN", multiple=True, group=_WHAT, help="Not the tables that match.")
@_option("--max-tables", metavar="N|off", default=None, group=_WHAT,
         help="Tables to one comparison; a job with more is split. [1000]")  # fmt: skip
@_option("--schema-as", type=click.Choice(["database", "prefix"]), default=None, group=_WHAT,
         help="Tables in schemas: write the schema as the database, or before the table. [database]")  # fmt: skip
@_option("--names", "names_of", type=click.Choice(["source", "target"]), default=None, group=_WHAT,
         help="Whose names to write where they differ. [source]")  # fmt: skip
@_option("--bare-databases", type=click.Choice(["keep", "leave-out"]), default=None, group=_WHAT,
         help="Databases whose tables nobody tells: write them alone, or not. [keep]")  # fmt: skip
@_option("--report", metavar="FILE", type=click.Path(path_type=Path), group=_OUT,
         help="A line for every job that is listed: written, or left out and why. .csv or .jsonl.")  # fmt: skip
@_option("--since", metavar="MANIFEST", type=click.Path(path_type=Path), group=_OUT,
         help="Tell what came, went and changed since this manifest.")  # fmt: skip
@settings_options(_SETTINGS)
@credential_flags
def command(output: str, format_: str | None, force: bool, as_json: bool, **parameters: Any) -> int:
    """List the jobs of one or more projects and write the manifest that compares them.

    Only reads are sent, at the pace for look-ups. The manifest is written when all is known, whole or not at all, and
    sorted, so that two discoveries differ only where the fleet does.
    """
    options = credential_options(parameters)
    mine = {name: parameters.pop(name) for name in _OWN}
    path = None if output == "-" else Path(output)
    refuse_unusable(path, mine["report"], format_, force=force)
    firsts = {"region": mine["regions"], "project_id": mine["project_ids"]}
    flags = {name: named[0] for name, named in firsts.items() if named}
    loaded = load_given(parameters | flags, (*_SETTINGS, "region", "project_id"))

    import asyncio

    from batcher.cli.failures import told
    from batcher.cli.show.changed import entries_of
    from batcher.manifest import RunDefaults
    from batcher.settings.credentials import credential_sources

    query = _question(mine, to_stdout=path is None)
    sources = credential_sources(loaded.settings, loaded.config, options)
    with told(as_json=False):
        defaults = RunDefaults(endpoint=None, project_id=None, x_language=loaded.settings.language)
        since = [] if mine["since"] is None else [mine["since"], *part_paths(mine["since"])]
        old = [entry for part in since for entry in entries_of(part, defaults, now=SystemClock.now())]
        found = asyncio.run(_discovered(mine, loaded.settings, sources, query))
    if all(project.trouble is not None and not any(project.chosen) for project in found):
        _say_trouble(found)
        return exits.STOPPED
    if mine["report"] is not None:
        write_jobs(mine["report"], found)
    any_written = any(any(project.chosen) for project in found)
    parts, gone = write_parts(found, path, format_) if any_written else ([], [])
    changed = _changes(old, parts) if since else None
    missing = _not_listed(found, query)
    for job_id in missing:
        tell(f"job {job_id}: --job-id names it, and no project lists it")
    if as_json or not loaded.settings.quiet:
        _tell(found, parts, path, mine["report"], changed, mine["since"], as_json=as_json)
    else:
        _say_notes(found)
        _say_trouble(found)
    if not any_written:
        tell(f"No job is to be compared: {'a manifest' if path is None else path} is not written.{_hint(found)}")
    for stale in gone:
        tell(f"{stale}: removed, as no job has so many parts any more")
    unseen = any(project.trouble is not None or project.notes for project in found)
    return exits.INCOMPLETE if unseen or missing or not any_written else exits.CREATED


_OWN = (
    *("regions", "project_ids", "all_projects", "enterprise_projects", "kinds", "engines", "names", "tags", "statuses"),
    *("any_status", "job_ids", "exclude", "compare", "conflict_policy", "tables", "exclude_tables", "max_tables"),
    *("schema_as", "names_of", "bare_databases", "report", "since"),
)


def _question(mine: dict[str, Any], *, to_stdout: bool) -> "DiscoveryQuery":
    from batcher.discover.discovery import DiscoveryQuery
    from batcher.discover.selection import JobSelection

    kinds = {"migration": "migration", "sync": "sync", "dr": "cloudDataGuard"}
    if mine["any_status"] and mine["statuses"]:
        raise click.UsageError("--status and --any-status say two things: give one of the two.")
    statuses = None if mine["any_status"] else frozenset(name.upper() for name in mine["statuses"] or (_COMPARABLE,))
    if mine["project_ids"] and mine["all_projects"]:
        raise click.UsageError("--project-id and --all-projects say two things: give one of the two.")
    return DiscoveryQuery(
        kinds=tuple(kinds[kind] for kind in mine["kinds"] or kinds),  # type: ignore[misc]
        selection=JobSelection(
            engines=mine["engines"],
            names=mine["names"],
            statuses=statuses,
            job_ids=None if mine["job_ids"] is None else frozenset(lines_of(mine["job_ids"], "--job-id")),
            excluded=frozenset(lines_of(mine["exclude"], "--exclude")) if mine["exclude"] is not None else frozenset(),
        ),
        wanted=_wanted(mine, to_stdout=to_stdout),
        tags=dict(_tag(text) for text in mine["tags"]),
        enterprise_projects=mine["enterprise_projects"],
    )


def _wanted(mine: dict[str, Any], *, to_stdout: bool) -> "ComparisonOptions":
    from batcher.discover.choice import ComparisonOptions
    from batcher.drs import guesses

    tables = mine["tables"]
    if mine["exclude_tables"] and tables == "database":
        raise click.UsageError("--exclude-tables chooses among tables, and --tables database writes none.")
    return ComparisonOptions(
        compare=mine["compare"],
        conflict_policy=mine["conflict_policy"],
        databases_only=tables == "database",
        only=None if tables in ("all", "database") else tuple(lines_of(Path(tables), "--tables")),
        without=mine["exclude_tables"],
        max_tables=_max_tables(mine["max_tables"]),
        schema_as=mine["schema_as"] or guesses.SCHEMA_AS,
        names_of=mine["names_of"] or guesses.NAMES_OF,
        bare_databases=mine["bare_databases"] or guesses.BARE_DATABASES,
        may_split=not to_stdout,
    )


def _max_tables(text: str | None) -> int | None:
    from batcher.drs import guesses

    if text is None:
        return guesses.MAX_TABLES
    if text == "off":
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1_000_000):
        raise click.UsageError(f"--max-tables {text}: write a number from 1 to 999999, or off.")
    return int(text)


def _tag(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.UsageError(f"--tag {text}: write it as NAME=VALUE.")
    return name, value


async def _discovered(
    mine: dict[str, Any], settings: "RunSettings", sources: "CredentialSources", query: "DiscoveryQuery"
) -> "list[DiscoveredProject]":
    import asyncio

    from batcher.cli.show.live import live_count
    from batcher.clock import SystemClock
    from batcher.discover.connect import ProjectChoice, endpoints_of, readers_of, scopes_of
    from batcher.discover.discovery import Progress, discover
    from batcher.run_defaults import run_defaults

    if len(mine["regions"]) > 1:
        endpoints = endpoints_of(mine["regions"])
    else:
        endpoint = run_defaults(settings, sources).endpoint
        if endpoint is None:
            raise UserError("say where to look: --region NAME, or --endpoint URL.")
        endpoints = (endpoint,)
    named = mine["project_ids"]
    if not named and not mine["all_projects"] and settings.project_id is not None:
        named = (settings.project_id,)
    where = ProjectChoice(endpoints=endpoints, project_ids=named, all_projects=mine["all_projects"])
    clock, progress = SystemClock(), Progress()
    scopes = await scopes_of(where, settings, sources)
    async with readers_of(scopes, settings, sources, clock) as readers:
        with live_count(progress.said, quiet=settings.quiet) as on_progress:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        discover(readers[scope], scope.endpoint, scope.project_id, query, progress, on_progress)
                    )
                    for scope in scopes
                ]
    return [task.result() for task in tasks]


def _changes(old: "Sequence[Any]", parts: "Sequence[Sequence[ManifestLine]]") -> "list[ManifestChange]":
    from batcher.discover.written import entries
    from batcher.manifest.changes import changes

    return list(changes(old, entries(parts), parts_as_one=True))


def _not_listed(found: "Sequence[DiscoveredProject]", query: "DiscoveryQuery") -> list[str]:
    """The ids that --job-id asks for and that no project lists."""
    listed = {one.job.id for project in found for one in project.jobs}
    return sorted((query.selection.job_ids or frozenset()) - listed)


def _hint(found: "Sequence[DiscoveredProject]") -> str:
    if any(project.jobs for project in found):
        return ""
    return " No job is listed at all: is it the right region and project, and may the credential see their jobs?"


def _say_notes(found: "Sequence[DiscoveredProject]") -> None:
    for project in found:
        for note in project.notes:
            tell(f"project {project.project_id}: {note}")


def _say_trouble(found: "Sequence[DiscoveredProject]") -> None:
    from batcher.discover.written import trouble_said

    for project in found:
        if project.trouble is not None:
            tell(f"project {project.project_id} at {project.endpoint}: {trouble_said(project)}")


def _counts(
    found: "Sequence[DiscoveredProject]", parts: "Sequence[Sequence[ManifestLine]]", path: Path | None
) -> dict[str, Any]:
    """The counts as data."""
    from batcher.discover.written import guesses_made, part_path, reasons

    return {
        "listed": sum(len(project.jobs) for project in found),
        "written": sum(1 for project in found for _ in project.chosen),
        "left_out": dict(reasons(found)),
        "entries": sum(map(len, parts)),
        "manifests": [] if path is None else [str(part_path(path, number)) for number in range(len(parts))],
        "guesses": {guess.value: count for guess, count in guesses_made(found).items()},
        "projects": [
            {
                "endpoint": project.endpoint,
                "project_id": project.project_id,
                "listed": len(project.jobs),
                "written": sum(1 for _ in project.chosen),
                "trouble": None if project.trouble is None else project.trouble.error_code or project.trouble.kind,
                "notes": project.notes,
            }
            for project in found
        ],
    }


def _tell(
    found: "Sequence[DiscoveredProject]",
    parts: "Sequence[Sequence[ManifestLine]]",
    path: Path | None,
    report: Path | None,
    changed: "Sequence[ManifestChange] | None",
    since: Path | None,
    *,
    as_json: bool,
) -> None:
    import orjson

    from batcher.cli.show import changed as shown
    from batcher.discover.choice import GUESS_SAID
    from batcher.discover.written import guesses_made, part_path, reasons
    from batcher.text import counted

    listed = sum(len(project.jobs) for project in found)
    written = sum(1 for project in found for _ in project.chosen)
    left_out = reasons(found)
    if as_json:
        said = _counts(found, parts, path)
        if changed is not None:
            said["changes"] = shown.as_json(changed)
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2), err=path is None)
        return
    tell(f"{counted(listed, 'job')} listed = {written:,} written + {sum(left_out.values()):,} left out")
    for reason, count in left_out.items():
        tell(f"  {count:>7,}  {reason}")
    for guess, count in guesses_made(found).items():
        tell(f"{counted(count, 'job rests', 'jobs rest')} on a guess: {GUESS_SAID[guess]}")
    _say_notes(found)
    _say_trouble(found)
    if changed is not None:
        for line in shown.table(changed, str(since)):
            tell(line)
    if path is not None and parts:
        for number, lines in enumerate(parts):
            tell(f"{part_path(path, number)}: {counted(len(lines), 'entry', 'entries')}")
        if len(parts) > 1:
            tell("Run the parts one after the other, each with --wait: a job takes one data comparison at a time")
        tell(f"Next: batcher check {path}")
    if report is not None:
        tell(f"Every job and why: {report}")
    elif left_out:
        tell("Which jobs were left out, and why: --report jobs.csv")
