"""`--restart`: the old wave is put aside, and what it made, or may have made, is said."""

import os
from collections.abc import Iterator

from batcher.journal.errors import JournalFailed, NotAJournal, WaveRefused
from batcher.journal.files import WaveFiles, put_aside, remove_journal
from batcher.journal.port import Record
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.journal.wave_lock import WaveLock
from batcher.life.result import Status
from batcher.text import counted
from batcher.wave.rebuild import count_doubts


def where_results_go(files: WaveFiles) -> dict[str, str | None]:
    """For the record in the journal: where its wave's results go, and how that lies to it, should both move."""
    if files.results is None:
        return {"results": None, "results_from_journal": None}
    there = files.results.absolute()
    return {"results": str(there), "results_from_journal": os.path.relpath(there, files.journal.absolute().parent)}


def put_wave_aside(files: WaveFiles) -> list[str]:
    """Rename the files of the wave, so that a new one can begin; returns what there is to say, for people.

    Under its lock, so that a running wave is not pulled away. Raises `WaveRefused`.
    """
    journal = files.journal
    if not any(file.exists() for file in (journal, *files.told)):
        return []
    lock = WaveLock(journal)
    try:
        if journal.stat().st_size == 0:
            remove_journal(journal)
        made = list(_made_by(files))
        there_is_one = journal.exists()
        kept = put_aside(journal, *files.told)
        lock.hand_over(kept[0] if there_is_one else None)
        return [*(f"the old wave is kept as {path}" for path in kept), *made]
    except OSError as error:
        raise WaveRefused(f"cannot put the old wave aside: {error}") from error
    finally:
        lock.release()


def _made_by(files: WaveFiles) -> Iterator[str]:
    """What the wave of *files* made, or may have made: the new one knows nothing of it.

    Raises `WaveRefused` where it is another wave's.
    """
    if not files.journal.exists():
        return
    try:
        keeper = SqliteKeeper(files.journal)
    except (NotAJournal, JournalFailed, WaveRefused) as error:
        if not files.is_named:
            return  # damaged, perhaps: kept as it is
        raise WaveRefused(f"--restart puts the journal of an earlier run aside, and {error}") from error
    record = keeper.wave()
    try:
        if not record.is_planned():
            return
        if files.is_named:
            _refuse_anothers(record, files)
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


def _refuse_anothers(record: Record, files: WaveFiles) -> None:
    facts, now = record.facts(), where_results_go(files)
    if any(facts.get(name, value) == value for name, value in now.items()):
        return  # the same place, or moved with its journal
    goes = files.results or "standard output"
    raise WaveRefused(
        f"{files.journal} is the journal of another wave, begun with {facts['manifest']}, whose results go to "
        f"{facts['results'] or 'standard output'} and not to {goes}: --restart would put that wave aside. Leave "
        "--journal out, or name another"
    )
