"""The lines of a wave in a database that machines share, as a results file for commands that read one.

While the wave goes on they are those of settled entries alone: whatever is still open may be sent at any time, by a
machine elsewhere, and is not to be taken for not submitted.
"""

import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from batcher.cli.failures import told
from batcher.cli.show.terminal import note, tell
from batcher.clock import SystemClock
from batcher.follow.verdicts_file import VerdictsTaken
from batcher.journal.place import WavePlace
from batcher.journal.postgres.looking import opened, planned_wave
from batcher.machines.standing import standings_of
from batcher.machines.verdicts_export import NumberedVerdicts, VerdictsExport
from batcher.wave.export import ExportTaken, ResultsExport
from batcher.wave.rebuild import whole_file


@contextmanager
def copy_of(place: WavePlace) -> Iterator[tuple[Path, ...]]:
    """A copy of the lines of the wave at *place*, called as the wave is; the current folder is one of its own while the
    context lasts. Raises `UserError`."""
    wave = place.required_wave()
    with tempfile.TemporaryDirectory(prefix="batcher-") as folder:
        path = Path(folder, f"{wave}.jsonl")
        with told(), opened(place.address) as keeper, path.open("wb") as file:
            record = planned_wave(keeper, place, wave)
            (standing,) = standings_of(keeper.link, wave)
            file.writelines(whole_file(record, SystemClock.now()) if standing.is_over else record.lines())
        with chdir(folder):
            yield (Path(path.name),)


def bring_in_line(place: WavePlace, results: Path) -> None:
    """Have the file *results* say what the record of the wave at *place* says, and the verdicts beside it have all that
    are there. Where another process writes them at the moment, that is left to it. Raises `UserError`."""
    wave = place.required_wave()
    with told(), opened(place.address) as keeper:
        record = planned_wave(keeper, place, wave)
        try:
            export = ResultsExport(record, results)
        except ExportTaken as error:
            note(f"{error.message} It is read as it is")
            return
        try:
            (standing,) = standings_of(keeper.link, wave)
            export.go_on()
            if standing.is_over:
                export.finish(SystemClock.now())
            if standing.verdicts:
                _bring_verdicts(keeper.verdicts(record.number), results)
        finally:
            export.close()
    if export.said:
        tell(export.said)


def _bring_verdicts(verdicts: NumberedVerdicts, results: Path) -> None:
    try:
        export = VerdictsExport(verdicts, results)
    except VerdictsTaken as error:
        note(f"{error.message} They are read as they are")
        return
    try:
        export.go_on()
    finally:
        export.close()
