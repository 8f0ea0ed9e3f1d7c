"""The report as CSV, for spreadsheets: a row an entry, or a row a difference. No cell is ever taken for a formula.

Not even where the file is opened with another delimiter than it was written with: then a cell falls into pieces.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from batcher.follow.verdict import Difference
from batcher.manifest.labels import ANY_LABELS, LabelFilter
from batcher.report.gather import WaveVerdicts, task_id, words_of
from batcher.wave.results_file import result_lines

DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}
_BREAK = re.compile(r"[,;|\t\r\n]")
_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20"  # with their full-width forms
_SUSPECT = frozenset('=+-@\uff1d\uff0b\uff0d\uff20" \t\r\n')
_FORMULA = re.compile(rf"(\A|[,;|\t\r\n])(?=[\s\"]*[{_SIGNS}])|\A(?=[\t\r\n])")
_ENTRY = (
    *(
        "index",
        "key",
        "job_id",
        "project_id",
        "endpoint",
        "status",
        "verdict",
        "verdict_reason",
        "attempts",
        "recovered",
    ),
    *("object_level_compare_task_id", "data_level_compare_task_id", "error_kind", "error_code", "error_msg"),
    *("http_status", "request_id", "submitted_at", "finished_at"),
)


def write_entries(
    out: TextIO, results: Path, verdicts: WaveVerdicts | None, delimiter: str = ",", meant: LabelFilter = ANY_LABELS
) -> None:
    """Write a row for each result line of *results* that is *meant*, streamed; labels take a column each.

    *verdicts* are on the same entries. Raises `ResultsError`.
    """

    def lines() -> Iterator[Mapping[str, Any]]:
        return (line for _, line in result_lines(results) if meant.takes(line["labels"]))

    labels = sorted({name for line in lines() for name in line["labels"]})
    _write(out, [*_ENTRY, *(f"label.{name}" for name in labels)], _entries(lines(), verdicts, labels), delimiter)


def _entries(
    lines: Iterable[Mapping[str, Any]], verdicts: WaveVerdicts | None, labels: list[str]
) -> Iterator[list[Any]]:
    with words_of(verdicts) as word_at:
        for place, line in enumerate(lines):
            verdict, reason = word_at(place)
            values = {
                **line,
                "verdict": verdict,
                "verdict_reason": reason,
                "object_level_compare_task_id": task_id(line, "object_level_compare_create_result"),
                "data_level_compare_task_id": task_id(line, "data_level_compare_create_result"),
            }
            yield [*(values[name] for name in _ENTRY), *(line["labels"].get(name) for name in labels)]


def write_differences(out: TextIO, verdicts: WaveVerdicts, delimiter: str = ",") -> None:
    """Write a row for each difference; its `accepted` has the reason where it was accepted."""
    names = list(Difference.model_fields)
    rows = (
        [row.key, row.job_id, row.half, row.compare_type]
        + [getattr(row.difference, name) for name in names]
        + [row.accepted]
        for row in verdicts.differences
    )
    _write(out, ["key", "job_id", "half", "compare_type", *names, "accepted"], rows, delimiter)


def _write(out: TextIO, head: list[str], rows: Iterable[list[Any]], delimiter: str) -> None:
    # DuckDB learns from the first 20,480 lines what a quote looks like; in the first of all there are some.
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerow([_cell(name) for name in head])
    csv.writer(out, delimiter=delimiter).writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    """*value* as a cell. A text that a spreadsheet would calculate gets an apostrophe before it (OWASP).

    So does what stands in it behind a delimiter or a line break.
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return value
    text = str(value)
    return _FORMULA.sub(r"\1'", text) if text[:1] in _SUSPECT or _BREAK.search(text) else text
