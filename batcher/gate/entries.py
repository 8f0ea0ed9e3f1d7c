"""The entries that the gate rules over: loaded one at a time, so that a wave may have as many as it likes."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from batcher.follow.coverage import WaveCoverage
from batcher.follow.verdict import Verdict, VerdictLine
from batcher.life.result import Status
from batcher.manifest.labels import ANY_LABELS, LabelFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveEntry:
    """An entry of one of the waves. *status* None: it has no result yet; *verdict* None: nobody has followed it yet.

    *is_unwritten*: its journal has the result for which there is no line.

    *index* is its place in the manifest. *nth* counts the entries of its wave with the same scope and key, which
    `--allow-duplicates` lets repeat, from 0.
    """

    file: str
    index: int
    key: str
    job_id: str | None
    scope: tuple[str | None, str | None]
    status: Status | None
    verdict: VerdictLine | None
    nth: int = 0
    said: str | None = None  # the result's own message, where nothing was created
    finished_at: datetime | None = None
    is_unwritten: bool = False

    @property
    def name(self) -> tuple[Hashable, ...]:
        """The name that the entry shares with its reruns, and with no other entry."""
        return (*self.scope, self.key, self.nth)


class InTheWay(NamedTuple):
    """An entry that stands in the way unless something of it was accepted. It was run once, at *place*."""

    place: int
    status: Status | None
    verdict: Verdict | None


EntryAt = Callable[[int], WaveEntry]


@runtime_checkable
class Entries(Protocol):
    """Entries by their places, 0-based, in the order in which they are told."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def reading(self) -> AbstractContextManager[EntryAt]:
        """What loads an entry by its place; what that takes is held open while the context lasts."""
        ...

    def file_of(self, place: int) -> str:
        """The file that the entry at *place* is in, without loading it."""
        ...

    @property
    def labels(self) -> LabelFilter:
        """Which entries of the waves these are."""
        ...

    @property
    def coverage(self) -> Sequence[WaveCoverage]:
        """Of each wave, whether all of it is here."""
        ...

    def runs_of(self, place: int) -> Sequence[int]:
        """The places of all runs of the entry at *place*, ascending, itself among them."""
        ...

    def sound(self) -> Mapping[Verdict | None, int]:
        """How many entries are certainly sound (created, compared to the end, consistent, run once), by verdict."""
        ...

    def in_question(self) -> Iterator[int]:
        """The place of the first run of each other entry, ascending."""
        ...

    def in_the_way(self, place: int) -> InTheWay | None:
        """The entry at *place*, if it certainly stands in the way where nothing was accepted, without loading it."""
        ...


class EntryList:
    """Entries in a list."""

    def __init__(self, entries: Iterable[WaveEntry]) -> None:
        self._entries = list(entries)
        self._runs: dict[tuple[Hashable, ...], list[int]] = {}
        for place, entry in enumerate(self._entries):
            self._runs.setdefault(entry.name, []).append(place)

    def __len__(self) -> int:
        return len(self._entries)

    def reading(self) -> AbstractContextManager[EntryAt]:
        """What loads an entry by its place; entries in a list are always there."""
        return nullcontext(self._entries.__getitem__)

    @property
    def labels(self) -> LabelFilter:
        """Which entries of the waves these are: whoever holds them in a list has chosen."""
        return ANY_LABELS

    @property
    def coverage(self) -> Sequence[WaveCoverage]:
        """Nothing is in doubt: whoever holds entries in a list says that it is whole."""
        return ()

    def file_of(self, place: int) -> str:
        """The file that the entry at *place* is in."""
        return self._entries[place].file

    def runs_of(self, place: int) -> Sequence[int]:
        """The places of all runs of the entry at *place*, ascending, itself among them."""
        return self._runs[self._entries[place].name]

    def sound(self) -> Mapping[Verdict | None, int]:
        """No entry is certainly sound: all are evaluated."""
        return {}

    def in_question(self) -> Iterator[int]:
        """The place of the first run of each entry, ascending."""
        return (runs[0] for runs in self._runs.values())

    def in_the_way(self, place: int) -> InTheWay | None:
        """Nothing is certain: all are evaluated."""
        return None


def as_entries(entries: "Entries | Iterable[WaveEntry]") -> Entries:
    """*entries* by their places."""
    return entries if isinstance(entries, Entries) else EntryList(entries)
