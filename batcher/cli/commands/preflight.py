"""`batcher preflight`: could these entries be submitted now?"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from batcher.cli import exits
from batcher.cli.credential_flags import credential_flags, credential_options
from batcher.cli.entries import label_option
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.show.terminal import tell
from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.text import counted

if TYPE_CHECKING:
    from rich.text import Text

    from batcher.drs.auth.sources import CredentialSources
    from batcher.holding.preflight import JobReport
    from batcher.life.entry import Scope
    from batcher.manifest import Entry, Finding
    from batcher.manifest.labels import LabelFilter
    from batcher.settings import RunSettings

_SETTINGS = (
    "region",
    "endpoint",
    "project_id",
    "language",
    "read_rate",
    "concurrency",
    "timeout",
    "connect_timeout",
    "allow_duplicates",
    "ca_bundle",
    "proxy",
    "insecure_http",
    "quiet",
    "timezone",
)
_FILE = click.Path(path_type=Path, dir_okay=False)
_SHOWN = 20  # jobs of each kind; --json has them all

_EPILOG = """\b
Examples:
  batcher preflight wave.csv --region eu-west-101 --project-id 0123…
  batcher preflight wave.csv --label team=pay
  batcher preflight wave.csv --ready-to tonight.csv --rest-to tomorrow.csv
  batcher preflight wave.csv --json | jq -r '.jobs[] | select(.readiness != "ready") | .job_id'

\b
ready          the job is in INCRE_TRANSFER_STARTED
not yet        it gets there by itself: see --wait-ready of `batcher run`
wrong state    it does not, without somebody's doing
parent job     its subtasks are compared: put their ids in the manifest
unknown        there is no such job in the project, or the cloud did not say
no permission  the credential may not see it

\b
Exit codes: 0 all are ready; 1 some are not; 2 bad usage, manifest or configuration.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("manifest", type=click.Path(allow_dash=True))
@click.option("--format", "format_", metavar="csv|json|jsonl", help="Format of MANIFEST; by default by its extension.")
@click.option("--encoding", metavar="NAME", help="Encoding of MANIFEST; by default UTF-8.")
@label_option("Ask for")
@click.option(
    "--ready-to",
    metavar="FILE",
    type=_FILE,
    help="Write the entries that are ready as a manifest, .csv, .json or .jsonl.",
)
@click.option("--rest-to", metavar="FILE", type=_FILE, help="Write the others as one.")
@click.option("--force", is_flag=True, help="Replace these files where they exist.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead, with every job.")
@settings_options(_SETTINGS)
@credential_flags
def command(
    manifest: str,
    format_: str | None,
    encoding: str | None,
    labels: "LabelFilter",
    ready_to: Path | None,
    rest_to: Path | None,
    force: bool,
    as_json: bool,
    **parameters: Any,
) -> int:
    """Ask the cloud for the state of every job in MANIFEST, and say which entries could be submitted now.

    Ten jobs a request, within the limit of look-ups. Nothing is submitted. --ready-to and --rest-to part the manifest
    in two; keys and labels stay.
    """
    options = credential_options(parameters)
    loaded = load_given(parameters, _SETTINGS)

    import asyncio

    from batcher.cli.failures import told
    from batcher.settings.credentials import credential_sources

    sources = credential_sources(loaded.settings, loaded.config, options)
    _refuse(manifest, {"--ready-to": ready_to, "--rest-to": rest_to}, force=force)
    with told(as_json=as_json):
        asked = asyncio.run(_asked(manifest, format_, encoding, loaded.settings, sources, labels))
    jobs = asked.jobs
    if not jobs:
        raise UserError(f"no entry of {asked.file} has the label {labels}: nothing was asked.")
    if as_json:
        _print_json(manifest, jobs)
    else:
        from batcher.cli.show.terminal import console, say

        out = console()
        for line in _table(jobs):
            say(out, line)
    _write(asked, ready_to, rest_to)
    return exits.CREATED if all(_readiness(job) == "ready" for job in jobs) else exits.INCOMPLETE


def _refuse(manifest: str, outputs: Mapping[str, Path | None], *, force: bool) -> None:
    """Refuse to write over what is there, unless --force says so, and over the manifest. Raises `UserError`."""
    from batcher.cli.outputs import refuse_outputs
    from batcher.manifest.manifest import format_of
    from batcher.wave.known_files import MANIFEST

    for path in outputs.values():
        if path is None:
            continue
        format_of(path, None)
        if path.exists() and not force:
            raise UserError(f"{path} exists: choose another file, or replace it with --force.")
    refuse_outputs([], outputs, but=[MANIFEST], and_not=[] if manifest == "-" else [Path(manifest)])


class _Asked(NamedTuple):
    """The jobs with their states, and what walks over the entries of the manifest *file* once more."""

    file: str
    jobs: "list[JobReport]"
    entries: "Callable[[], Iterator[Entry]]"


async def _asked(
    manifest: str,
    format_: str | None,
    encoding: str | None,
    settings: "RunSettings",
    sources: "CredentialSources",
    labels: "LabelFilter",
) -> _Asked:
    import random

    from batcher.follow.connect import connected
    from batcher.holding.preflight import preflight
    from batcher.manifest import Entry, open_manifest
    from batcher.manifest.grouped import once
    from batcher.scopes import run_defaults, with_project

    clock = SystemClock()
    opened = open_manifest(manifest, format_, encoding)
    now = clock.now()
    defaults = await with_project(opened, run_defaults(settings, sources), settings, sources, now)

    def items() -> "Iterator[Entry | Finding]":
        return once(opened.read(defaults, now=now, allow_duplicates=settings.allow_duplicates))

    jobs = _jobs(items(), labels)
    async with connected(jobs, settings, clock, sources=sources) as reads:
        with _shown(sum(map(len, jobs.values())), quiet=settings.quiet) as on_told:
            await preflight(jobs, reads, clock, random.Random(), on_told)
    return _Asked(
        opened.file,
        [job for of_scope in jobs.values() for job in of_scope.values()],
        lambda: (item for item in items() if isinstance(item, Entry) and labels.takes(item.labels)),
    )


@contextmanager
def _shown(jobs: int, *, quiet: bool) -> "Iterator[Callable[[int], None]]":
    """Tells, on a terminal, of how many of *jobs* the state is known, when it is told of how many more it is."""
    from batcher.cli.show.live import live_count

    known = 0
    with live_count(lambda: f"asked for {known:,} of {jobs:,} jobs", quiet=quiet) as draw:

        def on_told(more: int) -> None:
            nonlocal known
            known += more
            draw()

        yield on_told


def _jobs(items: "Iterator[Entry | Finding]", labels: "LabelFilter") -> "Mapping[Scope, Mapping[str, JobReport]]":
    """The jobs of the entries with *labels* of a sound manifest. Raises `BadManifest` with everything that is wrong."""
    from batcher.holding.preflight import jobs_of
    from batcher.manifest import Entry
    from batcher.manifest.grouped import GroupedFindings
    from batcher.wave.opening import BadManifest

    found = GroupedFindings()
    count = 0

    def sound() -> "Iterator[Entry]":
        nonlocal count
        for item in items:
            if not isinstance(item, Entry):
                found.add(item)
                continue
            count += 1
            if labels.takes(item.labels):
                yield item

    jobs = jobs_of(sound())
    if found.count:
        raise BadManifest(found, count)
    return jobs


def _readiness(job: "JobReport") -> str:
    from batcher.holding.preflight import readiness_of

    return readiness_of(job).value


def _write(asked: "_Asked", ready_to: Path | None, rest_to: Path | None) -> None:
    """Write the manifests of those that are ready, and of the rest. Raises `ManifestError`, OSError."""
    from batcher.cli.outputs import nothing_for
    from batcher.manifest.write import ManifestLine, write_manifest

    ready = {(job.endpoint, job.project_id, job.job_id): _readiness(job) == "ready" for job in asked.jobs}
    for path, wanted, said in ((ready_to, True, "no entry is ready"), (rest_to, False, "every entry is ready")):
        if path is None:
            continue
        if wanted not in ready.values():
            tell(f"{said}: {nothing_for(path)}")
            continue
        chosen = (
            ManifestLine.of(entry)
            for entry in asked.entries()
            if ready[entry.endpoint, entry.project_id, entry.job_id] is wanted
        )
        count = write_manifest(path, chosen)
        tell(f"{counted(count, 'entry', 'entries')} in {path}")


def _counts(jobs: "Iterable[JobReport]") -> Mapping[str, tuple[int, int]]:
    """Jobs and entries of each readiness, in the order of the table."""
    from batcher.holding.readiness import Readiness

    of_jobs: Counter[str] = Counter()
    entries: Counter[str] = Counter()
    for job in jobs:
        of_jobs[_readiness(job)] += 1
        entries[_readiness(job)] += len(job.keys)
    return {kind.value: (of_jobs[kind.value], entries[kind.value]) for kind in Readiness}


def _table(jobs: "list[JobReport]") -> "Iterator[Text]":
    from rich.text import Text

    from batcher.text import printable

    several = len({(job.endpoint, job.project_id) for job in jobs}) > 1
    counts = _counts(jobs)
    styles = {"ready": "green", "not yet": "yellow"}
    for kind, (of_jobs, entries) in counts.items():
        if of_jobs or kind == "ready":
            line = Text(f"{kind:14}", styles.get(kind, "red"))
            line.append(f"{counted(entries, 'entry', 'entries'):>14}  {counted(of_jobs, 'job'):>10}", "default")
            yield line
    for kind, (of_jobs, _) in counts.items():
        if kind == "ready" or not of_jobs:
            continue
        yield Text(f"\n{kind}", "bold")
        for job in [job for job in jobs if _readiness(job) == kind][:_SHOWN]:
            state = job.state
            said = " ".join(filter(None, [state.status or state.error_code, state.why])) if state else ""
            line = Text(f"  {printable(job.job_id)}  {printable(said, 300)}")
            more = f" and {len(job.keys) - 1:,} more" if len(job.keys) > 1 else ""
            line.append(f"  key {printable(job.keys[0], 70)}{more}", "dim")
            if several:
                line.append(f"  project {printable(job.project_id)}", "dim")
            yield line
        if of_jobs > _SHOWN:
            yield Text(f"  … and {of_jobs - _SHOWN:,} more; --json has them all", "dim")


def _print_json(manifest: str, jobs: "list[JobReport]") -> None:
    import orjson

    counts = {kind: {"jobs": of_jobs, "entries": entries} for kind, (of_jobs, entries) in _counts(jobs).items()}
    said = {
        "manifest": manifest,
        "ready": all(_readiness(job) == "ready" for job in jobs),
        "counts": counts,
        "jobs": [
            {
                "job_id": job.job_id,
                "project_id": job.project_id,
                "endpoint": job.endpoint,
                "readiness": _readiness(job),
                "status": job.state.status if job.state else None,
                "error_code": job.state.error_code if job.state else None,
                "why": (job.state.why or None) if job.state else None,
                "keys": job.keys,
            }
            for job in jobs
        ],
    }
    click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
