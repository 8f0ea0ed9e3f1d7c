"""What is decided about a wave that does not run, in its own files. Blocks; each is called in a thread, to its end."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec import Struct

from batcher.errors import UserError
from batcher.follow.following import in_thread
from batcher.follow.recheck import Recheck
from batcher.follow.verdict import Verdict, VerdictLine
from batcher.gate.wave_entries import entries_of
from batcher.journals import deciding, index_of, reading
from batcher.life.result import Status
from batcher.life.ruling import Ruling
from batcher.manifest.write import write_manifest
from batcher.service.kept.folders import Folder
from batcher.service.problem import Problem
from batcher.wave.settling import settle

T = TypeVar("T")


async def settle_entry(folder: Folder, index: int, ruling: Ruling, now: float) -> dict[str, int]:
    """Record *ruling* on the entry at *index*; how many results of each status there are then. Raises `Problem`."""
    counts: dict[str, int] = {}

    def work() -> None:
        with deciding(folder.record) as record:
            require_entry(index, record.entry_count())
            settle(record, None if folder.place else folder.results, index_of(record, None, index), ruling, now)
            counts.update({status.value: count for status, count in record.status_counts().items()})

    try:
        await in_thread(work, lambda: None)
    except UserError as error:
        raise Problem(409, error.message) from error
    return counts


class JournalTally(Struct, frozen=True, kw_only=True):
    """How far a wave is by its journal: *counts* are results by status, *settled* those of each scope, as (endpoint,
    project_id, results). What a run left open when it was stopped is not among them."""

    counts: Mapping[str, int]
    settled: tuple[tuple[str, str, int], ...]

    @property
    def to_rule(self) -> int:
        """How many are unsettled until somebody rules on them."""
        return self.counts.get(Status.UNSETTLED, 0)


async def tally_of_journal(folder: Folder) -> JournalTally | None:
    """How far the wave in *folder* is; None: it has no journal, or it cannot be read."""
    found: list[JournalTally] = []

    def work() -> None:
        with reading(folder.record) as record:
            settled = record.settled_counts()
            found.append(
                JournalTally(
                    counts={status.value: count for status, count in record.status_counts().items()},
                    settled=tuple((s.endpoint, s.project_id, settled.get(s.number, 0)) for s in record.scopes()),
                )
            )

    try:
        await in_thread(work, lambda: None)
    except UserError:  # whatever runs the wave next says why
        return None
    return found[0]


def require_entry(index: int, entries: int) -> None:
    """Raises `Problem` 404 where there is no entry at *index*."""
    if not 0 <= index < entries:
        raise Problem(404, f"There is no entry {index}: the wave has {entries:,}, counted from 0.")


def recheck_manifest(folder: Folder, draft: Folder) -> None:
    """Write the manifest of the comparisons of *folder* that did not come out consistent into *draft*.

    Raises `Problem`, OSError.
    """
    chosen = Recheck(frozenset(Verdict) - {Verdict.CONSISTENT})
    draft.path.mkdir(mode=0o700)
    try:
        with reading(folder.record) as record:
            write_manifest(draft.manifest, chosen.lines(record, _verdicts(folder)))
    except UserError as error:
        raise Problem(409, error.message) from error
    if not chosen.count:
        raise Problem(409, "None of its comparisons can be made again: what was not created has to be retried first.")


def _verdicts(folder: Folder) -> Iterable[VerdictLine]:
    return (entry.verdict for entry in entries_of([folder.results], journal=folder.place) if entry.verdict)
