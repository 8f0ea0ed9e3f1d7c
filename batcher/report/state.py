"""Where an entry stands at the gate: one word for each, the gravest first. Pure."""

from enum import StrEnum

from batcher.follow.verdict import Verdict
from batcher.gate.evaluator import EvaluatedEntry
from batcher.life.result import Status


class ReviewState(StrEnum):
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
        return self not in (ReviewState.ACCEPTED, ReviewState.CREATED, ReviewState.CONSISTENT)

    @property
    def tone(self) -> str:
        """The colour that it is shown in: good, warn, bad, doubt or idle."""
        return _TONES.get(self, "warn")

    @property
    def said(self) -> str:
        """The state in words that follow a count."""
        return _SAID[self]


_TONES = {
    ReviewState.UNSETTLED: "doubt",
    ReviewState.UNKNOWN: "doubt",
    ReviewState.INCONSISTENT: "bad",
    ReviewState.COMPARE_FAILED: "bad",
    ReviewState.FAILED: "bad",
    ReviewState.INVALID: "bad",
    ReviewState.ACCEPTED: "idle",
    ReviewState.CREATED: "good",
    ReviewState.CONSISTENT: "good",
}
_SAID = {
    ReviewState.UNSETTLED: "unsettled: a person must look whether they were created",
    ReviewState.INCONSISTENT: "inconsistent: source and target differ",
    ReviewState.COMPARE_FAILED: "failed to compare",
    ReviewState.PARTIAL: "created in part: one of two comparisons was refused",
    ReviewState.FAILED: "failed: nothing was created",
    ReviewState.INVALID: "invalid: not sent",
    ReviewState.TIMEOUT: "broken off by the cloud's time limit",
    ReviewState.CANCELLED: "cancelled",
    ReviewState.UNKNOWN: "not known",
    ReviewState.NOT_SUBMITTED: "not submitted: the wave stopped before",
    ReviewState.NO_RESULT: "without a result line",
    ReviewState.NOT_ENDED: "not followed to the end",
    ReviewState.NOT_FOLLOWED: "not followed yet",
    ReviewState.ACCEPTED: "accepted: what differs may differ",
    ReviewState.CREATED: "created",
    ReviewState.CONSISTENT: "consistent",
}
_OF_VERDICT = {
    Verdict.INCONSISTENT: ReviewState.INCONSISTENT,
    Verdict.FAILED: ReviewState.COMPARE_FAILED,
    Verdict.TIMEOUT: ReviewState.TIMEOUT,
    Verdict.CANCELLED: ReviewState.CANCELLED,
    Verdict.UNKNOWN: ReviewState.UNKNOWN,
    Verdict.CONSISTENT: ReviewState.NOT_ENDED,  # one that is final stands in nobody's way
    None: ReviewState.NOT_FOLLOWED,
}
RECHECKED = {
    ReviewState.INCONSISTENT: Verdict.INCONSISTENT,
    ReviewState.COMPARE_FAILED: Verdict.FAILED,
    ReviewState.TIMEOUT: Verdict.TIMEOUT,
    ReviewState.CANCELLED: Verdict.CANCELLED,
    ReviewState.UNKNOWN: Verdict.UNKNOWN,
}  # states that another comparison may mend, by the verdict that `select --recheck` takes


def state_in_the_way(status: Status | None, verdict: Verdict | None) -> ReviewState:
    """The state of an entry that stands in the way with this *status* and *verdict*."""
    if status is None:
        return ReviewState.NO_RESULT
    return _OF_VERDICT[verdict] if status is Status.CREATED else ReviewState(status.value)


def state_of(evaluated: EvaluatedEntry, *, followed: bool) -> ReviewState:
    """The state of an entry; *followed* is whether anybody has followed any of the waves that are looked at."""
    blocker, status = evaluated.blocker, evaluated.latest.status
    if blocker is None:
        return ReviewState.ACCEPTED if evaluated.passed else ReviewState.CONSISTENT
    if not followed and status is Status.CREATED:
        return ReviewState.CREATED
    return state_in_the_way(blocker.status, blocker.verdict)
