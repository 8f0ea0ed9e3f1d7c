"""What a command may write over, when a file is named for a report, a page or a selection."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from batcher.errors import UserError
from batcher.journal.files import WaveFiles
from batcher.wave.known_files import refuse_known
from batcher.whole import led_to

STDOUT = Path("-")


class Outputs(Struct, frozen=True, kw_only=True):
    """The files that a report is to be written to."""

    html: Path | None
    csv: Path | None
    differences_csv: Path | None
    delimiter: str | None
    markdown: Path | None

    @property
    def are_of_service(self) -> bool:
        """Whether a service writes all of them by itself."""
        some = any((self.html, self.csv, self.markdown))
        return some and self.differences_csv is None and self.delimiter is None

    def elsewhere(self) -> "Outputs":
        """The same files by absolute paths: they stay where they are when the current folder becomes another."""
        html, csv, differences = (path and path.absolute() for path in (self.html, self.csv, self.differences_csv))
        markdown = self.markdown if self.markdown is None or self.markdown == STDOUT else self.markdown.absolute()
        return Outputs(html=html, csv=csv, differences_csv=differences, delimiter=self.delimiter, markdown=markdown)


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
