"""What a comparison found, put together from the pages of its results. Pure.

The cloud cuts every list to the page, and tells the whole length of some. All of a database's tables are read where
it does not agree as a whole; where it does, their number is enough.
"""

from typing import Protocol

from batcher.drs.v3.query_compare_result import QueryCompareResultResponse
from batcher.follow.reading.objects import ObjectReading
from batcher.follow.reading.pages import content_page, line_page
from batcher.follow.reading.tables import TableReading
from batcher.follow.verdict import Counts, Difference


class Reading(Protocol):
    """The results of one comparison, as far as they have been read. *problem* is why the last page told none."""

    problem: str | None

    def add(self, answer: QueryCompareResultResponse, per_page: int) -> bool:
        """Take in one page; True: the next one may tell more."""
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
    match compare_type:
        case "lines":
            return TableReading(line_page)
        case "contents":
            return TableReading(content_page)
        case _:
            return ObjectReading()
