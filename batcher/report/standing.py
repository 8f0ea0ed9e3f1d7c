"""How the entries of one wave stand, from its results and, where they were followed, its verdicts."""

from collections.abc import Iterator
from pathlib import Path

from batcher.life.result import Result
from batcher.manifest.labels import ANY_LABELS, LabelFilter
from batcher.report.changes import EntryStanding
from batcher.report.gather import read_verdicts
from batcher.wave.results_file import read_results


def standings(results: Path, labels: LabelFilter = ANY_LABELS) -> Iterator[EntryStanding]:
    """The standing of each entry with *labels* of the wave whose results are in *results*. Raises `UserError`."""
    verdicts = read_verdicts(results, labels=labels)
    meant = (result for result in read_results(results) if labels.takes(result.labels))
    for place, result in enumerate(meant):
        yield EntryStanding(
            key=result.key,
            job_id=result.job_id,
            project_id=result.project_id,
            asked=_made(result),
            status=result.status,
            verdict=verdicts.verdict_at(place) if verdicts else None,
        )


def _made(result: Result) -> str:
    halves = (result.object_level_compare_create_result, result.data_level_compare_create_result)
    kinds = ("objects", "data")
    return " ".join(kind for kind, half in zip(kinds, halves, strict=True) if half and half.compare_task_id)
