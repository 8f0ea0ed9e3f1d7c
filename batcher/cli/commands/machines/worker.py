"""`batcher worker`: one of the machines that run the waves of a database."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options

if TYPE_CHECKING:
    import signal

    from batcher.machines.working import WorkerOptions
    from batcher.settings import Loaded

_OF_THE_MACHINE = (
    *("region", "endpoint", "project_id", "rate", "read_rate", "concurrency", "give_up_after"),
    *(
        "timeout",
        "connect_timeout",
        "grace",
        "ca_bundle",
        "proxy",
        "insecure_http",
        "timezone",
        "log_format",
        "log_level",
    ),
)

_EPILOG = """\b
Examples:
  batcher worker --database 'postgresql://db.example.org/fleet?user=batcher'
  batcher worker --database 'postgresql://?service=fleet' --scopes 'project=0123*' --lanes 8
  batcher worker --database 'postgresql://?service=fleet' --profile prod --profile test --log-format json

Any number of them may run, on any machines; whichever dies, the others go on with its scopes within the length of a
lease (15 s) and a few seconds. What a wave was submitted with holds on every machine; proxy, authorities, time-outs and
credentials are this machine's own, from its environment and config file. Where the database is away, it is waited for.

\b
The first SIGTERM (or Ctrl-C) hands its scopes on, the second leaves at once. A database that is away is then
waited for no longer than --grace: its scopes are left, and others take them when their leases are over.
Exit codes: 0 ended in order; 2 bad usage or configuration, or a database that says no;
129/130/143 left its scopes, after a second signal or as the database stayed away; resumable.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.option("--database", metavar="URL", required=True, envvar="BATCHER_DATABASE",
              help="The database of the waves: postgresql://HOST/DATABASE?user=NAME. [BATCHER_DATABASE]")  # fmt: skip
@click.option("--scopes", metavar="GLOB", multiple=True,
              help="Take only these: project=ID, endpoint=HOST or PROJECT@HOST, with * and ?; repeatable.")  # fmt: skip
@click.option("--lanes", metavar="N", type=click.IntRange(1, 1000), default=4, show_default=True,
              help="Scopes at once, at most.")  # fmt: skip
@click.option("--lease", metavar="SECONDS", type=click.FloatRange(5, 60), default=15.0, show_default=True,
              help="How long its scopes stand still where it dies, before others take them.")  # fmt: skip
@settings_options(
    _OF_THE_MACHINE,
    profiles=True,
    profile_help="Section [profiles.NAME] of the config file, with credentials and the way; may be repeated. A scope "
    "goes through the first that has a credential for it. [BATCHER_PROFILE]",
)
def command(database: str, scopes: tuple[str, ...], lanes: int, lease: float, **parameters: Any) -> int:
    """Run the waves of a database, together with the workers of other machines.

    It takes scopes in which there is work and that nobody has, for which it has a credential and a way. What was
    handed in with --wait it follows to the verdicts as well, which the database keeps.
    """
    profiles = _loaded(parameters)

    from batcher.journal.postgres.address import Address
    from batcher.machines.sweep import ScopeFilter
    from batcher.machines.working import WorkerOptions

    return _work(
        WorkerOptions(
            address=Address.of(database), lanes=lanes, wanted=ScopeFilter.of(scopes), profiles=profiles, lease_s=lease
        )
    )


def _loaded(parameters: dict[str, Any]) -> "tuple[tuple[str | None, Loaded], ...]":
    """The settings of each profile, or those without one."""
    names: tuple[str | None, ...] = tuple(parameters.pop("profile")) or (None,)
    given = {name: parameters.pop(name) for name in _OF_THE_MACHINE}
    config: Path | None = parameters.pop("config")
    return tuple((name, load_given({**given, "config": config, "profile": name}, _OF_THE_MACHINE)) for name in names)


def _work(options: "WorkerOptions") -> int:
    import asyncio

    from batcher import logs, streams, zone
    from batcher.cli.loops import quickest_loop
    from batcher.cli.show.terminal import colors_on, screen
    from batcher.cli.signals import caught
    from batcher.machines.worker import WorkerEnding
    from batcher.machines.working import work
    from batcher.masking import forbid_core_dumps

    forbid_core_dumps()
    settings = options.profiles[0][1].settings
    zone.choose(settings.timezone)
    logs.configure(settings.log_format, settings.log_level, color=colors_on(screen().stream))
    ending = WorkerEnding()
    last: list[signal.Signals] = []

    def came(number: "signal.Signals") -> None:
        last.append(number)
        ending.tell()

    async def run() -> None:
        with caught(came):
            await work(options, ending)

    with streams.never_waiting(), asyncio.Runner(loop_factory=quickest_loop()) as runner:
        runner.run(run())
    return exits.OF_SIGNALS[last[-1].name] if ending.at_once.is_set() or ending.was_cut_short else exits.CREATED
