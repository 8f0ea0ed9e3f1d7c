"""`batcher results` of a wave in a database that machines share: all at once, or as entries are settled."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from batcher import streams
from batcher.cli import exits
from batcher.cli.failures import told
from batcher.cli.show.terminal import note, tell
from batcher.clock import SystemClock
from batcher.journal.place import WavePlace
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.link import Patience
from batcher.journal.postgres.looking import opened, planned_wave
from batcher.life.result import Status
from batcher.machines.line_output import LineOutput
from batcher.machines.standing import SharedStanding, standings_of
from batcher.text import counted, printable
from batcher.wave.export import ResultsExport
from batcher.wave.opening import check_results
from batcher.wave.rebuild import whole_file
from batcher.wave.sink import StandardOutput

_EVERY_S = 1.0


def write_to(place: WavePlace, output: str) -> int:
    """Write the lines of the wave at *place*, one for every entry. Raises `UserError`."""
    wave = place.required_wave()
    with told(), opened(place.address) as keeper:
        record = planned_wave(keeper, place, wave)
        if output == "-":
            for line in streams.while_read(whole_file(record, SystemClock.now())):
                sys.stdout.buffer.write(line)
            return exits.CREATED
        check_results(Path(output))
        export = ResultsExport(record, Path(output))
        try:
            export.go_on()
            still_open = sum(export.finish(SystemClock.now()).values())
        finally:
            export.close()
    _tell(export, output, still_open)
    return exits.CREATED


def follow_to(place: WavePlace, output: str) -> int:
    """The same as they are settled, until the wave is over: the exit code of a `run` that had done it all.

    A database that is away is waited for. Raises `UserError`.
    """
    wave = place.required_wave()
    with told(), opened(place.address, Patience()) as keeper:
        record = planned_wave(keeper, place, wave)
        if output == "-":
            return _follow(keeper, wave, LineOutput(record, StandardOutput()))[0]
        check_results(Path(output))
        export = ResultsExport(record, Path(output))
        try:
            code, still_open = _follow(keeper, wave, export)
        finally:
            export.close()
    _tell(export, output, still_open)
    return code


class _Lines(Protocol):
    """Takes the lines of a wave as they are settled."""

    def go_on(self) -> int: ...

    def finish(self, now: float) -> Mapping[Status, int]: ...


def _follow(keeper: PostgresKeeper, wave: str, lines: _Lines) -> tuple[int, int]:
    """The exit code, and how many entries are still open."""
    said = None
    while True:
        (standing,) = standings_of(keeper.link, wave)
        lines.go_on()
        if (why := _why_it_waits(standing)) not in (None, said):
            note(str(why))
        said = why
        if standing.is_over:
            return _code(standing), sum(lines.finish(SystemClock.now()).values())
        time.sleep(_EVERY_S)


def _why_it_waits(standing: SharedStanding) -> str | None:
    """Why nothing new comes for now, with the way out; None: something does, or may at any moment."""
    if standing.stage == "planning":
        return (
            "nobody takes the wave yet. Where that lasts, who planned it is gone: the same `batcher run` again goes on."
        )
    if standing.stage == "paused":
        return f"the wave is paused ({printable(standing.orders.paused or '')}): `batcher control … resume` goes on."
    if standing.stage == "waiting" and (waiting := standing.waiting):
        whose = counted(len(waiting), "scope")
        return f"no worker has taken {whose} of the wave: start one with `batcher worker`, or see `batcher status`."
    return None


def _code(standing: SharedStanding) -> int:
    if standing.settled < standing.entries:
        return exits.STOPPED
    if standing.by_status.get(Status.UNSETTLED):
        return exits.UNSETTLED
    return exits.CREATED if standing.by_status.get(Status.CREATED) == standing.entries else exits.INCOMPLETE


def _tell(export: ResultsExport, output: str, still_open: int) -> None:
    if export.said:
        tell(export.said)
    rest = f", and {counted(still_open, 'entry', 'entries')} still open" if still_open else ""
    tell(f"{output}: {counted(export.count, 'settled result')}{rest}")
