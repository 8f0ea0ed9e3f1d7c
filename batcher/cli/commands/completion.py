"""`batcher completion`: the script by which a shell completes batcher's commands and options."""

import click
from click.shell_completion import get_completion_class

_WHERE = {
    "bash": "batcher completion bash > ~/.local/share/bash-completion/completions/batcher",
    "zsh": "batcher completion zsh > ~/.zfunc/_batcher  (with ~/.zfunc in fpath)",
    "fish": "batcher completion fish > ~/.config/fish/completions/batcher.fish",
}

_EPILOG = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in _WHERE.values())


@click.command(epilog=_EPILOG)
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete batcher's commands, options and file names."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click knows all three
    click.echo(kind(ctx.find_root().command, {}, "batcher", "_BATCHER_COMPLETE").source())
