"""Help with its options under headings, where there are too many for one list."""

from typing import Any

import click

OTHERS = "Options"


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
    """A command whose help lists options heading by heading, its own first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options into the help: the command's own first, then list by list under its heading."""
        groups: dict[str, list[tuple[str, str]]] = {OTHERS: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(parameter, "group", OTHERS), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)
