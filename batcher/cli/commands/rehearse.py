"""`batcher rehearse`: the wave as it would be, through a simulated cloud, and how long it will take."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.lists import ListedCommand
from batcher.cli.options import ALL, F, load_given, settings_options
from batcher.cli.show.terminal import note, screen
from batcher.errors import UserError
from batcher.settings.names import flag_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batcher.cli.rehearsal import Rehearsal, Rehearsed
    from batcher.cli.show.follow_end import FollowSummary
    from batcher.gate.accepted import Acceptance
    from batcher.report.tally import Tally
    from batcher.settings import Loaded, RunSettings

_ENDPOINT = "https://rehearsal.invalid"  # for manifests and settings that name none; nothing is ever sent there
_PROJECT_ID = "rehearsal"

_EPILOG = """\b
Examples:
  batcher rehearse wave.csv
  batcher rehearse wave.csv --rate 10/s --limit 600/min --latency 200ms..2s
  batcher rehearse wave.csv --faults flaky --seed 7 --keep rehearsal
  batcher rehearse wave.csv --wait --max-running 20 --jobs fleet.json --differences 5%

No credential is used, and nothing leaves this machine, whatever endpoints the manifest names. Nobody waits: time
leaps to the next thing that happens, so an hour's wave is rehearsed in seconds. It ends by saying what held the wave
back. Faults: batcher simulate --list-faults. Jobs and differences: docs/simulator.md, as simulate takes them.
"""

# Settings of `run` that a rehearsal cannot honour, and why. Set elsewhere than by a flag, they are left out, and said.
_NOT_REHEARSED = {
    "proxy": "nothing leaves this machine",
    "ca_bundle": "nothing leaves this machine",
    "restart": "a rehearsal is always a new wave",
    "retry_failed": "a rehearsal is always a new wave",
    "look_first": "a rehearsal is always a new wave",
    "notify": "nobody is told of a rehearsal",
    "on_end": "nobody is told of a rehearsal",
}
_REHEARSED = tuple(name for name in ALL if name not in _NOT_REHEARSED)


def _refuse(_ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value is not None:
        name = str(param.name)
        raise UserError(f"{flag_name(name)} is for `batcher run`: {_NOT_REHEARSED[name]}. Leave it out.")


def _refusing(function: F) -> F:
    """The flags of what is not rehearsed, to be refused by name."""
    for name in _NOT_REHEARSED:
        flag = flag_name(name)
        of_switch = name in ("restart", "retry_failed")
        click.option(
            f"{flag}/--no-{flag[2:]}" if of_switch else flag,
            name,
            default=None,
            hidden=True,
            expose_value=False,
            callback=_refuse,
        )(function)
    return function


_FIRST_NIGHT = (
    *("limit", "latency", "faults", "jobs", "differences", "keep", "as_json"),
    *("rate", "concurrency", "deadline", "max_failures", "landing_time"),
    *("wait", "wait_ready", "max_running", "profile"),
)


@click.command(cls=ListedCommand, epilog=_EPILOG, essential=_FIRST_NIGHT)
@click.argument("manifest", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--limit", metavar="RATE", help="Create requests the cloud lets in per project; off for none. [--rate]")
@click.option("--latency", metavar="TIME[..TIME]", default="200ms..600ms", show_default=True,
              help="How long answers take.")  # fmt: skip
@click.option("--faults", metavar="PROFILE", default="none", show_default=True, help="What goes wrong.")
@click.option("--jobs", metavar="FILE", type=click.Path(path_type=Path),
              help="The fleet, in JSON: jobs not ready, or not there; else any job exists.")  # fmt: skip
@click.option("--differences", metavar="FILE|N%", help="What differs, for --wait: a JSON file, or a share of the jobs.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed has the same faults.")
@click.option("--keep", metavar="FOLDER", type=click.Path(path_type=Path),
              help="Keep results, journal and the cloud's ledger in this new folder.")  # fmt: skip
@click.option("--format", "format_", metavar="csv|json|jsonl", help="Format of MANIFEST; by default by its extension.")
@click.option("--encoding", metavar="NAME", help="Encoding of MANIFEST; by default UTF-8.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object on standard output.")
@settings_options(_REHEARSED)
@_refusing
def command(
    manifest: Path,
    limit: str | None,
    latency: str,
    faults: str,
    jobs: Path | None,
    differences: str | None,
    seed: int,
    keep: Path | None,
    format_: str | None,
    encoding: str | None,
    as_json: bool,
    **parameters: Any,
) -> int:
    """Run MANIFEST against a simulated cloud in this process, with the settings of `run`, and say how long it takes.

    Comparisons take as long as the cloud's do. Exits as `run` would.
    """
    loaded = load_given(parameters, _REHEARSED)
    settings = loaded.settings
    _say_what_is_left_out(loaded)
    from batcher.cli.show.at_the_end import accepted_by
    from batcher.simulator.options import service_config

    config = service_config(
        limit=limit or ("off" if settings.rate == "auto" else str(settings.rate)),
        latency=latency,
        faults=faults,
        jobs=jobs,
        differences=differences,
        seed=seed,
        speed=1.0,
    )
    acceptances = accepted_by(settings)
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
        return _rehearse(rehearsal, acceptances, kept=keep is not None, as_json=as_json)


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


def _say_what_is_left_out(loaded: "Loaded") -> None:
    names = [name for name in _NOT_REHEARSED if name in loaded.origins]
    if names:
        said = ", ".join(f"{name} ({loaded.origins[name]})" for name in names)
        note(f"a rehearsal leaves out {said}: nothing leaves this machine, nobody is told, and it is a new wave.")


def _on_this_machine(settings: "RunSettings") -> "RunSettings":
    """*settings* without the way to any real cloud, and without whatever else is not rehearsed."""
    from batcher.settings import RunSettings

    changes: dict[str, Any] = {name: RunSettings.model_fields[name].get_default() for name in _NOT_REHEARSED}
    if settings.endpoint is None and settings.region is None:
        changes["endpoint"] = _ENDPOINT
    if settings.project_id is None:
        changes["project_id"] = _PROJECT_ID
    return settings.model_copy(update=changes)


def _rehearse(rehearsal: "Rehearsal", acceptances: "Sequence[Acceptance]", *, kept: bool, as_json: bool) -> int:
    """Run it, tell what came of it, and return the exit code that `run` would have."""
    from batcher.cli.conduct import count, summary
    from batcher.rehearsal.pace import advice

    rehearsed = rehearsal.run(as_json=as_json)
    end, followed = rehearsed.ended.end, rehearsed.ended.followed
    tally, code = count(rehearsal.results), end.exit_code
    verdict = None
    if followed is not None:
        from batcher.cli.show.follow_end import FollowSummary

        verdict = FollowSummary.of(rehearsal.results, followed, acceptances, journal=rehearsed.ended.journal)
        if code in (exits.CREATED, exits.INCOMPLETE) and verdict.exit_code:
            code = verdict.exit_code
    if as_json:
        import orjson

        said = {
            **summary(end, tally, results=rehearsal.results if kept else None),
            **(verdict.as_json() if verdict is not None else {}),
            "exit_code": code,
            "duration_s": round(end.status.elapsed_s, 3),
            "whole_duration_s": round(rehearsed.took_s, 3),
            "advice": advice(rehearsed.measured),
            "cloud": rehearsed.seen.as_json(),
        }
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
    elif not rehearsal.settings.quiet:
        _tell(rehearsal, rehearsed, tally, verdict, kept=kept)
    return code


def _tell(
    rehearsal: "Rehearsal", rehearsed: "Rehearsed", tally: "Tally", verdict: "FollowSummary | None", *, kept: bool
) -> None:
    from batcher.cli.show.ending import print_ending
    from batcher.durations import rough_duration
    from batcher.rehearsal.pace import advice
    from batcher.text import counted

    err = screen()
    end, seen = rehearsed.ended.end, rehearsed.seen
    print_ending(err, end, tally, title=rehearsal.title)
    if verdict is not None:
        err.say()
        verdict.print(err.console, kept=kept)
    err.say()
    duration = rough_duration(end.status.elapsed_s)
    whole = "Stopped after" if end.stop is not None else "This wave takes"
    until = "" if verdict is None else f", and its last verdict falls after {rough_duration(rehearsed.took_s)}"
    err.say((f"  {whole} {duration} with these settings{until}.", "bold"))
    if end.stop is None and (said := advice(rehearsed.measured)) is not None:
        err.say(f"  {said}")
    limit = rehearsal.config.cloud.limit
    for project_id, most in seen.busiest.most_common(5):
        allowed = "no limit" if limit is None else f"{limit} allowed"
        where = f" to project {project_id}" if len(seen.busiest) > 1 else ""
        err.say(f"  The cloud got at most {counted(most, 'create request')} in a window{where} ({allowed}).")
    if kept:
        err.say(f"  Results, journal and the cloud's ledger: {rehearsal.results.parent}")
