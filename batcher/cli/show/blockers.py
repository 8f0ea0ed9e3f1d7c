"""What stands in the way at the gate: by state, the gravest first, each with what to type next."""

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.text import Text

from batcher.gate.result import Blocker, GateResult
from batcher.report.state import RECHECKED, ReviewState, state_in_the_way
from batcher.text import counted, printable

_SHOWN = 20  # of one state; --json and --junit have them all
_NAMED = 5  # jobs of which the same is said, and files for which a command stands there
_STYLES = {"bad": "red", "warn": "yellow", "doubt": "magenta"}
_AFTER = {
    ReviewState.INCONSISTENT: "compare again what differs, once the link's lag is near zero",
    ReviewState.COMPARE_FAILED: "mend what the reason says, then compare again",
    ReviewState.TIMEOUT: "compare again when less is going on",
    ReviewState.CANCELLED: "ask who cancelled them, then compare again",
    ReviewState.UNKNOWN: "see why; what can be compared, compare again",
    ReviewState.UNSETTLED: "see what was tried; after a look at the console, batcher settle",
    ReviewState.PARTIAL: "why one of two was refused",
    ReviewState.FAILED: "those as a manifest to mend",
    ReviewState.INVALID: "what was wrong with them",
    ReviewState.NOT_SUBMITTED: "the same run again goes on; why it stopped:",
    ReviewState.NO_RESULT: "the same run again goes on; where it stands:",
    ReviewState.NOT_ENDED: "go on following them",
    ReviewState.NOT_FOLLOWED: "follow them to their verdicts",
}


@dataclass(slots=True)
class _Group:
    """The blockers of one state: how many there are, and the first of them."""

    count: int
    shown: list[Blocker] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.shown) == min(self.count, _SHOWN)


def blocker_lines(gate: GateResult, *, commands: bool = True) -> Iterator[Text]:
    """The lines that tell them; no file is named where there is only one, and what to type only with *commands*."""
    groups = _groups(gate)
    several = len(gate.waves) > 1
    for state in sorted(groups, key=list(ReviewState).index):
        yield Text()
        yield from _lines(state, groups[state], several, commands)


def _groups(gate: GateResult) -> dict[ReviewState, _Group]:
    counts: Counter[ReviewState] = Counter()
    for (status, verdict), count in gate.blocked.items():
        counts[state_in_the_way(status, verdict)] += count
    groups = {state: _Group(count) for state, count in counts.items()}
    for blocker in gate.blockers:  # read from the files: no further than it takes
        group = groups[state_in_the_way(blocker.status, blocker.verdict)]
        if not group.is_full:
            group.shown.append(blocker)
            if all(group.is_full for group in groups.values()):
                break
    return groups


def _lines(state: ReviewState, group: _Group, several: bool, commands: bool) -> Iterator[Text]:
    yield Text(f"  {group.count:,} {state.said}", _STYLES.get(state.tone, "default"))
    by_reason: dict[tuple[str, str], list[Blocker]] = {}
    for blocker in group.shown:
        by_reason.setdefault((blocker.file, blocker.why), []).append(blocker)
    left = group.count - len(group.shown)
    if len(by_reason) == 1:  # of the rest the same can be said
        left = 0
    for (file, why), blockers in by_reason.items():
        where = f"{printable(file)}  " if several else ""
        jobs = ", ".join(printable(blocker.job_id or blocker.key, 60) for blocker in blockers[:_NAMED])
        said_of = group.count if len(by_reason) == 1 else len(blockers)
        if (more := said_of - min(len(blockers), _NAMED)) > 0:
            jobs += f" and {more:,} more"
        line = Text(f"    {where}{'job' if len(blockers) == 1 else 'jobs'} {jobs}", "bold")
        said = "" if state is ReviewState.NOT_FOLLOWED else f"  {printable(why, 400)}"  # the heading says it
        yield line.append(said, "not bold")
    if left:
        yield Text(f"    … and {counted(left, 'further entry', 'further entries')}; --json has them all", "dim")
    if not commands:
        return
    files = list(dict.fromkeys(blocker.file for blocker in group.shown))
    yield Text(f"    # {_AFTER[state]}", "dim")
    for file in files[:_NAMED]:
        example = next(blocker for blocker in group.shown if blocker.file == file)
        yield Text(f"    {_command(state, file, example)}", "bold")
    if (left := len(files) - _NAMED) > 0:
        yield Text(f"    … likewise for {counted(left, 'further file')}", "dim")


def _command(state: ReviewState, file: str, example: Blocker) -> str:
    name = _quoted(file)
    if state in RECHECKED:
        verdict = RECHECKED[state].value
        return f"batcher select {name} --recheck {verdict} -o {_quoted(_beside(file, verdict))}"
    match state:
        case ReviewState.FAILED:
            return f"batcher select {name} --status failed -o {_quoted(_beside(file, 'failed'))}"
        case ReviewState.UNSETTLED | ReviewState.PARTIAL | ReviewState.INVALID:
            return f"batcher explain {name} {shlex.quote(f'--key={example.key}')}"
        case ReviewState.NOT_SUBMITTED | ReviewState.NO_RESULT:
            return f"batcher report {name}"
    return f"batcher watch {name}"


def _beside(file: str, ending: str) -> str:
    path = Path(file)
    return str(path.with_name(f"{path.stem}-{ending}.jsonl"))


def _quoted(name: str) -> str:
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def is_command(line: Text) -> bool:
    """Whether *line* is to be typed, and so never wrapped."""
    return line.plain.startswith("    batcher ")
