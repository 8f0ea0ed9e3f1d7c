"""Conducting a wave from the command line: start text, live progress, signals, summary and what to type next."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import orjson

from batcher import logs, streams
from batcher.cli import exits
from batcher.cli.show.at_the_end import MOST_TOLD, accepted_by, check_end, tell_end, telling_stop
from batcher.cli.show.progress import progress
from batcher.cli.show.running_wave import RunningWave
from batcher.cli.show.start import print_start, short_landing
from batcher.cli.show.terminal import Screen, colors_on, note, screen
from batcher.cli.signals import stopping
from batcher.settings import RunSettings
from batcher.wave.engine import WaveEnd
from batcher.wave.sink import StandardOutput

if TYPE_CHECKING:
    from batcher.follow.follower import FollowEnd
    from batcher.journal.place import JournalPlace
    from batcher.report.tally import Tally

Make = Callable[[AsyncExitStack], Awaitable[RunningWave]]
"""Gives the wave to run, not entered yet; what it needs around it (a simulated cloud, say) goes onto the stack."""


class TalliedOutput(StandardOutput):
    """Result lines to standard output, counted on their way: there is no file to count them in afterwards."""

    def __init__(self) -> None:
        from batcher.report.tally import Tally  # elsewhere results are counted at the end

        self.tally = Tally()

    def write(self, lines: bytes) -> None:
        """Count *lines* and write them to standard output. Raises `SinkFailed`."""
        super().write(lines)
        for line in lines.splitlines():
            self.tally.add(orjson.loads(line))


class Presentation(msgspec.Struct, frozen=True, kw_only=True):
    """How a wave is shown. *title* heads it. *command* is what to type to go on; None where there is no going on.

    *results* is where its results go, where nobody has said so. *loop* makes the event loop to run on, where that is
    not asyncio's own.
    """

    title: str
    command: str | None
    results: Path | None = None
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None


class RunEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a wave ended, and how the following of what it created did; None where that was not asked for."""

    end: WaveEnd
    followed: "FollowEnd | None"
    journal: "JournalPlace | None"


def run_wave(make: Make, settings: RunSettings, presentation: Presentation) -> RunEnd:
    """Run the wave that *make* gives to its end, shown as *settings* have it. Raises what entering a `Wave` raises."""
    err = screen()
    level = "warning" if settings.quiet and settings.log_level in ("debug", "info") else settings.log_level
    logs.configure(settings.log_format, level, color=colors_on(err.stream), brief=not settings.quiet)
    with streams.never_waiting(), asyncio.Runner(loop_factory=presentation.loop) as runner:
        ended = runner.run(_run(make, settings, presentation, err))
    from batcher.cli.show.ending import print_unrecorded  # no request waits for what tells of the end

    print_unrecorded(err, ended.end)
    return ended


async def _run(make: Make, settings: RunSettings, presentation: Presentation, err: Screen) -> RunEnd:
    async with AsyncExitStack() as stack:
        wave = await make(stack)
        stack.enter_context(stopping(wave, lambda text: err.say((text, "yellow"))))
        async with wave:
            if not settings.quiet:
                print_start(err, wave, title=presentation.title, results=presentation.results)
            if presentation.command is not None:  # else no cloud is asked
                said = short_landing(wave.status(), settings.landing_time, settings.timeout)
                if said is not None:
                    note(said)
            async with progress(wave.status, err, quiet=settings.quiet):
                end = await wave.run()
            return RunEnd(end=end, followed=await _follow(wave, settings, err), journal=wave.journal_path)


async def _follow(wave: RunningWave, settings: RunSettings, err: Screen) -> "FollowEnd | None":
    if wave.following() is None:
        return await wave.follow()
    from batcher.cli.show.following import shown

    async with shown(wave.following, err, quiet=settings.quiet):
        return await wave.follow()


def conduct(
    make: Make,
    settings: RunSettings,
    presentation: Presentation,
    *,
    results: Path | None,
    output: TalliedOutput | None,
    as_json: bool,
) -> int:
    """Run a wave and say on stderr how it went; returns the exit code. Its results are in *results*, or *output*.

    Raises what entering a `Wave` raises.
    """
    check_end(settings)
    acceptances = accepted_by(settings)
    with telling_stop(settings, "run"):
        ended = run_wave(make, settings, presentation)
    from batcher.cli.show.ending import print_ending, print_next
    from batcher.report.tally import Tally

    end, code = ended.end, ended.end.exit_code
    tally = count(results) if output is None and results is not None else output.tally if output else Tally()
    said = summary(end, tally, results=results)
    text = f"{presentation.title}: {end.status.created:,} of {end.status.entries:,} created"
    whole: dict[str, object] = {}  # what of it is told in full
    err = screen()
    if not settings.quiet:
        print_ending(err, end, tally, title=str(results or presentation.title))
    if ended.followed is not None and results is not None:
        from batcher.cli.show.follow_end import FollowSummary

        verdict = FollowSummary.of(results, ended.followed, acceptances, journal=ended.journal)
        said |= verdict.as_json(MOST_TOLD)
        if as_json:
            whole = verdict.as_json()
        text += f"; {verdict.text}"
        code = verdict.exit_code if code in (exits.CREATED, exits.INCOMPLETE) and verdict.exit_code else code
        said["exit_code"] = code
        if not settings.quiet:
            err.say()
            from batcher.cli.show.blockers import advice_for

            verdict.print(err.console, advice=advice_for(ended.journal))
    if not settings.quiet:
        print_next(
            err, end, tally, results=results, command=presentation.command, judged=ended.followed is not None,
            place=None if ended.journal is None or isinstance(ended.journal, Path) else str(ended.journal),
        )  # fmt: skip
    if as_json:
        click.echo(orjson.dumps(said | whole, option=orjson.OPT_INDENT_2))
    tell_end(settings, "run", text, said)
    return code


def count(results: Path) -> "Tally":
    """The counts as the file has them, so that a summary proves what was written, not what was meant to be."""
    from batcher.report.read import tally_file
    from batcher.report.tally import Tally
    from batcher.wave.results_file import ResultsError

    try:
        tally, _, _ = tally_file(results)
    except ResultsError:
        return Tally()  # the file is gone, which the wave's end says
    return tally


def summary(end: WaveEnd, tally: "Tally", *, results: Path | None) -> dict[str, object]:
    """The end of a wave as plain data, for `--json`."""
    return {
        **tally.as_json(),
        "results": None if results is None else str(results),
        "entries": end.status.entries,
        "exit_code": end.exit_code,
        "stopped": None if end.stop is None else end.stop.text,
        "problems": list(tally.misfits(end.status.entries)),
        "unrecorded": list(end.unrecorded),
    }
