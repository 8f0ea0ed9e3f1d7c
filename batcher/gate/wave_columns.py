"""The entries of one wave in columns: some twenty bytes for each, whatever its lines say.

Its results are read when all of its verdicts have been: a verdict is found by its entry's index, and counts if it is on
the comparisons that the result names.
"""

from array import array
from collections.abc import Collection, Iterator

from batcher.gate.entry_code import MISSING, code_of, verdict_of
from batcher.gate.line_places import LinePlaces
from batcher.life.result import Status

_AT_MOST = 1 << 20  # a column by index grows by no more than this
_DIGEST = (1 << 32) - 1  # of a key: that two entries are runs of the same is never taken from it alone
_A_BYTE = 255


class VerdictColumns:
    """The verdict lines of a wave, in the order of the file. Of several on one entry the last counts."""

    def __init__(self) -> None:
        self.places = LinePlaces()
        self._differences = bytearray()  # of each line, as far as they fit in
        self._more_differences: dict[int, int] = {}  # by line
        self._lines = array("I")  # by index: 1 + the number of the last line on it; 0: there is none
        self._made_of = array("q")
        self._codes = bytearray()

    def add(self, index: int, made_of: int, code: int, differences: int) -> None:
        """Add the next line: the entry that it is on, a digest of its comparisons, its code, its differences."""
        if index >= len(self._lines):
            _grow(self._lines, index)
        self._made_of.append(made_of)
        self._codes.append(code)
        if differences >= _A_BYTE:
            self._more_differences[len(self._differences)] = differences
        self._differences.append(min(differences, _A_BYTE))
        self._lines[index] = len(self._codes)

    def code(self, index: int, made_of: int) -> int:
        """The code of the verdict on the comparisons *made_of* of the entry at *index*; 0: there is none."""
        line = self._lines[index] if index < len(self._lines) else 0
        return self._codes[line - 1] if line and self._made_of[line - 1] == made_of else 0

    def line_of(self, index: int) -> int:
        """The number of the last line on the entry at *index*, 0-based; there is one."""
        return self._lines[index] - 1

    @property
    def any_differ(self) -> bool:
        """Whether any line has differences."""
        return any(self._differences)

    def differences_of(self, line: int) -> int:
        """How many differences the line with this number has, 0-based."""
        few = self._differences[line]
        return few if few < _A_BYTE else self._more_differences[line]

    def settle(self) -> None:
        """All results have their codes: forget what those were found by."""
        self._made_of, self._codes = array("q"), bytearray()


def digest_of(key: str) -> int:
    """The digest of *key* in this process: four bytes, since every entry has one."""
    return hash(key) & _DIGEST


class WaveColumns:
    """The entries of one wave: those with a result in the order of their lines, behind them those without one.

    By their places in here they have an index, a digest of their key, and a code (see `entry_code`). *lines* counts all
    results, *repeated* those of entries that have one already, *highest* is the last index among them; -1: none.
    """

    def __init__(self) -> None:
        self.indexes = array("I")
        self.keys = array("I")
        self.codes = bytearray()
        self.places = LinePlaces()
        self.verdicts = VerdictColumns()
        self.results = 0  # how many of the entries have one
        self.lines = self.repeated = 0
        self.highest = -1
        self._numbers: array[int] | None = None  # of their lines; None: of each line there is an entry
        self._last = array("I")  # by index: 1 + the number of the last result of it; 0: there is none

    def __len__(self) -> int:
        return len(self.codes)

    def add_result(self, index: int, key: str, made_of: int, status: Status) -> None:
        """Add the next result."""
        if index >= len(self._last):
            _grow(self._last, index)
            self.highest = max(self.highest, index)
        elif index > self.highest:
            self.highest = index
        if self._last[index]:
            self.repeated += 1
        self.indexes.append(index)
        self.keys.append(digest_of(key))
        self.codes.append(code_of(status, self.verdicts.code(index, made_of)))
        self.results = self.lines = self._last[index] = len(self.codes)

    def key_of(self, index: int) -> tuple[int, int] | None:
        """The digest of the key that the last result of the entry at *index* has, and the number of its line, 0-based.

        None: it has no result.
        """
        last = self._last[index] if index < len(self._last) else 0
        return (self.keys[last - 1], last - 1) if last else None

    def add_missing(self, index: int, key: str) -> None:
        """Add an entry without a result, once all results are there."""
        self.indexes.append(index)
        self.keys.append(digest_of(key))
        self.codes.append(MISSING)

    def missing(self) -> "array[int]":
        """The indexes of the entries without a result."""
        return self.indexes[self.results :]

    def forget_missing(self) -> None:
        """As if none had been added."""
        for column in (self.indexes, self.keys, self.codes):
            del column[self.results :]

    def settle(self, left_out: Collection[int] = ()) -> None:
        """All entries are there: leave out those whose indexes are in *left_out*, and let the others close up."""
        self._last = array("I")
        if not left_out:
            return
        without = frozenset(left_out)
        kept = array("I", (at for at, index in enumerate(self.indexes) if index not in without))
        self.results = sum(at < self.results for at in kept)
        self._numbers = kept
        self.indexes = array("I", map(self.indexes.__getitem__, kept))
        self.keys = array("I", map(self.keys.__getitem__, kept))
        self.codes = bytearray(map(self.codes.__getitem__, kept))

    def line_at(self, at: int) -> int | None:
        """The number of the result line of the entry at this place, 0-based; None: it has none."""
        if at >= self.results:
            return None
        return at if self._numbers is None else self._numbers[at]

    def verdict_line_at(self, at: int) -> int | None:
        """The number of the verdict line of the entry at this place, 0-based; None: it has none."""
        return None if verdict_of(self.codes[at]) is None else self.verdicts.line_of(self.indexes[at])

    def differing(self) -> Iterator[int]:
        """The places of the entries whose verdict has differences, ascending."""
        if self.verdicts.any_differ:
            yield from (at for at in range(self.results) if self.differences_at(at))

    def differences_at(self, at: int) -> int:
        """How many differences the verdict of the entry at this place has."""
        line = self.verdict_line_at(at)
        return 0 if line is None else self.verdicts.differences_of(line)


def _grow(column: "array[int]", index: int) -> None:
    column.frombytes(bytes(column.itemsize * max(index + 1 - len(column), min(len(column), _AT_MOST))))
