"""The entries of one or several waves with their verdicts, for the gate, the report and reruns."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from contextlib import closing
from pathlib import Path

from batcher.follow.files import verdicts_beside
from batcher.follow.followed import identity_of
from batcher.follow.gate import Waved
from batcher.follow.verdicts_file import identity, verdict_lines
from batcher.wave.files import journal_beside
from batcher.wave.plan import PlannedEntry
from batcher.wave.results_file import read_results
from batcher.wave.schema import NotAJournal
from batcher.wave.store import Store


def entries_of(files: Iterable[Path]) -> Iterator[Waved]:
    """Every entry of the results *files*, with the verdict that stands beside its file. Raises `UserError`.

    A verdict on the comparisons of a wave that was begun anew since is none. Entries without a result (the wave runs
    still, or was killed) come last, as far as the journal or a gap in the results tells of them.
    """
    for path in files:
        verdicts = {line.index: line for line in verdict_lines(verdicts_beside(path))}
        names: Counter[tuple[str | None, ...]] = Counter()
        seen: set[int] = set()
        for result in read_results(path):
            line = verdicts.get(result.index)
            if line is not None and identity(line) != identity_of(result):
                line = None
            name = (result.endpoint, result.project_id, result.key)
            yield Waved(
                file=str(path),
                index=result.index,
                key=result.key,
                nth=names[name],
                job_id=result.job_id,
                scope=(result.endpoint, result.project_id),
                status=result.status,
                verdict=line,
                said=result.error_msg,
                finished_at=result.finished_at,
            )
            names[name] += 1
            seen.add(result.index)
        yield from _without_result(path, seen)


def _without_result(path: Path, seen: Set[int]) -> Iterator[Waved]:
    for index, plan in _missing(path, seen):
        yield Waved(
            file=str(path),
            index=index,
            key=plan.key if plan else f"entry {index + 1}",
            job_id=plan.job_id if plan else None,
            scope=(plan.scope.endpoint, plan.scope.project_id) if plan else (None, None),
            status=None,
            verdict=None,
        )


def _missing(path: Path, seen: Set[int]) -> list[tuple[int, PlannedEntry | None]]:
    """The places that have no result, each with what the journal beside *path* has of it."""
    gaps: list[tuple[int, PlannedEntry | None]] = [
        (index, None) for index in range(max(seen, default=-1)) if index not in seen
    ]
    journal = journal_beside(path)
    if not journal.is_file():
        return gaps
    try:
        with closing(Store.open_to_read(journal)) as store:
            return [(index, store.entry(index)) for index in range(store.entry_count()) if index not in seen]
    except (NotAJournal, sqlite3.Error):
        return gaps  # `batcher report` says what is wrong with it
