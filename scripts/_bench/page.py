"""The figures as Markdown, between markers of a page, each subject by itself: what stands around is written by hand."""

from collections.abc import Sequence
from pathlib import Path

from _bench.common import Row

END = "<!-- /scripts/bench -->"


def put_into(page: Path, subject: str, heading: str, rows: Sequence[Row]) -> None:
    """Put the table of *subject* under *heading* between its markers in *page*, or behind all others where it has none.

    Raises ValueError where the page has no `END`.
    """
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- scripts/bench {subject} -->", f"<!-- /scripts/bench {subject} -->"
    block = f"{begin}\n{_table(subject, rows)}\n\n{heading}\n{end}"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        before, closed, after = text.partition(END)
        if not closed:
            raise ValueError(f"{page} has no {END} to put the figures before")
        block, after = f"{block}\n\n", f"{END}{after}"
    page.write_text(f"{before}{block}{after}", encoding="utf-8")


def _table(subject: str, rows: Sequence[Row]) -> str:
    lines = [f"| {subject} | measured | aim | kept |", "| --- | --- | --- | --- |"]
    for row in rows:
        kept = "" if row.good is None else "yes" if row.good else "**no**"
        lines.append(f"| {row.subject} | {row.figure} | {row.bound} | {kept} |")
    return "\n".join(lines)
