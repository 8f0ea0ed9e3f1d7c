"""What differs, folded by entry: the gravest entries first, as many as a page bears."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from batcher.follow.verdict import CompareResult, Difference
from batcher.gate.evaluator import EvaluatedEntry
from batcher.report.page_data import PageData, PageRow
from batcher.report.state import ReviewState
from batcher.text import counted

_MOST = 1000  # differences on a page
_OF_ONE = 100  # of one entry

# The cloud has 0 in the counts of what it did not compare: that is no count.
_COUNTED = (CompareResult.CONSISTENT.value, CompareResult.INCONSISTENT.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """An entry with differences; *more* of them are not among *differences*."""

    anchor: str
    key: str
    job_id: str | None
    state: ReviewState
    said: str
    differences: tuple[dict[str, Any], ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """The entries with differences; *more* such entries are left out."""

    entries: tuple[Differing, ...]
    more: int


def folded(data: PageData) -> Folded:
    """What differs in the waves of *data*."""
    entries: list[Differing] = []
    told = 0
    for row in data.rows(data.differing[:_MOST]):
        if told >= _MOST:
            break
        if row.evaluated is None:
            continue
        found = _differing(row, row.evaluated)
        entries.append(found)
        told += len(found.differences)
    return Folded(entries=tuple(entries), more=len(data.differing) - len(entries))


def _differing(row: PageRow, evaluated: EvaluatedEntry) -> Differing:
    latest = evaluated.latest
    halves = latest.verdict.halves if latest.verdict else ()
    count = sum(len(half.differences) for half in halves)
    differ = sum(d.result == CompareResult.INCONSISTENT for half in halves for d in half.differences)
    accepted = len(evaluated.passed)
    parts = [
        f"{differ:,} {'differs' if differ == 1 else 'differ'}" if differ else None,
        f"{count - differ:,} not compared" if count > differ else None,
        f"{accepted:,} accepted" if accepted else None,
    ]
    return Differing(
        anchor=row.anchor,
        key=latest.key,
        job_id=latest.job_id,
        state=row.state,
        said=", ".join(filter(None, parts)) or counted(count, "difference"),
        differences=tuple(islice(_told(evaluated), _OF_ONE)),
        more=max(0, count - _OF_ONE),
    )


def _told(evaluated: EvaluatedEntry) -> Iterator[dict[str, Any]]:
    reasons = {id(passed.difference): passed.acceptance.reason for passed in evaluated.passed}
    differences = [
        d for half in (evaluated.latest.verdict.halves if evaluated.latest.verdict else ()) for d in half.differences
    ]
    for difference in sorted(differences, key=lambda d: (id(d) in reasons, d.result != CompareResult.INCONSISTENT)):
        accepted = reasons.get(id(difference))
        differs = difference.result == CompareResult.INCONSISTENT
        yield {
            "database": difference.place,
            "name": difference.table or " ".join(filter(None, [difference.object_type, difference.name])),
            "result": difference.result,
            "tone": "idle" if accepted is not None else "bad" if differs else "warn",
            "source": count_of(difference, difference.source_count),
            "target": count_of(difference, difference.target_count),
            "differ": count_of(difference, difference.diff_count),
            "remark": f"accepted: {accepted}" if accepted is not None else difference.message,
        }


def count_of(difference: Difference, count: int | None) -> int | None:
    """*count*, one of those of *difference*; None where nothing was counted."""
    return None if count == 0 and difference.result not in _COUNTED else count
