"""How a wave ended: its summary, and what to type next."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from batcher.cli.show.terminal import Screen
from batcher.drs.outcome import Fate
from batcher.journal.files import WaveFiles
from batcher.life.result import Status
from batcher.masking import MASK
from batcher.report.tally import Tally
from batcher.text import counted, printable
from batcher.wave.engine import WaveEnd
from batcher.wave.status import WaveStatus
from batcher.wave.stop import StopKind

_ALIKE = 80  # characters in which two texts agree that say the same


def print_unrecorded(screen: Screen, end: WaveEnd) -> None:
    """Say what the cloud told and the journal could not take: nobody but the reader of this has it now."""
    if not end.unrecorded:
        return
    screen.say(("WRITE THIS DOWN: the cloud said it, and the journal could not be written.", "bold red"))
    for what in end.unrecorded:
        screen.say((f"  {printable(what)}", "red"))
    screen.say(("  The next run looks these entries up in the cloud before it sends anything for them.", "red"))


def print_ending(screen: Screen, end: WaveEnd, tally: Tally, *, title: str) -> None:
    """The summary of *tally*, proven against what the wave itself counted."""
    from batcher.report.summary import print_summary

    notes = [*_notes(end, tally), *(() if _is_unwritten(end) else _disagreement(end.status, tally))]
    stopped = end.stop is not None
    print_summary(
        screen.console, tally, title=title, entries=end.status.entries, notes=tuple(notes), but_stopped=stopped
    )


def _is_unwritten(end: WaveEnd) -> bool:
    """Whether the results cannot be expected to hold what the wave counted."""
    return end.stop is not None and end.stop.kind in (StopKind.RESULTS, StopKind.READER, StopKind.JOURNAL)


def _notes(end: WaveEnd, tally: Tally) -> Iterator[str]:
    if end.stop is not None:
        what = "This run" if end.goes_on else "The wave"
        yield f"{what} was stopped: {printable(end.stop.text)}{_left(end, tally)}."
    yield from (f"Changed while it ran: {change}." for change in end.status.changed)
    told = [trouble.example["error_msg"] or "" for trouble in tally.troubles]
    for scope, trouble in end.halted.items():
        said = trouble.error_msg or trouble.kind.value
        if not any(text.startswith(said[:_ALIKE]) for text in told):  # else it stands there already
            yield f"{scope} stopped: {printable(said)}."
        elif len(end.status.scopes) > 1:
            yield f"{scope} stopped: see above."


def _left(end: WaveEnd, tally: Tally) -> str:
    """What became of the entries that the stop left open."""
    counts = {
        status: sum(trouble.count for trouble in tally.troubles if trouble.status is status and trouble.is_of_a_stop)
        for status in (Status.NOT_SUBMITTED, Status.UNSETTLED)
    }
    sent, unsent = counts[Status.UNSETTLED], counts[Status.NOT_SUBMITTED]
    said = [
        f"{counted(unsent, 'entry', 'entries')} not sent" if unsent else "",
        f"{sent:,} sent without an answer yet: looked up first when it goes on" if sent else "",
    ]
    told = ", ".join(filter(None, said))
    return f"; {told}" if told else ""


def _disagreement(status: WaveStatus, tally: Tally) -> Iterator[str]:
    for name in Status:
        ours, written = getattr(status, name.value), tally.by_status[name]
        if ours != written:
            yield (
                f"The wave counted {ours:,} {name.value}, and the results hold {written:,}: "
                "`batcher results` writes them anew from the journal."
            )


def print_next(
    screen: Screen,
    end: WaveEnd,
    tally: Tally,
    *,
    results: Path | None,
    command: str | None,
    place: str | None = None,
    judged: bool = False,
) -> None:
    """What to type next, most urgent first. *results* is None for standard output, *command* what was typed; *place* is
    the wave's in a database, where it is in one.

    *judged* is whether the gate has just spoken.
    """
    _offer(screen, _next(end, tally, results, command, place), judged=judged)


def print_next_at_service(screen: Screen, end: WaveEnd, tally: Tally, *, wave: str, judged: bool) -> None:
    """The same for a wave of a service; *wave* are the words that name it."""
    _offer(screen, _next_at_service(end, tally, wave), judged=judged)


def _offer(screen: Screen, steps: Iterator[tuple[str, str]], *, judged: bool) -> None:
    screen.say()
    for typed, why in steps:
        if judged and typed.startswith(("batcher gate ", "batcher watch ")):
            continue
        screen.offer((f"  # {why}", "dim"))
        screen.offer((f"  {typed}", "bold"))


def _next_at_service(end: WaveEnd, tally: Tally, wave: str) -> Iterator[tuple[str, str]]:
    if end.stop is not None:
        yield f"batcher control {wave} start", "it goes on where it stopped; type the same again then to follow it"
    else:
        yield from _about_troubles(wave, tally)
        if end.status.failed or end.status.partial:
            yield f"batcher control {wave} retry-failed", "what failed is taken up again"
        if end.status.created:
            yield f"batcher gate {wave}", "GO or NO-GO"
    yield f"batcher report {wave} --html report.html", "all of it as a page to pass on"


def _next(
    end: WaveEnd, tally: Tally, results: Path | None, command: str | None, place: str | None
) -> Iterator[tuple[str, str]]:
    status = end.status
    stopped = end.stop is not None or bool(end.halted)
    if any(trouble.fate is Fate.NOT_LET_IN for trouble in end.halted.values()):
        yield "batcher auth", "which credential is used, and whether the cloud takes it"
    if command is not None and stopped:
        hidden = ", with what you gave for ***" if MASK in command else ""
        goes_on = "it shows how the wave goes on" if end.goes_on else "it goes on where it stopped"
        yield command, f"the same again{hidden}: {goes_on}"
    if results is None:
        return
    name = explained = shlex.quote(str(results))
    if place is not None:
        explained = f"--journal {shlex.quote(place)}"
        name = f"{name} {explained}"
    if not stopped:
        yield from _about_troubles(name, tally, explained)
        if status.failed or status.partial:
            yield f"batcher select {name} --status failed,partial -o next.jsonl", "what failed, as a manifest to mend"
        if status.created:
            if WaveFiles.of(results).is_followed:
                yield f"batcher gate {name}", "GO or NO-GO, over this wave and, named beside it, any other"
            else:
                yield f"batcher watch {name}", "follow the comparisons to their verdicts"
    yield f"batcher report {name} --html report.html", "all of it as a page to pass on"


def _about_troubles(name: str, tally: Tally, explained: str | None = None) -> Iterator[tuple[str, str]]:
    """*name* is the wave's for commands, *explained* what `explain` knows it by where that is another."""
    explained = explained or name
    examples = {trouble.status: shlex.quote(str(trouble.example["key"])) for trouble in reversed(tally.troubles)}
    if Status.UNSETTLED in examples:
        key = examples[Status.UNSETTLED]
        yield f"batcher explain {explained} --key {key}", "what was tried for an unsettled entry"
        yield f"batcher settle {name} --key {key} --as …", "and, after a look at the console, what became of it"
    if failed := examples.get(Status.FAILED, examples.get(Status.PARTIAL)):
        yield f"batcher explain {explained} --key {failed}", "every attempt made for one that failed, and why"
