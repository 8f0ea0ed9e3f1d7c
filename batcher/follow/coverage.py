"""Whether all of a wave was seen: how many entries it has, who says so, and what is to be done where nobody does."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from batcher.errors import UserError
from batcher.journal.attached import attached_to
from batcher.journal.beside import journal_of, reading
from batcher.journal.errors import JournalAbsent, JournalUnusable
from batcher.journal.place import JournalPlace
from batcher.journal.port import Record
from batcher.text import counted


class CountSource(StrEnum):
    """Who says how many entries a wave has."""

    JOURNAL = "journal"
    SERVICE = "service"  # it runs the wave, and these are lines that it gave
    RESULTS = "results"  # each of its lines does
    OPERATOR = "--entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveCoverage:
    """Of one wave: how many *entries* it has, as *source* says, and how many *lines* its results *file*.

    *entries* and *source* are None where nobody can say. *journal* tells why the journal did not; None: it did.
    *repeated* counts lines of entries that have one already.
    """

    file: str
    lines: int
    repeated: int
    entries: int | None
    source: CountSource | None
    journal: str | None

    @property
    def unproven(self) -> str | None:
        """Why it cannot be told whether every entry was seen, and the way out; None: it can."""
        if self.repeated:
            return (
                f"{self.file} was edited, or put together: {counted(self.repeated, 'line repeats', 'lines repeat')} an "
                "entry that has one already. `batcher results` writes it anew from the journal."
            )
        if self.entries is not None:
            return None
        return (
            f"{self.file} has {counted(self.lines, 'line')}, and how many entries its wave has cannot be told. "
            f"{self.journal} Or say how many entries the manifest has: --entries N."
        )

    @property
    def note(self) -> str | None:
        """What else to know of a wave whose journal was not read; None: nothing."""
        if self.journal is None or self.entries is None:
            return None
        if self.source is CountSource.SERVICE:
            return f"{self.file}: judged here, by the lines of a wave of {self.entries:,} at a service. {self.journal}"
        said = _WHO_SAYS[self.source or CountSource.OPERATOR]
        return f"{self.file}: judged without its journal; {said} that the wave has {self.entries:,}. {self.journal}"

    def as_json(self) -> dict[str, Any]:
        """The coverage as plain data, for `--json`."""
        return {
            "file": self.file,
            "lines": self.lines,
            "entries": self.entries,
            "entries_known_from": self.source and self.source.value,
            "journal": self.journal,
        }


_WHO_SAYS = {
    CountSource.JOURNAL: "its journal says",
    CountSource.SERVICE: "the service says",
    CountSource.RESULTS: "its lines say",
    CountSource.OPERATOR: "--entries says",
}


@contextmanager
def plan_beside(results: Path, journal: JournalPlace | None = None) -> Iterator[tuple[Record | None, str | None]]:
    """The record of the journal of *results*, to be read, or None and why there is none that can be.

    *journal* is where it was said to be; None: beside the results. Raises `UserError` where it was named and is not
    there, or fails while it is read.
    """
    with ExitStack() as stack:
        record, why = None, None
        try:
            record = stack.enter_context(reading(journal_of(results, journal)))
        except (JournalAbsent, JournalUnusable) as error:
            if journal is not None:
                raise
            why = sentence(error, results)
        yield record, why


def sentence(error: JournalAbsent | JournalUnusable, results: Path) -> str:
    """Why there is no journal to be read beside *results*, and the way out."""
    if isinstance(error, JournalAbsent):
        if (wave := attached_to(results)) is not None:
            return f"The service's own word: batcher gate {wave.words}"
        return "There is no journal beside it: copy the files of a wave together, RESULTS*."
    said = error.message
    return f"T{said[1:]}" if said.startswith("the ") else said  # else it begins with a path


def how_many(
    file: Path, *, planned: int | None, stated: int | None, said: int | None, highest: int
) -> tuple[int | None, CountSource | None]:
    """How many entries the wave of *file* has, and who says so: the journal (*planned*), its lines (*stated*), or the
    operator (*said*). *highest* is the last place in the manifest that has a line, -1 for none.

    Lines that a service gave have what it says beside them. Raises `UserError` where they contradict each other.
    """
    wave = attached_to(file) if planned is None else None
    at_service = None if wave is None else wave.entries
    if planned is not None and stated is not None and planned != stated:
        raise UserError(
            f"{file} is of a wave of {counted(stated, 'entry', 'entries')}, and the journal beside it of one of "
            f"{planned:,}: they do not belong together. Copy all files of one wave, RESULTS*."
        )
    if stated is not None and at_service is not None and stated != at_service:
        raise UserError(
            f"{file} is of a wave of {counted(stated, 'entry', 'entries')}, and that of the service has "
            f"{at_service:,}: these are not its lines."
        )
    known = [
        (planned, CountSource.JOURNAL),
        (at_service, CountSource.SERVICE),
        (stated, CountSource.RESULTS),
        (said, CountSource.OPERATOR),
    ]
    entries, source = next(((count, who) for count, who in known if count is not None), (None, None))
    if entries is None:
        return None, None
    if said is not None and said != entries:
        raise UserError(f"--entries says that the wave of {file} has {said:,}, and its files say {entries:,}.")
    if highest >= entries:
        whose = "it says" if source is None or source is CountSource.RESULTS else _WHO_SAYS[source]
        raise UserError(
            f"{file} has a line of the manifest's entry {highest + 1:,} (index {highest}), and {whose} that there are "
            f"{entries:,}: "
            + ("count again." if source is CountSource.OPERATOR else "it was edited, or is of another wave.")
        )
    return entries, source
