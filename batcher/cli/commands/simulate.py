"""`batcher simulate`: the simulated DRS and IAM, to try things out without a cloud."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.show.terminal import tell
from batcher.cli.timezone import timezone_option
from batcher.durations import duration_text
from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.simulator.counting_ledger import CountingLedger
    from batcher.simulator.iam import IamConfig
    from batcher.simulator.ledger import Ledger
    from batcher.simulator.server import Exchange, Simulator

_EPILOG = """\b
Examples:
  batcher simulate
  batcher simulate --limit 10/s --faults flaky --seed 7 --verbose
  batcher simulate --jobs fleet.json --differences 5% --ledger ledger.jsonl
  batcher simulate --faults reset-after=20%,throttled=5% --auth aksk

\b
It prints the lines that point batcher at it. Profiles, files and ledger: docs/simulator.md.
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--limit", metavar="RATE", help="Create requests let in per project, like 10/s or 600/min. [none]")
@click.option("--read-limit", metavar="RATE", help="Look-ups let in per project. [none]")
@click.option("--count-refused", is_flag=True, help="Requests turned away use the limit up, too.")
@click.option("--latency", metavar="TIME[..TIME]", default="0", help="How long answers take, like 50ms..200ms. [0]")
@click.option("--faults", metavar="PROFILE", default="none", help="What goes wrong; --list-faults shows all. [none]")
@click.option("--list-faults", is_flag=True, help="Show the fault profiles and the faults, and end.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed has the same faults and results.")
@click.option(
    "--jobs", metavar="FILE", type=click.Path(path_type=Path), help="The fleet, in JSON; else any job exists."
)
@click.option(
    "--fleet", metavar="N", type=click.IntRange(1, 100_000), help="A believable fleet of N jobs, by the seed."
)
@click.option("--projects", type=click.IntRange(1, 100), default=1, show_default=True,
              help="Projects that the fleet is spread over.")  # fmt: skip
@click.option("--differences", metavar="FILE|N%", help="What differs: a JSON file, or a share of the jobs. [nothing]")
@click.option("--speed", type=click.FloatRange(0.01, 1e6), default=60.0, show_default=True,
              help="Comparisons run so many times as fast.")  # fmt: skip
@click.option("--auth", type=click.Choice(["off", "token", "aksk", "any"]), default="off", show_default=True,
              help="Credentials asked for; off takes whatever comes.")  # fmt: skip
@click.option("--token-life", metavar="TIME", default="24h", help="How long tokens from the IAM last. [24h]")
@click.option(
    "--keep-answer",
    type=click.Choice(["code", "existing", "empty", "absent"]),
    default="code",
    show_default=True,
    help="What keep gets while a comparison is unfinished: an error code, its id, an empty id, or nothing.",
)
@click.option("--deny", metavar="CALL", multiple=True, help="A call without permission, like create-compare-task.")
@click.option("--clock-ahead", metavar="TIME", default="0", help="How far the cloud's clock is ahead; -5m is behind.")
@click.option("--ledger", metavar="FILE", type=click.Path(path_type=Path), help="Append every request and effect here.")
@timezone_option
@click.option("-v", "--verbose", is_flag=True, help="A line for each request, on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: where it serves, and at the end the summary.")
def command(list_faults: bool, verbose: bool, as_json: bool, ledger: Path | None, port: int, **given: Any) -> int:
    """Serve a simulated DRS and IAM on loopback until Ctrl-C. No credentials are needed, and no cloud is touched.

    Each comparison runs as the cloud's do, many times as fast; it finds no differences unless told to.
    """
    if list_faults:
        return _list_faults(as_json=as_json)
    import asyncio

    from batcher.simulator.counting_ledger import CountingLedger
    from batcher.simulator.options import parse_offset, service_config
    from batcher.simulator.server import Simulator

    clock_offset_s = parse_offset(given.pop("clock_ahead"))
    config = service_config(**given)
    limit = config.cloud.limit
    with _opened(ledger) as inner:
        tally = CountingLedger(inner, window_s=1.0 if limit is None else limit.period_s)
        simulator = Simulator(
            config, port=port, ledger=tally, clock_offset_s=clock_offset_s, observer=_show if verbose else None
        )
        asyncio.run(_serve(simulator, as_json=as_json))
    _sum_up(tally, ledger, as_json=as_json)
    return exits.CREATED


@contextmanager
def _opened(path: Path | None) -> "Iterator[Ledger]":
    """The ledger's file, or none."""
    from batcher.simulator.ledger import FileLedger, NoLedger

    if path is None:
        yield NoLedger()
        return
    try:
        file = FileLedger(path)
    except OSError as error:
        raise UserError(f"--ledger {path}: cannot be written: {error.strerror}.") from None
    try:
        yield file
    finally:
        file.close()


async def _serve(simulator: "Simulator", *, as_json: bool) -> None:
    """Serve until SIGINT or SIGTERM, which is how it is meant to end."""
    import asyncio

    from batcher.cli.signals import caught

    stop = asyncio.Event()
    with caught(lambda _: stop.set()):
        async with simulator:
            _introduce(simulator, as_json=as_json)
            waiting = [asyncio.create_task(stop.wait()), asyncio.create_task(simulator.failed())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()


def _introduce(simulator: "Simulator", *, as_json: bool) -> None:
    """Where it serves, and the lines to type in another terminal."""
    from batcher.simulator.options import PROJECT_ID

    config = simulator.service.config
    variables = {
        "BATCHER_ENDPOINT": simulator.url,
        "BATCHER_IAM_ENDPOINT": simulator.url,
        **({"BATCHER_PROJECT_ID": PROJECT_ID} if len(config.iam.project_ids) == 1 else {}),
        **_credentials(config.iam),
    }
    if config.cloud.limit is not None:
        variables["BATCHER_RATE"] = str(config.cloud.limit)
    if config.faults.name != "none":
        # A request may lie unanswered, and what is lost is looked for only after the time in which it can still
        # land: with the defaults, meant for a real cloud, a small wave would spend minutes on that.
        variables["BATCHER_TIMEOUT"] = "5s"
        variables["BATCHER_LANDING_TIME"] = duration_text(config.faults.late_s[1] + 1.0)
    if as_json:
        click.echo(_json({"url": simulator.url, "environment": variables}))
        return
    limit = "no limit" if config.cloud.limit is None else f"limit {config.cloud.limit}"
    faults = (
        "no faults" if config.faults.name == "none" else f"faults {config.faults.name}: {config.faults.description}"
    )
    click.echo(f"A simulated DRS and IAM serves at {simulator.url} (seed {config.seed}, {limit}, {faults}).")
    click.echo("In another terminal:\n")
    for name, value in variables.items():
        click.echo(f"  export {name}={value}")
    if config.cloud.jobs:
        click.echo(f"  batcher discover {'--all-projects ' if len(config.iam.project_ids) > 1 else ''}-o wave.csv")
    click.echo("  batcher run wave.csv -o results.jsonl\n")
    click.echo("Ctrl-C ends it. Before that terminal works with a real cloud:\n")
    click.echo(f"  unset {' '.join(variables)}")


def _credentials(iam: "IamConfig") -> dict[str, str]:
    """The variables with a credential that the simulator takes."""
    if iam.mode == "aksk":
        name, key = next(iter(iam.keys.items()))
        return {"BATCHER_AK": name, "BATCHER_SK": key.secret_key}
    return {"BATCHER_TOKEN": next(iter(iam.tokens))}


def _show(exchange: "Exchange") -> None:
    """One line for one request: `12:00:01.250 UTC create-compare-task jb101 200 [slow]`."""
    from batcher import zone
    from batcher.clock import utc
    from batcher.text import printable

    at = zone.clock_text(utc(exchange.at), fraction=True)
    answer = "no answer" if exchange.http_status is None else str(exchange.http_status)
    fault = "" if exchange.fault is None else f"[{exchange.fault}]"
    parts = (at, exchange.call, printable(exchange.job_id, 60), answer, exchange.error_code or "", fault)
    tell(" ".join(filter(None, parts)))


def _sum_up(tally: "CountingLedger", ledger: Path | None, *, as_json: bool) -> None:
    """What came of it all."""
    if as_json:
        click.echo(_json(tally.as_json()))
        return
    from batcher.cli.show.terminal import console
    from batcher.text import counted

    out = console()
    out.print()
    for title, counts in (("Requests", tally.requests), ("Answers", tally.answers), ("Faults", tally.faults)):
        if counts:
            out.print(f"{title}: " + ", ".join(f"{name} ({count:,})" for name, count in counts.most_common()) + ".")
    if not tally.requests:
        out.print("Requests: none.")
    out.print(f"Comparisons created: {tally.created:,}; cancelled by a later request: {tally.cancelled:,}.")
    if tally.repeated:
        out.print(f"{counted(tally.repeated, 'half of a job was', 'halves of jobs were')} created more than once.")
    for project_id, most in tally.busiest.most_common(5):
        window = duration_text(tally.window_s)
        out.print(f"Busiest {window} of project {project_id}: {counted(most, 'create request')}.")
    if ledger is not None:
        out.print(f"Every request and effect: {ledger}")


def _list_faults(*, as_json: bool) -> int:
    from batcher.simulator.faults import FAULTS, PROFILES

    if as_json:
        profiles = {name: profile.description for name, profile in PROFILES.items()}
        click.echo(_json({"profiles": profiles, "faults": {name: fault.description for name, fault in FAULTS.items()}}))
        return exits.CREATED
    from rich.table import Table

    from batcher.cli.show.terminal import console

    for title, rows in (("Profile", PROFILES), ("Fault", FAULTS)):
        table = Table(title, "What happens", box=None, pad_edge=False)
        for name, row in rows.items():
            table.add_row(name, row.description)
        console().print(table, "")
    click.echo(
        "A profile, a fault (then a fifth of requests), or shares of faults: --faults creates:reset-after=20%,slow=5%"
    )
    return exits.CREATED


def _json(value: object) -> bytes:
    import orjson

    return orjson.dumps(value)
