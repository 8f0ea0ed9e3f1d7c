"""`--restart`: the old wave is put aside, and what it made, or may have made, is said."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from batcher.text import counted
from batcher.wave.files import Lock, WaveRefused, put_aside, remove_journal
from batcher.wave.rebuild import count_doubts
from batcher.wave.result import Status
from batcher.wave.schema import NotAJournal
from batcher.wave.store import Store


def put_wave_aside(journal: Path, results: Path | None) -> list[str]:
    """Rename the files of the wave, so that a new one can begin; returns what there is to say, for people.

    Under its lock, so that a running wave is not pulled away. Raises `WaveRefused`.
    """
    if not journal.exists() and not (results and results.exists()):
        return []
    lock = Lock(journal)
    try:
        if journal.stat().st_size == 0:
            remove_journal(journal)
        made = list(_made_by(journal))
        kept = put_aside(journal, *([results] if results else []))
        return [*(f"the old wave is kept as {path}" for path in kept), *made]
    except OSError as error:
        raise WaveRefused(f"cannot put the old wave aside: {error}") from error
    finally:
        lock.release()


def _made_by(journal: Path) -> Iterator[str]:
    """What the wave in *journal* made, or may have made: the new one knows nothing of it."""
    if not journal.exists():
        return
    try:
        store = Store.open(journal)
    except (NotAJournal, sqlite3.Error):
        return
    try:
        if not store.is_planned():
            return
        counts = store.status_counts()
        made = counts.get(Status.CREATED, 0) + counts.get(Status.PARTIAL, 0)
        doubts = count_doubts(store) + counts.get(Status.UNSETTLED, 0)
    finally:
        store.close()
    if made:
        yield f"the old wave created {counted(made, 'entry', 'entries')}: the new one creates what it has of them again"
    if doubts:
        may = counted(doubts, "entry of the old wave is", "entries of the old wave are")
        yield f"{may} in doubt: the comparisons may exist, and the new wave does not look for them"
