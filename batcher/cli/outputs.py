"""What a command may write over, when a file is named for a report, a page or a selection."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from batcher.errors import UserError
from batcher.journal.files import WaveFiles
from batcher.wave.known_files import refuse_known
from batcher.whole import led_to

STDOUT = Path("-")


def refuse_outputs(
    results: Sequence[Path],
    outputs: Mapping[str, Path | None],
    *,
    but: Sequence[str] = (),
    and_not: Sequence[Path] = (),
) -> None:
    """Refuse *outputs*, files by their options, that would replace a file of the waves of *results*, one of *and_not*,
    or another manifest, journal, results or verdicts file (but for the kinds in *but*), or each other.

    Raises `UserError`, before anything is written.
    """
    given = {option: path for option, path in outputs.items() if path is not None and path != STDOUT}
    ours = [file for path in results for file in (path, *WaveFiles.of(path).all)]
    for option, path in given.items():
        for file in (*ours, *and_not):
            if _same(path, file):
                raise UserError(f"{option} {path} would replace {file}, which this reads: choose another file.")
        refuse_known(option, path, but=but)
    options = list(given)
    for number, option in enumerate(options):
        for other in options[:number]:
            if _same(given[option], given[other]) and (given[option].is_file() or not given[option].exists()):
                raise UserError(f"{other} and {option} name the same file, {given[option]}: give each its own.")


def nothing_for(path: Path) -> str:
    """Nothing is to be written to *path*: a file that is there, which was to be replaced, goes, lest it be taken for a
    new one. What was done, for people. Raises OSError."""
    if path.is_file():
        led_to(path).unlink()
        return f"{path} is removed: it was of before"
    return f"{path} is not written"


def _same(path: Path, other: Path) -> bool:
    try:
        return path.resolve() == other.resolve() or path.samefile(other)
    except (OSError, RuntimeError):
        return False
