"""What stands in the way at the gate: by state, the gravest first, each with what to type next."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from batcher.follow.verdict import Verdict
from batcher.gate.evaluator import Blocker
from batcher.gate.told import AnyGate
from batcher.journal.files import journal_in_place
from batcher.report.state import RECHECKED, ReviewState, state_in_the_way
from batcher.text import counted, printable

if TYPE_CHECKING:
    from batcher.journal.place import JournalPlace

_LOOKED_AT = 5_000  # blockers: what more there are is only counted
_SHOWN = 20  # reasons of one state; --json and --junit have them all
_SAID = (ReviewState.NOT_FOLLOWED, ReviewState.NOT_ENDED)  # the heading says all there is
_NAMED = 5  # jobs of which the same is said, and files for which a command stands there
_STYLES = {"bad": "red", "warn": "yellow", "doubt": "magenta"}
Advice = Callable[[ReviewState, str, Blocker], tuple[str, str]]
"""What to do about entries in a state, of the wave in a file, such as this one: why, and what to type."""

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

_WRITE = "have the journal write what is missing, each result once"


@dataclass(slots=True)
class _Alike:
    """Blockers of one file of which the same is said: how many, and the first of them."""

    count: int
    named: list[Blocker]


@dataclass(slots=True)
class _Group:
    """The blockers of one state: how many there are, and what is said of those that were looked at, by file and why."""

    count: int
    alike: dict[tuple[str, str], _Alike] = field(default_factory=dict)

    def add(self, blocker: Blocker, why: str) -> None:
        known = self.alike.get((blocker.file, why))
        if known is not None:
            known.count += 1
            if len(known.named) < _NAMED:
                known.named.append(blocker)
        elif len(self.alike) < _SHOWN:
            self.alike[blocker.file, why] = _Alike(1, [blocker])

    @property
    def left(self) -> int:
        """How many are not spoken of."""
        return self.count - sum(alike.count for alike in self.alike.values())


def blocker_lines(gate: AnyGate, advice: Advice | None) -> Iterator[Text]:
    """The lines that tell them; no file is named where there is only one. None as *advice*: nothing is to be typed."""
    groups = _groups(gate)
    several = len(gate.waves) > 1
    for state in sorted(groups, key=list(ReviewState).index):
        yield Text()
        yield from _lines(state, groups[state], several, advice)


def _groups(gate: AnyGate) -> dict[ReviewState, _Group]:
    counts: Counter[ReviewState] = Counter()
    for (status, verdict), count in gate.blocked.items():
        counts[state_in_the_way(status, verdict)] += count
    if counts[ReviewState.UNKNOWN]:  # of these some may only not have ended, which takes a look at each
        open_ = sum(blocker.verdict is Verdict.UNKNOWN for blocker in gate.blockers if not blocker.ended)
        counts[ReviewState.UNKNOWN] -= open_
        counts[ReviewState.NOT_ENDED] += open_
    groups = {state: _Group(count) for state, count in counts.items() if count}
    for number, blocker in enumerate(gate.blockers):  # read from the files: no further than it takes
        if number >= _LOOKED_AT and all(group.alike for group in groups.values()):
            break
        state = _state(blocker)
        groups[state].add(blocker, "" if state in _SAID else blocker.why)
    return groups


def _state(blocker: Blocker) -> ReviewState:
    if not blocker.ended and blocker.verdict is Verdict.UNKNOWN:
        return ReviewState.NOT_ENDED
    return state_in_the_way(blocker.status, blocker.verdict)


def _lines(state: ReviewState, group: _Group, several: bool, advice: Advice | None) -> Iterator[Text]:
    yield Text(f"  {group.count:,} {state.said}", _STYLES.get(state.tone, "default"))
    for (file, why), alike in group.alike.items():
        where = f"{printable(file)}  " if several else ""
        jobs = ", ".join(_name(blocker) for blocker in alike.named)
        more = f" and {alike.count - len(alike.named):,} more" if alike.count > len(alike.named) else ""
        line = Text(f"    {where}{'job' if alike.count == 1 else 'jobs'} {jobs}{more}", "bold")
        yield line.append(f"  {printable(why, 400)}" if why else "", "not bold")
    if group.left:
        yield Text(f"    … and {counted(group.left, 'further entry', 'further entries')}; --json has them all", "dim")
    if advice is None:
        return
    examples: dict[tuple[str, bool], Blocker] = {}
    for (file, _), alike in group.alike.items():
        examples.setdefault((file, alike.named[0].is_unwritten), alike.named[0])
    said = None
    for (file, _), example in islice(examples.items(), _NAMED):
        why, typed = advice(state, file, example)
        if why != said:
            yield Text(f"    # {why}", "dim")
            said = why
        yield Text(f"    {typed}", "bold")
    if (left := len(examples) - _NAMED) > 0:
        yield Text(f"    … likewise for {counted(left, 'further file')}", "dim")


def _name(blocker: Blocker) -> str:
    """What is looked for in the manifest where there is no line: its number as well."""
    name = printable(blocker.job_id or blocker.key, 60)
    is_named_by_number = blocker.job_id is None or blocker.index < 0
    return name if blocker.status is not None or is_named_by_number else f"{name} (entry {blocker.index})"


def of_files(state: ReviewState, file: str, example: Blocker, journal: Path | None = None) -> tuple[str, str]:
    """An `Advice` for a wave whose files lie here. *journal* is its journal; None: that beside them."""
    if example.is_unwritten:
        path = journal or journal_in_place(Path(file))
        return _WRITE, f"batcher results {_quoted(str(path))} -o {_quoted(file)}"
    return _AFTER[state], _command(state, file, example)


def advice_for(journal: "JournalPlace | None") -> Advice:
    """The `Advice` for a wave whose copy lies here, and whose journal is at that place; None: beside it."""
    if journal is None or isinstance(journal, Path):
        return lambda state, file, example: of_files(state, file, example, journal)
    return in_database(str(journal))


def in_database(place: str) -> Advice:
    """An `Advice` for a wave in a database, at *place*, whose copy lies here."""
    journal = f"--journal {shlex.quote(place)}"

    def advice(state: ReviewState, file: str, example: Blocker) -> tuple[str, str]:
        if example.is_unwritten:
            return _WRITE, f"batcher results {journal} -o {_quoted(file)}"
        if state is ReviewState.NO_RESULT:
            return "a run of it goes on, and so do workers; where it stands:", f"batcher status {journal}"
        typed = _command(state, file, example)
        named = _quoted(file)
        by_place = typed.startswith("batcher explain ")  # which needs no copy
        return _AFTER[state], typed.replace(f" {named}", f" {journal}" if by_place else f" {named} {journal}", 1)

    return advice


def at_service(words: Mapping[str, str]) -> Advice:
    """An `Advice` for waves of a service: *words* name each in a command, by the file that it has here."""
    return lambda state, file, example: of_service(state, words.get(file, file), example)


def of_service(state: ReviewState, words: str, example: Blocker) -> tuple[str, str]:
    """An `Advice` for the wave of a service that the *words* name."""
    if state in RECHECKED:
        return _AFTER[state], f"batcher control {words} recheck"
    match state:
        case ReviewState.UNSETTLED | ReviewState.PARTIAL | ReviewState.INVALID:
            return _AFTER[state], f"batcher explain {words} {shlex.quote(f'--key={example.key}')}"
        case ReviewState.FAILED:
            return "once what the reason says is mended, take them up again", f"batcher control {words} retry-failed"
        case ReviewState.NOT_SUBMITTED:
            return "it goes on where it stopped", f"batcher control {words} start"
        case ReviewState.NO_RESULT:
            return "where it stands", f"batcher control {words} status"
        case ReviewState.NOT_FOLLOWED:
            return "they are followed while the wave runs, where it was handed in with --wait; where it stands", (
                f"batcher control {words} status"
            )
    return "follow it to its end", f"batcher watch {words}"


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
