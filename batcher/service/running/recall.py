"""What waves of an earlier process made of jobs that a wave goes on with: each has its own journal, and a look-up must
not take the comparison of one for that of another.

In one process the channel remembers that. After a restart it is told again, before the wave that goes on looks up or
sends anything. Only waves that ran while it did matter: what was made before it began is too old to be its own.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

from batcher.journals import journal_of, reading
from batcher.life.entry import PlannedEntry
from batcher.life.events import Event
from batcher.service.kept.folders import Folder
from batcher.service.kept.register import WaveRow

_LEEWAY_S = 600.0  # by which clocks may differ, and a request may come late
MOST = 20_000  # entries that are recalled of one wave; no more jobs are remembered

Recalled = tuple[str, PlannedEntry, list[Event]]  # whose, by its journal; the entry; what happened to it


def ran_beside(row: WaveRow, other: WaveRow) -> bool:
    """Whether *other* ran, or runs, in a scope of *row* after *row* had begun."""
    if other.id == row.id or not other.is_begun or row.started_at is None:
        return False
    scopes = {(endpoint, project_id) for endpoint, project_id, _ in row.scopes}
    shared = any((endpoint, project_id) in scopes for endpoint, project_id, _ in other.scopes)
    return shared and (other.ended_at is None or other.ended_at >= row.started_at - _LEEWAY_S)


def recalled(folder: Folder, others: Iterable[Folder]) -> Iterator[Recalled]:
    """What *others* did for jobs of the wave in *folder*. Blocks. Raises `UserError`, `sqlite3.Error`."""
    for other in others:
        if not other.results.exists() or not other.entries.exists() or not folder.entries.exists():
            continue
        with reading(journal_of(other.results)) as record:
            for index in _shared(folder, other):
                entry = record.entry(index)
                if entry is not None and (events := record.events(index)):
                    yield str(other.journal), entry, events


def _shared(folder: Folder, other: Folder) -> list[int]:
    """The entries of *other* that name a job of *folder*."""
    with closing(sqlite3.connect(f"file:{folder.entries}?mode=ro", uri=True)) as db:
        db.execute("ATTACH DATABASE ? AS other", (f"file:{other.entries}?mode=ro",))
        rows = db.execute(
            "SELECT idx FROM other.entries WHERE job_id <> '' AND job_id IN (SELECT job_id FROM main.entries) LIMIT ?",
            (MOST,),
        )
        return [index for (index,) in rows]
