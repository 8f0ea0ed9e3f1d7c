"""What changed between two waves: newly inconsistent, healed, missing. Pure, over what each wave says of an entry."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from batcher.follow.verdict import Verdict
from batcher.life.result import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryStanding:
    """How an entry stands in one wave. *verdict* is None where its comparison was not followed."""

    key: str
    job_id: str | None
    project_id: str | None
    asked: str  # what kind of comparison it was: tells two entries of one job apart
    status: Status
    verdict: Verdict | None

    @property
    def sound(self) -> bool:
        """As good as can be known: consistent, or created where the comparisons were not followed."""
        return self.verdict is Verdict.CONSISTENT or (self.verdict is None and self.status is Status.CREATED)

    @property
    def text(self) -> str:
        """The verdict, or the status where that is the last word."""
        if self.verdict is None or self.status is not Status.CREATED:
            return self.status.value
        return self.verdict.value


class ChangeKind(StrEnum):
    """What became of an entry from one wave to the next."""

    NEWLY_INCONSISTENT = "newly inconsistent"
    WORSE = "worse"  # sound before, not now, and not for a difference
    OTHER = "other"  # not sound in either, for another reason
    MISSING = "missing"  # in the first wave only
    HEALED = "healed"
    NEW = "new"  # in the second wave only


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingChange:
    """One entry that stands differently; *before* or *after* is None where a wave does not have it."""

    kind: ChangeKind
    before: EntryStanding | None
    after: EntryStanding | None

    @property
    def entry(self) -> EntryStanding:
        """Whichever there is, the later first."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - a change has at least one side
        return found


def changes(first: Iterable[EntryStanding], second: Iterable[EntryStanding]) -> list[StandingChange]:
    """The changes from *first* to *second*, the gravest kind first.

    Entries are the same by key; what is left over on both sides, by project, job and kind of comparison, where that
    names exactly one on each (a recheck of fewer tables has another key, but speaks of the same job).
    """
    before, after = {entry.key: entry for entry in first}, {entry.key: entry for entry in second}
    pairs: list[tuple[EntryStanding | None, EntryStanding | None]] = [
        (before[key], after[key]) for key in before if key in after
    ]
    left = _by_job(entry for key, entry in before.items() if key not in after)
    right = _by_job(entry for key, entry in after.items() if key not in before)
    for job, entries in left.items():
        others = right.get(job, [])
        if len(entries) == len(others) == 1:
            pairs.append((entries[0], others[0]))
            others.clear()
        else:
            pairs += [(entry, None) for entry in entries]
    pairs += [(None, entry) for entries in right.values() for entry in entries]
    found = list(_changed(pairs))
    return sorted(found, key=lambda change: list(ChangeKind).index(change.kind))


def _by_job(entries: Iterable[EntryStanding]) -> Mapping[tuple[str | None, str | None, str], list[EntryStanding]]:
    groups: dict[tuple[str | None, str | None, str], list[EntryStanding]] = {}
    for entry in entries:
        groups.setdefault((entry.project_id, entry.job_id, entry.asked), []).append(entry)
    return groups


def _changed(pairs: Iterable[tuple[EntryStanding | None, EntryStanding | None]]) -> Iterator[StandingChange]:
    for before, after in pairs:
        if (kind := _kind(before, after)) is not None:
            yield StandingChange(kind=kind, before=before, after=after)


def _kind(before: EntryStanding | None, after: EntryStanding | None) -> ChangeKind | None:
    if after is None:
        return ChangeKind.MISSING
    if before is None:
        return ChangeKind.NEW
    if after.sound:
        return None if before.sound else ChangeKind.HEALED
    if after.text == before.text:
        return None
    if after.verdict is Verdict.INCONSISTENT:
        return ChangeKind.NEWLY_INCONSISTENT
    return ChangeKind.WORSE if before.sound else ChangeKind.OTHER
