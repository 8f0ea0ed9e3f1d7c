"""What waves with journals of their own have of a job: asked of those, where it is to be judged whose a comparison is.

Waves of one database know that of each other by their record, and the channel knows what the waves of this process did
here. What one of them did before, in an earlier process, stands in its own journal alone. It is asked for look-ups of
doubts, and for the ids of answers; nothing is kept, and nothing is changed there.
"""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from batcher.journal.errors import JournalUnusable
from batcher.journal.port import EntryWithEvents
from batcher.life.entry import PlannedEntry
from batcher.logger import get_logger

log = get_logger("batcher.wave")


class OtherRecords(Protocol):
    """The records of the waves that may have worked on a wave's jobs."""

    async def of_job(self, entry: PlannedEntry) -> list[EntryWithEvents] | None:
        """The entries of others that name the job of *entry*, as of its scope; None: that cannot be told."""
        ...


class OtherJournals:
    """`OtherRecords` of those in *told* and in *opened*, but not in *own*: journals, which may be none yet.

    Both are read when something is asked, so that others may be added to them.
    """

    def __init__(self, own: Path, told: Collection[Path], opened: Collection[Path]) -> None:
        self._own = own
        self._told = told
        self._opened = opened

    async def of_job(self, entry: PlannedEntry) -> list[EntryWithEvents] | None:
        """The entries of others that name the job of *entry*, as of its scope; None: a journal cannot be read."""
        others = dict.fromkeys(path for path in (*self._told, *self._opened) if path != self._own)
        return await asyncio.to_thread(_asked, list(others), entry) if others else []


def _asked(journals: list[Path], entry: PlannedEntry) -> list[EntryWithEvents] | None:
    from batcher.journal.beside import asked_of  # hardly any wave has others beside it

    found: list[EntryWithEvents] = []
    for journal in journals:
        try:
            found += asked_of(journal, lambda record: record.of_job(entry.scope, entry.job_id)) or []
        except JournalUnusable as error:
            log.error("journal.beside_unreadable", journal=str(journal), job_id=entry.job_id, error=error.message)
            return None
    return found
