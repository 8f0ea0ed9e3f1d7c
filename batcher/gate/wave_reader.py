"""Reading the files of one wave into the table of entries, and an entry from them when it is asked for."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from batcher.errors import UserError
from batcher.follow.coverage import WaveCoverage, how_many, plan_beside, sentence
from batcher.follow.fast_lines import fast_parser
from batcher.follow.verdict import VerdictLine, identity, identity_of
from batcher.follow.verdicts_file import MOST_ENTRIES, VerdictsError, raw_verdicts, verdict_in
from batcher.gate.entries import WaveEntry
from batcher.gate.entry_code import code_of_verdict
from batcher.gate.entry_database import EntryDatabase
from batcher.gate.entry_table import EntryRow, EntryTable
from batcher.gate.line_places import LineReader, changed
from batcher.gate.wave_columns import VerdictColumns, WaveColumns, digest_of
from batcher.journal.errors import JournalUnusable
from batcher.journal.files import WaveFiles
from batcher.journal.place import JournalPlace
from batcher.journal.port import Record
from batcher.life.result import Result
from batcher.manifest.labels import ANY_LABELS, LabelFilter
from batcher.wave.results_file import ResultsError, parsed_line, raw_lines, result_in


@dataclass(frozen=True, slots=True)
class WaveReader:
    """The files of the wave with this *number* in the table. *journal* is where it was said to be; None: beside.
    *name* is what the wave is called in what is told of it; None: as its results file.

    Entries that *labels* do not mean stay out of the table. Of one without a result, of which no journal tells, nobody
    knows the labels: it stays in.
    """

    number: int
    path: Path
    journal: JournalPlace | None
    labels: LabelFilter = ANY_LABELS
    name: str | None = None

    def read_into(self, table: EntryTable, said: int | None) -> WaveCoverage:
        """Put all entries into *table*; whether these are all. *said* is how many the operator says that there are.

        Raises `UserError`.
        """
        columns = WaveColumns()
        self._read_verdicts(columns.verdicts)
        stated = _Stated(self.path)
        others = self._read_results(columns, stated)
        columns.verdicts.settle()
        try:
            with plan_beside(self.path, self.journal) as (record, why):
                coverage = self._look_for_missing(columns, table.database, record, why, stated.entries, said)
                if record is not None and self.labels:
                    others.extend(self._missing_others(columns, record))
        except JournalUnusable as error:
            if self.journal is not None:
                raise
            why = sentence(error, self.path)
            coverage = self._look_for_missing(columns, table.database, None, why, stated.entries, said)
        columns.settle(others)
        table.add_wave(columns)
        return coverage

    def _missing_others(self, columns: WaveColumns, record: Record) -> list[int]:
        """The entries without a result that are not meant, as their journal has them."""
        missing = [(index, record.entry(index)) for index in columns.missing()]
        return [index for index, entry in missing if entry is not None and not self.labels.takes(entry.labels)]

    def _read_verdicts(self, verdicts: VerdictColumns) -> None:
        parsed, path = fast_parser(VerdictLine, verdict_in), WaveFiles.of(self.path).verdicts
        for number, raw in raw_verdicts(path):
            line = parsed(path, number, raw)
            index, objects, data = line.index, line.object_level_compare_result, line.data_level_compare_result
            if index >= MOST_ENTRIES:
                raise VerdictsError(f"{path}, line {number} is no verdict: no manifest has an entry {index}.")
            differences = 0 if objects is None else len(objects.differences)
            if data is not None:
                differences += len(data.differences)
            verdicts.places.add(raw)
            verdicts.add(index, hash(identity(line.key, objects, data)), code_of_verdict(line), differences)

    def _read_results(self, columns: WaveColumns, stated: "_Stated") -> "array[int]":
        """Read every result; the indexes of those that are not meant."""
        parsed, path, labels, others = fast_parser(Result, result_in), self.path, self.labels, array("I")
        for number, raw in raw_lines(path):
            line = parsed(path, number, raw)
            index = line.index
            if index >= MOST_ENTRIES:
                raise ResultsError(f"{path}, line {number} is no result: no manifest has an entry {index}.")
            if line.wave_entries != stated.entries:
                stated.by(number, line.wave_entries)
            if labels and not labels.takes(line.labels):
                others.append(index)
            columns.places.add(raw)
            columns.add_result(index, line.key, hash(identity_of(line)), line.status)
        return others

    def _look_for_missing(
        self,
        columns: WaveColumns,
        database: EntryDatabase,
        record: Record | None,
        why: str | None,
        stated: int | None,
        said: int | None,
    ) -> WaveCoverage:
        """Find out which entries have no line: as *record* has them, or, where there is none, as the lines (*stated*)
        or who *said* how many there are. *why* there is no record."""
        columns.forget_missing()
        database.forget_missing(self.number)
        distinct = columns.lines - columns.repeated
        planned = None if record is None else record.entry_count()
        entries, source = how_many(self.path, planned=planned, stated=stated, said=said, highest=columns.highest)
        count = columns.highest + 1 if entries is None else entries
        if record is not None:
            database.add_missing(self.number, self._missing(columns, database, record))
            if distinct < count:
                there = [index for index in columns.missing() if record.result_of(index) is not None]
                database.mark_unwritten(self.number, there)
        elif distinct < count:
            for index in range(count):
                if columns.key_of(index) is None:
                    columns.add_missing(index, database.missing(self.number, index).key)
        return WaveCoverage(
            file=self.called,
            lines=columns.lines,
            repeated=columns.repeated,
            entries=entries,
            source=source,
            journal=why,
        )

    def _missing(
        self, columns: WaveColumns, database: EntryDatabase, record: Record
    ) -> Iterator[tuple[int, str, str | None, int | None]]:
        """Those of the plan that have no result, which come into *columns*. Raises `ResultsError` where a result has
        another key than the plan."""
        for index, key, job_id, scope in record.outline():
            found = columns.key_of(index)
            if found is None:
                columns.add_missing(index, key)
                yield index, key, job_id, None if scope is None else database.scope(scope.endpoint, scope.project_id)
            elif found[0] != digest_of(key):
                raise ResultsError(
                    f"{self.path} and the journal beside it are of two waves: line {found[1] + 1} has another key than "
                    f"entry {index} of the journal. Copy all files of one wave, RESULTS*."
                )

    @property
    def called(self) -> str:
        """What the wave is called."""
        return self.name or str(self.path)

    @contextmanager
    def reading(self, columns: WaveColumns) -> Iterator[Callable[[EntryRow], WaveEntry]]:
        """What reads the rest of an entry of *columns* from the files. Raises `UserError` where they are not what they
        were."""
        beside, parsed = WaveFiles.of(self.path).verdicts, fast_parser(Result, result_in)
        with ExitStack() as stack:
            results = stack.enter_context(self.opened(columns))
            verdicts: LineReader | None = None
            if beside.exists():
                file = stack.enter_context(_opened(beside, VerdictsError))
                verdicts = LineReader(file, beside, columns.verdicts.places)

            def entry_of(row: EntryRow) -> WaveEntry:
                if row.line is None:
                    return _wave_entry(self.called, row)
                result = results.read(row.line, parsed)
                line = None
                if row.verdict_line is not None:
                    if verdicts is None:
                        raise changed(beside)
                    line = verdicts.read(row.verdict_line, verdict_in)
                    about = identity(line.key, line.object_level_compare_result, line.data_level_compare_result)
                    if line.index != row.idx or about != identity_of(result):
                        raise changed(beside)
                if (result.index, digest_of(result.key)) != (row.idx, row.key):
                    raise changed(self.path)
                return _wave_entry(self.called, row, result, line)

            yield entry_of

    @contextmanager
    def opened(self, columns: WaveColumns) -> Iterator[LineReader]:
        """The results file of *columns*, to be read. Raises `ResultsError`."""
        with _opened(self.path, ResultsError) as file:
            yield LineReader(file, self.path, columns.places)

    def name_of(self, row: EntryRow, results: LineReader) -> tuple[str | None, str | None, str]:
        """Endpoint, project and key of *row*, by its line in the *results* file. Raises `UserError` where it is another
        now."""
        result = results.read(row.line or 0, fast_parser(Result, result_in))
        if (result.index, digest_of(result.key)) != (row.idx, row.key):
            raise changed(self.path)
        return result.endpoint, result.project_id, result.key

    def line_of(self, row: EntryRow, results: LineReader) -> Mapping[str, Any]:
        """The line of *row* as it stands in the *results* file. Raises `UserError` where it is another now."""
        line = results.read(row.line or 0, parsed_line)
        if line.get("index") != row.idx:
            raise changed(self.path)
        return line


@dataclass(slots=True)
class _Stated:
    """How many entries the lines of the file at *path* say that their wave has; None: they do not say."""

    path: Path
    entries: int | None = None

    def by(self, number: int, entries: int | None) -> None:
        """Line *number* says so."""
        if entries is None:
            return
        if self.entries not in (None, entries):
            raise ResultsError(
                f"{self.path}, line {number} says that its wave has {entries:,} entries, and an earlier line "
                f"{self.entries:,}: lines of two waves were put together. Name the file of each."
            )
        self.entries = entries


def _wave_entry(file: str, row: EntryRow, result: Any = None, line: VerdictLine | None = None) -> WaveEntry:
    if (missing := row.missing) is not None:
        return WaveEntry(
            file=file,
            index=row.idx,
            key=missing.key,
            job_id=missing.job_id,
            scope=(missing.endpoint, missing.project_id),
            nth=row.nth,
            status=None,
            verdict=None,
            is_unwritten=missing.unwritten,
        )
    return WaveEntry(
        file=file,
        index=row.idx,
        key=result.key,
        job_id=result.job_id,
        scope=(result.endpoint, result.project_id),
        nth=row.nth,
        status=result.status,
        verdict=line,
        said=result.error_msg,
        finished_at=result.finished_at,
    )


@contextmanager
def _opened(path: Path, error: type[UserError]) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as failed:
        raise error(f"cannot read {path}: {failed.strerror}.") from None
    with file:
        yield file
