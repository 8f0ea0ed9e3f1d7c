"""`batcher token`: the tokens that let people and programs into `batcher serve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.lazy import SoundPath
from batcher.cli.show.terminal import tell
from batcher.clock import SystemClock

if TYPE_CHECKING:
    from batcher.service.tokens import TokenLine

_ROLES = ("read", "submit", "approve", "admin")

_EPILOG = """\b
Examples:
  batcher token new portal --role submit --tokens /etc/batcher/tokens
  batcher token list --tokens /etc/batcher/tokens
  batcher token revoke portal --tokens /etc/batcher/tokens
  batcher serve --tokens /etc/batcher/tokens

Give each person and each program a token of its own: with --approval a wave is approved by another name than the one
that handed it in. The service takes a change of the file at once, without a restart.
"""

_tokens_option = click.option(
    "--tokens",
    "path",
    metavar="FILE",
    type=SoundPath(click.Path(path_type=Path)),
    envvar="BATCHER_TOKENS",
    help="The tokens file. [BATCHER_TOKENS; default: in the user's own config folder]",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")


@click.group(epilog=_EPILOG, no_args_is_help=True)
def command() -> None:
    """Make, list and revoke the tokens of `batcher serve`."""


@command.command("new")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    required=True,
    help="What it lets its holder do; each role may do all that those before it may.",
)
@_tokens_option
@_json_option
def new(name: str, role: str, path: Path | None, as_json: bool) -> int:
    """Make a token called NAME, show it once, and keep its hash in the tokens file."""
    from batcher.service.roles import WORDS
    from batcher.service.tokens import new_token

    path = _path(path)
    secret = new_token(path, name, WORDS[role], SystemClock.now())
    if as_json:
        _print_json({"name": name, "role": role, "token": secret, "tokens": str(path)})
        return exits.CREATED
    click.echo(secret)
    tell(f"This is the only time it is shown; {path} keeps its hash. Serve with: batcher serve --tokens {path}")
    return exits.CREATED


@command.command("list")
@_tokens_option
@_json_option
def list_(path: Path | None, as_json: bool) -> int:
    """Show whose tokens there are, with their roles. The tokens themselves nobody can show again."""
    from batcher.service.tokens import TokensFile

    path = _path(path)
    tokens = TokensFile(path).tokens()
    if as_json:
        _print_json({"tokens": [_plain(token) for token in tokens], "file": str(path)})
        return exits.CREATED
    _print_table(tokens)
    return exits.CREATED


@command.command("revoke")
@click.argument("name")
@_tokens_option
def revoke_(name: str, path: Path | None) -> int:
    """Take the token NAME out of the tokens file: nobody is let in with it any more, from the next request on."""
    from batcher.service.tokens import revoke

    path = _path(path)
    token = revoke(path, name)
    tell(f"The token {token.name} ({token.role.word}) is revoked: it is no longer in {path}.")
    return exits.CREATED


def _path(named: Path | None) -> Path:
    from batcher.homes import expanded
    from batcher.service.tokens import default_path

    return default_path() if named is None else expanded(named)


def _plain(token: "TokenLine") -> dict[str, Any]:
    return {"name": token.name, "role": token.role.word, "made_at": token.made_at or None}


def _print_json(value: dict[str, Any]) -> None:
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def _print_table(tokens: list["TokenLine"]) -> None:
    from rich.table import Table

    from batcher.cli.show.terminal import console

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "role", "made"):
        table.add_column(heading, overflow="fold")
    for token in tokens:
        table.add_row(token.name, token.role.word, token.made_at)
    console().print(table)
