"""Opening the journal that belongs to a results file, for the commands that look at a wave or decide about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batcher.errors import UserError
from batcher.journal.beside import journal_of, reading, require_plan, told
from batcher.journal.lock import Lock
from batcher.journal.sqlite.store import Store
from batcher.wave.older import OlderJournal, behind_its_sign

__all__ = ["deciding", "index_of", "journal_of", "reading"]


@contextmanager
def deciding(journal: Path) -> Iterator[Store]:
    """The journal's store, to write in, with the wave held. Raises `WaveRefused` while the wave runs, `UserError`."""
    with told(journal):
        lock = Lock(journal)
        try:
            store = Store.open(journal)
            try:
                require_plan(store, journal)
                if (why := behind_its_sign(store, journal, lock.sign())) is not None:
                    raise OlderJournal(journal, why)
                store.keep_sign(lock)
                yield store
            finally:
                store.close()
        finally:
            lock.release()


def index_of(store: Store, key: str | None, index: int | None) -> int:
    """The place of the entry with *key*, or *index* itself. Raises `UserError` where there is none, or several."""
    if index is not None:
        if not 0 <= index < store.entry_count():
            raise UserError(f"there is no entry {index}: the manifest has {store.entry_count():,}, counted from 0.")
        return index
    assert key is not None  # noqa: S101 - the commands ask for one of the two
    places = store.indexes_of_key(key)
    if not places:
        raise UserError(f"no entry has the key {key!r}: copy it from the results file.")
    if len(places) > 1:
        shown = ", ".join(map(str, places[:5]))
        raise UserError(f"{len(places)} entries have the key {key!r} (--allow-duplicates): say which, --index {shown}.")
    return places[0]
