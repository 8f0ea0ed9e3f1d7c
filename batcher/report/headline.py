"""The report's first line: what a person in a meeting needs to hear, before any detail. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from batcher.follow.verdict import Verdict
from batcher.text import counted
from batcher.wave.result import Status

Kind = TypeVar("Kind", Status, Verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """*tone* is good, warn, bad or doubt; *said* is one sentence; *reasons* are what stands in the way."""

    tone: str
    title: str
    said: str
    reasons: tuple[str, ...] = ()


_STATUSES = {
    Status.PARTIAL: "created in part: one of two comparisons was refused",
    Status.FAILED: "failed: nothing was created",
    Status.UNSETTLED: "unsettled: a person must look whether they were created",
    Status.INVALID: "invalid: not sent",
    Status.NOT_SUBMITTED: "not submitted: the wave stopped before",
}
_VERDICTS = {
    Verdict.INCONSISTENT: "inconsistent: source and target differ",
    Verdict.FAILED: "failed to compare",
    Verdict.TIMEOUT: "broken off by the cloud's time limit",
    Verdict.CANCELLED: "cancelled",
    Verdict.UNKNOWN: "not known",
}


def headline(
    by_status: Mapping[Status, int], by_verdict: Mapping[Verdict, int] | None, *, accepted: int = 0
) -> Headline:
    """The headline for these counts; *by_verdict* is None where the comparisons were not followed.

    *accepted* entries are inconsistent, all of it by differences that were accepted.
    """
    entries = sum(by_status.values())
    created = by_status.get(Status.CREATED, 0)
    if not by_verdict:
        reasons = tuple(_reasons(by_status, _STATUSES))
        if not reasons:
            return Headline(
                tone="good",
                title="All created",
                said=f"{counted(entries, 'entry', 'entries')}, each with its comparison. "
                "What they came to is not known yet: batcher watch follows them.",
            )
        tone = "doubt" if by_status.get(Status.UNSETTLED) else "bad"
        return Headline(
            tone=tone,
            title=f"{created:,} of {entries:,} created",
            said=f"{counted(entries - created, 'entry is', 'entries are')} not as asked for.",
            reasons=reasons,
        )
    return _judged(by_status, Counter(by_verdict), accepted)


def _judged(by_status: Mapping[Status, int], by_verdict: Counter[Verdict], accepted: int) -> Headline:
    entries = max(sum(by_verdict.values()), sum(by_status.values()))
    consistent = by_verdict[Verdict.CONSISTENT]
    unwatched = entries - sum(by_verdict.values())
    by_verdict[Verdict.INCONSISTENT] -= accepted
    reasons = tuple(_reasons(by_verdict, _VERDICTS))
    if unwatched:
        reasons += (f"{unwatched:,} not watched yet",)
    notes = (f"{accepted:,} inconsistent only by accepted differences",) if accepted else ()
    if not reasons:
        return Headline(
            tone="good",
            title="GO: consistent" if not accepted else "GO: consistent, but for accepted differences",
            said=f"{counted(entries, 'entry', 'entries')} compared.",
            reasons=notes,
        )
    return Headline(
        tone="bad" if by_verdict[Verdict.INCONSISTENT] > 0 else "warn",
        title=f"NO-GO: {consistent:,} of {entries:,} consistent",
        said="What stands in the way:",
        reasons=reasons + notes,
    )


def _reasons(counts: Mapping[Kind, int], words: Mapping[Kind, str]) -> Iterator[str]:
    for kind, said in words.items():
        if (count := counts.get(kind, 0)) > 0:
            yield f"{count:,} {said}"
