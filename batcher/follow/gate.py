"""The gate: may the cutover go ahead? GO only where every entry is consistent, or what differs was accepted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from batcher.follow.accepted import Acceptance
from batcher.follow.reasons import label_of
from batcher.follow.verdict import Difference, HalfVerdict, Verdict, VerdictLine, verdict_of_entry
from batcher.text import counted
from batcher.wave.result import Status

SHOWN = 10  # differences named of one entry in a text for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Waved:
    """An entry of one of the waves. *status* None: it has no result yet; *verdict* None: nobody has followed it yet.

    *index* is its place in the manifest. *nth* counts the entries of its wave with the same scope and key, which
    `--allow-duplicates` lets repeat, from 0.
    """

    file: str
    index: int
    key: str
    job_id: str | None
    scope: tuple[str | None, str | None]
    status: Status | None
    verdict: VerdictLine | None
    nth: int = 0
    said: str | None = None  # the result's own message, where nothing was created
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """An entry that stands in the way, and why. *differences* are those that nobody accepted."""

    file: str
    index: int
    key: str
    job_id: str | None
    status: Status | None
    verdict: Verdict | None
    why: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A difference that was accepted."""

    file: str
    index: int
    key: str
    job_id: str | None
    difference: Difference
    acceptance: Acceptance


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What the gate says. *unused* are acceptances that match no difference, *expired* those that hold no more.

    *replaced* are the entries, by file and index, in whose place a later comparison speaks.
    """

    entries: int
    verdicts: Mapping[Verdict | None, int]
    blockers: tuple[Blocker, ...]
    passed: tuple[Passed, ...]
    unused: tuple[Acceptance, ...]
    expired: tuple[Acceptance, ...]
    replaced: frozenset[tuple[str, int]] = frozenset()

    @property
    def go(self) -> bool:
        """GO: there are entries, and none of them stands in the way."""
        return self.entries > 0 and not self.blockers

    def as_json(self) -> dict[str, Any]:
        """The ruling as plain data, for `--json` and notifications."""
        return {
            "verdict": "GO" if self.go else "NO-GO",
            "entries": self.entries,
            "superseded": len(self.replaced),
            "verdicts": {verdict.value: self.verdicts.get(verdict, 0) for verdict in Verdict}
            | {"none": self.verdicts.get(None, 0)},
            "blockers": [
                {
                    "file": blocker.file,
                    "key": blocker.key,
                    "job_id": blocker.job_id,
                    "status": blocker.status and blocker.status.value,
                    "verdict": blocker.verdict and blocker.verdict.value,
                    "why": blocker.why,
                    "differences": [difference.model_dump() for difference in blocker.differences],
                }
                for blocker in self.blockers
            ],
            "accepted": [
                {
                    "key": passed.key,
                    "job_id": passed.job_id,
                    "difference": passed.difference.model_dump(),
                    "reason": passed.acceptance.reason,
                    "expires": passed.acceptance.expires.isoformat(),
                }
                for passed in self.passed
            ],
            "unused_acceptances": [_plain(acceptance) for acceptance in self.unused],
            "expired_acceptances": [_plain(acceptance) for acceptance in self.expired],
        }


def _plain(acceptance: Acceptance) -> dict[str, Any]:
    return {
        "line": acceptance.line,
        "job_id": acceptance.job_id,
        "database": acceptance.database,
        "table": acceptance.table,
        "reason": acceptance.reason,
        "expires": acceptance.expires.isoformat(),
    }


@dataclass(slots=True)
class _Used:
    """What became of the acceptances."""

    passed: list[Passed] = field(default_factory=list)
    lines: set[int] = field(default_factory=set)


def rule(entries: Iterable[Waved], acceptances: Sequence[Acceptance], today: date) -> Ruling:
    """The ruling on *entries*, of one or several waves. A later comparison of an entry replaces the earlier one."""
    by_entry: dict[tuple[object, ...], list[Waved]] = {}
    for entry in entries:
        by_entry.setdefault((*entry.scope, entry.key, entry.nth), []).append(entry)
    used = _Used()
    verdicts: Counter[Verdict | None] = Counter()
    blockers: list[Blocker] = []
    replaced: set[tuple[str, int]] = set()
    for runs in by_entry.values():
        ordered = sorted(runs, key=_compared)
        replaced.update((run.file, run.index) for run in ordered[:-1])
        latest = _as_it_stands(ordered)
        verdicts[None if latest.verdict is None else latest.verdict.verdict] += 1
        blockers += _blockers(latest, acceptances, today, used)
    return Ruling(
        entries=len(by_entry),
        verdicts=verdicts,
        blockers=tuple(blockers),
        passed=tuple(used.passed),
        unused=tuple(a for a in acceptances if a.line not in used.lines and not a.expired(today)),
        expired=tuple(a for a in acceptances if a.expired(today)),
        replaced=frozenset(replaced),
    )


def _as_it_stands(ordered: Sequence[Waved]) -> Waved:
    """The entry as it stands now. A rerun may ask for one half only: the other half's word still counts."""
    latest = ordered[-1]
    for earlier in reversed(ordered[:-1]):
        if earlier.verdict is not None and latest.verdict is not None:
            latest = _with_halves_of(latest, latest.verdict, earlier.verdict)
    return latest


def _compared(entry: Waved) -> tuple[bool, float]:
    """Entries in the order in which their data was compared; what has no moment is the newest.

    When the verdict was read says nothing: an old wave may have been watched only now.
    """
    line = entry.verdict
    ended = [half.ended_at for half in line.halves if half.ended_at is not None] if line and line.final else []
    moment = max(ended, default=entry.finished_at)
    return moment is None, moment.timestamp() if moment is not None else 0.0


def _with_halves_of(entry: Waved, latest: VerdictLine, earlier: VerdictLine) -> Waved:
    missing = {
        name: getattr(earlier, name)
        for name in ("object_level_compare_result", "data_level_compare_result")
        if getattr(latest, name) is None and getattr(earlier, name) is not None
    }
    if not missing:
        return entry
    whole = latest.model_copy(update=missing)
    verdict = verdict_of_entry(half.verdict for half in whole.halves)
    return replace(entry, verdict=whole.model_copy(update={"verdict": verdict}))


def _blockers(entry: Waved, acceptances: Sequence[Acceptance], today: date, used: _Used) -> Iterator[Blocker]:
    line = entry.verdict
    if entry.status is None:
        yield _blocker(entry, "no result yet: the wave has not ended; the same `batcher run` goes on with it")
    elif entry.status is not Status.CREATED:
        yield _blocker(entry, f"{entry.status.value.replace('_', ' ')}: {entry.said or 'not all of it was created'}")
    elif line is None:
        yield _blocker(entry, "not followed yet: run `batcher watch` on its results")
    elif not line.final:
        yield _blocker(entry, line.reason or "the comparison has not ended")
    else:
        yield from _differing(entry, line, acceptances, today, used)


def _differing(
    entry: Waved, line: VerdictLine, acceptances: Sequence[Acceptance], today: date, used: _Used
) -> Iterator[Blocker]:
    """The entry as a blocker, where one of its comparisons is neither consistent nor accepted in full."""
    verdicts: list[Verdict] = []
    said: list[str] = []
    differences: list[Difference] = []
    for half in line.halves:
        if half.verdict is Verdict.CONSISTENT:
            continue
        left, expired = _not_accepted(entry, half, acceptances, today, used)
        if left or not _told_in_full(half):
            verdicts.append(half.verdict)
            said.append(f"{label_of(half)}: {_why(half, left, expired)}")
            differences += left
    if verdicts or not line.halves:
        why = "; ".join(said) or line.reason or "nothing was compared"
        yield _blocker(entry, why, verdict_of_entry(verdicts), tuple(differences))


def _blocker(
    entry: Waved, why: str, verdict: Verdict | None = None, differences: tuple[Difference, ...] = ()
) -> Blocker:
    if verdict is None and entry.verdict is not None:
        verdict = entry.verdict.verdict
    return Blocker(
        file=entry.file,
        index=entry.index,
        key=entry.key,
        job_id=entry.job_id,
        status=entry.status,
        verdict=verdict,
        why=why,
        differences=differences,
    )


def _not_accepted(
    entry: Waved, half: HalfVerdict, acceptances: Sequence[Acceptance], today: date, used: _Used
) -> tuple[list[Difference], list[Acceptance]]:
    """The differences that nobody accepted, and acceptances of them that hold no more."""
    left: list[Difference] = []
    expired: list[Acceptance] = []
    for difference in half.differences:
        covering = [acceptance for acceptance in acceptances if acceptance.covers(entry.job_id, difference)]
        used.lines.update(acceptance.line for acceptance in covering)
        holding = next((acceptance for acceptance in covering if not acceptance.expired(today)), None)
        if holding is None:
            left.append(difference)
            expired += covering
        else:
            used.passed.append(
                Passed(
                    file=entry.file,
                    index=entry.index,
                    key=entry.key,
                    job_id=entry.job_id,
                    difference=difference,
                    acceptance=holding,
                )
            )
    return left, expired


def _told_in_full(half: HalfVerdict) -> bool:
    """Whether the comparison ran to its end and its differences are all that keeps it from being consistent."""
    counts = half.counts
    if half.compare_task_status != "SUCCESSFUL" or counts is None or not half.differences:
        return False
    return counts.compared > 0 and half.complete


def _why(half: HalfVerdict, left: Sequence[Difference], expired: Sequence[Acceptance]) -> str:
    said = half.reason or half.verdict.value
    if half.differences and len(left) < len(half.differences):
        said += f"; {counted(len(half.differences) - len(left), 'difference')} accepted"
    for acceptance in list(dict.fromkeys(expired))[:SHOWN]:
        said += f"; the acceptance of {acceptance.database}.{acceptance.table} expired on {acceptance.expires}"
    return said
