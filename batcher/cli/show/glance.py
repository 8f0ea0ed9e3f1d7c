"""Waves at a glance on a screen: a line for each, and under it what comes next."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from batcher.durations import rough_duration
from batcher.follow.verdict import Verdict
from batcher.life.result import Status
from batcher.report.glance import Glance, Stage, gate_of, next_steps
from batcher.text import counted, printable

_STAGES = {
    Stage.RUNNING: "cyan",
    Stage.PAUSED: "yellow",
    Stage.FOLLOWING: "cyan",
    Stage.STOPPED: "yellow",
    Stage.ENDED: "default",
    Stage.UNREADABLE: "red",
}
_LONGEST_NAME = 40
_TROUBLE = (Status.UNSETTLED, Status.FAILED, Status.PARTIAL, Status.INVALID, Status.NOT_SUBMITTED)


def glance_lines(glances: Sequence[Glance]) -> Iterator[tuple[Text, bool]]:
    """The lines, each with whether it is a command, to be copied as it is."""
    from batcher.cli.show.gate_result import STYLES as VERDICTS
    from batcher.report.summary import STYLES as STATUSES

    names = [printable(str(glance.results)) for glance in glances]
    width = min(max(map(len, names), default=0), _LONGEST_NAME)
    for name, glance in zip(names, glances, strict=True):
        line = Text(f"{name:{width}}  ", "bold")
        line.append(f"{glance.stage.value:10}", f"not bold {_STAGES[glance.stage]}")
        if glance.stage is not Stage.UNREADABLE:
            line.append(f"  {_progress(glance)}", "default not bold")
        for status in _TROUBLE:
            if count := glance.by_status.get(status, 0):
                line.append(f"  {status.value} {count:,}", f"not bold {STATUSES[status]}")
        for verdict in Verdict:
            if count := glance.verdicts.get(verdict, 0):
                line.append(f"  {verdict.value} {count:,}", f"not bold {VERDICTS[verdict]}")
        yield line, False
        for note in glance.notes:
            yield Text(f"  {printable(note, 400)}", "red" if glance.stage is Stage.UNREADABLE else "yellow"), False
        for step in next_steps(glance):
            if step.command is None:
                yield Text(f"  {step.why}", "yellow"), False
            else:
                yield Text(f"  → {step.command}", "cyan").append(f"  # {step.why}", "dim"), True
    if len(glances) > 1:
        yield Text(), False
        yield _total(glances), False
    if (command := gate_of(glances)) is not None:
        yield Text(f"  → {command}", "cyan"), True


def _progress(glance: Glance) -> str:
    entries = "?" if glance.entries is None else f"{glance.entries:,}"
    said = f"{glance.by_status.get(Status.CREATED, 0):,} of {entries} created"
    if glance.stage in (Stage.RUNNING, Stage.PAUSED):
        said += f", {glance.settled:,} settled" if glance.settled != glance.by_status.get(Status.CREATED, 0) else ""
        said += f", {glance.in_flight:,} in flight" if glance.in_flight else ""
        said += f", {glance.rate_per_s:.1f}/s" if glance.rate_per_s else ""
        said += f", {rough_duration(glance.eta_s)} to go" if glance.eta_s is not None else ""
    return said


def _total(glances: Sequence[Glance]) -> Text:
    stages = ", ".join(
        f"{count:,} {stage.value}" for stage in Stage if (count := sum(glance.stage is stage for glance in glances))
    )
    known = [glance for glance in glances if glance.entries is not None]
    created = sum(glance.by_status.get(Status.CREATED, 0) for glance in known)
    entries = sum(glance.entries or 0 for glance in known)
    longest = max((glance.eta_s for glance in glances if glance.eta_s is not None), default=None)
    left = f", {rough_duration(longest)} to go" if longest is not None else ""
    return Text(f"{counted(len(glances), 'wave')}: {stages}; {created:,} of {entries:,} created{left}", "bold")
