"""Reading a list page by page: which page to ask for next, and whether all of it was seen. Pure.

No list of the cloud has a snapshot: rows move between its pages while it is read, and a page may be shorter than was
asked for. So rows count by their keys, a list ends where the cloud's own count is reached or a page is empty, and
nobody reads on for ever.
"""

from collections.abc import Mapping
from enum import StrEnum, auto
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadState(StrEnum):
    """How far a list was read."""

    ON = auto()  # `Paging.number` is to be asked for
    WHOLE = auto()  # as many rows were seen as the cloud counts, or its last page
    SHORT = auto()  # it ended before the cloud's own count
    TOO_LONG = auto()  # it has more than is read of any list


class Paging(Generic[T]):
    """One reading of a list whose pages are counted from *first*. `found` has the freshest of each row by its key.

    *most_rows* bounds a list that says how long it is, *most_pages* any. *first_again*: the first page, where new rows
    come in, is read once more in the end, if there were others; then the list is whole only where as many were seen as
    it counted at first, too, whatever later pages count.
    """

    def __init__(
        self, *, first: int = 1, most_pages: int, most_rows: int | None = None, first_again: bool = False
    ) -> None:
        self.number = first
        self.found: dict[str, T] = {}
        self.state = ReadState.ON
        self.first_total: int | None = None
        self.total: int | None = None
        self._first = first
        self._most_pages = most_pages
        self._most_rows = most_rows
        self._first_again = first_again
        self._pages = 0

    def add(self, rows: Mapping[str, T], total: int | None, *, full: bool = True) -> ReadState:
        """Take in the page that was asked for, by the keys of its *rows*; the cloud counts *total* (None: it does not).

        *full* is whether the page may have another behind it, where no total says so.
        """
        is_again = self.number == self._first and self._pages > 0
        if not self._pages:
            self.first_total = total
        self._pages += 1
        self.total = total
        self.found |= rows
        self.state = self._judged(len(rows), full=full, is_again=is_again)
        return self.state

    def _judged(self, rows: int, *, full: bool, is_again: bool) -> ReadState:
        if self._most_rows is not None and self.total is not None and self.total > self._most_rows:
            return ReadState.TOO_LONG
        is_all = (not full or not rows) if self.total is None else len(self.found) >= self.total
        if is_again:  # rows that go away while it is read were seen: fewer than at first are counted by who lies
            return ReadState.WHOLE if is_all and len(self.found) >= (self.first_total or 0) else ReadState.SHORT
        if is_all and self._first_again and self.number != self._first:
            self.number = self._first
            return ReadState.ON
        if is_all:
            return ReadState.WHOLE
        if not rows:
            return ReadState.SHORT
        if self._pages >= self._most_pages:
            return ReadState.TOO_LONG
        self.number += 1
        return ReadState.ON
