"""The entries of waves, for whoever counts, chooses or pairs them: some twenty bytes for each.

What else there is to know of one stands in its files, at the lines that `EntryRow` names; of those without a line, in a
temporary database.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain, islice
from typing import NamedTuple

from batcher.follow.verdict import Verdict
from batcher.gate import entry_code
from batcher.gate.entry_database import EntryDatabase, MissingEntry, Named
from batcher.gate.wave_columns import WaveColumns
from batcher.life.result import Status

_BITS_AN_ENTRY = 32  # of each of two tables in which digests of keys leave their marks
_ODD = 0x9E3779B1  # which makes another digest of one
_DIGEST = (1 << 32) - 1


class EntryRow(NamedTuple):
    """An entry as the table has it; *idx* is its place in the manifest, *key* a digest of its key.

    *line* is the number of its result line, *verdict_line* that of its verdict line, 0-based; None: it has none. Of one
    without a result *missing* says what is known.
    """

    wave: int
    idx: int
    key: int
    line: int | None
    verdict_line: int | None
    nth: int
    missing: MissingEntry | None


class EntryTable:
    """Entries by their places: 0-based, wave by wave, in the order in which they were added.

    Its methods raise `UserError` where there is no room for its database.
    """

    def __init__(self) -> None:
        self.database = EntryDatabase()
        self.waves: list[WaveColumns] = []
        self._starts: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add_wave(self, wave: WaveColumns) -> None:
        """Add the entries of the next wave, which are all there."""
        self._starts.append(self._count)
        self.waves.append(wave)
        self._count += len(wave)

    def complete(self, named: Callable[[Iterator[int]], Iterable[Named]]) -> None:
        """All waves are there: find out which entries are runs of the same one. *named* names those at some places."""
        maybe = _maybe_repeated([wave.keys for wave in self.waves], self._count)
        for place in self.database.add_runs(named(maybe)):
            wave, at = self.found(place)
            wave.codes[at] = entry_code.run_several_times(wave.codes[at])

    def wave_of(self, place: int) -> int:
        """The number of the wave that the entry at *place* is of."""
        return bisect_right(self._starts, place) - 1

    def start_of(self, wave: int) -> int:
        """The place of the first entry of the wave with this number."""
        return self._starts[wave]

    def found(self, place: int) -> tuple[WaveColumns, int]:
        """The wave of the entry at *place*, and its place there."""
        wave = self.wave_of(place)
        return self.waves[wave], place - self._starts[wave]

    def code(self, place: int) -> int:
        """What the entry at *place* is counted by; see `entry_code`."""
        wave, at = self.found(place)
        return wave.codes[at]

    def row(self, place: int) -> EntryRow:
        """The entry at *place*. Raises IndexError."""
        if not 0 <= place < self._count:
            raise IndexError(place)
        number = self.wave_of(place)
        wave, at = self.waves[number], place - self._starts[number]
        index, line = wave.indexes[at], wave.line_at(at)
        return EntryRow(
            wave=number,
            idx=index,
            key=wave.keys[at],
            line=line,
            verdict_line=wave.verdict_line_at(at),
            nth=self.database.nth(place),
            missing=None if line is not None else self.database.missing(number, index),
        )

    def verdict_at(self, place: int) -> Verdict | None:
        """The verdict on the run at *place*; None: there is none, or it is not among the entries."""
        return entry_code.verdict_of(self.code(place)) if place < self._count else None

    def runs_of(self, place: int) -> list[int]:
        """The places of all runs of the entry at *place*, ascending."""
        return [place] if entry_code.is_run_once(self.code(place)) else self.database.runs_of(place)

    def sound(self) -> Mapping[Verdict | None, int]:
        """How many entries there are that were created and found consistent and have no other run, by their verdict."""
        count = sum(map(_count_sound, self.waves))
        return {Verdict.CONSISTENT: count} if count else {}

    def in_question(self) -> Iterator[int]:
        """The place of the first run of each other entry, ascending."""
        return merge(self._places(entry_code.others_run_once), self.database.first_runs())

    def _places(self, found: Callable[[bytearray], Iterator[int]]) -> Iterator[int]:
        """The places of what is *found* in the codes of each wave, ascending."""
        for start, wave in zip(self._starts, self.waves, strict=True):
            for at in found(wave.codes):
                yield start + at

    def rank(self, place: int, rank: int, *, plain: bool, differs: bool) -> None:
        """Take note of how grave an entry in question is, for which the run at *place* speaks: the gravest has rank 0.

        *plain* is one of which there is no more to be told, *differs* one with differences.
        """
        status = entry_code.status_of(self.code(place))
        self.database.rank(place, rank, self.wave_of(place), status and status.value, plain=plain, differs=differs)

    def by_rank(self) -> Iterator[tuple[int | None, int, int]]:
        """How many entries there are of each rank (None: that of those that are not in question) in each wave."""
        for number, wave in enumerate(self.waves):
            if count := _count_sound(wave):
                yield None, number, count
        yield from self.database.by_rank()

    def by_status(self) -> Mapping[Status | None, int]:
        """How many entries there are of each status."""
        counts: Counter[Status | None] = Counter()
        for status, count in self.database.by_status():
            counts[None if status is None else Status(status)] += count
        if sound := sum(map(_count_sound, self.waves)):
            counts[Status.CREATED] += sound
        return counts

    def ranked(self, most: int) -> Iterator[int]:
        """The places of at most *most* entries that have a rank and are not plain, the gravest first."""
        return self.database.ranked(most)

    def plain(self, most: int) -> Iterator[int]:
        """The places of at most *most* entries that are plain, or not in question, ascending."""
        return islice(merge(self._places(entry_code.sound_ones), self.database.plain()), most)

    def ranked_differing(self) -> Iterator[int]:
        """The places of all that have a rank and differ, the gravest first."""
        return self.database.differing()

    def differing(self) -> Iterator[tuple[int, int]]:
        """The place of each run whose verdict has differences, ascending, and how many there are."""
        for start, wave in zip(self._starts, self.waves, strict=True):
            for at in wave.differing():
                yield start + at, wave.differences_at(at)


def _count_sound(wave: WaveColumns) -> int:
    return sum(count for code, count in Counter(wave.codes).items() if entry_code.is_sound(code))


def _maybe_repeated(waves: Sequence[Sequence[int]], count: int) -> Iterator[int]:
    """The places of all entries whose key occurs twice, ascending, and of a few others.

    *waves* has the digests of their keys, of 32 bits. Each leaves a mark in one table; where it is there already, it
    leaves one in another, at another place: what finds that mark is one of them.
    """
    bits = min(max(10, (_BITS_AN_ENTRY * count).bit_length()), 32)
    mask, left = (1 << bits) - 1, 32 - bits
    seen, again = bytearray(1 << bits - 3), bytearray(1 << bits - 3)
    for keys in waves:
        for key in keys:
            at, bit = (key & mask) >> 3, 1 << (key & 7)
            if seen[at] & bit:
                other = (key * _ODD & _DIGEST) >> left
                again[other >> 3] |= 1 << (other & 7)
            else:
                seen[at] |= bit
    del seen
    for place, key in enumerate(chain.from_iterable(waves)):
        other = (key * _ODD & _DIGEST) >> left
        if again[other >> 3] & 1 << (other & 7):
            yield place
