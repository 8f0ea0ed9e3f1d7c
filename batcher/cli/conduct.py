"""Conducting a wave from the command line: start text, live progress, signals, summary and what to type next."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import orjson
from rich.console import Console

from batcher import logs
from batcher.api import Wave
from batcher.cli.ending import exit_code, print_ending, print_next, print_unrecorded
from batcher.cli.progress import Progress
from batcher.cli.signals import stopping
from batcher.cli.start import print_start
from batcher.cli.terminal import colors_on, console
from batcher.report.read import ResultsError, tally_file
from batcher.report.tally import Tally
from batcher.settings import RunSettings
from batcher.wave.engine import WaveEnd
from batcher.wave.sink import StandardOutput


class TalliedOutput(StandardOutput):
    """Result lines to standard output, counted on their way: there is no file to count them in afterwards."""

    def __init__(self) -> None:
        self.tally = Tally()

    def write(self, lines: bytes) -> None:
        """See `Sink.write`."""
        super().write(lines)
        for line in lines.splitlines():
            self.tally.add(orjson.loads(line))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a wave is shown. *command* is what to type to go on; None where there is no going on.

    *said* is printed before the wave begins: for example that the cloud is a simulated one.
    """

    title: str
    command: str | None
    results: Path | None
    as_json: bool = False


def conduct(make: Callable[[], Wave], settings: RunSettings, manner: Manner, output: TalliedOutput | None) -> int:
    """Run the wave that *make* gives to its end, and say how it went on stderr; returns the exit code.

    Raises what entering a `Wave` raises.
    """
    err = console(stderr=True)
    logs.configure(settings.log_format, _level(settings), stream=err.file, color=colors_on(err.file))
    end = asyncio.run(_run(make, settings, manner, err))
    print_unrecorded(err, end)
    tally = _tally(end, manner, output)
    if manner.as_json:
        click.echo(orjson.dumps(_as_json(end, tally, manner), option=orjson.OPT_INDENT_2))
    if not settings.quiet:
        print_ending(err, end, tally, title=str(manner.results or manner.title))
        print_next(err, end, results=manner.results, command=manner.command)
    return exit_code(end)


def _level(settings: RunSettings) -> str:
    return "warning" if settings.quiet and settings.log_level in ("debug", "info") else settings.log_level


async def _run(make: Callable[[], Wave], settings: RunSettings, manner: Manner, err: Console) -> WaveEnd:
    wave = make()
    with stopping(wave, lambda text: err.print(f"\r{text}", style="yellow", soft_wrap=True)):
        async with wave:
            if not settings.quiet:
                print_start(err, wave, title=manner.title)
            async with Progress(wave.status, err, quiet=settings.quiet):
                return await wave.run()


def _tally(end: WaveEnd, manner: Manner, output: TalliedOutput | None) -> Tally:
    """The counts as the results have them, so that the summary proves what was written, not what was meant to be."""
    if output is not None:
        return output.tally
    assert manner.results is not None  # noqa: S101 - results go to a file or to *output*
    try:
        tally, _ = tally_file(manner.results)
    except ResultsError:
        return Tally()  # the file is gone, which the ending says
    return tally


def _as_json(end: WaveEnd, tally: Tally, manner: Manner) -> dict[str, object]:
    return {
        "results": None if manner.results is None else str(manner.results),
        "exit_code": exit_code(end),
        "stopped": None if end.stop is None else end.stop.text,
        "problems": list(tally.misfits(end.status.entries)),
        **tally.as_json(),
        "entries": end.status.entries,
        "unrecorded": list(end.unrecorded),
    }
