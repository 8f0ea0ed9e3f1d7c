"""The summary of a wave for people: counts, scopes, and each kind of trouble with an example and a way out."""

from collections.abc import Iterator
from datetime import datetime

from rich.text import Text

from batcher import zone
from batcher.durations import rough_duration
from batcher.life.result import Status
from batcher.report.changes import ChangeKind, StandingChange
from batcher.report.plain_console import AnyConsole
from batcher.report.tally import ScopeCount, Tally, TroubleCount
from batcher.report.wrapping import print_wrapped
from batcher.text import counted, printable

STYLES = {
    Status.CREATED: "green",
    Status.PARTIAL: "yellow",
    Status.FAILED: "red",
    Status.UNSETTLED: "bold magenta",
    Status.INVALID: "red",
    Status.NOT_SUBMITTED: "yellow",
}
_BAR = 30  # columns
_TROUBLES = 12  # shown; --json has all


def print_summary(
    console: AnyConsole,
    tally: Tally,
    *,
    title: str,
    entries: int | None = None,
    notes: tuple[str, ...] = (),
    but_stopped: bool = False,
) -> None:
    """Print *tally* to *console*. *entries* is the manifest's number, where it is known: it is then proven.

    *title* heads it (the results file, or the manifest); *notes* are said at the end. *but_stopped* leaves out what
    became of entries that a stop left open, which a note says.
    """
    misfits = [f"{misfit}." for misfit in tally.misfits(entries)]
    for line in _summary(tally, title, entries, (*misfits, *notes), but_stopped):
        print_wrapped(console, line)


def _summary(
    tally: Tally, title: str, entries: int | None, notes: tuple[str, ...], but_stopped: bool
) -> Iterator[Text]:
    """The lines, not wrapped yet; the indent of each is kept when it is."""
    yield from _head(title, tally)
    yield Text()
    yield from _counts(tally, entries)
    scopes = tally.scopes
    troubles = [trouble for trouble in tally.troubles if not (but_stopped and trouble.is_of_a_stop)]
    if len(scopes) > 1:
        yield Text()
        for scope in scopes:
            yield from _scope(scope)
    advised: set[str] = set()
    for trouble in troubles[:_TROUBLES]:
        yield Text()
        yield from _trouble(trouble, told=trouble.advice in advised)
        advised.add(trouble.advice)
    if len(troubles) > _TROUBLES:
        rest = counted(sum(trouble.count for trouble in troubles[_TROUBLES:]), "entry", "entries")
        kinds = counted(len(troubles) - _TROUBLES, "further kind")
        yield Text()
        yield Text(f"  … and {kinds} of trouble with {rest}; --json has all.", "dim")
    if notes:
        yield Text()
    for note in notes:
        yield Text(f"  {note}", "yellow")


def _head(title: str, tally: Tally) -> Iterator[Text]:
    yield Text(printable(title), "bold")
    span = tally.span_s
    if span is None or tally.first_submitted_at is None or tally.last_finished_at is None:
        return
    when = zone.span_text(*map(datetime.fromisoformat, (tally.first_submitted_at, tally.last_finished_at)))
    pace = "" if tally.rate_per_s is None else f" ({tally.rate_per_s:.3g}/s)"
    told = f"{when}, {rough_duration(span)}, {counted(tally.attempts, 'request')}{pace}"
    if tally.recovered:
        told += f", {tally.recovered:,} recovered after a lost answer"
    yield Text(told, "dim")


def _counts(tally: Tally, entries: int | None) -> Iterator[Text]:
    number = tally.lines if entries is None else entries
    total = max(number, 1)
    figures = max(len(f"{number:,}"), 5)
    for status in Status:
        count = tally.by_status[status]
        if not count and status is not Status.CREATED:
            continue
        style = STYLES[status] if count else "dim"
        line = Text(f"  {status.value:14}{count:>{figures},}", style)
        if count:
            width = round(count / total * _BAR)
            line.append(f"  {_share(count, total):>6}", "dim not bold")
            line.append("  " + ("█" * width or "▏"))
        yield line
    yield Text(f"  {'entries':14}{number:>{figures},}", "bold")


def _share(count: int, total: int) -> str:
    """A share that says 100% only where it is all of them, and 0% never."""
    percent = count / total * 100
    if percent < 0.1:
        return "<0.1%"
    return "100%" if count == total else f"{min(percent, 99.9):.1f}%"


def _scope(scope: ScopeCount) -> Iterator[Text]:
    yield Text(f"  project {printable(scope.project_id or '-')} at {printable(scope.endpoint or '-')}")
    line = Text("    ")
    for status in Status:
        if count := scope.by_status[status]:
            line.append(f"{status.value} {count:,}  ", STYLES[status])
    line.rstrip()
    yield line


def _trouble(trouble: TroubleCount, *, told: bool) -> Iterator[Text]:
    """*told*: what to do about it stands above already."""
    head = Text(f"  {trouble.count:,} {trouble.status.value}", STYLES[trouble.status])
    for part in (trouble.error_kind, trouble.error_code):
        if part:
            head.append(f"  {printable(str(part), 60)}", "default not bold")
    yield head
    example = trouble.example
    if example["error_msg"]:
        yield Text(f"    {printable(str(example['error_msg']), 600)}")
    yield Text(f"    e.g. key {printable(str(example['key']), 70)}, job {printable(str(example['job_id']), 70)}", "dim")
    if not told:
        yield Text(f"    → {trouble.advice}")


_CHANGE_STYLES = {
    ChangeKind.NEWLY_INCONSISTENT: "red",
    ChangeKind.WORSE: "red",
    ChangeKind.OTHER: "yellow",
    ChangeKind.MISSING: "yellow",
    ChangeKind.HEALED: "green",
    ChangeKind.NEW: "default",
}
_CHANGES = 40  # shown of each kind


def print_changes(console: AnyConsole, found: list[StandingChange], *, first: str, second: str) -> None:
    """Print what changed from the wave in the file *first* to the one in *second*."""
    console.print(Text(printable(f"{first} → {second}"), "bold"))
    if not found:
        console.print("  Every entry stands as it did.")
    for kind in ChangeKind:
        of_kind = [change for change in found if change.kind is kind]
        if not of_kind:
            continue
        console.print()
        console.print(Text(f"  {counted(len(of_kind), 'entry', 'entries')} {kind.value}", _CHANGE_STYLES[kind]))
        for change in of_kind[:_CHANGES]:
            before = change.before.text if change.before else "not there"
            after = change.after.text if change.after else "not there"
            line = f"    {printable(change.entry.key, 60)}  job {printable(change.entry.job_id or '-', 60)}"
            print_wrapped(console, Text(f"{line}  {before} → {after}"))
        if len(of_kind) > _CHANGES:
            console.print(Text(f"    … and {len(of_kind) - _CHANGES:,} more; --json has all.", "dim"))
