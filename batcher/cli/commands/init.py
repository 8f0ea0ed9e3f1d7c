"""`batcher init`: a first config file, tried before it is written."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.credential_flags import credential_flags, credential_options
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.show.terminal import tell
from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.doctor.check import Check
    from batcher.drs.auth.options import CredentialOptions
    from batcher.settings import RunSettings

_SETTINGS = (
    *("region", "endpoint", "project_id", "rate"),
    *("timeout", "connect_timeout", "ca_bundle", "proxy", "insecure_http"),
)

_EPILOG = """\b
Examples:
  batcher init
  batcher init --region eu-west-101 --ak-file ~/ak --sk-file ~/sk
  batcher init --region eu-west-101 --token-file ~/token -o pay.toml --untried

\b
No secret is written: only where it is. Exit codes: 0 written; 2 bad usage, or the file exists; 3 the credential is
refused or the cloud is out of reach: nothing is written (--untried writes all the same).
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.option("-o", "--output", metavar="FILE", default="batcher.toml", show_default=True,
              type=click.Path(path_type=Path), help="File to write; ./batcher.toml is found by itself.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@click.option("--untried", is_flag=True, help="Write what was said without asking the cloud.")
@settings_options(_SETTINGS)
@credential_flags
def command(output: Path, force: bool, untried: bool, **parameters: Any) -> int:
    """Write a first config file: asks for what no flag says, tries it, and says what to type next.

    On no terminal nothing is asked: what flags and environment leave open is an error.
    """
    options = credential_options(parameters)
    settings = load_given(parameters, _SETTINGS).settings
    if output.exists() and not force:
        raise UserError(f"{output} exists: choose another file with -o, or replace it with --force.")
    settings = _where(settings)
    options = _credential(options)
    project_id = settings.project_id
    if not untried:
        import asyncio

        project_id, found = asyncio.run(_tried(settings, options))
        for check in found:
            tell(f"  {check.subject}: {check.said}" + (f". {check.mend}" if check.mend else ""))
        if any(check.level == "fault" for check in found):
            said = f"{output} is not written. Mend what is wrong, or write it all the same with --untried."
            tell(said, label="error", color="red")
            return exits.STOPPED
    _write(output, settings, options, project_id)
    tell(f"{output} is written. Next:")
    name = "" if output == Path("batcher.toml") else f" --config {output}"
    for line in (f"batcher doctor{name}", f"batcher discover{name} -o wave.csv", f"batcher rehearse{name} wave.csv"):
        tell(f"  {line}")
    return exits.CREATED


def _ask(question: str, default: str | None = None) -> str | None:
    """The answer to *question*; None for none. Raises `UserError` where nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return default
    answer: str = click.prompt(question, default=default or "", show_default=bool(default), err=True)
    return answer.strip() or None


def _where(settings: "RunSettings") -> "RunSettings":
    from batcher.drs.auth.places import Item
    from batcher.drs.auth.sources import nearby
    from batcher.drs.endpoints import endpoint_of_region

    if settings.endpoint is None and settings.region is None:
        region = _ask("Region (like eu-west-101; --endpoint where it is another cloud)", nearby(Item.REGION))
        if region is None:
            raise UserError("which cloud? Say --region NAME, or --endpoint URL.")
        settings = settings.model_copy(update={"region": region})
    try:
        if settings.endpoint is None and settings.region is not None:
            endpoint_of_region(settings.region)
    except ValueError as error:
        raise UserError(f"{error}.") from None
    if settings.project_id is None:
        said = _ask("Project id (empty: the region's own, asked of IAM)", nearby(Item.PROJECT_ID))
        settings = settings.model_copy(update={"project_id": said})
    return settings


_KINDS = {"1": "environment", "2": "access key", "3": "token", "4": "user"}


def _credential(options: "CredentialOptions") -> "CredentialOptions":
    """Where the credential is: as flags say, else asked; by default the environment and the files of other tools."""
    from msgspec.structs import replace

    if options:
        return options
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return options
    tell("Where is the credential? No secret is asked for, only where it is.")
    tell("  1  in the environment, or where the SDK, Terraform or OpenStack have it (docs/credentials.md)")
    tell("  2  an access key, in two files    3  a token, in a file    4  an IAM user, with the password in a file")
    match _KINDS.get(_ask("Which", "1") or "1"):
        case "access key":
            return replace(options, ak_file=_file("File of the access key id"), sk_file=_file("File of the secret key"))
        case "token":
            return replace(options, token_file=_file("File of the token"))
        case "user":
            user, domain = _ask("User name"), _ask("Account (domain) name")
            return replace(options, username=user, domain=domain, password_file=_file("File of the password"))
        case _:
            return options


def _file(question: str) -> Path:
    path = Path(_ask(question) or "").expanduser()
    if not path.is_file():
        raise UserError(f"{path} is no file: write the secret there first, readable by you alone (chmod 600).")
    return path.resolve()


async def _tried(settings: "RunSettings", options: "CredentialOptions") -> "tuple[str | None, list[Check]]":
    """The project, and what the cloud says to it all."""
    from batcher import logs
    from batcher.doctor import way
    from batcher.doctor.check import Level, fault
    from batcher.drs.auth.find import CredentialFinder
    from batcher.scopes import open_transport, project_at, run_defaults
    from batcher.settings.credentials import credential_sources

    logs.stay_modest()
    sources = credential_sources(settings, None, options)
    try:
        defaults = run_defaults(settings, sources)
        assert defaults.endpoint is not None  # noqa: S101 - asked for before
        found = await way.endpoint(defaults.endpoint, settings)
        if any(check.level is Level.FAULT for check in found):
            return defaults.project_id, found
        project_id = defaults.project_id or await project_at(defaults.endpoint, settings, sources)
        async with open_transport(settings) as transport:
            finder = CredentialFinder(sources, transport)
            credential = finder.find(defaults.endpoint, project_id)
            return project_id, found + await way.scope(finder, credential, defaults.endpoint, project_id)
    except UserError as error:
        first, _, rest = error.message.partition("\n")
        return settings.project_id, [fault("credential", first.removesuffix("."), rest.strip() or None)]


def _write(path: Path, settings: "RunSettings", options: "CredentialOptions", project_id: str | None) -> None:
    from batcher.whole import whole_text

    try:
        with whole_text(path) as file:
            file.write(_text(settings, options, project_id))
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}.") from None


def _text(settings: "RunSettings", options: "CredentialOptions", project_id: str | None) -> str:
    """The config file: what was said, and beside it what one may want next, commented out."""
    from batcher.drs.auth.option_names import OPTION_NAMES

    lines = [
        "# batcher: settings of this folder's waves. Flags and BATCHER_… beat what stands here;",
        "# `batcher doctor` shows what is in force. No secret belongs in this file, only where it is.",
        "",
        *_given(region=settings.region, endpoint=settings.endpoint, project_id=project_id),
        *_given(ca_bundle=settings.ca_bundle),
        "",
        "# Where the credential is; without any of these: the environment, or the files of other tools.",
        *_given(**{name: getattr(options, name) for name in OPTION_NAMES}),
        *([] if options else ['# ak_file = "/run/secrets/ak"', '# sk_file = "/run/secrets/sk"']),
        "",
        "# Create requests allowed in each project. Other tools of the same account share the cloud's limit.",
        f'rate = "{settings.rate}"',
        "",
        "# A wave that goes wrong stops early.",
        '# max_failures = "5%"',
        "",
    ]
    return "\n".join(lines)


def _given(**values: Any) -> list[str]:
    import json

    said = {name: value for name, value in values.items() if value is not None}
    return [f"{name} = {json.dumps(str(value), ensure_ascii=False)}" for name, value in said.items()]
