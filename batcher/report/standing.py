"""How the entries of one wave stand, from its results and, where they were followed, its verdicts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batcher.report.changes import Standing
from batcher.report.gather import read_verdicts, task_id
from batcher.report.read import result_lines, results_problem
from batcher.report.tally import NoResult, Tally
from batcher.wave.result import Status


def standings(results: Path) -> Iterator[Standing]:
    """The standing of each entry of the wave whose results are in *results*. Raises `ResultsError`."""
    verdicts = read_verdicts(results)
    tally = Tally()
    for number, line in result_lines(results):
        try:
            tally.add(line)
        except NoResult as error:
            raise results_problem(results, number, str(error)) from None
        yield Standing(
            key=line["key"],
            job_id=line["job_id"],
            project_id=line["project_id"],
            asked=_asked(line),
            status=Status(line["status"]),
            verdict=verdicts.by_key.get(line["key"], (None, None))[0] if verdicts else None,
        )


def _asked(line: Mapping[str, Any]) -> str:
    halves = ("object_level_compare_create_result", "data_level_compare_create_result")
    return " ".join(half for half in halves if task_id(line, half))
