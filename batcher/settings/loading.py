"""Settings put together from their sources, in order: flag, environment, the config file's profile, its top level."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from batcher.settings.configfile import ConfigFile, find_config, read_config
from batcher.settings.errors import SettingsError
from batcher.settings.explain import explained, origin, register_secrets, unsound_texts, warnings
from batcher.settings.model import RunSettings
from batcher.settings.names import variable_name

# `endpoint` and `region` both say where requests go: the one that comes from higher up beats both from further down.
_ALTERNATIVES = frozenset({"endpoint", "region"})


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, and how they came about. *origins* has the source of each setting that is not built in."""

    settings: RunSettings
    origins: Mapping[str, str]
    warnings: tuple[str, ...]
    config: ConfigFile | None


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    config: Path | str | None = None,
    profile: str | None = None,
) -> Loaded:
    """The settings in force. *flags* are those really given, under the settings' names.

    *config* and *profile* default to `BATCHER_CONFIG` and `BATCHER_PROFILE`, then *config* to the first of
    `./batcher.toml` and the user's own. Raises `SettingsError` with everything that is wrong.
    """
    given = dict(flags or {})
    environment = _from_environment(RunSettings.model_fields)
    config = config or os.environ.get(variable_name("config")) or None
    profile = profile or os.environ.get(variable_name("profile")) or None
    file = read_config(find_config(config), profile=profile)
    sections = () if file is None else (file.profile, file.top)
    values = _merged(given, environment, *sections)
    try:
        settings = RunSettings(**values)
    except ValidationError as error:
        raise SettingsError(dict.fromkeys(explained(error, given, environment, file))) from None
    if unsound := tuple(unsound_texts(values, given, environment, file)):
        raise SettingsError(unsound)
    register_secrets(settings)
    origins = {
        name: place
        for name in RunSettings.model_fields
        if (place := origin(name, given, environment, file)) is not None
        and not (name in _ALTERNATIVES and getattr(settings, name) is None)
    }
    return Loaded(settings=settings, origins=origins, warnings=tuple(warnings(settings, origins, given)), config=file)


def settings_or(keywords: Mapping[str, Any], settings: RunSettings | None) -> tuple[RunSettings, ConfigFile | None]:
    """The *settings* as they are; where there are none those in force with *keywords* as flags, and the config file.

    Raises `SettingsError`, and `TypeError` where both are given.
    """
    if settings is None:
        loaded = load(keywords)
        return loaded.settings, loaded.config
    if keywords:
        raise TypeError("give settings, or keywords, not both")
    return settings, None


def _from_environment(names: Iterable[str]) -> dict[str, str]:
    """Those of the settings *names* that are set in the environment, in letters of either case; empty is not set."""
    variables = {variable.upper(): value for variable, value in os.environ.items() if value}
    return {name: variables[variable] for name in names if (variable := variable_name(name)) in variables}


def _merged(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of all *sources*, which are given highest precedence first."""
    values: dict[str, Any] = {}
    for source in sources:
        beaten = values.keys() if _ALTERNATIVES.isdisjoint(values) else values.keys() | _ALTERNATIVES
        values |= {name: value for name, value in source.items() if name not in beaten}
    return values
