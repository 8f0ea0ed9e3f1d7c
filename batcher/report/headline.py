"""The report's first line: what a person in a meeting needs to hear, before any detail. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from batcher.follow.gate import Ruling
from batcher.follow.verdict import Verdict
from batcher.text import counted
from batcher.wave.result import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """*tone* is good, warn, bad or doubt; *said* is one sentence; *reasons* are what stands in the way, *notes* what
    else to know.
    """

    tone: str
    title: str
    said: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


_STATUSES = {
    Status.PARTIAL: "created in part: one of two comparisons was refused",
    Status.FAILED: "failed: nothing was created",
    Status.UNSETTLED: "unsettled: a person must look whether they were created",
    Status.INVALID: "invalid: not sent",
    Status.NOT_SUBMITTED: "not submitted: the wave stopped before",
    None: "without a result: the wave has not ended",
}
_VERDICTS = {
    Verdict.INCONSISTENT: "inconsistent: source and target differ",
    Verdict.FAILED: "failed to compare",
    Verdict.TIMEOUT: "broken off by the cloud's time limit",
    Verdict.CANCELLED: "cancelled",
    Verdict.UNKNOWN: "not known",
    Verdict.CONSISTENT: "not followed to the end",
    None: "not followed yet",
}


def headline(by_status: Mapping[Status, int], ruling: Ruling | None) -> Headline:
    """The headline: the gate's *ruling* in short; None, where nothing was followed, speaks of what was created."""
    return _judged(ruling) if ruling is not None and ruling.entries else _created(by_status)


def _created(by_status: Mapping[Status, int]) -> Headline:
    entries = sum(by_status.values())
    created = by_status.get(Status.CREATED, 0)
    if not entries:
        return Headline(tone="doubt", title="No results", said="No entry has ended yet.")
    if created == entries:
        return Headline(
            tone="good",
            title="All created",
            said=f"{counted(entries, 'entry', 'entries')}, each with its comparison. "
            "What they came to is not known yet: batcher watch follows them.",
        )
    return Headline(
        tone="doubt" if by_status.get(Status.UNSETTLED) else "bad",
        title=f"{created:,} of {entries:,} created",
        said=f"{counted(entries - created, 'entry is', 'entries are')} not as asked for.",
        reasons=tuple(f"{by_status[s]:,} {said}" for s, said in _STATUSES.items() if s and by_status.get(s)),
    )


def _judged(ruling: Ruling) -> Headline:
    notes = tuple(_notes(ruling))
    if ruling.go:
        return Headline(
            tone="good",
            title="GO: consistent, but for accepted differences" if ruling.passed else "GO: consistent",
            said=f"{counted(ruling.entries, 'entry', 'entries')} compared.",
            notes=notes,
        )
    differ = any(verdict is Verdict.INCONSISTENT for _, verdict in ruling.blocked)
    return Headline(
        tone="bad" if differ else "warn",
        title=f"NO-GO: {ruling.verdicts.get(Verdict.CONSISTENT, 0):,} of {ruling.entries:,} consistent",
        said="What stands in the way:",
        reasons=tuple(_reasons(ruling.blocked)),
        notes=notes,
    )


def _notes(ruling: Ruling) -> Iterator[str]:
    if ruling.passed:
        yield f"Accepted: {counted(len(ruling.passed), 'difference')}."
    for said, acceptances in (("have expired", ruling.expired), ("match nothing", ruling.unused)):
        if acceptances:
            yield f"Acceptances that {said}: {'; '.join(map(str, acceptances))}."


def _reasons(blocked: Mapping[tuple[Status | None, Verdict | None], int]) -> Iterator[str]:
    kinds: Counter[str] = Counter()
    for (status, verdict), count in blocked.items():
        kinds[_VERDICTS[verdict] if status is Status.CREATED else _STATUSES[status]] += count
    for kind in (*_VERDICTS.values(), *_STATUSES.values()):
        if count := kinds[kind]:
            yield f"{count:,} {kind}"
