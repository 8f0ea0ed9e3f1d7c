"""`--restart`: the old wave is put aside, and what it made, or may have made, is said."""

import os
from collections.abc import Iterator
from pathlib import Path

from batcher.journal.errors import JournalFailed, NotAJournal, WaveRefused
from batcher.journal.files import put_aside, remove_journal
from batcher.journal.lock import Lock
from batcher.journal.port import Record
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.life.result import Status
from batcher.text import counted
from batcher.wave.rebuild import count_doubts


def where_results_go(journal: Path, results: Path | None) -> dict[str, str | None]:
    """For the record in *journal*: where its wave's results go, and how that lies to the journal, should both move."""
    if results is None:
        return {"results": None, "results_from_journal": None}
    there = os.path.relpath(results.absolute(), journal.absolute().parent)
    return {"results": str(results.absolute()), "results_from_journal": there}


def put_wave_aside(
    journal: Path, results: Path | None, beside: tuple[Path, ...] = (), *, is_named: bool = False
) -> list[str]:
    """Rename the files of the wave, so that a new one can begin; returns what there is to say, for people.

    *beside* is what else tells of it; *is_named* tells that the journal was named, and so may be another wave's. Under
    its lock, so that a running wave is not pulled away. Raises `WaveRefused`.
    """
    files = [file for file in (results, *beside) if file is not None]
    if not any(file.exists() for file in (journal, *files)):
        return []
    lock = Lock(journal)
    try:
        if journal.stat().st_size == 0:
            remove_journal(journal)
        made = list(_made_by(journal, results, is_named))
        there_is_one = journal.exists()
        kept = put_aside(journal, *files)
        lock.hand_over(kept[0] if there_is_one else None)
        return [*(f"the old wave is kept as {path}" for path in kept), *made]
    except OSError as error:
        raise WaveRefused(f"cannot put the old wave aside: {error}") from error
    finally:
        lock.release()


def _made_by(journal: Path, results: Path | None, is_named: bool) -> Iterator[str]:
    """What the wave in *journal* made, or may have made: the new one knows nothing of it.

    Raises `WaveRefused` where it is another wave's.
    """
    if not journal.exists():
        return
    try:
        keeper = SqliteKeeper(journal)
    except (NotAJournal, JournalFailed, WaveRefused) as error:
        if not is_named:
            return  # damaged, perhaps: kept as it is
        raise WaveRefused(f"--restart puts the journal of an earlier run aside, and {error}") from error
    record = keeper.wave()
    try:
        if not record.is_planned():
            return
        if is_named:
            _refuse_anothers(record, journal, results)
        counts = record.status_counts()
        made = counts.get(Status.CREATED, 0) + counts.get(Status.PARTIAL, 0)
        doubts = count_doubts(record) + counts.get(Status.UNSETTLED, 0)
    finally:
        keeper.close()
    if made:
        yield f"the old wave created {counted(made, 'entry', 'entries')}: the new one creates what it has of them again"
    if doubts:
        may = counted(doubts, "entry of the old wave is", "entries of the old wave are")
        yield f"{may} in doubt: the comparisons may exist, and the new wave does not look for them"


def _refuse_anothers(record: Record, journal: Path, results: Path | None) -> None:
    facts, now = record.facts(), where_results_go(journal, results)
    if any(facts.get(name, value) == value for name, value in now.items()):
        return  # the same place, or moved with its journal
    goes = "standard output" if results is None else results
    raise WaveRefused(
        f"{journal} is the journal of another wave, begun with {facts['manifest']}, whose results go to "
        f"{facts['results'] or 'standard output'} and not to {goes}: --restart would put that wave aside. Leave "
        "--journal out, or name another"
    )
