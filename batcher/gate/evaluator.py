"""One entry at the gate: consistent, accepted, or in the way, and why. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from batcher.follow.reasons import label_of
from batcher.follow.verdict import Difference, HalfVerdict, Verdict, VerdictLine, verdict_of_entry
from batcher.gate.accepted import Acceptance
from batcher.gate.entries import WaveEntry
from batcher.life.result import Status
from batcher.text import counted

SHOWN = 10  # differences named of one entry in a text for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """An entry that stands in the way, and why. *differences* are those that nobody accepted.

    *ended* is False where the following ended before a comparison of it did.
    """

    file: str
    index: int
    key: str
    job_id: str | None
    status: Status | None
    verdict: Verdict | None
    why: str
    differences: tuple[Difference, ...] = ()
    ended: bool = True
    is_unwritten: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedDifference:
    """A difference that was accepted."""

    file: str
    index: int
    key: str
    job_id: str | None
    difference: Difference
    acceptance: Acceptance


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedEntry:
    """What the gate says of one entry. *latest* is the run that speaks for it, at *place*; it took that of *replaced*.

    *used* are the lines of the acceptances that match a difference of it.
    """

    latest: WaveEntry
    place: int
    replaced: tuple[int, ...]
    blocker: Blocker | None
    passed: tuple[AcceptedDifference, ...]
    used: frozenset[int]


class Evaluator:
    """Evaluates entries by what was accepted, as of *today*."""

    def __init__(self, acceptances: Sequence[Acceptance], today: date) -> None:
        self.acceptances = tuple(acceptances)
        self.today = today
        self._by_job: dict[str | None, list[Acceptance]] = {}
        for acceptance in acceptances:
            self._by_job.setdefault(acceptance.job_id, []).append(acceptance)

    def evaluate(self, runs: Mapping[int, WaveEntry]) -> EvaluatedEntry:
        """Evaluate the entry of *runs*, which are by place. A later run replaces the earlier."""
        ordered = sorted(runs.items(), key=lambda run: _compared(run[1]))
        latest = _as_it_stands([run for _, run in ordered])
        used = _Used()
        blocker = next(_blockers(latest, self._by_job.get(latest.job_id, ()), self.today, used), None)
        return EvaluatedEntry(
            latest=latest,
            place=ordered[-1][0],
            replaced=tuple(place for place, _ in ordered[:-1]),
            blocker=blocker,
            passed=tuple(used.passed),
            used=frozenset(used.lines),
        )


@dataclass(slots=True)
class _Used:
    """What became of the acceptances."""

    passed: list[AcceptedDifference] = field(default_factory=list)
    lines: set[int] = field(default_factory=set)


def _as_it_stands(ordered: Sequence[WaveEntry]) -> WaveEntry:
    """The entry as it stands now. A rerun may ask for one half only: the other half's word still counts."""
    latest = ordered[-1]
    for earlier in reversed(ordered[:-1]):
        if earlier.verdict is not None and latest.verdict is not None:
            latest = _with_halves_of(latest, latest.verdict, earlier.verdict)
    return latest


def _compared(entry: WaveEntry) -> tuple[bool, float]:
    """Entries in the order in which their data was compared; what has no moment is the newest.

    When the verdict was read says nothing: an old wave may have been watched only now.
    """
    line = entry.verdict
    ended = [half.ended_at for half in line.halves if half.ended_at is not None] if line and line.final else []
    moment = max(ended, default=entry.finished_at)
    return moment is None, moment.timestamp() if moment is not None else 0.0


def _with_halves_of(entry: WaveEntry, latest: VerdictLine, earlier: VerdictLine) -> WaveEntry:
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


def _blockers(entry: WaveEntry, acceptances: Sequence[Acceptance], today: date, used: _Used) -> Iterator[Blocker]:
    line = entry.verdict
    if entry.status is None:
        yield replace(_blocker(entry, _why_no_line(entry)), is_unwritten=entry.is_unwritten)
    elif entry.status is not Status.CREATED:
        yield _blocker(entry, f"{entry.status.value.replace('_', ' ')}: {entry.said or 'not all of it was created'}")
    elif line is None:
        yield _blocker(entry, "not followed to a verdict yet")
    elif not line.final:
        yield replace(_blocker(entry, line.reason or "the comparison has not ended"), ended=False)
    else:
        yield from _differing(entry, line, acceptances, today, used)


def _why_no_line(entry: WaveEntry) -> str:
    if entry.is_unwritten:
        return "the line is missing, and the journal has its result: `batcher results` writes it again"
    if entry.job_id is None:  # no journal tells of it
        return "no line: the wave has not ended, or the line was lost"
    return "no result yet: the wave has not ended"


def _differing(
    entry: WaveEntry, line: VerdictLine, acceptances: Sequence[Acceptance], today: date, used: _Used
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
    entry: WaveEntry, why: str, verdict: Verdict | None = None, differences: tuple[Difference, ...] = ()
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
    entry: WaveEntry, half: HalfVerdict, acceptances: Sequence[Acceptance], today: date, used: _Used
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
                AcceptedDifference(
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
