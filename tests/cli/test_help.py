"""Help: every command has it, with an example that names the command, and the top of it says where to begin."""

import os
import re
import shutil
import subprocess
import sys
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
    no_table = {"completion", "demo", "help", "init", "journal rescue", "results", "schema"}
    no_table |= {"backup", "select", "serve", "token revoke", "worker"}
    for words, each in leaves(name, command).items():
        options = {option for parameter in each.params for option in parameter.opts}
        assert "--json" in options or words in no_table


def test_run_has_a_flag_for_every_setting_and_says_its_variable(batcher: Batcher) -> None:
    said = batcher("run", "--help-all").out
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


def test_the_documentation_lists_every_command_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `batcher ([a-z]+)", page, flags=re.MULTILINE)
    assert sorted(listed) == COMMANDS


def test_every_link_of_the_readme_leads_somewhere() -> None:
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\(([^)#]+)\)", (root / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if not (root / link).exists()] == []


# --- what is short, and what is whole ------------------------------------------------------------------


def test_the_help_of_run_is_short_and_leads_to_the_whole(batcher: Batcher) -> None:
    short, whole = batcher("run", "--help").out, batcher("run", "--help-all").out
    listed = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", short, flags=re.MULTILINE)
    assert len(set(listed) - {"--help-all", "--help"}) == 15
    assert "more: batcher run --help-all" in short
    assert len(whole.splitlines()) > 2 * len(short.splitlines())
    assert batcher("help", "run").out == whole


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_command_with_all_its_options(batcher: Batcher, name: str) -> None:
    ended = batcher("help", name)
    assert ended.code == 0
    with click.Context(cli) as context:
        command = cli.get_command(context, name)
    assert command is not None
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    assert [p.opts[-1] for p in options if p.opts[-1] not in ended.out] == []


def test_help_says_what_is_no_command(batcher: Batcher) -> None:
    assert "Did you mean 'run'?" in batcher("help", "rnu").err
    assert "has no commands of its own" in batcher("help", "run", "fast").err
    assert batcher("help", "token", "new").out.startswith("Usage: batcher token new")


def test_help_leads_to_the_documentation(batcher: Batcher) -> None:
    folder = Path(batcher("help", "--docs").out.strip())
    assert (folder / "runbook.md").is_file()
    assert "batcher help --docs" in batcher("--help").out


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man")
def test_man_pages_are_made_of_the_commands_and_man_can_show_them(batcher: Batcher, tmp_path: Path) -> None:
    assert batcher("help", "--man", tmp_path / "man1").code == 0
    pages = {path.stem for path in (tmp_path / "man1").iterdir()}
    assert {"batcher", *(f"batcher-{name}" for name in COMMANDS)} <= pages
    for name in ("batcher", "batcher-run", "batcher-settle"):
        shown = subprocess.run(
            ["man", "--warnings", "-l", str(tmp_path / "man1" / f"{name}.1")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
        )
        assert shown.stderr == ""
        assert "SYNOPSIS" in shown.stdout
    plain = re.sub(r".\x08|\x1b\[[0-9;]*m", "", shown.stdout)
    assert "object=…,data=…      both levels were in doubt" in plain


def test_no_help_loads_what_only_the_work_needs() -> None:
    """Whoever asks for help waits for click, and for little else."""
    code = """if True:
        import sys
        import click
        from batcher.cli.main import cli
        with click.Context(cli, info_name="batcher") as context:
            for name in cli.list_commands(context):
                command = cli.get_command(context, name)
                command.get_help(click.Context(command, info_name=name, parent=context))
        heavy = {"pydantic", "aiohttp", "rich", "structlog", "jinja2", "sqlite3", "asyncio"}
        print(sorted(heavy & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
