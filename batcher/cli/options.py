"""Options made from settings: one flag for each field of `RunSettings`, so that none can be forgotten or differ.

A new field is an option of `run` at once. Its place in the help comes from `batcher.settings.groups`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from batcher import zone
from batcher.cli.lists import ListedOption
from batcher.cli.show.terminal import note
from batcher.durations import duration_text
from batcher.settings import Loaded, RunSettings, flag_name, load, variable_name
from batcher.settings.groups import by_group, group_of
from batcher.settings.values import CaBundle, Seconds

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

ALL = tuple(RunSettings.model_fields)
# What decides which entries a manifest holds and whether they are sound: the settings of `check`.
OF_MANIFEST = ("region", "endpoint", "project_id", "language", "allow_duplicates", "insecure_http")

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


def settings_options(names: Sequence[str] = ALL, *, profiles: bool = False) -> Callable[[F], F]:
    """The flags of the settings *names*, and --config and --profile; `given` gathers them from the parameters.

    With *profiles* there may be several of these.
    """

    def decorate(function: F) -> F:
        for option in reversed([*_options(names), *_config_options(several=profiles)]):
            option(function)
        return function

    return decorate


def given(parameters: dict[str, Any], names: Iterable[str] = ALL) -> dict[str, Any]:
    """Take the flags that were really given out of a command's *parameters*."""
    taken = {name: parameters.pop(name, None) for name in names}
    return {name: value for name, value in taken.items() if value is not None}


def load_given(parameters: dict[str, Any], names: Sequence[str] = ALL) -> Loaded:
    """The settings in force for a command called with *parameters*, from which its flags are taken out.

    What is odd about them but harmless is said on stderr. Raises `SettingsError`.
    """
    flags = given(parameters, names)
    loaded = load(flags, config=parameters.pop("config"), profile=parameters.pop("profile"))
    zone.choose(loaded.settings.timezone)
    for warning in loaded.warnings:
        note(warning)
    return loaded


def _options(names: Sequence[str]) -> list[Callable[[F], F]]:
    ordered = [name for group in by_group(tuple(names)).values() for name in group]
    return [_option(name, RunSettings.model_fields[name]) for name in ordered]


def _option(name: str, field: FieldInfo) -> Callable[[F], F]:
    flag = flag_name(name)
    help_text = f"{_plain(field.description or '')} [{_origin_text(name, field)}]"
    group = group_of(name)
    if field.annotation is bool:
        declaration = f"{flag}/--no-{flag[2:]}"
        return click.option(declaration, name, default=None, help=help_text, cls=ListedOption, group=group)
    choices = _choices(field)
    metavar = "|".join(choices) or _METAVARS.get(name) or _metavar(field)
    return click.option(
        flag,
        name,
        metavar=metavar,
        help=help_text,
        cls=ListedOption,
        group=group,
        type=click.Path() if _is_path(field) else None,
        shell_complete=_completer(choices) if choices else None,
    )


def _config_options(*, several: bool) -> list[Callable[[F], F]]:
    profile = "Section [profiles.NAME] of the config file to lay over it. [BATCHER_PROFILE]"
    offered = "Sections [profiles.NAME] of the config file that waves may ask for; the first is the default."
    return [
        click.option(
            "--config",
            metavar="FILE",
            type=click.Path(),
            cls=ListedOption,
            group="Settings from a file",
            help="Config file to read. [BATCHER_CONFIG; default ./batcher.toml, else the user's own]",
        ),
        click.option(
            "--profile",
            metavar="NAME",
            cls=ListedOption,
            group="Settings from a file",
            multiple=several,
            help=offered if several else profile,
        ),
    ]


def _plain(description: str) -> str:
    """A description as the terminal shows it: settings under their flags' names, no backticks, no full stop."""
    return (
        re.sub(
            r"`([^`]+)`", lambda match: flag_name(match[1]) if match[1] in ALL else match[1], description
        ).removesuffix(".")
        + "."
    )


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


def _completer(choices: list[str]) -> "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]":
    def complete(_ctx: click.Context, _param: click.Parameter, begun: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in choices if word.startswith(begun)]

    return complete
