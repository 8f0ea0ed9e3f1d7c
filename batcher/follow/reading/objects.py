"""The reading of an object-level comparison: object types and their objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from batcher.drs.results import DifferingObject, ObjectResults, ResultPage
from batcher.follow.reading.result import TABLE, field_of, problem_of, share_done
from batcher.follow.verdict import CompareResult, Counts, Difference


@dataclass(slots=True)
class ObjectType:
    """One type of object of the results."""

    result: str | None = None
    source_count: int | None = None
    target_count: int | None = None
    diff_count: int | None = None
    rows: list[DifferingObject] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many objects there are, at the side that has more."""
        return max(self.source_count or 0, self.target_count or 0)


class ObjectReading:
    """The reading of an object-level comparison."""

    def __init__(self) -> None:
        self._types: dict[str, ObjectType] = {}
        self._more = True
        self.problem: str | None = None

    def add(self, page: ResultPage | None, per_page: int) -> bool:
        """Take in one page; True: the next one may tell more, since no length is told, and a list of it is full."""
        self.problem = problem_of(page)
        if not isinstance(page, ObjectResults) or self.problem is not None:
            self._more = False
            return False
        before = self._size()
        for told in page.types:
            kind = self._types.setdefault(told.object_type, ObjectType())
            kind.result, kind.diff_count = told.result, told.diff_count
            kind.source_count, kind.target_count = told.source_count, told.target_count
        for name, rows in page.objects.items():
            kind = self._types.setdefault(name, ObjectType())
            kind.rows += [row for row in rows if row not in kind.rows]
        self._more = page.longest >= per_page and self._size() > before
        return self._more

    def _size(self) -> int:
        return len(self._types) + sum([len(kind.rows) for kind in self._types.values()])

    @property
    def complete(self) -> bool:
        """Whether all pages that matter have been read."""
        return bool(self._types) and not self._more

    @property
    def done(self) -> float | None:
        """Which part of a running comparison is done, 0 to 1; None: that cannot be told."""
        return share_done([kind.result for kind in self._types.values()])

    def counts(self) -> Counts | None:
        """How many objects of each type were compared, and what came of them; None: nothing could be read."""
        if not self._types:
            return None
        counted: dict[str, int] = {}
        for kind in self._types.values():
            for name, count in _object_counts(kind).items():
                counted[name] = counted.get(name, 0) + count
        return Counts(compared=sum(counted.values()), **counted)

    def differences(self) -> tuple[Difference, ...]:
        """The objects that are not known to agree."""
        found: list[Difference] = []
        for name, kind in self._types.items():
            if kind.rows or field_of(kind.result) != "consistent":
                found += _object_differences(name, kind)
        return tuple(found)


def _object_counts(kind: ObjectType) -> Mapping[str, int]:
    name = field_of(kind.result)
    if name != "inconsistent":
        # A type that was not compared counts even where no object of it is told: it is no agreement.
        return {name: kind.size if name == "consistent" else max(kind.size, 1)}
    differ = max(kind.diff_count or 0, len(kind.rows), 1)
    return {"inconsistent": differ, "consistent": max(0, kind.size - differ)}


def _object_differences(name: str, kind: ObjectType) -> Iterator[Difference]:
    counts = {"source_count": kind.source_count, "target_count": kind.target_count, "diff_count": kind.diff_count}
    result = kind.result or CompareResult.INCONSISTENT.value
    for row in kind.rows:
        value = row.source_value or row.target_value or None
        yield Difference(
            object_type=name,
            database=row.source_database,
            table=value if name == TABLE else None,
            target_database=row.target_database,
            target_table=(row.target_value or None) if name == TABLE else None,
            result=result,
            **counts,
            source_value=row.source_value or None,
            target_value=row.target_value or None,
            message=row.message or None,
        )
    if not kind.rows:
        yield Difference(
            object_type=name,
            database=None,
            table=None,
            target_database=None,
            target_table=None,
            result=result,
            **counts,
            source_value=None,
            target_value=None,
            message=None,
        )
