"""The entries of one or several waves with their verdicts, for the gate and for reruns."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from batcher.follow.followed import identity_of
from batcher.follow.gate import Waved
from batcher.follow.session import read_results
from batcher.follow.verdicts_file import identity, verdict_lines, verdicts_beside


def entries_of(files: Iterable[Path]) -> Iterator[Waved]:
    """Every entry of the results *files*, with the verdict that stands beside its file. Raises `UserError`."""
    for path in files:
        verdicts = {line.index: line for line in verdict_lines(verdicts_beside(path))}
        seen: Counter[str] = Counter()
        for result in read_results(path):
            line = verdicts.get(result.index)
            if line is not None and identity(line) != identity_of(result):
                line = None  # it is on the comparisons of a wave that was begun anew
            yield Waved(
                file=str(path),
                key=result.key,
                nth=seen[result.key],
                job_id=result.job_id,
                scope=(result.endpoint, result.project_id),
                status=result.status,
                verdict=line,
                said=result.error_msg,
                finished_at=result.finished_at,
            )
            seen[result.key] += 1
