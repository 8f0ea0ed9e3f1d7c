"""Where an entry stands at the gate: one word for each, the gravest first. Pure."""

from enum import StrEnum

from batcher.follow.verdict import Verdict
from batcher.gate.evaluator import EvaluatedEntry
from batcher.life.result import Status


class State(StrEnum):
    """Where an entry stands, in the order in which a person should look."""

    UNSETTLED = "unsettled"
    INCONSISTENT = "inconsistent"
    COMPARE_FAILED = "compare_failed"  # the comparison was created, and failed
    PARTIAL = "partial"
    FAILED = "failed"  # nothing was created
    INVALID = "invalid"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    NOT_SUBMITTED = "not_submitted"
    NO_RESULT = "no_result"
    NOT_ENDED = "not_ended"  # the watch ended before the comparison did
    NOT_FOLLOWED = "not_followed"
    ACCEPTED = "accepted"  # what differs was accepted
    CREATED = "created"  # of waves that nobody has followed
    CONSISTENT = "consistent"

    @property
    def grave(self) -> bool:
        """Whether a person should look at such an entry."""
        return self not in (State.ACCEPTED, State.CREATED, State.CONSISTENT)

    @property
    def tone(self) -> str:
        """The colour that it is shown in: good, warn, bad, doubt or idle."""
        return _TONES.get(self, "warn")

    @property
    def said(self) -> str:
        """The state in words that follow a count."""
        return _SAID[self]


_TONES = {
    State.UNSETTLED: "doubt",
    State.UNKNOWN: "doubt",
    State.INCONSISTENT: "bad",
    State.COMPARE_FAILED: "bad",
    State.FAILED: "bad",
    State.INVALID: "bad",
    State.ACCEPTED: "idle",
    State.CREATED: "good",
    State.CONSISTENT: "good",
}
_SAID = {
    State.UNSETTLED: "unsettled: a person must look whether they were created",
    State.INCONSISTENT: "inconsistent: source and target differ",
    State.COMPARE_FAILED: "failed to compare",
    State.PARTIAL: "created in part: one of two comparisons was refused",
    State.FAILED: "failed: nothing was created",
    State.INVALID: "invalid: not sent",
    State.TIMEOUT: "broken off by the cloud's time limit",
    State.CANCELLED: "cancelled",
    State.UNKNOWN: "not known",
    State.NOT_SUBMITTED: "not submitted: the wave stopped before",
    State.NO_RESULT: "without a result: the wave has not ended",
    State.NOT_ENDED: "not followed to the end",
    State.NOT_FOLLOWED: "not followed yet",
    State.ACCEPTED: "accepted: what differs may differ",
    State.CREATED: "created",
    State.CONSISTENT: "consistent",
}
_OF_VERDICT = {
    Verdict.INCONSISTENT: State.INCONSISTENT,
    Verdict.FAILED: State.COMPARE_FAILED,
    Verdict.TIMEOUT: State.TIMEOUT,
    Verdict.CANCELLED: State.CANCELLED,
    Verdict.UNKNOWN: State.UNKNOWN,
    Verdict.CONSISTENT: State.NOT_ENDED,  # one that is final stands in nobody's way
    None: State.NOT_FOLLOWED,
}
RECHECKED = {
    State.INCONSISTENT: Verdict.INCONSISTENT,
    State.COMPARE_FAILED: Verdict.FAILED,
    State.TIMEOUT: Verdict.TIMEOUT,
    State.CANCELLED: Verdict.CANCELLED,
    State.UNKNOWN: Verdict.UNKNOWN,
}  # states that another comparison may mend, by the verdict that `select --recheck` takes


def state_in_the_way(status: Status | None, verdict: Verdict | None) -> State:
    """The state of an entry that stands in the way with this *status* and *verdict*."""
    if status is None:
        return State.NO_RESULT
    return _OF_VERDICT[verdict] if status is Status.CREATED else State(status.value)


def state_of(evaluated: EvaluatedEntry, *, followed: bool) -> State:
    """The state of an entry; *followed* is whether anybody has followed any of the waves that are looked at."""
    blocker, status = evaluated.blocker, evaluated.latest.status
    if blocker is None:
        return State.ACCEPTED if evaluated.passed else State.CONSISTENT
    if not followed and status is Status.CREATED:
        return State.CREATED
    return state_in_the_way(blocker.status, blocker.verdict)
