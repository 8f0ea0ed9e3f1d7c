"""`--timezone` of the commands that take no other settings, and the zone where no flag names one."""

import os
from pathlib import Path

import click

from batcher import zone
from batcher.errors import UserError

_VARIABLE = "BATCHER_TIMEZONE"


def _choose(_ctx: click.Context, _param: click.Parameter, name: str | None) -> None:
    if name is not None:
        try:
            zone.choose(name)
        except ValueError as error:
            raise UserError(f"--timezone {name[:60]!r} {error}.") from None


timezone_option = click.option(
    "--timezone",
    metavar="ZONE",
    expose_value=False,
    callback=_choose,
    help=f"Zone of the times shown: local, utc, or one like Europe/Berlin. [{_VARIABLE}; default local]",
)


def zone_in_force() -> str:
    """The zone that environment or config file name, for `batcher.zone.choose_by`. Raises `UserError`."""
    variables = {name.upper(): value for name, value in os.environ.items() if value}
    name, place = variables.get(_VARIABLE), _VARIABLE
    if name is None:
        name, place = _of_file(variables), "timezone"
    try:
        zone.zone_of(name)
    except ValueError as error:
        raise UserError(f"{place}={name[:60]!r} {error}.") from None
    return name


def _of_file(variables: dict[str, str]) -> str:
    """What the config file says. Without one nothing of the settings is loaded: that would double the start."""
    import platformdirs

    named = variables.get("BATCHER_CONFIG")
    usual = (Path("batcher.toml"), platformdirs.user_config_path("batcher") / "batcher.toml")
    if named is None and not any(os.path.exists(path) for path in usual):  # noqa: PTH110 - never raises
        return zone.LOCAL
    from batcher.settings import find_config, read_config

    file = read_config(find_config(named), profile=variables.get("BATCHER_PROFILE"))
    if file is None:
        return zone.LOCAL
    return str(file.profile.get("timezone", file.top.get("timezone", zone.LOCAL)))
