"""The gate's result as somebody else ruled it and `GateResult.as_json` tells it: a service over one of its waves."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any, TypeVar, overload

from batcher.follow.coverage import CountSource, WaveCoverage
from batcher.follow.verdict import Difference, Verdict
from batcher.gate.accepted import ANY, Acceptance
from batcher.gate.evaluator import AcceptedDifference, Blocker
from batcher.gate.result import GateResult, GateVerdict
from batcher.life.result import Status
from batcher.manifest.labels import LabelFilter

T = TypeVar("T")


class FirstOf(Sequence[T]):
    """The first *items* of so many: its length is the *count* of all of them."""

    def __init__(self, items: Iterable[T], count: int) -> None:
        self._items = tuple(items)
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    @overload
    def __getitem__(self, which: int) -> T: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[T]: ...
    def __getitem__(self, which: int | slice) -> T | Sequence[T]:
        return self._items[which]


class ToldGate:
    """A ruling that was *told*, with all that a person is shown of it. Its long lists may be cut; `left_out` counts.

    What is there is read when it is asked for; raises `KeyError`, `ValueError` and their like where it is no ruling.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self.verdict = GateVerdict(told["verdict"])
        self.entries = int(told["entries"])
        self.unproven: Sequence[str] = [str(said) for said in told["unproven"]]
        self.labels = LabelFilter({name: frozenset(values) for name, values in told["labels"].items()})

    @property
    def go(self) -> bool:
        """Whether the verdict is GO."""
        return self.verdict is GateVerdict.GO

    @property
    def exit_code(self) -> int:
        """What `batcher gate` exits with."""
        return self.verdict.exit_code

    @property
    def replaced(self) -> Sequence[int]:
        """As many as there are earlier verdicts that reruns replaced."""
        return range(self._told["superseded"])

    @cached_property
    def verdicts(self) -> Mapping[Verdict | None, int]:
        """How many entries have which verdict."""
        return {None if name == "none" else Verdict(name): count for name, count in self._told["verdicts"].items()}

    @cached_property
    def blocked(self) -> Mapping[tuple[Status | None, Verdict | None], int]:
        """The blockers by status and verdict, counted."""
        return Counter({_state(one): one["count"] for one in self._told["blocked"]})

    @cached_property
    def blockers(self) -> Sequence[Blocker]:
        """Those in the way; there may be more of them than are told one by one."""
        return FirstOf(map(_blocker, self._told["blockers"]), self._all("blockers"))

    @cached_property
    def passed(self) -> Sequence[AcceptedDifference]:
        """The differences that were accepted."""
        return FirstOf(map(_passed, self._told["accepted"]), self._all("accepted"))

    @cached_property
    def waves(self) -> Sequence[WaveCoverage]:
        """Of each wave, how much of it was seen."""
        return [_coverage(wave) for wave in self._told["waves"]]

    @cached_property
    def unused(self) -> Sequence[Acceptance]:
        """Acceptances of differences that are not there."""
        return [_acceptance(one) for one in self._told["unused_acceptances"]]

    @cached_property
    def expired(self) -> Sequence[Acceptance]:
        """Acceptances that hold no more."""
        return [_acceptance(one) for one in self._told["expired_acceptances"]]

    def as_json(self, most: int | None = None) -> dict[str, Any]:
        """What was told, at most *most* of each of the long lists; see `GateResult.as_json`."""
        lists = {name: self._told[name][:most] for name in ("blockers", "accepted")}
        left = {name: self._all(name) - len(shown) for name, shown in lists.items()}
        whole = {name: value for name, value in self._told.items() if name != "left_out"}
        return {**whole, **lists, **({"left_out": left} if any(left.values()) else {})}

    def acceptances(self) -> Iterator[Acceptance]:
        """What was accepted, once for each difference: enough to rule over the same lines anew in the same way.

        The lines of those that were used are not told: they have negative ones.
        """
        for number, one in enumerate(self._told["accepted"]):
            yield _passed(one, -1 - number).acceptance
        yield from self.unused
        yield from self.expired

    def _all(self, name: str) -> int:
        return len(self._told[name]) + int(self._told.get("left_out", {}).get(name, 0))


AnyGate = GateResult | ToldGate
"""A ruling of ours, or one that was told."""


def _state(told: Mapping[str, Any]) -> tuple[Status | None, Verdict | None]:
    status, verdict = told["status"], told["verdict"]
    return None if status is None else Status(status), None if verdict is None else Verdict(verdict)


def _blocker(told: Mapping[str, Any]) -> Blocker:
    status, verdict = _state(told)
    return Blocker(
        file=told["file"],
        index=-1,
        key=told["key"],
        job_id=told["job_id"],
        status=status,
        verdict=verdict,
        why=told["why"],
        differences=tuple(Difference.model_validate(one) for one in told["differences"]),
        ended=told["ended"],
    )


def _passed(told: Mapping[str, Any], line: int = 0) -> AcceptedDifference:
    difference = Difference.model_validate(told["difference"])
    return AcceptedDifference(
        file="",
        index=-1,
        key=told["key"],
        job_id=told["job_id"],
        difference=difference,
        acceptance=Acceptance(
            line=line,
            job_id=told["job_id"] or "",
            database=difference.place or ANY,
            table=difference.name or ANY,
            reason=told["reason"],
            expires=date.fromisoformat(told["expires"]),
        ),
    )


def _acceptance(told: Mapping[str, Any]) -> Acceptance:
    return Acceptance(**{**told, "expires": date.fromisoformat(told["expires"])})


def _coverage(told: Mapping[str, Any]) -> WaveCoverage:
    source = told["entries_known_from"]
    return WaveCoverage(
        file=told["file"],
        lines=told["lines"],
        repeated=0,
        entries=told["entries"],
        source=None if source is None else CountSource(source),
        journal=told["journal"],
    )
