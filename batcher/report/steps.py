"""What to do first: a step for each kind of trouble, the gravest first, with the command that begins it."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from batcher.life.result import Status
from batcher.report.gather import WaveRead
from batcher.report.page_data import PageData
from batcher.report.state import RECHECKED, ReviewState
from batcher.report.tally import TroubleCount

_COMMANDS = 5  # of one step, where several waves are concerned

_ADVICE = {
    ReviewState.INCONSISTENT: "A live link lags, and rows on their way differ: see in the console that the lag is near "
    "zero, then compare again what differed. What may differ is named in a file for --allow-inconsistent.",
    ReviewState.COMPARE_FAILED: "The comparison itself failed, so nothing is known of the data. Mend what its reason "
    "says, then compare again.",
    ReviewState.TIMEOUT: "The cloud broke the comparison off at its time limit: compare again when the load is low, or "
    "fewer tables at a time.",
    ReviewState.CANCELLED: "Somebody cancelled the comparison: ask who, then compare again.",
    ReviewState.UNKNOWN: "Not all of it was compared. Where a table cannot be (no primary key, say), no repeat helps: "
    "the reason tells. Else compare again.",
    ReviewState.NO_RESULT: "The wave runs still, or was killed: the same command goes on with it. Or lines of "
    "the file were lost: `batcher results` writes them again from the journal.",
    ReviewState.NOT_ENDED: "The watch ended before the comparison did: the same command goes on.",
    ReviewState.NOT_FOLLOWED: "Created, and nobody has looked yet what they came to.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStep:
    """Something to do about *count* entries. *link* is the page's address with only these in the list.

    *key* and *job_id* are those of one of them, *message* is what was said of it; *commands* are for a shell.
    """

    state: ReviewState
    count: int
    what: str
    advice: str
    link: str
    commands: tuple[str, ...]
    message: str | None = None
    key: str | None = None
    job_id: str | None = None


def link_to(**filters: str | None) -> str:
    """The page's address with a list that is filtered so; None stands for "has none"."""
    return "#" + urlencode({name: "" if text is None else text for name, text in filters.items()})


def steps(data: PageData) -> Iterator[PageStep]:
    """The steps, in the order in which they should be taken."""
    troubles = data.standing.troubles
    for state in ReviewState:
        if not state.grave:
            continue
        by_wave = {wave: count for (of, wave), count in data.states.items() if of is state and count}
        if state in _ADVICE and by_wave:
            yield PageStep(
                state=state,
                count=sum(by_wave.values()),
                what=state.said,
                advice=_ADVICE[state],
                link=link_to(state=state.value),
                commands=_commands(data, state, by_wave),
            )
        for trouble in troubles:
            if trouble.status.value == state.value:
                yield _of_trouble(data, state, trouble)


def _commands(data: PageData, state: ReviewState, by_wave: Mapping[int, int]) -> tuple[str, ...]:
    return tuple(
        command for wave in sorted(by_wave)[:_COMMANDS] if (command := _command(data, state, wave)) is not None
    )


def _command(data: PageData, state: ReviewState, wave: int) -> str | None:
    path, served = data.waves[wave].file, data.waves[wave].served
    if served is not None:
        verb = "recheck" if state in RECHECKED else "start" if state is ReviewState.NO_RESULT else None
        return f"batcher watch {served.id}" if verb is None else f"batcher control {served.id} {verb}"
    if state in RECHECKED:
        if data.waves[wave].facts is None:
            return None  # `select` needs the journal
        verdict = RECHECKED[state].value
        again, results = (_quoted(_beside(path, f"-{verdict}{ending}.jsonl")) for ending in ("", "-again"))
        chosen = f"batcher select {_copy(data.waves[wave])} --recheck {verdict} -o {again}"
        return f"{chosen} && batcher run {again} -o {results} --wait"
    if state is ReviewState.NO_RESULT:
        return _same_command(data.waves[wave].facts)
    return f"batcher watch {_copy(data.waves[wave])}"


def _of_trouble(data: PageData, state: ReviewState, trouble: TroubleCount) -> PageStep:
    by_wave = data.troubles.get(trouble.group, {})
    known = {"error_kind": trouble.error_kind, "code": trouble.error_code} if by_wave else {}
    if by_wave and trouble.group.said is not None:
        known["said"] = trouble.group.said
    return PageStep(
        state=state,
        count=trouble.count,
        what=" · ".join(filter(None, [trouble.error_kind, trouble.error_code])) or "no code",
        advice=trouble.advice,
        link=link_to(status=state.value, **known),
        commands=_for_trouble(data, trouble, by_wave),
        message=trouble.example["error_msg"],
        key=trouble.example["key"],
        job_id=trouble.example["job_id"],
    )


def _for_trouble(data: PageData, trouble: TroubleCount, by_wave: Mapping[int, int]) -> tuple[str, ...]:
    if not by_wave:
        return ()
    first = next(iter(by_wave))  # the wave of the example: the first that had this trouble
    told = [wave for wave in sorted(by_wave) if data.waves[wave].facts is not None]  # by a journal, which these need
    if trouble.status is Status.UNSETTLED:
        if first not in told:
            return ()
        key = shlex.quote(f"--key={trouble.example['key']}")
        return (f"batcher explain {_explained(data.waves[first])} {key}",)
    if trouble.status is Status.INVALID:
        return ()
    served = data.waves[first].served
    if served is not None:
        again = {Status.FAILED: "retry-failed", Status.PARTIAL: "retry-failed"}.get(trouble.status, "start")
        return () if trouble.error_kind == "validation" else (f"batcher control {served.id} {again}",)
    if trouble.error_kind == "validation":
        return tuple(_select(data.waves[wave], trouble) for wave in told[:_COMMANDS])
    retries = trouble.status in (Status.FAILED, Status.PARTIAL)
    commands = [_same_command(data.waves[wave].facts, "--retry-failed" if retries else None) for wave in by_wave]
    return tuple(command for command in commands[:_COMMANDS] if command is not None)


def _copy(wave: WaveRead) -> str:
    """The words that name the results file of a wave, and its place in a database where it has one."""
    return _quoted(wave.file) if wave.place is None else f"{_quoted(wave.file)} {_explained(wave)}"


def _explained(wave: WaveRead) -> str:
    """The words that name a wave for a command that needs no results file."""
    return _quoted(Path(wave.typed)) if wave.place is None else f"--journal {shlex.quote(wave.place)}"


def _select(wave: WaveRead, trouble: TroubleCount) -> str:
    kind = f" --kind {trouble.error_kind}" if trouble.error_kind else ""
    ending = "-".join(filter(None, [trouble.status.value, trouble.error_kind]))
    following = _quoted(_beside(wave.file, f"-{ending}.jsonl"))
    return f"batcher select {_copy(wave)} --status {trouble.status.value}{kind} -o {following}"


def _same_command(facts: Mapping[str, Any] | None, more: str | None = None) -> str | None:
    """The command that began the wave, as its journal has it, with *more* where it is not in it."""
    command = (facts or {}).get("command")
    if not isinstance(command, str) or not command:
        return None
    return command if more is None or more in command.split() else f"{command} {more}"


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.stem + ending)


def _quoted(path: Path) -> str:
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
