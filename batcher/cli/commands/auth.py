"""`batcher auth`: which credential each scope uses, and whether the cloud takes it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.credential_flags import credential_flags, credential_options
from batcher.cli.lists import ListedCommand
from batcher.cli.options import OF_MANIFEST, load_given, settings_options
from batcher.clock import SystemClock
from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.drs.auth.probe import CheckedCredential
    from batcher.drs.auth.sources import CredentialSources
    from batcher.settings import RunSettings

_SETTINGS = (*OF_MANIFEST, "timeout", "connect_timeout", "ca_bundle", "proxy")
_AT_ONCE = 8
_HONEST = "Taken means: let in to read. Whether it may create comparison tasks only a create request can show."

_EPILOG = """\b
Examples:
  batcher auth wave.csv --region eu-west-101
  batcher auth --region eu-west-101 --project-id 0123… --token-file token.txt
  batcher auth wave.csv --json | jq '.scopes[] | select(.standing != "taken")'

The first that is complete is used: flags; the section [profiles.NAME] of the config file that names the project;
BATCHER_TOKEN, BATCHER_AK and BATCHER_SK, BATCHER_USERNAME with BATCHER_PASSWORD and BATCHER_DOMAIN, or any secret's
name with _FILE; the config file; HUAWEICLOUD_SDK_…; ~/.huaweicloud/credentials; HW_…; OS_….

\b
Exit codes: 0 all taken; 1 some could not be asked; 2 none found, or bad usage; 3 some refused.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("manifest", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "format_", metavar="csv|json|jsonl", help="Format of MANIFEST; by default by its extension.")
@click.option("--encoding", metavar="NAME", help="Encoding of MANIFEST; by default UTF-8.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of the table.")
@settings_options(_SETTINGS)
@credential_flags
def command(manifest: Path | None, format_: str | None, encoding: str | None, as_json: bool, **parameters: Any) -> int:
    """Show which credential each scope of MANIFEST uses, where it is from, and whether the cloud takes it.

    Without MANIFEST the scope is that of --region (or --endpoint) and --project-id. The cloud is asked for the status
    of one job; nothing is created. No secret is shown.
    """
    options = credential_options(parameters)
    loaded = load_given(parameters, _SETTINGS)
    import asyncio

    from batcher.settings.credentials import credential_sources

    sources = credential_sources(loaded.settings, loaded.config, options)
    checked = asyncio.run(_check(manifest, format_, encoding, loaded.settings, sources))
    if as_json:
        _print_json(checked)
    else:
        _print_table(checked)
    standings = {each.standing for each in checked}
    return exits.STOPPED if "refused" in standings else exits.INCOMPLETE if "unknown" in standings else exits.CREATED


async def _check(
    manifest: Path | None,
    format_: str | None,
    encoding: str | None,
    settings: "RunSettings",
    sources: "CredentialSources",
) -> list["CheckedCredential"]:
    from batcher.drs.auth.find import CredentialFinder
    from batcher.drs.auth.probe import check_credential
    from batcher.scopes import cloud_of, open_transport

    jobs = await _scopes(manifest, format_, encoding, settings, sources)
    import asyncio

    turns = asyncio.Semaphore(_AT_ONCE)
    async with open_transport(settings, to=[endpoint for endpoint, _ in jobs]) as transport:
        finder = CredentialFinder(sources, transport)
        credentials = await finder.find_in_thread(jobs)

        async def check(scope: tuple[str, str]) -> "CheckedCredential":
            async with turns:
                cloud = cloud_of(
                    finder.transport, endpoint=scope[0], project_id=scope[1], credential=credentials[scope]
                )
                return await check_credential(finder, cloud, credentials[scope], *scope, jobs[scope])

        return await asyncio.gather(*map(check, jobs))


async def _scopes(
    manifest: Path | None,
    format_: str | None,
    encoding: str | None,
    settings: "RunSettings",
    sources: "CredentialSources",
) -> dict[tuple[str, str], str | None]:
    """The scopes to ask about, (endpoint, project id) each, and a job of each to ask for."""
    from batcher.manifest import Entry, Finding, finding_line, open_manifest
    from batcher.scopes import project_at, run_defaults, with_project

    defaults = run_defaults(settings, sources)
    if manifest is None:
        if defaults.endpoint is None:
            raise UserError("which cloud? Give --region NAME or --endpoint URL, or a manifest.")
        project_id = defaults.project_id or await project_at(defaults.endpoint, settings, sources)
        return {(defaults.endpoint, project_id): None}
    opened = open_manifest(manifest, format=format_, encoding=encoding)
    now = SystemClock.now()
    defaults = await with_project(opened, defaults, settings, sources, now)
    jobs: dict[tuple[str, str], str | None] = {}
    unsound: Finding | None = None
    for item in opened.read(defaults, now=now, allow_duplicates=True):
        if isinstance(item, Entry):
            jobs.setdefault((item.endpoint, item.project_id), item.job_id)
        else:
            unsound = unsound or item
    if not jobs:
        first = f"\n{finding_line(unsound)}" if unsound else ""
        raise UserError(f"{manifest} has no sound entry, so no scope: see batcher check {manifest}.{first}")
    return jobs


def _print_json(checked: list["CheckedCredential"]) -> None:
    import orjson
    from msgspec.structs import asdict

    scopes = [asdict(each) for each in checked]
    click.echo(orjson.dumps({"scopes": scopes, "note": _HONEST}, option=orjson.OPT_INDENT_2))


def _print_table(checked: list["CheckedCredential"]) -> None:
    from rich.table import Table
    from rich.text import Text

    from batcher.cli.show.terminal import console, say
    from batcher.text import printable

    out = console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("project", "endpoint", "credential", "the cloud says"):
        table.add_column(heading, overflow="fold")
    for each in checked:
        said = Text(str(each.standing), _STYLES[each.standing])
        if each.cause:
            said.append(f": {each.cause}", "default")
        table.add_row(printable(each.project_id), printable(each.endpoint), printable(each.credential), said)
    out.print(table)
    for why in dict.fromkeys(each.why for each in checked if each.why):
        say(out, Text(f"\n{printable(why)}."))
    for remark in dict.fromkeys(remark for each in checked for remark in each.remarks):
        say(out, Text("\nnote: ", "yellow") + Text(printable(remark) + ".", "default"))
    say(out, Text(f"\n{_HONEST}", "dim"))


_STYLES = {"taken": "green", "refused": "red", "unknown": "yellow"}
