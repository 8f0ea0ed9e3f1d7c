"""The entries of one or several waves with their verdicts, for the gate, the report and reruns."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import accumulate, groupby
from operator import itemgetter
from pathlib import Path

from batcher.follow.seen import Seen
from batcher.follow.wave_index import WaveIndex
from batcher.follow.waved import EntryAt, Waved

_PART = 1 << 16  # names that are sorted at a time, about; in _PARTS parts at most
_PARTS = 64


def entries_of(
    files: Iterable[Path], *, journal: Path | None = None, entries: Mapping[Path, int] | None = None
) -> "Waves":
    """Every entry of the results *files*, with the verdict that stands beside its file. Raises `UserError`.

    A verdict on the comparisons of a wave that was begun anew since is none. Entries without a result (the wave runs
    still, or was killed) come last; `Waves.seen` says of each wave whether that is known of all of them. *journal* is
    that of the one file, where it is not beside it; *entries* is how many the operator says that there are.
    """
    said = entries or {}
    return Waves([WaveIndex.of(path, journal=journal, entries=said.get(path)) for path in files])


class Waves:
    """The entries of several waves, each read from its files when it is asked for; see `Entries`."""

    def __init__(self, waves: Sequence[WaveIndex]) -> None:
        self.waves = waves
        self._starts = [0, *accumulate(map(len, waves))]
        self._nth: dict[int, int] = {}  # by place, where it is not the first
        self._alike = _alike(waves, self._starts, self._nth)

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Waved]:
        with self.reading() as entry_at:
            yield from map(entry_at, range(len(self)))

    @contextmanager
    def reading(self) -> Iterator[EntryAt]:
        """See `Entries`."""
        with ExitStack() as stack:
            readers = [stack.enter_context(wave.reading()) for wave in self.waves]

            def entry_at(place: int) -> Waved:
                wave = bisect_right(self._starts, place) - 1
                entry = readers[wave](place - self._starts[wave])
                return replace(entry, nth=self._nth[place]) if place in self._nth else entry

            yield entry_at

    @property
    def seen(self) -> Sequence[Seen]:
        """See `Entries`."""
        return [wave.seen for wave in self.waves]

    def file_of(self, place: int) -> str:
        """See `Entries`."""
        return str(self.waves[bisect_right(self._starts, place) - 1].path)

    def alike(self) -> Iterator[Sequence[int]]:
        """See `Entries`."""
        return iter(self._alike)


def _alike(waves: Sequence[WaveIndex], starts: Sequence[int], nth: dict[int, int]) -> "list[array[int]]":
    """The places that may be runs of one entry; *nth* is given to those whose name their wave had before.

    Two entries whose names have the same digest, one pair among billions, are taken for possible runs of one another,
    and told apart by whoever loads them; no repeat of a name is ever taken for a rerun of it.
    """
    found: list[array[int]] = []
    names = array("q")
    for wave in waves:
        names.extend(wave.names)
    for places in _same_names(names):
        seen: Counter[int] = Counter()
        by_nth: dict[int, array[int]] = {}
        for place in places:
            number = bisect_right(starts, place) - 1
            if seen[number]:
                nth[place] = seen[number]
            by_nth.setdefault(seen[number], array("I")).append(place)
            seen[number] += 1
        found += [of_one for of_one in by_nth.values() if len(of_one) > 1]
    return found


def _same_names(names: Sequence[int]) -> Iterator[list[int]]:
    """The places of each name that several have; sorted part by part, to need no memory to speak of."""
    parts = min(len(names) // _PART + 1, _PARTS)
    for part in range(parts):
        of_part = sorted((name, place) for place, name in enumerate(names) if name % parts == part)
        for _, same in groupby(of_part, key=itemgetter(0)):
            places = [place for _, place in same]
            if len(places) > 1:
                yield places
