"""Findings gathered: the first of them as they are, all of them by what is wrong, in bounded memory."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from batcher.manifest.entry import NO_LABELS, Entry, Finding
from batcher.manifest.envelope import SCOPE_FIELDS

FIRST = 1000
EXAMPLES = 5
_GROUPS = 500  # kept; what comes after them is only counted
_NUMBER = re.compile(r"\d+")

Item = TypeVar("Item", Entry | Finding, Finding)


def once(items: Iterable[Item]) -> Iterator[Item | Finding]:
    """*items*, but that nobody names a region or a project is one finding about the whole file, at its end.

    One that is about one entry alone stays where it is.
    """
    first: dict[str, Finding] = {}
    missing: Counter[str] = Counter()
    for item in items:
        if isinstance(item, Finding) and item.field in SCOPE_FIELDS and item.value is None and item.index is not None:
            first.setdefault(item.field, item)
            missing[item.field] += 1
        else:
            yield item
    for field_, finding in first.items():
        if (count := missing[field_]) > 1:
            problem = f"{finding.problem}, in {count:,} entries"
            finding = replace(finding, index=None, column=None, problem=problem, job_id=None, key=None)
        yield finding


class FindingGroup(Struct):
    """Findings alike in field and problem: the first few of them, and how many there are."""

    examples: list[Finding] = field(default_factory=list)
    count: int = 0


class GroupedFindings:
    """Takes findings one by one; one mistake in a thousand rows is one group. Memory stays bounded."""

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self.count = 0
        self.first: list[Finding] = []  # at most `FIRST`
        self.entries = 0  # that have findings
        self.whole = False  # whether one is about the whole file, so that entries were not all counted
        self.left_out = 0  # findings beyond the groups that are kept
        self._last: int | None = None
        self._groups: dict[tuple[str | None, str], FindingGroup] = {}
        for finding in findings:
            self.add(finding)

    def add(self, finding: Finding) -> None:
        """Take one; those of one entry come one after the other."""
        self.count += 1
        if finding.labels:
            finding = replace(finding, labels=NO_LABELS)  # they may be large, and many are kept
        if self.count <= FIRST:
            self.first.append(finding)
        if finding.index is None:
            self.whole = True
        elif finding.index != self._last:
            self.entries += 1
            self._last = finding.index
        kind = (finding.field and _NUMBER.sub("#", finding.field), _NUMBER.sub("#", finding.problem))
        group = self._groups.get(kind)
        if group is None:
            if len(self._groups) >= _GROUPS:
                self.left_out += 1
                return
            group = self._groups[kind] = FindingGroup()
        group.count += 1
        if len(group.examples) < EXAMPLES:
            group.examples.append(finding)

    @property
    def groups(self) -> list[FindingGroup]:
        """In the order in which each was first found."""
        return list(self._groups.values())
