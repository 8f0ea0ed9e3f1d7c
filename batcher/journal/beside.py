"""The journal beside a results file, or the place in a database that was named instead, for all who look at a wave.

It is there and read, or it is not there, or it is there and cannot be read, which is an error with its reason and the
way out, and never passed over.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from batcher.journal.attached import attached_to
from batcher.journal.errors import JournalAbsent, JournalFailed, JournalUnusable, NotAJournal
from batcher.journal.files import followed, journal_in_place, log_of
from batcher.journal.place import JournalPlace, WavePlace
from batcher.journal.port import Record
from batcher.journal.sqlite.keeper import SqliteReader

T = TypeVar("T")
_TRIES = 3  # where a wave begins to write it just now


def journal_of(results: Path, named: JournalPlace | None = None) -> JournalPlace:
    """The journal of *results*: the one *named*, else the one beside it. Raises `JournalAbsent`, `JournalUnusable`."""
    return named if isinstance(named, WavePlace) else journal_file_of(results, named)


def journal_file_of(results: Path, named: Path | None = None) -> Path:
    """The same where it is a file. Raises `JournalAbsent`, `JournalUnusable`."""
    path = named or journal_in_place(results)
    with told(path):
        if path.exists():
            return followed(path)
        if path.is_symlink():
            raise JournalUnusable(f"the journal {path} is a link that leads nowhere: copy the file itself along.")
        if log_of(path).exists():
            raise JournalUnusable(
                f"the journal {path} is missing: only its log, {log_of(path).name}, is there. "
                "Copy all of a wave's files along, RESULTS*."
            )
        if named is not None:
            raise JournalAbsent(f"there is no journal {path}.")
        if not results.exists():
            raise JournalAbsent(f"there is no file {results}: name the results file of the wave.")
    if (wave := attached_to(results)) is not None:
        raise JournalAbsent(
            f"{results} has no journal beside it: its wave is at a service, which has it. Name the wave there instead "
            f"of the file: {wave.words}"
        )
    raise JournalAbsent(f"{results} has no journal beside it ({path.name}): name it with --journal.")


@contextmanager
def reading(journal: JournalPlace) -> Iterator[Record]:
    """The record in *journal*, unchanged by this; also while its wave runs. Raises `JournalUnusable`, and of a place in
    a database any `UserError`."""
    if isinstance(journal, WavePlace):
        from batcher.journal.postgres.looking import reading_shared  # it loads psycopg

        with reading_shared(journal) as shared:
            yield shared
        return
    with told(journal):
        reader = SqliteReader(journal)
        try:
            record = reader.wave()
            require_plan(record, journal)
            yield record
            if reader.was_changed:
                raise JournalUnusable(f"{journal} was written while it was read: run the same command again.")
        finally:
            reader.close()


def asked_of(journal: Path, question: Callable[[Record], T]) -> T | None:
    """The answer of the wave in *journal* to *question*, which changes nothing there.

    None where it was never planned, or there is no journal yet: it has sent nothing. Raises `JournalUnusable`.
    """
    for _ in range(_TRIES):
        with told(journal):
            try:
                if not journal.stat().st_size and not log_of(journal).exists():
                    return None
            except FileNotFoundError:
                return None
            reader = SqliteReader(journal)
            try:
                record = reader.wave()
                found = question(record) if record.is_planned() else None
                if not reader.was_changed:
                    return found
            finally:
                reader.close()
    raise JournalUnusable(f"{journal} was written each time that it was read: run the same command again.")


@contextmanager
def told(journal: Path) -> Iterator[None]:
    """Tell why *journal* cannot be used, whatever the reason. Raises `JournalUnusable`."""
    try:
        yield
    except NotAJournal as error:
        raise JournalUnusable(f"{error}.") from error
    except OSError as error:
        if error.filename is not None and Path(error.filename).absolute() != journal.absolute():
            raise
        if not isinstance(error, PermissionError):
            raise JournalUnusable(
                f"the journal {journal} cannot be read: {error.strerror}. Copy all of the wave's files again, RESULTS*."
            ) from error
        raise JournalUnusable(
            f"the journal {journal} may not be read ({error.strerror}): {_whose(journal)}look as the user who ran the "
            "wave, or with a copy that they made of all its files, RESULTS*."
        ) from error
    except JournalFailed as error:
        raise JournalUnusable(
            f"the journal {journal} cannot be read: {error.reason}. If it is a copy, copy all of the wave's files "
            "again, RESULTS*; look at the disk if it is not. "
            f"`batcher journal check {journal}` says what is left of it."
        ) from error


def _whose(journal: Path) -> str:
    with suppress(OSError, KeyError):
        return f"it belongs to {journal.owner()}; "
    return ""


def require_plan(record: Record, journal: Path) -> None:
    """See that *record*, of the file *journal*, holds a wave. Raises `JournalUnusable`."""
    if not record.is_planned():
        raise JournalUnusable(f"{journal} holds no wave: it was never begun, so there is nothing in it.")
