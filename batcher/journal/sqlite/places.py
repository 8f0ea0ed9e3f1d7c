"""Where a wave has its rows: the upper half of each place is its number in the database, the lower half an index.

So the rows of a wave follow each other in every table, and the same statements serve a database of one wave and one of
many. The wave in a file of its own has number 0: its places are its indexes, and its facts bear their own names.
"""

from msgspec import Struct

from batcher.life.result import Status

_BITS = 32
_STATUSES = ", ".join(f"'{status.value}'" for status in Status)


class Places(Struct, frozen=True):
    """The places of the wave with this *number* in its database: of entries, events, results and scopes."""

    number: int = 0

    @property
    def base(self) -> int:
        """The place of what has index 0."""
        return self.number << _BITS

    @property
    def ends(self) -> tuple[int, int]:
        """The first place and the last."""
        return self.base, self.base + (1 << _BITS) - 1

    @property
    def is_alone(self) -> bool:
        """Whether the wave has its database for itself."""
        return self.number == 0

    def fact(self, name: str) -> str:
        """What the table `meta` has the wave's fact *name* under."""
        return name if self.is_alone else f"{self.number}:{name}"

    def counting(self) -> tuple[str, tuple[int, int]]:
        """The statement that counts the wave's results by status, from an index alone, with its values."""
        return (
            f"SELECT status, count(*) FROM results WHERE status IN ({_STATUSES}) AND idx BETWEEN ? AND ? "  # noqa: S608
            "GROUP BY status",
            self.ends,
        )


def index_at(place: int) -> int:
    """The index that *place* has in its wave."""
    return place & ((1 << _BITS) - 1)


def number_at(place: int) -> int:
    """The number of the wave that *place* is of."""
    return place >> _BITS
