"""The entries of one or several waves with their verdicts, for the gate, the report and reruns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from batcher.follow.coverage import WaveCoverage
from batcher.follow.verdict import Verdict
from batcher.gate.entries import EntryAt, InTheWay, WaveEntry
from batcher.gate.entry_code import is_in_the_way, status_of, verdict_of
from batcher.gate.entry_database import Named
from batcher.gate.entry_table import EntryRow, EntryTable
from batcher.gate.line_places import LineReader
from batcher.gate.wave_reader import WaveReader
from batcher.journal.place import JournalPlace
from batcher.manifest.labels import ANY_LABELS, LabelFilter


def entries_of(
    files: Iterable[Path],
    *,
    journal: JournalPlace | None = None,
    entries: Mapping[Path, int] | None = None,
    labels: LabelFilter = ANY_LABELS,
    named: Mapping[Path, str] | None = None,
) -> "WaveEntries":
    """Every entry with *labels* of the results *files*, with the verdict that stands beside. Raises `UserError`.

    A verdict on the comparisons of a wave that was begun anew since is none. Entries without a result (the wave runs
    still, or was killed) come last; `WaveEntries.coverage` says of each wave whether that is known of all of them.
    *journal* is that of the one file, where it is not beside it; *entries* is how many the operator says that there
    are. *named* is what waves are called that are not known by their file.
    """
    said, names = entries or {}, named or {}
    return WaveEntries(
        [WaveReader(number, path, journal, labels, names.get(path)) for number, path in enumerate(files)],
        lambda wave: said.get(wave.path),
        labels,
    )


class WaveEntries:
    """The entries of several waves; see `Entries`. What is not in their `table` is read from their files again."""

    def __init__(
        self, waves: Sequence[WaveReader], said: Callable[[WaveReader], int | None], labels: LabelFilter
    ) -> None:
        self.labels = labels
        self._waves = waves
        self.table = EntryTable()
        coverage: list[WaveCoverage] = []
        for wave in waves:
            coverage.append(wave.read_into(self.table, said(wave)))
        self.coverage: Sequence[WaveCoverage] = coverage
        self.table.complete(self._named)

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[WaveEntry]:
        with self.reading() as entry_at:
            yield from map(entry_at, range(len(self)))

    @contextmanager
    def reading(self) -> Iterator[EntryAt]:
        """What loads an entry by its place from its files, which are open while the context lasts."""
        with ExitStack() as stack:
            readers: dict[int, Callable[[EntryRow], WaveEntry]] = {}

            def entry_at(place: int) -> WaveEntry:
                row = self.table.row(place)
                if row.wave not in readers:
                    reading = self._waves[row.wave].reading(self.table.waves[row.wave])
                    readers[row.wave] = stack.enter_context(reading)
                return readers[row.wave](row)

            yield entry_at

    @contextmanager
    def lines(self) -> Iterator[Callable[[int], Mapping[str, Any] | None]]:
        """What reads the result line of the run at a place; None: it has none."""
        with self._opened() as results_of:

            def line_of(place: int) -> Mapping[str, Any] | None:
                row = self.table.row(place)
                return None if row.line is None else self._waves[row.wave].line_of(row, results_of(row.wave))

            yield line_of

    def _named(self, places: Iterable[int]) -> Iterator[Named]:
        """What the entries at *places* are called, by their files."""
        database = self.table.database
        with self._opened() as results_of:
            for place in places:
                row = self.table.row(place)
                if row.missing is not None:
                    yield place, row.wave, row.missing.scope, row.missing.key
                else:
                    *scope, key = self._waves[row.wave].name_of(row, results_of(row.wave))
                    yield place, row.wave, database.scope(*scope), key

    @contextmanager
    def _opened(self) -> Iterator[Callable[[int], LineReader]]:
        """What gives the results file of a wave, opened."""
        with ExitStack() as stack:
            files: dict[int, LineReader] = {}

            def results_of(wave: int) -> LineReader:
                if wave not in files:
                    files[wave] = stack.enter_context(self._waves[wave].opened(self.table.waves[wave]))
                return files[wave]

            yield results_of

    def wave_of(self, place: int) -> int:
        """The number of the wave that the run at *place* is of."""
        return self.table.wave_of(place)

    def file_of(self, place: int) -> str:
        """The results file that the entry at *place* is in."""
        return self._waves[self.wave_of(place)].called

    def runs_of(self, place: int) -> Sequence[int]:
        """The places of all runs of the entry at *place*, ascending, itself among them."""
        return self.table.runs_of(place)

    def sound(self) -> Mapping[Verdict | None, int]:
        """How many entries are certainly sound (created, compared to the end, consistent, run once), by verdict."""
        return self.table.sound()

    def in_question(self) -> Iterator[int]:
        """The place of the first run of each entry that is not certainly sound, ascending."""
        return self.table.in_question()

    def in_the_way(self, place: int) -> InTheWay | None:
        """The entry at *place*, if it certainly stands in the way where nothing was accepted, without loading it."""
        code = self.table.code(place)
        return InTheWay(place, status_of(code), verdict_of(code)) if is_in_the_way(code) else None
