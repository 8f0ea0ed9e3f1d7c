"""`batcher rehearse`: the wave as it would be, through a simulated cloud, and how long it will take."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.show.terminal import screen
from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.cli.rehearsal import Rehearsal
    from batcher.report.tally import Tally
    from batcher.settings import RunSettings
    from batcher.simulator.counting_ledger import CountingLedger
    from batcher.wave.engine import WaveEnd

_ENDPOINT = "https://rehearsal.invalid"  # for manifests and settings that name none; nothing is ever sent there
_PROJECT_ID = "rehearsal"

_EPILOG = """\b
Examples:
  batcher rehearse wave.csv
  batcher rehearse wave.csv --rate 10/s --limit 600/min --latency 200ms..2s
  batcher rehearse wave.csv --faults flaky --seed 7 --keep rehearsal

No credential is used, and nothing leaves this machine, whatever endpoints the manifest names. Nobody waits: time
leaps to the next thing that happens, so an hour's wave is rehearsed in seconds. Faults: batcher simulate --list-faults.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("manifest", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--limit", metavar="RATE", help="Create requests the cloud lets in per project; off for none. [--rate]")
@click.option("--latency", metavar="TIME[..TIME]", default="200ms..600ms", show_default=True,
              help="How long answers take.")  # fmt: skip
@click.option("--faults", metavar="PROFILE", default="none", show_default=True, help="What goes wrong.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed has the same faults.")
@click.option("--keep", metavar="FOLDER", type=click.Path(path_type=Path),
              help="Keep results, journal and the cloud's ledger in this new folder.")  # fmt: skip
@click.option("--format", "format_", metavar="csv|json|jsonl", help="Format of MANIFEST; by default by its extension.")
@click.option("--encoding", metavar="NAME", help="Encoding of MANIFEST; by default UTF-8.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object on standard output.")
@settings_options()
def command(
    manifest: Path,
    limit: str | None,
    latency: str,
    faults: str,
    seed: int,
    keep: Path | None,
    format_: str | None,
    encoding: str | None,
    as_json: bool,
    **parameters: Any,
) -> int:
    """Run MANIFEST against a simulated cloud in this process, with the settings of `run`, and say how long it takes.

    Exits as `run` would.
    """
    settings = load_given(parameters).settings
    from batcher.simulator.options import service_config

    config = service_config(limit=limit or str(settings.rate), latency=latency, faults=faults, seed=seed)
    if keep is not None and keep.exists():
        raise UserError(f"{keep} exists: name a folder that does not, or remove it.")
    with _folder(keep) as folder:
        from batcher.cli.rehearsal import Rehearsal

        rehearsal = Rehearsal(
            manifest=manifest,
            results=folder / "rehearsal.jsonl",
            settings=_on_this_machine(settings),
            config=config,
            title=f"{manifest}, rehearsed",
            format=format_,
            encoding=encoding,
            ledger=folder / "ledger.jsonl" if keep is not None else None,
        )
        return _rehearse(rehearsal, kept=keep is not None, as_json=as_json)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where the files go: *keep*, which is made, or a folder that is gone afterwards."""
    if keep is None:
        with TemporaryDirectory(prefix="batcher-rehearsal-") as folder:
            yield Path(folder)
        return
    try:
        keep.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {keep}: {error.strerror}.") from None
    yield keep


def _on_this_machine(settings: "RunSettings") -> "RunSettings":
    """*settings* without the way to any real cloud."""
    changes: dict[str, Any] = {
        "proxy": None,
        "ca_bundle": None,
        "restart": False,
        "retry_failed": False,
        "notify": None,
        "on_end": None,
    }
    if settings.endpoint is None and settings.region is None:
        changes["endpoint"] = _ENDPOINT
    if settings.project_id is None:
        changes["project_id"] = _PROJECT_ID
    return settings.model_copy(update=changes)


def _rehearse(rehearsal: "Rehearsal", *, kept: bool, as_json: bool) -> int:
    """Run it, tell what came of it, and return the exit code that `run` would have."""
    from batcher.cli.conduct import count, summary
    from batcher.cli.show.ending import exit_code

    end, seen = rehearsal.run(as_json=as_json)
    tally = count(rehearsal.results)
    if as_json:
        import orjson

        said = {
            **summary(end, tally, results=rehearsal.results if kept else None),
            "duration_s": round(end.status.elapsed_s, 3),
            "cloud": seen.as_json(),
        }
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
    elif not rehearsal.settings.quiet:
        _tell(rehearsal, end, tally, seen, kept=kept)
    return exit_code(end)


def _tell(rehearsal: "Rehearsal", end: "WaveEnd", tally: "Tally", seen: "CountingLedger", *, kept: bool) -> None:
    from batcher.cli.show.ending import print_ending
    from batcher.durations import rough_duration
    from batcher.text import counted

    err = screen()
    print_ending(err, end, tally, title=rehearsal.title)
    err.say()
    duration = rough_duration(end.status.elapsed_s)
    whole = "Stopped after" if end.stop is not None else "This wave takes"
    err.say((f"  {whole} {duration} with these settings.", "bold"))
    limit = rehearsal.config.cloud.limit
    for project_id, most in seen.busiest.most_common(5):
        allowed = "no limit" if limit is None else f"{limit} allowed"
        where = f" to project {project_id}" if len(seen.busiest) > 1 else ""
        err.say(f"  The cloud got at most {counted(most, 'create request')} in a window{where} ({allowed}).")
    if kept:
        err.say(f"  Results, journal and the cloud's ledger: {rehearsal.results.parent}")
