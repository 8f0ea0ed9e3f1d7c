"""How a command is told of a service: --service and --service-token-file, and what stands in their variables."""

import os
import shlex
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from batcher.cli.lists import ListedOption

if TYPE_CHECKING:
    from batcher.client.service import Service
    from batcher.settings import RunSettings

F = TypeVar("F", bound=Callable[..., Any])
VARIABLE = "BATCHER_SERVICE"
WAY = ("ca_bundle", "proxy", "insecure_http")
"""Settings of the way to a service."""

_GROUP = "A service"
_ALWAYS = ("service", "service_token_file", "config", "profile", "timezone", "as_json", *WAY)


def service_options(function: F) -> F:
    """--service and --service-token-file."""
    url = click.option(
        "--service",
        metavar="URL",
        cls=ListedOption,
        group=_GROUP,
        help=f"The service that has the wave. [{VARIABLE}]",
    )
    token = click.option(
        "--service-token-file",
        metavar="FILE",
        type=click.Path(),
        cls=ListedOption,
        group=_GROUP,
        help=f"File with the service's token. [{VARIABLE}_TOKEN_FILE, or the token itself in {VARIABLE}_TOKEN]",
    )
    return url(token(function))


def is_at_service(wave: Path, service: str | None, token_file: str | None = None) -> bool:
    """Whether *wave*, as it was typed, is one of a service, and no results file.

    It is where --service was typed; where only the variable names a service, a file of that name comes first. Raises
    `UsageError` where a token is given for nothing.
    """
    at_service = service is not None or (bool(os.environ.get(VARIABLE)) and not wave.exists())
    if token_file is not None and not at_service:
        raise click.UsageError(f"--service-token-file is for a service: give --service URL, or set {VARIABLE}.")
    return at_service


def are_at_service(waves: Collection[Path], service: str | None, token_file: str | None) -> bool:
    """The same of several, which are either files or waves of a service. Raises `UsageError`."""
    found = {is_at_service(wave, service, token_file) for wave in waves}
    if len(found) > 1:
        raise click.UsageError("Some of these are files and some are not: name files, or waves of the service.")
    return found == {True}


def only_with_service(allowed: Collection[str]) -> None:
    """Raises `UsageError` where an option was typed that says nothing about a wave of a service."""
    ctx = click.get_current_context()
    for parameter in ctx.command.params:
        if parameter.name in (*allowed, *_ALWAYS) or isinstance(parameter, click.Argument):
            continue
        if parameter.name and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} says nothing about a wave of a service: leave it out.")


def only_here(names: Collection[str]) -> None:
    """Raises `UsageError` where one of the options *names* was typed, which are about a service, and none is meant."""
    ctx = click.get_current_context()
    for parameter in ctx.command.params:
        typed = parameter.name and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
        if typed and parameter.name in names:
            raise click.UsageError(f"{parameter.opts[0]} is for a service: give --service URL, or set {VARIABLE}.")


def service_of(service: str | None, token_file: str | None, settings: "RunSettings", **more: Any) -> "Service":
    """The service that is meant, and the way there. Raises `UserError`."""
    from batcher.client.service import Service

    return Service(
        service,
        token_file=token_file,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
        insecure_http=settings.insecure_http,
        **more,
    )


def words(url: str, wave: str) -> str:
    """The words that name the *wave* of the service at *url* in a command."""
    return f"--service {shlex.quote(url)} {shlex.quote(wave)}"
