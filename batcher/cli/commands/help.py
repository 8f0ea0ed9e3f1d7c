"""`batcher help`: the whole help of a command, the pages of documentation, and man pages."""

from pathlib import Path

import click

from batcher.cli import exits
from batcher.cli.lists import ALL_OPTIONS
from batcher.errors import UserError

_EPILOG = """\b
Examples:
  batcher help run
  batcher help --docs
  less "$(batcher help --docs)/runbook.md"
  batcher help --man ~/.local/share/man/man1 && man batcher-run
"""


@click.command(epilog=_EPILOG)
@click.argument("command", nargs=-1, metavar="[COMMAND]…")
@click.option("--docs", is_flag=True, help="Print the folder of the documentation, whose pages are Markdown.")
@click.option("--man", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
              help="Write a man page for each command into FOLDER.")  # fmt: skip
@click.pass_context
def command(ctx: click.Context, command: tuple[str, ...], docs: bool, man: Path | None) -> int:
    """Show the help of COMMAND with all of its options, or of batcher itself."""
    if docs:
        click.echo(str(documentation()))
        return exits.CREATED
    if man is not None:
        from batcher.cli.man_pages import write_pages

        count = write_pages(ctx.find_root(), man)
        click.echo(f"{count} pages in {man}", err=True)
        return exits.CREATED
    click.echo(_of(ctx.find_root(), command).get_help())
    return exits.CREATED


def _of(root: click.Context, words: tuple[str, ...]) -> click.Context:
    """The context of the command that *words* name, whose help lists all options."""
    context = root
    for word in words:
        if not isinstance(context.command, click.Group):
            raise click.UsageError(f"{context.command_path} has no commands of its own: drop {word!r}.")
        _, found, _ = context.command.resolve_command(context, [word])
        if found is None:
            raise click.UsageError(f"There is no command {word!r}.")
        context = click.Context(found, info_name=word, parent=context)
    context.meta[ALL_OPTIONS] = True
    return context


def documentation() -> Path:
    """The folder of the documentation: in the installed package, or in the checkout. Raises `UserError`."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "docs", package.parent / "docs"):
        if (folder / "configuration.md").is_file():
            return folder
    raise UserError("the documentation was left out of this installation.")
