"""The report as Markdown, short enough for a ticket."""

from collections.abc import Iterator

from batcher.durations import rough_duration
from batcher.follow.verdict import Verdict
from batcher.life.result import Status
from batcher.report.gather import Report, only
from batcher.report.headline import headline
from batcher.text import counted, printable

_ROWS = 20  # of each table


def markdown(report: Report) -> str:
    """*report* as GitHub-flavoured Markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    tally, verdicts = report.tally, report.verdicts
    head = headline(tally.by_status, report.gate, report.entries)
    yield f"## {_text(head.title)}"
    yield ""
    yield _text(head.said)
    yield from (f"- {_text(reason.text)}" for reason in head.reasons)
    if report.wave.labels:
        yield ""
        yield _text(only(report.wave.labels, tally, report.wave.coverage))
    for note in head.notes:
        yield ""
        yield _text(note)
    yield ""
    if tally.span_s is not None:
        entries = counted(tally.lines, "entry", "entries")
        took = f"{rough_duration(tally.span_s)} with {counted(tally.attempts, 'request')}"
        yield f"`{_code(report.wave.called)}`: {entries} in {took}, begun {tally.first_submitted_at}."
        yield ""
    yield from _table(
        ["Status", "Entries"],
        [[status.value, f"{tally.by_status[status]:,}"] for status in Status if tally.by_status[status]],
    )
    if verdicts:
        yield from _table(
            ["Verdict", "Entries"],
            [[v.value, f"{verdicts.by_verdict[v]:,}"] for v in Verdict if verdicts.by_verdict[v]],
        )
    yield from _table(
        ["Entries", "Trouble", "Example", "What to do"],
        [
            [
                f"{trouble.count:,} {trouble.status.value}",
                " ".join(filter(None, [trouble.error_kind, trouble.error_code])),
                f"{trouble.example['error_msg'] or ''} (key {trouble.example['key']})",
                trouble.advice,
            ]
            for trouble in tally.troubles
        ],
    )
    yield from _table(
        ["Job", "Database", "Table", "Result", "Source", "Target", "Accepted"],
        [
            [
                row.job_id or "",
                row.difference.place or "",
                row.difference.table or " ".join(filter(None, [row.difference.object_type, row.difference.name])),
                row.difference.result,
                _number(row.difference.source_count),
                _number(row.difference.target_count),
                row.accepted or "",
            ]
            for row in (verdicts.differences[:_ROWS] if verdicts else ())
        ],
        len(verdicts.differences) if verdicts else 0,
    )


def _table(head: list[str], rows: list[list[str]], count: int | None = None) -> Iterator[str]:
    """A table of the first of *rows*; *count* is how many there are, where these are not all."""
    if not rows:
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows[:_ROWS]:
        yield f"| {' | '.join(_text(cell) for cell in row)} |"
    if (more := (len(rows) if count is None else count) - _ROWS) > 0:
        yield ""
        yield f"… and {more:,} more."
    yield ""


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _text(text: str) -> str:
    """*text* on one line, with what Markdown and HTML would act on escaped."""
    line = printable(text, 300)
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|~" else sign for sign in line)


def _code(text: str) -> str:
    return printable(text).replace("`", "'")
