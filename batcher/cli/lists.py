"""Help with its options under headings, where there are too many for one list."""

from typing import Any

import click

OTHERS = "Options"
ALL_OPTIONS = "batcher.all_options"  # in a context's meta: its help is to list all of them


class ListedOption(click.Option):
    """An option that stands under a heading. A switch shows only its positive form; `--no-…` undoes it."""

    def __init__(self, *args: Any, group: str = OTHERS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """As click has it, without the switch's negative form."""
        record = super().get_help_record(ctx)
        if record is None or not self.secondary_opts:
            return record
        return " / ".join(self.opts), record[1]


class ListedCommand(click.Command):
    """A command whose help lists options heading by heading, its own first.

    With *essential*, names of parameters, `--help` lists only these, for a first night; `--help-all` lists all.
    """

    def __init__(self, *args: Any, essential: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.essential = frozenset(essential)
        if essential:
            self.params.append(
                click.Option(
                    ["--help-all"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_show_all,
                    help="Show this message with all options, and end.",
                )
            )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options into the help: the command's own first, then list by list under its heading."""
        groups: dict[str, list[tuple[str, str]]] = {OTHERS: []}
        left_out = 0
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is None:
                continue
            if self._is_shown(ctx, parameter):
                groups.setdefault(getattr(parameter, "group", OTHERS), []).append(record)
            else:
                left_out += 1
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)
        if left_out:
            formatter.write_paragraph()
            formatter.write_text(
                f"These are the options of a first night; {left_out} more: {ctx.command_path} --help-all"
            )

    def _is_shown(self, ctx: click.Context, parameter: click.Parameter) -> bool:
        if not self.essential or ctx.meta.get(ALL_OPTIONS):
            return True
        return parameter.name in self.essential or parameter.name in ("help", "help_all")


def _show_all(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        ctx.meta[ALL_OPTIONS] = True
        click.echo(ctx.get_help())
        ctx.exit()
