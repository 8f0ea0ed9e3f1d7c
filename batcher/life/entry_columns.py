"""Entries as they are planned, by the million: some of one scope at a time, a column for each field."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from operator import attrgetter

import orjson
from msgspec import Struct

from batcher.life.entry import PlannedEntry, Scope

_MOST = 1000  # entries together, where they are taken one by one
_SCOPE = attrgetter("scope")
_FIELDS = attrgetter("index", "line", "key", "job_id", "x_language", "labels", "body")


class EntryColumns(Struct, frozen=True):
    """Some entries of *scope* in manifest order, one at least, in columns of one length; see `PlannedEntry`.

    Indexes and lines are ranges where they are known to follow each other.
    """

    scope: Scope
    indexes: list[int] | range
    lines: list[int] | range
    keys: list[str]
    job_ids: list[str]
    languages: list[str | None]
    labels: list[Mapping[str, str]]
    bodies: list[bytes]

    def __len__(self) -> int:
        return len(self.indexes)

    @property
    def size(self) -> int:
        """About how many bytes of memory the bodies and labels take, which may be large."""
        first, count = self.labels[0], len(self.labels)
        labels = [first] if self.labels.count(first) == count else self.labels  # alike as a rule
        return sum(map(len, self.bodies)) + (len(orjson.dumps(labels)) * count // len(labels) if any(labels) else 0)

    def part(self, which: slice) -> "EntryColumns":
        """Those of them at the places of *which*."""
        return EntryColumns(
            self.scope,
            self.indexes[which],
            self.lines[which],
            self.keys[which],
            self.job_ids[which],
            self.languages[which],
            self.labels[which],
            self.bodies[which],
        )

    def with_more(self, more: "EntryColumns") -> "EntryColumns":
        """These with *more* of the same scope behind them. They are not used by themselves any more."""
        self.keys.extend(more.keys)
        self.job_ids.extend(more.job_ids)
        self.languages.extend(more.languages)
        self.labels.extend(more.labels)
        self.bodies.extend(more.bodies)
        return EntryColumns(
            self.scope,
            _together(self.indexes, more.indexes),
            _together(self.lines, more.lines),
            self.keys,
            self.job_ids,
            self.languages,
            self.labels,
            self.bodies,
        )

    def entries(self) -> Iterator[PlannedEntry]:
        """The entries themselves."""
        rows = zip(
            self.indexes, self.lines, self.keys, self.job_ids, self.languages, self.labels, self.bodies, strict=True
        )
        for index, line, key, job_id, x_language, labels, body in rows:
            yield PlannedEntry(
                index=index,
                line=line,
                key=key,
                scope=self.scope,
                job_id=job_id,
                body=body,
                x_language=x_language,
                labels=labels,
            )


def _together(numbers: list[int] | range, more: list[int] | range) -> list[int] | range:
    """*numbers*, which may be changed, with *more* behind them."""
    if isinstance(numbers, range):
        if isinstance(more, range) and numbers.stop == more.start:
            return range(numbers.start, more.stop)
        numbers = [*numbers]
    numbers.extend(more)
    return numbers


def in_columns(entries: Iterable[PlannedEntry]) -> Iterator[EntryColumns]:
    """*entries* in columns, as many together as follow each other in one scope, up to a thousand."""
    for scope, run in groupby(entries, key=_SCOPE):
        while some := list(islice(run, _MOST)):
            columns = [[*column] for column in zip(*map(_FIELDS, some), strict=True)]
            yield EntryColumns(scope, *columns)
