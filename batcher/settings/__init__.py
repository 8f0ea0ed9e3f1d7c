"""The settings of a run, wherever they come from: flag, environment, config file, built-in default.

The same names everywhere: `--max-failures`, `BATCHER_MAX_FAILURES`, `max_failures = …`. What is asked for is
loaded then: most of it takes pydantic, which a command's `--help` does without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.settings.configfile import ConfigFile, find_config, read_config, user_config
    from batcher.settings.errors import SettingsError
    from batcher.settings.loading import Loaded, load
    from batcher.settings.model import RunSettings
    from batcher.settings.names import CONFIG_NAME, CREDENTIAL_NAMES, ENV_PREFIX, flag_name, variable_name

__all__ = [
    "CONFIG_NAME",
    "CREDENTIAL_NAMES",
    "ENV_PREFIX",
    "ConfigFile",
    "Loaded",
    "RunSettings",
    "SettingsError",
    "find_config",
    "flag_name",
    "load",
    "read_config",
    "user_config",
    "variable_name",
]

_PLACES = {
    "ConfigFile": "configfile",
    "find_config": "configfile",
    "read_config": "configfile",
    "user_config": "configfile",
    "SettingsError": "errors",
    "Loaded": "loading",
    "load": "loading",
    "RunSettings": "model",
    "CONFIG_NAME": "names",
    "CREDENTIAL_NAMES": "names",
    "ENV_PREFIX": "names",
    "flag_name": "names",
    "variable_name": "names",
}


def __getattr__(name: str) -> Any:
    """What was asked for, from its module. Raises `AttributeError`."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return value
