"""Where settings come from, in order: flag, environment, the config file's profile, its top level."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

# The sections of the config file that `load` has read, highest precedence first.
SECTIONS: ContextVar[tuple[Mapping[str, Any], ...]] = ContextVar("batcher_config_sections", default=())

# `endpoint` and `region` both say where requests go: the one that comes from higher up beats both from further down.
ALTERNATIVES = frozenset({"endpoint", "region"})


def _without_beaten(values: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    if ALTERNATIVES.isdisjoint(above):
        return values
    return {name: value for name, value in values.items() if name not in ALTERNATIVES}


class Environment(EnvSettingsSource):
    """`BATCHER_…`."""

    def __call__(self) -> dict[str, Any]:
        return _without_beaten(super().__call__(), self.current_state)


class Section(PydanticBaseSettingsSource):
    """One section of the config file: the top level, or the chosen profile."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return _without_beaten(dict(self._values), self.current_state)
