"""How a following ended: the gate's result over it, in words, as data and as an exit code."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.text import Text

from batcher.cli import exits
from batcher.cli.show.blockers import Advice, of_files
from batcher.cli.show.gate_result import exit_code, headline, print_gate
from batcher.cli.show.terminal import say
from batcher.clock import utc_now
from batcher.follow.follower import FollowEnd
from batcher.gate.accepted import Acceptance
from batcher.gate.result import evaluate
from batcher.gate.told import AnyGate
from batcher.gate.wave_entries import entries_of
from batcher.journal.place import JournalPlace
from batcher.memory import MANY, give_back
from batcher.report.plain_console import AnyConsole
from batcher.text import printable


@dataclass(frozen=True, slots=True)
class FollowSummary:
    """The end of following one wave, with the gate's result over it. *goes_on* says how one that was stopped does."""

    end: FollowEnd
    gate: AnyGate
    goes_on: str = "the same command goes on where this one ended"

    @classmethod
    def of(
        cls,
        results: Path,
        end: FollowEnd,
        acceptances: Sequence[Acceptance],
        *,
        journal: JournalPlace | None = None,
        entries: Mapping[Path, int] | None = None,
    ) -> Self:
        """Rule over the wave of *results* as its verdicts stand now; *journal* and *entries* are of `entries_of`."""
        if end.status.entries >= MANY:
            give_back()  # what the following took, and the run: counting takes as much again
        seen = entries_of([results], journal=journal, entries=entries)
        return cls(end, evaluate(seen, acceptances, utc_now().date()))

    @property
    def exit_code(self) -> int:
        """0 only if all is consistent or accepted, and all of the wave was seen."""
        if (stop := self.end.stop) is not None and stop.kind.is_signal:
            return exits.OF_SIGNALS[stop.kind.name]
        if self.end.halted:
            return exits.STOPPED
        return exit_code(self.gate)

    @property
    def text(self) -> str:
        """The gate's result in one sentence."""
        return headline(self.gate).plain

    def as_json(self, most: int | None = None) -> dict[str, Any]:
        """For `--json` and notifications; at most *most* of what stands in the way, and of what was accepted."""
        until = None if self.end.stop is None else self.end.stop.text
        return {"verdicts": str(self.end.verdicts), "followed_until": until, "gate": self.gate.as_json(most)}

    def print(self, console: AnyConsole, *, kept: bool = True, advice: Advice | None = of_files) -> None:
        """The gate's result, and what to know about the following; files that are not *kept* are not named.

        *advice* says what to type.
        """
        print_gate(console, self.gate, advice=advice if kept or advice is not of_files else None)
        for line in self._why_stopped():
            console.print()
            say(console, Text(f"  {printable(line)}", "yellow"))
        if kept:
            console.print(Text(f"\n  Verdicts: {printable(str(self.end.verdicts))}", "dim"), soft_wrap=True)

    def _why_stopped(self) -> Iterator[str]:
        if (stop := self.end.stop) is not None:
            yield f"{stop.text}: {self.goes_on}."
        for (endpoint, project_id), trouble in self.end.halted.items():
            why = trouble.error_msg or trouble.kind.value
            yield f"project {project_id} at {endpoint} is followed no more: {why}"
