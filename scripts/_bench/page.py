"""The figures as Markdown, between two markers of a page: what stands around them is written by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from _bench.common import Row

BEGIN, END = "<!-- scripts/bench -->", "<!-- /scripts/bench -->"


def put_into(page: Path, heading: str, found: Mapping[str, Sequence[Row]]) -> None:
    """Put the tables of *found* under *heading* between the markers of *page*. Raises ValueError without markers."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no {BEGIN} and {END} to put the figures between")
    tables = "\n\n".join(_table(subject, rows) for subject, rows in found.items() if rows)
    page.write_text(f"{before}{BEGIN}\n{heading}\n\n{tables}\n{END}{after}", encoding="utf-8")


def _table(subject: str, rows: Sequence[Row]) -> str:
    lines = [f"| {subject} | measured | aim | kept |", "| --- | --- | --- | --- |"]
    for row in rows:
        kept = "" if row.good is None else "yes" if row.good else "**no**"
        lines.append(f"| {row.subject} | {row.figure} | {row.bound} | {kept} |")
    return "\n".join(lines)
