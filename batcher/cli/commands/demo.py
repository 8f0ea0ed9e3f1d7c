"""`batcher demo`: see it work in a minute, with files to look at afterwards."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batcher.cli import exits
from batcher.cli.commands.serve import DEFAULT_LISTEN, address_of
from batcher.cli.show.terminal import Screen, screen
from batcher.cli.timezone import timezone_option
from batcher.clock import utc_now
from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.cli.rehearsal import Rehearsal
    from batcher.report.tally import Tally
    from batcher.simulator.counting_ledger import CountingLedger

_EPILOG = """\b
Examples:
  batcher demo
  batcher demo --folder /tmp/demo --seed 7
  batcher demo --serve    # the service and its page, with a wave that runs

No credential is needed, and nothing leaves this machine. A demo of before in the same folder is replaced.
"""

_MARK = ".batcher-demo"
_OPENER = "open" if sys.platform == "darwin" else "xdg-open"  # of a page, in a browser


@click.command(epilog=_EPILOG)
@click.option("--folder", metavar="FOLDER", type=click.Path(path_type=Path), default=Path("demo"), show_default=True,
              help="Where manifest, results and report go.")  # fmt: skip
@click.option("--seed", type=int, default=10, show_default=True, help="The same seed meets the same faults.")
@click.option("--fast", is_flag=True, help="Do not wait: let time leap to the next thing that happens.")
@click.option("--serve", "serves", is_flag=True, help="Serve waves over HTTP instead, with a page to look at.")
@click.option("--listen", metavar="HOST:PORT", help=f"Where --serve listens. [{DEFAULT_LISTEN}]")
@click.option("--quiet", is_flag=True, help="No progress and no summary.")
@timezone_option
def command(folder: Path, seed: int, fast: bool, serves: bool, listen: str | None, quiet: bool) -> int:
    """Run a sample wave of 300 entries through a simulated cloud on a bad day, and say where to look at it.

    All shapes of comparison, two projects, some jobs that are not well; lost answers, gateway errors and throttling.
    """

    if serves:
        return _serve(folder, listen or DEFAULT_LISTEN, seed, fast=fast, quiet=quiet)
    if listen is not None:
        raise UserError("--listen is of --serve: give both, or neither.")

    from batcher.cli.rehearsal import Rehearsal
    from batcher.rehearsal import sample
    from batcher.settings import RunSettings

    _make_room(folder)
    manifest = folder / "wave.csv"
    manifest.write_text(sample.manifest_csv(utc_now()), encoding="utf-8-sig", newline="")
    settings = RunSettings.model_construct(
        **{name: field.get_default() for name, field in RunSettings.model_fields.items()}
        | {
            "endpoint": "https://drs.eu-west-101.myhuaweicloud.eu",
            "rate": sample.LIMIT,
            "landing_time": 3.0,
            "quiet": quiet,
            "log_level": "error",
        }
    )
    rehearsal = Rehearsal(
        manifest=manifest,
        results=folder / "results.jsonl",
        settings=settings,
        config=sample.cloud(seed),
        title=f"{manifest}, through a simulated cloud on a bad day",
        leaps=fast,
        ledger=folder / "ledger.jsonl",
    )
    return _show(rehearsal, folder, quiet=quiet)


def _serve(folder: Path, listen: str, seed: int, *, fast: bool, quiet: bool) -> int:
    if fast or quiet:
        raise UserError(f"{'--fast' if fast else '--quiet'} is of the demo in the terminal: leave it out with --serve.")
    from batcher.cli.demo_service import serve_demo

    host, port = address_of(listen)
    _make_room(folder)
    serve_demo(folder, host, port, seed, screen())
    return exits.CREATED


def _make_room(folder: Path) -> None:
    """Have *folder* empty but for its mark; only what an earlier demo left is removed."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name another folder with --folder.")
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise UserError(f"{folder} holds files that are not a demo's: name another folder with --folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _files(folder):
            (folder / name).unlink(missing_ok=True)
        (folder / _MARK).touch()
    except OSError as error:
        raise UserError(f"cannot write in {folder}: {error.strerror}.") from None


def _files(folder: Path) -> list[str]:
    """What a demo leaves; anything else in the folder is somebody's."""
    journal = "results.jsonl.journal"
    return [
        "wave.csv",
        "results.jsonl",
        journal,
        f"{journal}-wal",
        f"{journal}-shm",
        "ledger.jsonl",
        "report.html",
        "batcher.toml",
    ]


def _show(rehearsal: "Rehearsal", folder: Path, *, quiet: bool) -> int:
    from batcher.cli.conduct import count
    from batcher.cli.show.ending import print_ending
    from batcher.report.html import write_page
    from batcher.report.page_data import gather_page

    rehearsed = rehearsal.run()
    end, seen = rehearsed.ended.end, rehearsed.seen
    if end.stop is not None:
        return end.exit_code
    write_page(folder / "report.html", gather_page([rehearsal.results]))
    if not quiet:
        err = screen()
        tally = count(rehearsal.results)
        print_ending(err, end, tally, title=str(rehearsal.results))
        _print_judgement(err, seen, tally)
        _print_next(err, folder, tally)
    return exits.CREATED


def _print_judgement(err: Screen, seen: "CountingLedger", tally: "Tally") -> None:
    """What the cloud itself says of it: its ledger is the judge."""
    from batcher.rehearsal import sample
    from batcher.text import counted

    lost = sum(count for name, count in seen.faults.items() if name != "slow")
    repeated = "none of them twice" if not seen.repeated else f"{seen.repeated} of them more than once"
    busiest = max(seen.busiest.values(), default=0)
    err.say()
    err.say(("  The simulated cloud's own ledger", "bold"))
    for line in (
        f"{counted(seen.created, 'comparison')} created, {repeated}",
        f"{counted(lost, 'request')} met a fault: {', '.join(sorted(seen.faults))}",
        f"{tally.recovered} task ids found again after a lost answer",
        f"{busiest} create requests in the busiest second of a project, of {sample.LIMIT.count} allowed",
    ):
        err.say(f"  · {line}")


def _print_next(err: Screen, folder: Path, tally: "Tally") -> None:
    name = shlex.quote(str(folder))
    results = f"{name}/results.jsonl"
    failed = next((trouble for trouble in tally.troubles), None)
    steps = [
        (f"less {name}/wave.csv", "the manifest: 300 entries in all shapes"),
        (f"batcher check {name}/wave.csv --region eu-west-101", "check it"),
        (f"jq -c 'select(.status != \"created\") | [.status, .job_id, .error_code]' {results}", "what was not created"),
        (f"batcher select {results} --status failed,partial -o {name}/next.jsonl", "those as the next manifest"),
        (f"{_OPENER} {name}/report.html", "the report, one page to pass on"),
        ("batcher simulate    # and batcher run in a second terminal: see README.md", "go on by hand"),
    ]
    if failed is not None:
        steps.insert(3, (f"batcher explain {results} --key {failed.example['key']}", "every attempt, and why"))
    if shutil.which("batcher") is None:  # scripts/demo has begun it by its path
        here = shlex.quote(str(Path(sys.argv[0]).resolve().parent))
        steps.insert(0, (f'export PATH={here}:"$PATH"', "have this shell find batcher"))
    err.say()
    err.say((f"  Everything is in {folder}/. Look at", "bold"))
    for typed, why in steps:
        err.say()
        err.offer((f"  # {why}", "dim"))
        err.offer(f"  {typed}")
