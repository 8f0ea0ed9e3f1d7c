"""The gate: may the cutover go ahead? GO only where every entry is consistent, or what differs was accepted.

However many entries there are, a result holds a few bytes of those that stand in the way: what it has to say of one is
read from the files again when it is asked for.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar, overload

from batcher import exits
from batcher.follow.coverage import WaveCoverage
from batcher.follow.verdict import Verdict
from batcher.gate.accepted import Acceptance
from batcher.gate.entries import Entries, EntryAt, InTheWay, WaveEntry, as_entries
from batcher.gate.evaluator import SHOWN, AcceptedDifference, Blocker, EvaluatedEntry, Evaluator
from batcher.life.result import Status
from batcher.manifest.labels import LabelFilter

__all__ = ["SHOWN", "AcceptedDifference", "Blocker", "GateResult", "LazySequence", "WaveEntry", "evaluate"]

T = TypeVar("T")


class GateVerdict(StrEnum):
    """What the gate says."""

    GO = "GO"
    NO_GO = "NO-GO"
    UNKNOWN = "UNKNOWN"  # nothing that was seen stands in the way, and it cannot be told whether all was seen

    @property
    def exit_code(self) -> int:
        """What `batcher gate` exits with."""
        return {"GO": exits.CREATED, "NO-GO": exits.INCOMPLETE, "UNKNOWN": exits.USAGE}[self.value]


class Evaluation:
    """Entries, each evaluated as often as somebody asks for it."""

    def __init__(self, entries: Entries, evaluator: Evaluator) -> None:
        self.entries = entries
        self.evaluator = evaluator

    def in_question(self, *, each: bool) -> Iterator[EvaluatedEntry | InTheWay]:
        """Every entry that is not certainly sound, once, in the order of its first run.

        *each* has all of them evaluated; else one that stands in the way whatever there is to be said of it is not.
        """
        with self.entries.reading() as entry_at:
            for place in self.entries.in_question():
                known = None if each else self.entries.in_the_way(place)
                yield self._evaluate(entry_at, place) if known is None else known

    def _evaluate(self, entry_at: EntryAt, place: int) -> EvaluatedEntry:
        return self.evaluator.evaluate({run: entry_at(run) for run in self.entries.runs_of(place)})

    def at(self, places: Iterable[int]) -> Iterator[EvaluatedEntry]:
        """The entries for which the runs at *places* speak."""
        with self.entries.reading() as entry_at:
            for place in places:
                if (evaluated := self.evaluated(entry_at, place)) is not None:
                    yield evaluated

    def evaluated(self, entry_at: EntryAt, place: int) -> EvaluatedEntry | None:
        """The entry for which the run at *place* speaks; None where a later run does."""
        evaluated = self._evaluate(entry_at, place)
        return evaluated if evaluated.place == place else None


class LazySequence(Sequence[T]):
    """What there is to say of the entries for which the runs at *places* speak, read again whenever it is asked for."""

    def __init__(
        self, evaluation: Evaluation, places: Sequence[int], count: int, tell: Callable[[EvaluatedEntry], Iterable[T]]
    ) -> None:
        self._evaluation = evaluation
        self._places = places
        self._count = count
        self._tell = tell

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        for evaluated in self._evaluation.at(self._places):
            yield from self._tell(evaluated)

    @overload
    def __getitem__(self, which: int) -> T: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[T]: ...
    def __getitem__(self, which: int | slice) -> T | Sequence[T]:
        if isinstance(which, slice):
            return tuple(islice(self, *which.indices(len(self))))
        for one in islice(self, range(len(self))[which], None):
            return one
        raise IndexError(which)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What the gate says. *unused* are acceptances that match no difference, *expired* those that hold no more.

    *labels* say which entries it is about; *waves* tell of each wave whether all of it was seen. *blocked* counts the
    blockers by status and verdict.
    *blocking* and *passing* are the places of entries that have a blocker, or differences that passed; *replaced* those
    in whose stead a later comparison speaks.
    """

    entries: int
    verdicts: Mapping[Verdict | None, int]
    blocked: Mapping[tuple[Status | None, Verdict | None], int]
    blockers: Sequence[Blocker]
    passed: Sequence[AcceptedDifference]
    unused: tuple[Acceptance, ...]
    expired: tuple[Acceptance, ...]
    blocking: Sequence[int]
    passing: Sequence[int]
    replaced: Sequence[int]
    labels: LabelFilter
    waves: Sequence[WaveCoverage]
    evaluation: Evaluation

    @property
    def verdict(self) -> GateVerdict:
        """GO: there are entries, all of them were seen, and none stands in the way. NO-GO: one does."""
        if len(self.blockers):
            return GateVerdict.NO_GO
        if self.unproven:
            return GateVerdict.UNKNOWN
        return GateVerdict.GO if self.entries else GateVerdict.NO_GO

    @property
    def exit_code(self) -> int:
        """What `batcher gate` exits with."""
        return self.verdict.exit_code

    @property
    def go(self) -> bool:
        """Whether the verdict is GO."""
        return self.verdict is GateVerdict.GO

    @property
    def unproven(self) -> Sequence[str]:
        """Why it cannot be told whether every entry was seen, and the way out: a sentence for each such wave."""
        return [said for wave in self.waves if (said := wave.unproven) is not None]

    def as_json(self, most: int | None = None) -> dict[str, Any]:
        """The result as plain data, for `--json` and notifications; at most *most* of each of the long lists.

        `left_out` then says how many more there are.
        """
        told = self.told()
        whole = {"blockers": len(self.blockers), "accepted": len(self.passed)}
        lists = {name: list(islice(told[name], most)) for name in whole}
        left = {name: count - len(lists[name]) for name, count in whole.items()}
        return {**told, **lists, **({"left_out": left} if any(left.values()) else {})}

    def told(self) -> dict[str, Any]:
        """What `as_json` gives, with an iterator for each list that may be too long to be held in memory."""
        return {
            "verdict": self.verdict.value,
            "labels": {name: sorted(values) for name, values in self.labels.wanted.items()},
            "unproven": list(self.unproven),
            "waves": [wave.as_json() for wave in self.waves],
            "entries": self.entries,
            "superseded": len(self.replaced),
            "verdicts": {verdict.value: self.verdicts.get(verdict, 0) for verdict in Verdict}
            | {"none": self.verdicts.get(None, 0)},
            "blocked": [
                {"status": status and status.value, "verdict": verdict and verdict.value, "count": count}
                for (status, verdict), count in self.blocked.items()
            ],
            "blockers": map(_blocker, self.blockers),
            "accepted": map(_passed, self.passed),
            "unused_acceptances": [_acceptance(acceptance) for acceptance in self.unused],
            "expired_acceptances": [_acceptance(acceptance) for acceptance in self.expired],
        }


def _blocker(blocker: Blocker) -> dict[str, Any]:
    return {
        "file": blocker.file,
        "key": blocker.key,
        "job_id": blocker.job_id,
        "status": blocker.status and blocker.status.value,
        "verdict": blocker.verdict and blocker.verdict.value,
        "why": blocker.why,
        "differences": [difference.model_dump() for difference in blocker.differences],
        "ended": blocker.ended,
    }


def _passed(passed: AcceptedDifference) -> dict[str, Any]:
    return {
        "key": passed.key,
        "job_id": passed.job_id,
        "difference": passed.difference.model_dump(),
        "reason": passed.acceptance.reason,
        "expires": passed.acceptance.expires.isoformat(),
    }


def _acceptance(acceptance: Acceptance) -> dict[str, Any]:
    return {
        "line": acceptance.line,
        "job_id": acceptance.job_id,
        "database": acceptance.database,
        "table": acceptance.table,
        "reason": acceptance.reason,
        "expires": acceptance.expires.isoformat(),
    }


def evaluate(
    entries: Entries | Iterable[WaveEntry],
    acceptances: Sequence[Acceptance],
    today: date,
    *,
    heard: Callable[[EvaluatedEntry], None] | None = None,
) -> GateResult:
    """The gate's result on *entries*, of one or several waves. A later comparison of an entry replaces the earlier one.

    *heard* is told of every entry but the sound ones, `Entries.sound`, which are only counted.
    """
    evaluation = Evaluation(as_entries(entries), Evaluator(acceptances, today))
    labels = evaluation.entries.labels
    verdicts: Counter[Verdict | None] = Counter(evaluation.entries.sound())
    blocked: Counter[tuple[Status | None, Verdict | None]] = Counter()
    blocking, passing, replaced = array("I"), array("I"), array("I")
    passed = 0
    used: set[int] = set()
    for evaluated in evaluation.in_question(each=bool(acceptances) or heard is not None):
        if isinstance(evaluated, InTheWay):
            verdicts[evaluated.verdict] += 1
            blocked[evaluated.status, evaluated.verdict] += 1
            blocking.append(evaluated.place)
            continue
        latest, blocker = evaluated.latest, evaluated.blocker
        verdicts[None if latest.verdict is None else latest.verdict.verdict] += 1
        replaced.extend(evaluated.replaced)
        if blocker is not None:
            blocked[blocker.status, blocker.verdict] += 1
            blocking.append(evaluated.place)
        if evaluated.passed:
            passing.append(evaluated.place)
            passed += len(evaluated.passed)
        used |= evaluated.used
        if heard is not None:
            heard(evaluated)
    return GateResult(
        entries=verdicts.total(),
        verdicts=verdicts,
        blocked=blocked,
        blockers=LazySequence(
            evaluation, blocking, len(blocking), lambda evaluated: (evaluated.blocker,) if evaluated.blocker else ()
        ),
        passed=LazySequence(evaluation, passing, passed, lambda evaluated: evaluated.passed),
        # Those of others are of entries that were not looked at.
        unused=tuple(a for a in acceptances if a.line not in used and not a.expired(today) and not labels),
        expired=tuple(a for a in acceptances if a.expired(today)),
        blocking=blocking,
        passing=passing,
        replaced=replaced,
        labels=labels,
        waves=tuple(evaluation.entries.coverage),
        evaluation=evaluation,
    )
