"""A setting as a flag."""

from typing import NamedTuple


class SettingOption(NamedTuple):
    """The flag of the setting *name*, and what its help says. *choices* are all the words it takes; (): any."""

    name: str
    group: str
    help: str
    metavar: str
    is_switch: bool
    is_path: bool
    choices: tuple[str, ...]
