"""Reading the files of one wave into the table of entries, and an entry from them when it is asked for."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from batcher.errors import UserError
from batcher.follow.coverage import WaveCoverage, how_many, plan_beside, sentence
from batcher.follow.fast_lines import fast_parser
from batcher.follow.verdict import VerdictLine
from batcher.follow.verdicts_file import MOST_ENTRIES, VerdictsError, raw_verdicts, verdict_in
from batcher.gate.entries import WaveEntry
from batcher.gate.entry_table import EntryRow, EntryTable
from batcher.gate.evaluator import is_sound
from batcher.journal.errors import JournalUnusable
from batcher.journal.files import WaveFiles
from batcher.journal.place import JournalPlace
from batcher.journal.port import Record
from batcher.life.result import Result
from batcher.manifest.labels import ANY_LABELS, LabelFilter
from batcher.wave.results_file import ResultsError, parsed_line, raw_lines, result_in

_UNWRITTEN = "its line is not in the results yet: `batcher results` brings it"

L = TypeVar("L")


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
        table.add_verdicts(self._verdicts())
        stated = _Stated(self.path)
        others = array("I")
        table.add_results(self.number, self._results(table, stated, others))
        try:
            with plan_beside(self.path, self.journal) as (record, why):
                coverage = self._look_for_missing(table, record, why, stated.entries, said)
                if record is not None and self.labels:
                    others.extend(self._missing_others(table, record))
        except JournalUnusable as error:
            if self.journal is not None:
                raise
            coverage = self._look_for_missing(table, None, sentence(error, self.path), stated.entries, said)
        if self.labels:
            table.leave_out(self.number, others)
        return coverage

    def _missing_others(self, table: EntryTable, record: Record) -> list[int]:
        """The entries without a result that are not meant, as their journal has them."""
        missing = [(index, record.entry(index)) for index in table.missing(self.number)]
        return [index for index, entry in missing if entry is not None and not self.labels.takes(entry.labels)]

    def _verdicts(self) -> Iterator[tuple[int, bytes, str, bool, int, int]]:
        parsed, path, offset = fast_parser(VerdictLine, verdict_in), WaveFiles.of(self.path).verdicts, 0
        for number, raw in raw_verdicts(path):
            line = parsed(path, number, raw)
            if line.index >= MOST_ENTRIES:
                raise VerdictsError(f"{path}, line {number} is no verdict: no manifest has an entry {line.index}.")
            halves = _halves(line)
            differences = sum(len(half.differences) for half in halves)
            made_of = _made_of(line.key, halves)
            yield line.index, made_of, line.verdict.value, is_sound(line.final, halves), differences, offset
            offset += len(raw)

    def _results(
        self, table: EntryTable, stated: "_Stated", others: "array[int]"
    ) -> Iterator[tuple[int, str, str | None, int, str, int, bytes]]:
        """Every result; *others* gets the indexes of those that are not meant."""
        parsed, offset = fast_parser(Result, result_in), 0
        for number, raw in raw_lines(self.path):
            line = parsed(self.path, number, raw)
            if line.index >= MOST_ENTRIES:
                raise ResultsError(f"{self.path}, line {number} is no result: no manifest has an entry {line.index}.")
            stated.by(number, line.wave_entries)
            if self.labels and not self.labels.takes(line.labels):
                others.append(line.index)
            yield (
                line.index,
                line.key,
                line.job_id,
                table.scope(line.endpoint, line.project_id),
                line.status.value,
                offset,
                _made_of(line.key, _created(line)),
            )
            offset += len(raw)

    def _look_for_missing(
        self, table: EntryTable, record: Record | None, why: str | None, stated: int | None, said: int | None
    ) -> WaveCoverage:
        """Find out which entries have no line: as *record* has them, or, where there is none, as the lines (*stated*)
        or who *said* how many there are. *why* there is no record."""
        lines, distinct, highest = table.counts(self.number)
        planned = None if record is None else record.entry_count()
        entries, source = how_many(self.path, planned=planned, stated=stated, said=said, highest=highest)
        count = highest + 1 if entries is None else entries
        if record is not None or distinct < count:
            other = table.add_plan(self.number, _gaps(count) if record is None else _plan(table, record))
            if other is not None:
                raise ResultsError(
                    f"{self.path} and the journal beside it are of two waves: line {other[1]} has another key than "
                    f"entry {other[0]} of the journal. Copy all files of one wave, RESULTS*."
                )
        if record is not None and distinct < count:
            there = (index for index in table.missing(self.number) if record.result_of(index) is not None)
            table.mark_unwritten(self.number, list(there))
        return WaveCoverage(
            file=self.called,
            lines=lines,
            repeated=lines - distinct,
            entries=entries,
            source=source,
            journal=why,
        )

    @property
    def called(self) -> str:
        """What the wave is called."""
        return self.name or str(self.path)

    @contextmanager
    def reading(self) -> Iterator[Callable[[EntryRow], WaveEntry]]:
        """What reads the rest of an entry from the files. Raises `UserError` where they are not what they were."""
        beside, parsed = WaveFiles.of(self.path).verdicts, fast_parser(Result, result_in)
        with ExitStack() as stack:
            results = stack.enter_context(self.opened())
            verdicts = stack.enter_context(_opened(beside, VerdictsError)) if beside.exists() else None

            def entry_of(row: EntryRow) -> WaveEntry:
                if row.offset is None:
                    return _wave_entry(self.called, row)
                result = line_at(results, self.path, row.offset, parsed)
                line = None
                if row.verdict_at is not None:
                    if verdicts is None:
                        raise _changed(beside)
                    line = line_at(verdicts, beside, row.verdict_at, verdict_in)
                    if line.index != row.idx or _made_of(line.key, line.halves) != _made_of(
                        result.key, _created(result)
                    ):
                        raise _changed(beside)
                if (result.index, result.key) != (row.idx, row.key):
                    raise _changed(self.path)
                return _wave_entry(self.called, row, result, line)

            yield entry_of

    def opened(self) -> AbstractContextManager[BinaryIO]:
        """The results file, to be read. Raises `ResultsError`."""
        return _opened(self.path, ResultsError)

    def line_of(self, row: EntryRow, results: BinaryIO) -> Mapping[str, Any]:
        """The line of *row* as it stands in *results*, the opened file. Raises `UserError` where it is another now."""
        line = line_at(results, self.path, row.offset or 0, parsed_line)
        if line.get("index") != row.idx:
            raise _changed(self.path)
        return line


def _created(line: Any) -> list[Any]:
    both = (line.object_level_compare_create_result, line.data_level_compare_create_result)
    return [half for half in both if half is not None]


def _halves(line: Any) -> list[Any]:
    both = (line.object_level_compare_result, line.data_level_compare_result)
    return [half for half in both if half is not None]


def _made_of(key: str, halves: Iterable[Any]) -> bytes:
    """What a verdict is on; see `verdicts_file.identity`. One on the comparisons of a wave that was begun anew since is
    none."""
    return msgspec.json.encode((key, *[half.compare_task_id for half in halves]))


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


def _plan(table: EntryTable, record: Record) -> Iterator[tuple[int, str, str | None, int | None]]:
    for index, key, job_id, scope in record.outline():
        yield index, key, job_id, None if scope is None else table.scope(scope.endpoint, scope.project_id)


def _gaps(entries: int) -> Iterator[tuple[int, None, None, None]]:
    """So many entries of which nothing more is known."""
    return ((index, None, None, None) for index in range(entries))


def _wave_entry(file: str, row: EntryRow, result: Any = None, line: VerdictLine | None = None) -> WaveEntry:
    unwritten = _UNWRITTEN if row.unwritten else None
    return WaveEntry(
        file=file,
        index=row.idx,
        key=row.key,
        job_id=row.job_id,
        scope=(row.endpoint, row.project_id),
        nth=row.nth,
        status=None if result is None else result.status,
        verdict=line,
        said=unwritten if result is None else result.error_msg,
        finished_at=None if result is None else result.finished_at,
    )


@contextmanager
def _opened(path: Path, error: type[UserError]) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as failed:
        raise error(f"cannot read {path}: {failed.strerror}.") from None
    with file:
        yield file


def line_at(file: BinaryIO, path: Path, offset: int, parsed: Callable[[Path, int, bytes], L]) -> L:
    """What the line at *offset* holds. Raises `UserError` where that is no whole line (any more)."""
    file.seek(offset)
    line = file.readline()
    try:
        if line.endswith(b"\n"):
            return parsed(path, 0, line)
    except UserError:
        file.seek(0)
        return parsed(path, file.read(offset).count(b"\n") + 1, line)
    raise _changed(path)


def _changed(path: Path) -> UserError:
    return UserError(f"{path} was written anew while it was read: run the same command again.")
