"""What a comparison found, put together from the pages of its results. Pure.

The cloud cuts every list to the page, and tells the whole length of some. All of a database's tables are read where
it does not agree as a whole; where it does, their number is enough.
"""

from typing import Protocol

from batcher.drs.results import ResultKind, ResultPage, kind_of_results
from batcher.follow.reading.objects import ObjectReading
from batcher.follow.reading.tables import TableReading
from batcher.follow.verdict import Counts, Difference


class Reading(Protocol):
    """The results of one comparison, as far as they have been read. *problem* is why the last page told none."""

    problem: str | None

    def add(self, page: ResultPage | None, per_page: int) -> bool:
        """Take in one page, of which *per_page* were asked for; True: the next one may tell more. None: there was
        none."""
        ...

    @property
    def complete(self) -> bool:
        """Whether all that matters has been read."""
        ...

    @property
    def done(self) -> float | None:
        """Which part of a running comparison is done, 0 to 1; None: that cannot be told."""
        ...

    def counts(self) -> Counts | None:
        """The counts; None: nothing could be read."""
        ...

    def differences(self) -> tuple[Difference, ...]:
        """All that is not known to agree."""
        ...


def reading_of(compare_type: str) -> Reading:
    """An empty reading for a comparison of *compare_type*, as the list of comparisons names it."""
    is_of_tables = kind_of_results(compare_type) in (ResultKind.ROWS, ResultKind.VALUES)
    return TableReading() if is_of_tables else ObjectReading()
