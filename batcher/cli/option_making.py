"""The flags of settings, made from `RunSettings`: what `scripts/document-settings` writes into `option_table.py`."""

import re
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from batcher.durations import duration_text
from batcher.settings import RunSettings, flag_name, variable_name
from batcher.settings.groups import by_group, group_of
from batcher.settings.setting_option import SettingOption
from batcher.settings.values import CaBundle, Seconds

_METAVARS = {
    "rate": "RATE",
    "read_rate": "RATE",
    "endpoint": "URL",
    "region": "NAME",
    "project_id": "ID",
    "max_failures": "N|N%",
    "digest": "sha256:…",
    "ca_bundle": "FILE",
    "proxy": "URL",
    "allow_inconsistent": "FILE",
    "max_running_per": "label.NAME=N",
    "notify": "URL",
    "on_end": "COMMAND",
    "timezone": "ZONE",
}


def setting_options() -> list[SettingOption]:
    """One for each field of `RunSettings`, in the order of the help."""
    names = tuple(RunSettings.model_fields)
    return [_made(name) for group in by_group(names).values() for name in group]


def _made(name: str) -> SettingOption:
    field = RunSettings.model_fields[name]
    choices = () if field.annotation is bool else tuple(_choices(field))
    return SettingOption(
        name=name,
        group=group_of(name),
        help=f"{_plain(field.description or '')} [{_origin_text(name, field)}]",
        metavar="|".join(choices) or _METAVARS.get(name) or _metavar(field),
        is_switch=field.annotation is bool,
        is_path=_is_path(field),
        choices=choices,
    )


def _plain(description: str) -> str:
    """A description as the terminal shows it: settings under their flags' names, no backticks, no full stop."""
    known = RunSettings.model_fields
    named = re.sub(r"`([^`]+)`", lambda match: flag_name(match[1]) if match[1] in known else match[1], description)
    return named.removesuffix(".") + "."


def _origin_text(name: str, field: FieldInfo) -> str:
    default = default_text(name, field)
    return variable_name(name) + (f"; default {default}" if default else "")


def default_text(name: str, field: FieldInfo) -> str | None:
    """The built-in default of the setting *name* as a person would write it; None where there is none to tell."""
    default = field.default
    if default is None or isinstance(default, bool):
        return None
    if is_duration(field):
        return duration_text(default)
    return str(default.value) if isinstance(default, Enum) else str(default)


def is_duration(field: FieldInfo) -> bool:
    """Whether a field is a duration: it is annotated as `Seconds`."""
    (converter,) = Seconds.__metadata__  # type: ignore[attr-defined]
    return converter in field.metadata or any(converter in _metadata(part) for part in get_args(field.annotation))


def _is_path(field: FieldInfo) -> bool:
    parts = (field.annotation, *get_args(field.annotation))
    return any(part is Path or part == CaBundle for part in parts)


def _metadata(part: Any) -> tuple[Any, ...]:
    return getattr(part, "__metadata__", ())


def _metavar(field: FieldInfo) -> str:
    return "SECONDS" if is_duration(field) else "N" if field.annotation is int else "VALUE"


def _choices(field: FieldInfo) -> list[str]:
    """The words that a field takes, where they are few and fixed."""
    for part in (field.annotation, *get_args(field.annotation)):
        if part is NoneType:
            continue
        if get_origin(part) is Literal:
            return [str(word) for word in get_args(part)]
        if isinstance(part, type) and issubclass(part, Enum):
            return [str(member.value) for member in part]
    return []
