"""`batcher doctor`: what stands between this machine and a wave."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.credential_flags import credential_flags, credential_options
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options

if TYPE_CHECKING:
    from batcher.doctor.check import Check
    from batcher.drs.auth.sources import CredentialSources
    from batcher.settings import Loaded

_SETTINGS = (
    *("region", "endpoint", "project_id", "language", "concurrency", "timeout", "connect_timeout"),
    *("ca_bundle", "proxy", "insecure_http", "timezone"),
)

_EPILOG = """\b
Examples:
  batcher doctor --region eu-west-101
  batcher doctor --profile eu --folder /data/waves --json | jq '.checks[] | select(.level != "ok")'

\b
ok       nothing to do
warning  a wave can run, and may be surprised
fault    a wave would stop, or not begin

\b
Exit codes: 0 no fault; 1 some; 2 bad usage or configuration.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), help="Where results will be. [this folder]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
@settings_options(_SETTINGS)
@credential_flags
def command(folder: Path, as_json: bool, **parameters: Any) -> int:
    """Check settings, the way to the cloud, its clock, permissions and disk. Nothing is sent but reads."""
    options = credential_options(parameters)
    loaded = load_given(parameters, _SETTINGS)

    import asyncio

    from batcher.doctor.check import Level
    from batcher.settings.credentials import credential_sources

    sources = credential_sources(loaded.settings, loaded.config, options)
    found = asyncio.run(_checked(loaded, sources, folder))
    if as_json:
        _print_json(found)
    else:
        _print(found)
    return exits.INCOMPLETE if any(check.level is Level.FAULT for check in found) else exits.CREATED


async def _checked(loaded: "Loaded", sources: "CredentialSources", folder: Path) -> "list[Check]":
    from batcher import logs
    from batcher.doctor import machine, way
    from batcher.doctor.check import Level, fault, ok
    from batcher.drs.auth.find import CredentialFinder
    from batcher.errors import UserError
    from batcher.scopes import open_transport, project_at, run_defaults

    logs.stay_modest()
    settings = loaded.settings
    found = list(_settings(loaded))
    found += machine.ignored(sources.home)
    found += machine.folder(folder)
    found.append(machine.open_files(settings, 1))
    try:
        defaults = run_defaults(settings, sources)
        if defaults.endpoint is None:
            found.append(fault("endpoint", "no region and no endpoint", "name one: --region NAME or --endpoint URL"))
            return found
        found += await way.endpoint(defaults.endpoint, settings)
        project_id = defaults.project_id or await project_at(defaults.endpoint, settings, sources)
        async with open_transport(settings) as transport:
            finder = CredentialFinder(sources, transport)
            credential = finder.find(defaults.endpoint, project_id)
            found += await way.scope(finder, credential, defaults.endpoint, project_id)
    except UserError as error:
        first, _, rest = error.message.partition("\n")
        found.append(fault("credential", first.removesuffix("."), rest.strip() or None))
    if all(check.level is not Level.FAULT for check in found):
        found.append(ok("next", "batcher discover -o wave.csv, or batcher check MANIFEST"))
    return found


def _settings(loaded: "Loaded") -> "Iterable[Check]":
    """What is set, and from where; never a value, which may be a secret's place."""
    from batcher.doctor.check import ok, warning

    by_origin: dict[str, list[str]] = {}
    for name, origin in loaded.origins.items():
        by_origin.setdefault(origin, []).append(name)
    for origin, names in by_origin.items():
        yield ok("settings", f"{', '.join(sorted(names))} from {origin}")
    if not by_origin:
        yield ok("settings", "all as built in")
    for said in loaded.warnings:
        yield warning("settings", said, "mend it, or leave it if it is meant")


def _print_json(found: "list[Check]") -> None:
    import orjson
    from msgspec.structs import asdict

    click.echo(orjson.dumps({"checks": [asdict(check) for check in found]}, option=orjson.OPT_INDENT_2))


def _print(found: "list[Check]") -> None:
    from rich.text import Text

    from batcher.cli.show.terminal import console, say
    from batcher.text import printable

    out = console()
    styles = {"ok": "green", "warning": "yellow", "fault": "red"}
    for check in found:
        line = Text(f"{check.level:8}", styles[check.level]).append(f"{check.subject:12}", "bold")
        line.append(printable(check.said, 400), "default")
        say(out, line)
        for told in (check.mend or "").splitlines():
            say(out, Text(f"{'':20}{printable(told, 600)}", "dim"))
