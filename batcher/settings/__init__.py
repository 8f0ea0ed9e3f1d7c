"""The settings of a run, wherever they come from: flag, environment, config file, built-in default.

The same names everywhere: `--max-failures`, `BATCHER_MAX_FAILURES`, `max_failures = …`. Importing this package
imports pydantic; what must start quickly imports it late.
"""

from batcher.settings.configfile import ConfigFile, find_config, read_config, user_config
from batcher.settings.errors import SettingsError
from batcher.settings.load import Loaded, load
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
