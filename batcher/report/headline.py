"""The report's first line: what a person in a meeting needs to hear, before any detail. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from batcher.follow.verdict import Verdict
from batcher.gate.result import GateResult, GateVerdict
from batcher.life.result import Status
from batcher.report.state import ReviewState, state_in_the_way
from batcher.text import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlineReason:
    """Something that stands in the way; *state* is that of the entries it is about, if it is about some."""

    text: str
    state: ReviewState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """*tone* is good, warn, bad or doubt; *said* is one sentence; *reasons* are what stands in the way, *notes* what
    else to know.
    """

    tone: str
    title: str
    said: str
    reasons: tuple[HeadlineReason, ...] = ()
    notes: tuple[str, ...] = ()


def headline(by_status: Mapping[Status, int], gate: GateResult | None, entries: int | None) -> Headline:
    """The headline: the gate's *gate* in short; None, where nothing was followed, speaks of what was created.

    *entries* is how many the wave has; None: that is not known.
    """
    return _by_gate(gate) if gate is not None and gate.entries else _created(by_status, entries)


def _created(by_status: Mapping[Status, int], known: int | None) -> Headline:
    lines = sum(by_status.values())
    entries = max(lines, known or 0)
    created = by_status.get(Status.CREATED, 0)
    if not lines:
        return Headline(tone="doubt", title="No results", said="No entry has ended yet.")
    if known is None and created == lines:
        return Headline(
            tone="doubt",
            title=f"{created:,} created, of nobody knows how many",
            said="How many entries the wave has cannot be told from these files.",
        )
    if created == entries:
        return Headline(
            tone="good",
            title="All created",
            said=f"{counted(entries, 'entry', 'entries')}, each with its comparison. "
            "What they came to is not known yet: batcher watch follows them.",
        )
    counts = {ReviewState(status.value): by_status.get(status, 0) for status in Status if status is not Status.CREATED}
    counts[ReviewState.NO_RESULT] = entries - lines
    return Headline(
        tone="doubt" if by_status.get(Status.UNSETTLED) else "bad",
        title=f"{created:,} of {entries:,} created",
        said=f"{counted(entries - created, 'entry is', 'entries are')} not as asked for.",
        reasons=tuple(_counted(counts)),
    )


def _by_gate(gate: GateResult) -> Headline:
    notes = tuple(_notes(gate))
    if gate.go:
        return Headline(
            tone="good",
            title="GO: consistent, but for accepted differences" if gate.passed else "GO: consistent",
            said=f"{counted(gate.entries, 'entry', 'entries')} compared.",
            notes=notes,
        )
    if gate.verdict is GateVerdict.UNKNOWN:
        return Headline(
            tone="doubt",
            title="UNKNOWN: not proven to be all",
            said=f"{counted(gate.entries, 'entry', 'entries')} seen, none of which stands in the way.",
            reasons=tuple(HeadlineReason(text=said) for said in gate.unproven),
            notes=notes,
        )
    differ = any(verdict is Verdict.INCONSISTENT for _, verdict in gate.blocked)
    return Headline(
        tone="bad" if differ else "warn",
        title=f"NO-GO: {gate.verdicts.get(Verdict.CONSISTENT, 0):,} of {gate.entries:,} consistent",
        said="What stands in the way:",
        reasons=tuple(_counted(in_the_way(gate.blocked))),
        notes=notes,
    )


def _notes(gate: GateResult) -> Iterator[str]:
    if gate.verdict is not GateVerdict.UNKNOWN:
        yield from gate.unproven
    if gate.passed:
        yield f"Accepted: {counted(len(gate.passed), 'difference')}."
    for said, acceptances in (("have expired", gate.expired), ("match nothing", gate.unused)):
        if acceptances:
            yield f"Acceptances that {said}: {'; '.join(map(str, acceptances))}."


def in_the_way(blocked: Mapping[tuple[Status | None, Verdict | None], int]) -> Mapping[ReviewState, int]:
    """How many entries of each state stand in the way."""
    counts: Counter[ReviewState] = Counter()
    for (status, verdict), count in blocked.items():
        counts[state_in_the_way(status, verdict)] += count
    return counts


def _counted(counts: Mapping[ReviewState, int]) -> Iterator[HeadlineReason]:
    for state in ReviewState:
        if count := counts.get(state):
            yield HeadlineReason(text=f"{count:,} {state.said}", state=state)
