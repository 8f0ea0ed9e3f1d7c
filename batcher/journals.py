"""Opening the journal that belongs to a results file, for the commands that look at a wave or decide about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from batcher.errors import UserError
from batcher.journal.beside import journal_file_of, journal_of, reading, require_plan, told
from batcher.journal.place import JournalPlace, WavePlace
from batcher.journal.port import MutableRecord, Record
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.journal.wave_lock import WaveLock
from batcher.wave.older import OlderJournal, behind_its_sign

__all__ = ["deciding", "index_of", "journal_file_of", "journal_of", "reading"]


@contextmanager
def deciding(journal: JournalPlace) -> Iterator[MutableRecord]:
    """The record in *journal*, to write in, with the wave held. Raises `UserError`, so while the wave runs.

    Of a wave in a database it is raised where it is written about a scope that a worker has.
    """
    if isinstance(journal, WavePlace):
        from batcher.journal.postgres.looking import deciding_shared  # it loads psycopg

        with deciding_shared(journal) as shared:
            yield shared
        return
    with told(journal):
        lock = WaveLock(journal)
        try:
            keeper = SqliteKeeper(journal)
            try:
                record = keeper.wave()
                require_plan(record, journal)
                if (why := behind_its_sign(keeper, journal, lock.sign())) is not None:
                    raise OlderJournal(journal, why)
                keeper.keep_sign(lock)
                yield record
            finally:
                keeper.close()
        finally:
            lock.release()


def index_of(record: Record, key: str | None, index: int | None) -> int:
    """The place of the entry with *key*, or *index* itself. Raises `UserError` where there is none, or several."""
    if index is not None:
        if not 0 <= index < record.entry_count():
            raise UserError(f"there is no entry {index}: the manifest has {record.entry_count():,}, counted from 0.")
        return index
    assert key is not None  # noqa: S101 - the commands ask for one of the two
    places = record.indexes_of_key(key)
    if not places:
        raise UserError(f"no entry has the key {key!r}: copy it from the results file.")
    if len(places) > 1:
        shown = ", ".join(map(str, places[:5]))
        raise UserError(f"{len(places)} entries have the key {key!r} (--allow-duplicates): say which, --index {shown}.")
    return places[0]
