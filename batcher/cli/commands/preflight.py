"""`batcher preflight`: could these entries be submitted now?"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.credential_flags import credential_flags, credential_options
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.clock import SystemClock

if TYPE_CHECKING:
    from rich.text import Text

    from batcher.drs.auth.sources import CredentialSources
    from batcher.holding.preflight import JobReport
    from batcher.life.entry import Scope
    from batcher.manifest import Entry
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
_SHOWN = 20  # jobs of each kind; --json has them all

_EPILOG = """\b
Examples:
  batcher preflight wave.csv --region eu-west-101 --project-id 0123…
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
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead, with every job.")
@settings_options(_SETTINGS)
@credential_flags
def command(manifest: str, format_: str | None, encoding: str | None, as_json: bool, **parameters: Any) -> int:
    """Ask the cloud for the state of every job in MANIFEST, and say which entries could be submitted now.

    Ten jobs a request, within the limit of look-ups. Nothing is submitted.
    """
    options = credential_options(parameters)
    loaded = load_given(parameters, _SETTINGS)

    import asyncio

    from batcher.cli.failures import told
    from batcher.settings.credentials import credential_sources

    sources = credential_sources(loaded.settings, loaded.config, options)
    with told(as_json=as_json):
        jobs = asyncio.run(_asked(manifest, format_, encoding, loaded.settings, sources))
    if as_json:
        _print_json(manifest, jobs)
    else:
        from batcher.cli.show.terminal import console, say

        out = console()
        for line in _table(jobs):
            say(out, line)
    return exits.CREATED if all(_readiness(job) == "ready" for job in jobs) else exits.INCOMPLETE


async def _asked(
    manifest: str, format_: str | None, encoding: str | None, settings: "RunSettings", sources: "CredentialSources"
) -> "list[JobReport]":
    import random

    from batcher.clock import SystemClock
    from batcher.follow.connect import connected
    from batcher.holding.preflight import preflight

    clock = SystemClock()
    jobs = await _jobs(manifest, format_, encoding, settings, sources)
    async with connected(jobs, settings, clock, sources=sources) as reads:
        with _shown(sum(map(len, jobs.values())), quiet=settings.quiet) as on_told:
            await preflight(jobs, reads, clock, random.Random(), on_told)
    return [job for of_scope in jobs.values() for job in of_scope.values()]


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


async def _jobs(
    manifest: str, format_: str | None, encoding: str | None, settings: "RunSettings", sources: "CredentialSources"
) -> "Mapping[Scope, Mapping[str, JobReport]]":
    """The jobs of a sound manifest. Raises `BadManifest` with everything that is wrong."""

    from batcher.holding.preflight import jobs_of
    from batcher.manifest import Entry, open_manifest
    from batcher.manifest.grouped import GroupedFindings, once
    from batcher.scopes import run_defaults, with_project
    from batcher.wave.opening import BadManifest

    opened = open_manifest(manifest, format_, encoding)
    now = SystemClock.now()
    defaults = await with_project(opened, run_defaults(settings, sources), settings, sources, now)
    found = GroupedFindings()

    def sound() -> "Iterator[Entry]":
        for item in once(opened.read(defaults, now=now, allow_duplicates=settings.allow_duplicates)):
            if isinstance(item, Entry):
                yield item
            else:
                found.add(item)

    jobs = jobs_of(sound())
    if found.count:
        raise BadManifest(found, sum(len(job.keys) for of_scope in jobs.values() for job in of_scope.values()))
    return jobs


def _readiness(job: "JobReport") -> str:
    return job.state.readiness.value if job.state is not None else "unknown"


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

    from batcher.text import counted, printable

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
            yield Text(f"  {printable(job.job_id)}  {printable(said, 300)}")
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
