"""Flags that say where credentials are. None takes a secret: a command line is for everybody on the machine to see."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from batcher.cli.lists import ListedOption
from batcher.drs.auth.option_names import OPTION_NAMES, flag

if TYPE_CHECKING:
    from batcher.drs.auth.options import CredentialOptions

F = TypeVar("F", bound=Callable[..., Any])

GROUP = "Credentials (by default found in the environment; see batcher auth)"

_SECRETS = {
    "token": "IAM token",
    "ak": "access key (AK)",
    "sk": "secret key (SK)",
    "security_token": "security token of a temporary access key",
    "password": "password of the IAM user",
}
_PLAIN = {
    "username": ("NAME", "IAM user to log in as. [BATCHER_USERNAME]"),
    "domain": ("NAME", "The user's domain: the name of the account. [BATCHER_DOMAIN]"),
    "iam_endpoint": ("URL", "IAM, where it is not the region's own. [BATCHER_IAM_ENDPOINT]"),
}


def credential_flags(function: F) -> F:
    """The flags of `CredentialOptions`; `credential_options` gathers them from the parameters."""
    for name in reversed(OPTION_NAMES):
        metavar, text = _help(name)
        kind = click.Path(allow_dash=True, path_type=Path) if metavar == "FILE" else None
        option = click.option(flag(name), name, metavar=metavar, help=text, type=kind, cls=ListedOption, group=GROUP)
        function = option(function)
    return function


def credential_options(parameters: dict[str, Any]) -> "CredentialOptions":
    """Take the flags out of a command's *parameters*; from here on the process holds secrets."""
    from batcher.drs.auth.options import CredentialOptions
    from batcher.masking import forbid_core_dumps

    forbid_core_dumps()
    return CredentialOptions(**{name: parameters.pop(name, None) for name in OPTION_NAMES})


def _help(name: str) -> tuple[str, str]:
    """Metavar and help text of the option *name*."""
    if name in _PLAIN:
        return _PLAIN[name]
    if secret := _SECRETS.get(name.removesuffix("_file")):
        return "FILE", f"File with the {secret}; - for standard input. [BATCHER_{name.upper()}]"
    return "NAME", f"Environment variable with the {_SECRETS[name.removesuffix('_env')]}."
