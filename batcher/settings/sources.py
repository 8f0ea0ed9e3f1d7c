"""Where settings come from, in order: flag, environment, the config file's profile, its top level."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from batcher.settings.names import variable_name

# `endpoint` and `region` both say where requests go: the one that comes from higher up beats both from further down.
ALTERNATIVES = frozenset({"endpoint", "region"})


def from_environment(names: Iterable[str]) -> dict[str, str]:
    """Those of the settings *names* that are set in the environment, in letters of either case; empty is not set."""
    variables = {variable.upper(): value for variable, value in os.environ.items() if value}
    return {name: variables[variable] for name in names if (variable := variable_name(name)) in variables}


def merged(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of all *sources*, which are given highest precedence first."""
    values: dict[str, Any] = {}
    for source in sources:
        beaten = values.keys() if ALTERNATIVES.isdisjoint(values) else values.keys() | ALTERNATIVES
        values |= {name: value for name, value in source.items() if name not in beaten}
    return values
