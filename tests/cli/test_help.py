"""Help: every command has it, with an example that names the command, and the top of it says where to begin."""

import re
from pathlib import Path

import click
import pytest

from batcher.cli.main import SECTIONS, cli
from batcher.settings import RunSettings, flag_name, variable_name
from tests.cli.conftest import Batcher

COMMANDS = sorted(name for section in SECTIONS.values() for name in section)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(batcher: Batcher, name: str) -> None:
    ended = batcher(name, "--help")
    assert ended.code == 0
    assert ended.err == ""
    assert f"  batcher {name}" in ended.out
    assert "Example" in ended.out


def leaves(name: str, command: click.Command) -> dict[str, click.Command]:
    """The command, or those below it, by what is typed."""
    if not isinstance(command, click.Group):
        return {name: command}
    return {f"{name} {below}": each for below, each in command.commands.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str) -> None:
    with click.Context(cli) as context:
        command = cli.get_command(context, name)
    assert command is not None
    for each in leaves(name, command).values():
        assert [p.name for p in each.params if isinstance(p, click.Option) and not p.help and not p.hidden] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_what_prints_a_table_prints_json(name: str) -> None:
    """Except what prints no table: a manifest, result lines, a script, a schema (which is JSON already)."""
    with click.Context(cli) as context:
        command = cli.get_command(context, name)
    assert command is not None
    no_table = {"completion", "demo", "init", "results", "schema", "select", "serve", "token revoke"}
    for words, each in leaves(name, command).items():
        options = {option for parameter in each.params for option in parameter.opts}
        assert "--json" in options or words in no_table


def test_run_has_a_flag_for_every_setting_and_says_its_variable(batcher: Batcher) -> None:
    said = batcher("run", "--help").out
    for name in RunSettings.model_fields:
        assert f"{flag_name(name)}" in said
        assert variable_name(name) in said


def test_help_is_the_answer_to_nothing(batcher: Batcher) -> None:
    ended = batcher()
    assert ended.code == 2
    assert "batcher demo" in ended.err


def test_a_mistyped_command_is_named(batcher: Batcher) -> None:
    ended = batcher("chek")
    assert ended.code == 2
    assert "There is no command 'chek'. Did you mean 'check'?" in ended.err


def test_every_command_of_the_table_stands_in_the_top_help(batcher: Batcher) -> None:
    said = batcher("--help").out
    assert [name for name in COMMANDS if f"  {name} " not in said] == []


def test_the_readme_has_every_command_and_no_other() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `batcher ([a-z]+)", readme, flags=re.MULTILINE)
    assert sorted(listed) == COMMANDS


def test_every_link_of_the_readme_leads_somewhere() -> None:
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\(([^)#]+)\)", (root / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if not (root / link).exists()] == []
