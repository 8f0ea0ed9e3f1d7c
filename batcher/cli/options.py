"""Options made from settings: one flag for each field of `RunSettings`, so that none can be forgotten or differ.

They are made beforehand, by `scripts/document-settings`, so that no `--help` has to load pydantic.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from batcher import zone
from batcher.cli.lists import ListedOption
from batcher.cli.option_table import OPTIONS
from batcher.cli.show.terminal import note
from batcher.settings.names import flag_name

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from batcher.settings import Loaded
    from batcher.settings.setting_option import SettingOption

F = TypeVar("F", bound=Callable[..., Any])

ALL = tuple(option.name for option in OPTIONS)
# What decides which entries a manifest holds and whether they are sound: the settings of `check`.
OF_MANIFEST = ("region", "endpoint", "project_id", "language", "allow_duplicates", "insecure_http")


def settings_options(
    names: Sequence[str] = ALL, *, profiles: bool = False, profile_help: str | None = None
) -> Callable[[F], F]:
    """The flags of the settings *names*, and --config and --profile; `given` gathers them from the parameters.

    With *profiles* there may be several of these; *profile_help* says what else is meant by one.
    """

    def decorate(function: F) -> F:
        for option in reversed([*_options(names), *_config_options(several=profiles, profile_help=profile_help)]):
            option(function)
        return function

    return decorate


def given(parameters: dict[str, Any], names: Iterable[str] = ALL) -> dict[str, Any]:
    """Take the flags that were really given out of a command's *parameters*."""
    taken = {name: parameters.pop(name, None) for name in names}
    return {name: value for name, value in taken.items() if value is not None}


def load_given(parameters: dict[str, Any], names: Sequence[str] = ALL) -> "Loaded":
    """The settings in force for a command called with *parameters*, from which its flags are taken out.

    What is odd about them but harmless is said on stderr. Raises `SettingsError`.
    """
    from batcher.settings import load

    flags = given(parameters, names)
    loaded = load(flags, config=parameters.pop("config"), profile=parameters.pop("profile"))
    zone.choose(loaded.settings.timezone)
    for warning in loaded.warnings:
        note(warning)
    return loaded


def _options(names: Sequence[str]) -> list[Callable[[F], F]]:
    return [_option(option) for option in OPTIONS if option.name in names]


def _option(option: "SettingOption") -> Callable[[F], F]:
    flag = flag_name(option.name)
    if option.is_switch:
        declaration = f"{flag}/--no-{flag[2:]}"
        return click.option(
            declaration, option.name, default=None, help=option.help, cls=ListedOption, group=option.group
        )
    return click.option(
        flag,
        option.name,
        metavar=option.metavar,
        help=option.help,
        cls=ListedOption,
        group=option.group,
        type=click.Path() if option.is_path else None,
        shell_complete=_completer(option.choices) if option.choices else None,
    )


def _config_options(*, several: bool, profile_help: str | None) -> list[Callable[[F], F]]:
    one = "Section [profiles.NAME] of the config file to lay over it. [BATCHER_PROFILE]"
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
            help=profile_help or (offered if several else one),
        ),
    ]


def _completer(choices: Sequence[str]) -> "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]":
    def complete(_ctx: click.Context, _param: click.Parameter, begun: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in choices if word.startswith(begun)]

    return complete
