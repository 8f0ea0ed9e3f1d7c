"""What the report's page shows: the entries of one wave, or of several with their reruns, as the gate sees them.

They are counted and chosen in the table of entries; what the page has to say of one is read when it is written.
"""

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batcher.clock import utc_now
from batcher.follow.verdict import Verdict
from batcher.gate.accepted import Acceptance
from batcher.gate.entries import WaveEntry
from batcher.gate.evaluator import EvaluatedEntry
from batcher.gate.result import GateResult, evaluate
from batcher.gate.wave_entries import WaveEntries, entries_of
from batcher.journal.files import WaveFiles
from batcher.journal.place import JournalPlace
from batcher.life.result import Status
from batcher.manifest.labels import ANY_LABELS, LabelFilter
from batcher.report.gather import ServedWave, WaveRead, read_wave
from batcher.report.state import ReviewState, state_of
from batcher.report.tally import Tally, TroubleKey

# Entries listed one by one; where there are more, those with trouble come first, and the page says so.
MOST_ROWS = 100_000

_STATES = tuple(ReviewState)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow:
    """An entry as it stands. *wave* is the number of the wave whose run speaks for it, *line* that run's result line
    (None: it has none yet). *evaluated* is None where there is nothing to be said of it but its *state*; *earlier* are
    the runs that it replaced, each with the number of its wave.
    """

    wave: int
    index: int
    line: Mapping[str, Any] | None
    state: ReviewState
    evaluated: EvaluatedEntry | None = None
    earlier: tuple[tuple[int, WaveEntry], ...] = ()

    @property
    def anchor(self) -> str:
        """The entry's name in the page's address: the wave's number and the place in the manifest."""
        return f"{self.wave}.{self.index}"


@dataclass(frozen=True, slots=True)
class PageOrder:
    """Entries by their places at the gate, in the order of the page: those *evaluated*, and behind them *plain* ones,
    of which there is nothing to be said but *state*.
    """

    evaluated: Sequence[int]
    plain: Sequence[int]
    state: ReviewState

    def __len__(self) -> int:
        return len(self.evaluated) + len(self.plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """Waves as the page shows them. *gate* is over all of them, and holds where somebody *followed* them.

    *standing* counts the entries as they stand, without those that a later run replaced. *states* counts them by state
    and wave, *troubles* those with trouble by kind and wave. *chosen* are the entries that are listed, the gravest
    first; *omitted* says how many more there are, *omitted_grave* how many of them have trouble. *differing* are the
    places of those with differences.
    """

    waves: tuple[WaveRead, ...]
    gate: GateResult
    followed: bool
    standing: Tally
    by_status: Mapping[Status | None, int]
    by_verdict: Mapping[Verdict | None, int]
    states: Mapping[tuple[ReviewState, int], int]
    replaced: Mapping[int, int]
    troubles: Mapping[TroubleKey, Mapping[int, int]]
    chosen: PageOrder
    differing: Sequence[int]
    omitted: int
    omitted_grave: int
    read: WaveEntries

    @property
    def word(self) -> GateResult | None:
        """What the gate says; None where nobody followed any of the waves."""
        return self.gate if self.followed else None

    @property
    def entries(self) -> int | None:
        """How many entries there are; None where that cannot be told of each wave."""
        return self.gate.entries if all(wave.coverage.entries is not None for wave in self.waves) else None

    def listed(self) -> Iterator[PageRow]:
        """The entries of the list. Raises `UserError` where the files are not what they were."""
        yield from self.rows(self.chosen.evaluated)
        with self.read.lines() as line_of:
            for place in self.chosen.plain:
                yield PageRow(
                    wave=self.read.wave_of(place),
                    index=self.read.table.row(place).idx,
                    line=line_of(place),
                    state=self.chosen.state,
                )

    def rows(self, places: Sequence[int]) -> Iterator[PageRow]:
        """The entries at *places* of the gate. Raises `UserError` where the files are not what they were."""
        with self.read.lines() as line_of, self.read.reading() as entry_at:
            for evaluated in self.gate.evaluation.at(places):
                yield PageRow(
                    wave=self.read.wave_of(evaluated.place),
                    index=evaluated.latest.index,
                    line=line_of(evaluated.place),
                    evaluated=evaluated,
                    state=state_of(evaluated, followed=self.followed),
                    earlier=tuple((self.read.wave_of(place), entry_at(place)) for place in evaluated.replaced),
                )


def gather_page(
    results: Sequence[Path],
    acceptances: Sequence[Acceptance] = (),
    *,
    journal: JournalPlace | None = None,
    entries: Mapping[Path, int] | None = None,
    labels: LabelFilter = ANY_LABELS,
    most_rows: int = MOST_ROWS,
    served: ServedWave | None = None,
) -> PageData:
    """Read *results*, of one or several waves, with what lies beside, and have the gate rule. Raises `UserError`.

    *journal* is that of the one wave, where it is not beside; *entries* says how many entries a wave has. Only entries
    with *labels* are on the page. *served* is how the one wave is known that a service reports on.
    """
    said = entries or {}
    followed = any(WaveFiles.of(path).is_followed for path in results)
    read = entries_of(results, journal=journal, entries=said, labels=labels)
    table = read.table
    plain = ReviewState.CONSISTENT if followed else ReviewState.CREATED

    def hear(evaluated: EvaluatedEntry) -> None:
        state, verdict = state_of(evaluated, followed=followed), evaluated.latest.verdict
        differs = verdict is not None and any(half.differences for half in verdict.halves)
        table.rank(
            evaluated.place, _STATES.index(state), plain=state is plain and not evaluated.replaced, differs=differs
        )

    gate = evaluate(read, acceptances, utc_now().date(), heard=hear)
    states: Counter[tuple[ReviewState, int]] = Counter()
    for rank, wave, count in table.by_rank():
        states[plain if rank is None else _STATES[rank], wave] += count
    replaced = frozenset(gate.replaced)
    standing = Tally(several=True)
    troubles: dict[TroubleKey, Counter[int]] = {}
    waves = []
    for number, path in enumerate(results):
        lines = _LineCounter(number, read, replaced, standing, troubles)
        told = read_wave(path, journal=journal, entries=said.get(path), labels=labels, heard=lines.hear, served=served)
        waves.append(told)
    evaluated = array("I", table.ranked(most_rows))
    chosen = PageOrder(evaluated, array("I", table.plain(most_rows - len(evaluated))), plain)
    return PageData(
        waves=tuple(waves),
        gate=gate,
        followed=followed,
        standing=standing,
        by_status=table.by_status(),
        by_verdict=gate.verdicts,
        states=states,
        replaced=Counter(map(read.wave_of, replaced)),
        troubles=troubles,
        chosen=chosen,
        differing=array("I", table.ranked_differing()),
        omitted=gate.entries - len(chosen),
        omitted_grave=max(0, sum(count for (state, _), count in states.items() if state.grave) - most_rows),
        read=read,
    )


class _LineCounter:
    """Counts the lines of the wave with this *number* as they are read, but for those of runs that were *replaced*."""

    def __init__(
        self,
        number: int,
        read: WaveEntries,
        replaced: Collection[int],
        standing: Tally,
        troubles: dict[TroubleKey, Counter[int]],
    ) -> None:
        self._number = number
        start = read.table.start_of(number)
        self._places = iter(range(start, start + read.table.waves[number].results))
        self._replaced = replaced
        self._standing = standing
        self._troubles = troubles

    def hear(self, line: Mapping[str, Any]) -> None:
        place = next(self._places, None)
        if place is None or place in self._replaced:
            return  # it came only now: the wave is running; or a later run speaks for the entry
        if (key := self._standing.add(line)) is not None:
            self._troubles.setdefault(key, Counter())[self._number] += 1
