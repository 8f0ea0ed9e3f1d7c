"""The entries that the gate rules over: loaded one at a time, so that a wave may have as many as it likes."""

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from batcher.follow.seen import Seen
from batcher.follow.verdict import VerdictLine
from batcher.wave.result import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Waved:
    """An entry of one of the waves. *status* None: it has no result yet; *verdict* None: nobody has followed it yet.

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

    @property
    def name(self) -> tuple[Hashable, ...]:
        """What it shares with its reruns, and with nothing else."""
        return (*self.scope, self.key, self.nth)


EntryAt = Callable[[int], Waved]


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
    def seen(self) -> Sequence[Seen]:
        """Of each wave, whether all of it is here."""
        ...

    def alike(self) -> Iterator[Sequence[int]]:
        """Places, ascending, of entries that may be runs of the same one; all that are stand together in one of these.

        An entry of which there is but one run is not among them.
        """
        ...


class Held:
    """Entries in a list."""

    def __init__(self, entries: Iterable[Waved]) -> None:
        self._entries = list(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def reading(self) -> AbstractContextManager[EntryAt]:
        """See `Entries`."""
        return nullcontext(self._entries.__getitem__)

    @property
    def seen(self) -> Sequence[Seen]:
        """See `Entries`; whoever holds them in a list says that it is whole."""
        return ()

    def file_of(self, place: int) -> str:
        """See `Entries`."""
        return self._entries[place].file

    def alike(self) -> Iterator[Sequence[int]]:
        """See `Entries`."""
        by_name: dict[tuple[Hashable, ...], list[int]] = {}
        for place, entry in enumerate(self._entries):
            by_name.setdefault(entry.name, []).append(place)
        return (places for places in by_name.values() if len(places) > 1)


def as_entries(entries: "Entries | Iterable[Waved]") -> Entries:
    """*entries* by their places."""
    return entries if isinstance(entries, Entries) else Held(entries)


class Kin:
    """Which places belong together: each knows the next one, and the last of them the first. Four bytes a place."""

    def __init__(self, entries: Entries) -> None:
        self._next = array("I", range(len(entries)))
        for places in entries.alike():
            for place, following in zip(places, [*places[1:], places[0]], strict=True):
                self._next[place] = following

    def of(self, place: int) -> list[int]:
        """The places that belong together with *place*, ascending, itself among them."""
        found = [place]
        while (following := self._next[found[-1]]) != place:
            found.append(following)
        return sorted(found)
