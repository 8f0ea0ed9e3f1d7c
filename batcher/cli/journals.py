"""Opening the journal that belongs to a results file, for the commands that look at a wave or decide about it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batcher.errors import UserError
from batcher.wave.files import Lock, journal_beside
from batcher.wave.schema import NotAJournal
from batcher.wave.store import Store


def journal_of(results: Path, journal: Path | None = None) -> Path:
    """The journal of *results*: the one named, else the one beside it. Raises `UserError` where there is none."""
    path = journal or journal_beside(results)
    if path.is_file():
        return path
    if journal is not None:
        raise UserError(f"there is no journal {path}.")
    if not results.exists():
        raise UserError(f"there is no file {results}: name the results file of the wave.")
    raise UserError(f"{results} has no journal beside it ({path.name}): name it with --journal.")


@contextmanager
def reading(journal: Path) -> Iterator[Store]:
    """The journal's store, unchanged by this; also while its wave runs. Raises `UserError`."""
    with _told(journal):
        store = Store.open_to_read(journal)
        try:
            _require_plan(store, journal)
            yield store
        finally:
            store.close()


@contextmanager
def deciding(journal: Path) -> Iterator[Store]:
    """The journal's store, to write in, with the wave held. Raises `WaveRefused` while the wave runs, `UserError`."""
    with _told(journal):
        lock = Lock(journal)
        try:
            store = Store.open(journal)
            try:
                _require_plan(store, journal)
                yield store
            finally:
                store.close()
        finally:
            lock.release()


@contextmanager
def _told(journal: Path) -> Iterator[None]:
    try:
        yield
    except NotAJournal as error:
        raise UserError(f"{error}.") from error
    except sqlite3.Error as error:
        raise UserError(f"the journal {journal} cannot be used: {error}.") from error


def _require_plan(store: Store, journal: Path) -> None:
    if not store.is_planned():
        raise UserError(f"{journal} holds no wave: it was never begun, so there is nothing in it.")


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
