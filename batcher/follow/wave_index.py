"""Where each entry of a wave stands in its files: some thirty bytes an entry, however much there is to know of it."""

from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from batcher.errors import UserError
from batcher.follow.files import verdicts_beside
from batcher.follow.followed import identity_of
from batcher.follow.seen import Seen, Source, how_many, plan_beside, sentence
from batcher.follow.verdict import VerdictLine
from batcher.follow.verdicts_file import VerdictsError, identity, raw_verdicts, verdict_in
from batcher.follow.waved import EntryAt, Waved
from batcher.wave.beside import JournalUnusable
from batcher.wave.plan import PlannedEntry
from batcher.wave.result import Result
from batcher.wave.results_file import ResultsError, raw_lines, result_in
from batcher.wave.store import Store

# No manifest has an index beyond this: a file that does is damaged, and must not be believed with memory.
_MOST = 64 * 1024 * 1024
_NOWHERE = -1

L = TypeVar("L")


class _Name(msgspec.Struct, gc=False):
    """Of a result line, what tells entries apart; the rest is read when it is asked for."""

    key: str
    index: int
    project_id: str | None
    endpoint: str | None
    wave_entries: int | None = None


class _Place(msgspec.Struct, gc=False):
    """Of a verdict line, which entry it is on."""

    index: int


@dataclass(slots=True)
class WaveIndex:
    """The entries of one results file, by their places: those with a result in the file's order, then the others.

    *results* has the offset of each result line, *indexes* their places in the manifest, *verdicts* the offset of the
    verdict line by place in the manifest. *names* are digests of scope and key. *missing* are places in the manifest
    that have no result; *seen* says whether these are all. *journal* is where it was said to be; None: beside.
    """

    path: Path
    journal: Path | None = None
    results: "array[int]" = field(default_factory=lambda: array("Q"))
    indexes: "array[int]" = field(default_factory=lambda: array("I"))
    verdicts: "array[int]" = field(default_factory=lambda: array("q"))
    names: "array[int]" = field(default_factory=lambda: array("q"))
    missing: "array[int]" = field(default_factory=lambda: array("I"))
    seen: Seen = field(init=False)
    _stated: int | None = None
    _keys: "array[int]" = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, path: Path, *, journal: Path | None = None, entries: int | None = None) -> "WaveIndex":
        """The index of the results file at *path* and of what lies beside it. Raises `UserError`.

        *entries* is how many the operator says that there are.
        """
        made = cls(path, journal)
        made._read_verdicts()
        made._read_results()
        try:
            with plan_beside(path, journal) as (store, why):
                made._look_for_missing(store, why, entries)
        except JournalUnusable as error:
            if journal is not None:
                raise
            made._look_for_missing(None, sentence(error), entries)
        del made._keys[:]  # the memory is wanted for other things
        return made

    def __len__(self) -> int:
        return len(self.results) + len(self.missing)

    def _read_verdicts(self) -> None:
        decode = msgspec.json.Decoder(_Place).decode
        path, offset = verdicts_beside(self.path), 0
        for number, line in raw_verdicts(path):
            try:
                index = decode(line).index
            except msgspec.MsgspecError:
                index = verdict_in(path, number, line).index  # which says what is wrong
            if not 0 <= index < _MOST:
                raise VerdictsError(f"{path}, line {number} is no verdict: no manifest has an entry {index}.")
            _put(self.verdicts, index, offset)
            offset += len(line)

    def _read_results(self) -> None:
        decode = msgspec.json.Decoder(_Name).decode
        offset = 0
        for number, line in raw_lines(self.path):
            try:
                found = decode(line)
            except msgspec.MsgspecError:
                result = result_in(self.path, number, line)  # which says what is wrong
                found = _Name(result.key, result.index, result.project_id, result.endpoint)
            if not 0 <= found.index < _MOST:
                raise ResultsError(f"{self.path}, line {number} is no result: no manifest has an entry {found.index}.")
            self._state(number, found.wave_entries)
            self.results.append(offset)
            self.indexes.append(found.index)
            self.names.append(hash((found.endpoint, found.project_id, found.key)))
            self._keys.append(hash(found.key))
            offset += len(line)

    def _state(self, number: int, entries: int | None) -> None:
        """Line *number* says that its wave has so many *entries*."""
        if entries is None:
            return
        if self._stated not in (None, entries):
            raise ResultsError(
                f"{self.path}, line {number} says that its wave has {entries:,} entries, and an earlier line "
                f"{self._stated:,}: lines of two waves were put together. Name the file of each."
            )
        self._stated = entries

    def _look_for_missing(self, store: Store | None, why: str | None, said: int | None) -> None:
        """Find out which entries have no line: as *store* has them, or, where there is none, as the lines or who *said*
        how many there are. *why* there is no store."""
        places = self._places()
        planned = None if store is None else store.entry_count()
        entries, source = how_many(self.path, planned=planned, stated=self._stated, said=said, highest=len(places) - 1)
        if store is not None:
            self._same_wave(store, places)
        del self.missing[:], self.names[len(self.results) :]
        for index in range(len(places) if entries is None else entries):
            if index >= len(places) or not places[index]:
                self.missing.append(index)
                self.names.append(hash(self._without_result(index, store).name[:3]))
        distinct = len(places) - places.count(0)
        self.seen = Seen(
            file=str(self.path),
            lines=len(self.results),
            repeated=len(self.results) - distinct,
            entries=entries,
            source=source,
            journal=why,
        )

    def _places(self) -> "array[int]":
        """By place in the manifest the number of its last line, 0 for none."""
        places = array("I", bytes(4 * (max(self.indexes, default=-1) + 1)))
        for number, index in enumerate(self.indexes, start=1):
            places[index] = number
        return places

    def _same_wave(self, store: Store, places: "array[int]") -> None:
        """See that the lines are of the entries that *store* has. Raises `ResultsError`."""
        for index, key in store.planned_keys():
            number = places[index] if index < len(places) else 0
            if number and self._keys[number - 1] != hash(key):
                raise ResultsError(
                    f"{self.path} and the journal beside it are of two waves: line {number} has another key than entry "
                    f"{index} of the journal. Copy all files of one wave, RESULTS*."
                )

    @contextmanager
    def reading(self) -> Iterator[EntryAt]:
        """What loads an entry by its place. Raises `UserError` where the files are not what they were."""
        with ExitStack() as stack:
            results = stack.enter_context(_opened(self.path, ResultsError))
            beside = verdicts_beside(self.path)
            verdicts = stack.enter_context(_opened(beside, VerdictsError)) if self.verdicts else None
            journal = None
            if self.missing and self.seen.source is Source.JOURNAL:
                journal, _ = stack.enter_context(plan_beside(self.path, self.journal))

            def entry_at(place: int) -> Waved:
                if place >= len(self.results):
                    return self._without_result(self.missing[place - len(self.results)], journal)
                result = line_at(results, self.path, self.results[place], result_in)
                if result.index != self.indexes[place]:
                    raise _changed(self.path)
                return self._waved(result, self._verdict_on(result, verdicts))

            yield entry_at

    def _verdict_on(self, result: Result, file: BinaryIO | None) -> VerdictLine | None:
        """A verdict on the comparisons of a wave that was begun anew since is none."""
        offset = self.verdicts[result.index] if result.index < len(self.verdicts) else _NOWHERE
        if file is None or offset == _NOWHERE:
            return None
        line = line_at(file, verdicts_beside(self.path), offset, verdict_in)
        return line if line.index == result.index and identity(line) == identity_of(result) else None

    def _waved(self, result: Result, verdict: VerdictLine | None) -> Waved:
        return Waved(
            file=str(self.path),
            index=result.index,
            key=result.key,
            job_id=result.job_id,
            scope=(result.endpoint, result.project_id),
            status=result.status,
            verdict=verdict,
            said=result.error_msg,
            finished_at=result.finished_at,
        )

    def _without_result(self, index: int, journal: Store | None) -> Waved:
        plan: PlannedEntry | None = None
        said: str | None = None
        if journal is not None:
            plan = journal.entry(index)
            if journal.result_of(index) is not None:
                said = "its line is missing from the results: `batcher results` writes them anew from the journal"
        return Waved(
            file=str(self.path),
            index=index,
            key=plan.key if plan else f"entry {index + 1}",
            job_id=plan.job_id if plan else None,
            scope=(plan.scope.endpoint, plan.scope.project_id) if plan else (None, None),
            status=None,
            verdict=None,
            said=said,
        )


def _put(offsets: "array[int]", index: int, offset: int) -> None:
    if index >= len(offsets):
        offsets.extend([_NOWHERE] * max(index + 1 - len(offsets), min(len(offsets), 1 << 20)))
    offsets[index] = offset


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
