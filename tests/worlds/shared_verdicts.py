"""Verdicts in a database that machines share, in memory: what `batcher/journal/postgres/verdicts.py` does with rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batcher.journal.postgres.verdicts import KeptVerdict
from tests.worlds.shared_orders import Named


@dataclass(frozen=True, slots=True)
class Decided:
    """One verdict that the server wrote, for *wave*, by the lease of that *epoch* on the *scope*."""

    at: float
    wave: str
    scope: Named
    epoch: int
    index: int
    verdict: str


class Verdicts:
    """The verdicts on the entries of one wave: at most one each."""

    def __init__(self) -> None:
        self._decided: set[int] = set()

    def __contains__(self, index: int) -> bool:
        return index in self._decided

    def new(self, verdicts: Sequence[KeptVerdict], settled: Iterable[int]) -> list[KeptVerdict]:
        """Those of *verdicts* that are written: on entries that are *settled* and have none."""
        known = set(settled)
        return [one for one in verdicts if one.index in known and not self._is_there(one.index)]

    def add(self, index: int) -> None:
        """The entry there has its verdict."""
        self._decided.add(index)

    def _is_there(self, index: int) -> bool:
        return index in self._decided
