"""What is made from the settings, so that it cannot say anything else: the tables of docs/configuration.md, and the
flags in batcher/cli/option_table.py.
"""

import re
import sys
from pathlib import Path

from batcher.cli.option_making import default_text, setting_options
from batcher.settings import RunSettings, flag_name, variable_name
from batcher.settings.groups import by_group

BEGIN, END = "<!-- settings: written by scripts/document-settings -->", "<!-- end of settings -->"
_HEAD = ("| setting | flag | variable | by default | meaning |", "| --- | --- | --- | --- | --- |")


def tables() -> str:
    """A heading and a table for each group of settings."""
    groups = by_group(tuple(RunSettings.model_fields)).items()
    return "\n\n".join("\n".join([f"### {title}", "", *_HEAD, *map(_row, names)]) for title, names in groups)


def _row(name: str) -> str:
    field = RunSettings.model_fields[name]
    if field.annotation is bool:
        default = "no" if field.default is False else "yes"
    else:
        default = default_text(name, field) or ""
    meaning = (field.description or "").replace("|", "\\|")
    shown = f"`{default}`" if default else ""
    return f"| `{name}` | `{flag_name(name)}` | `{variable_name(name)}` | {shown} | {meaning} |"


def with_tables(page: str) -> str:
    """*page* with its tables written anew. Raises `ValueError` where it has no place for them."""
    written, count = re.subn(
        rf"{re.escape(BEGIN)}.*?{re.escape(END)}",
        lambda _: f"{BEGIN}\n\n{tables()}\n\n{END}",
        page,
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"the page needs one place for its tables: {BEGIN} … {END}")
    return written


def option_table() -> str:
    """The module with the flags."""
    lines = [
        '"""The flags of all settings, in the order of the help. Written by scripts/document-settings."""',
        "",
        "from batcher.settings.setting_option import SettingOption",
        "",
        "# fmt: off",
        "# ruff: noqa: E501",
        "OPTIONS: tuple[SettingOption, ...] = (",
    ]
    for option in setting_options():
        lines.append("    SettingOption(")
        lines += [f"        {name}={value!r}," for name, value in option._asdict().items()]
        lines.append("    ),")
    return "\n".join([*lines, ")", ""])


if __name__ == "__main__":
    path, table = map(Path, sys.argv[1:3])
    table.write_text(option_table(), encoding="utf-8")
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
