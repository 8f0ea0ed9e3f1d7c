"""What the report's page shows: the entries of one wave, or of several with their reruns, as the gate sees them.

However many there are, a few bytes of each are held; what the page has to say of one is read again when it is written.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batcher.clock import utc_now
from batcher.errors import UserError
from batcher.follow.accepted import Acceptance
from batcher.follow.files import verdicts_beside
from batcher.follow.gate import Ruling, rule
from batcher.follow.judge import Judged
from batcher.follow.verdict import Verdict
from batcher.follow.wave_index import line_at
from batcher.follow.waved import Waved
from batcher.follow.waves import Waves, entries_of
from batcher.report.gather import WaveRead, read_wave
from batcher.report.state import State, state_of
from batcher.report.tally import Tally, code_of
from batcher.wave.result import Status
from batcher.wave.results_file import parsed_line

# Entries listed one by one; where there are more, those with trouble come first, and the page says so.
MOST_ROWS = 100_000

_STATES = tuple(State)
_NOWHERE = (1 << 64) - 1

TroubleKey = tuple[str, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An entry as it stands. *wave* is the number of the wave whose run speaks for it, *line* that run's result line
    (None: it has none yet). *judged* is None where there is nothing to be said of it but its *state*; *earlier* are the
    runs that it replaced, each with the number of its wave.
    """

    wave: int
    index: int
    line: Mapping[str, Any] | None
    state: State
    judged: Judged | None = None
    earlier: tuple[tuple[int, Waved], ...] = ()

    @property
    def anchor(self) -> str:
        """The entry's name in the page's address: the wave's number and the place in the manifest."""
        return f"{self.wave}.{self.index}"


class Places:
    """Entries, in the order of the page: *judged* by their places at the gate; behind them *plain* ones, of which there
    is nothing to be said but *state*, by the number of their wave and their place in its manifest.
    """

    def __init__(self) -> None:
        self.judged = array("I")
        self.state = State.CONSISTENT
        self.plain = (array("I"), array("I"))

    def __len__(self) -> int:
        return len(self.judged) + len(self.plain[0])

    def cut(self, most: int) -> None:
        """Keep the first *most* of them."""
        del self.judged[most:]
        for part in self.plain:
            del part[max(0, most - len(self.judged)) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """Waves as the page shows them. *ruling* is over all of them, and holds where somebody *followed* them.

    *standing* counts the entries as they stand, without those that a later run replaced. *states* counts them by state
    and wave, *troubles* those with trouble by kind and wave. *chosen* are the entries that are listed, the gravest
    first; *omitted* says how many more there are, *omitted_grave* how many of them have trouble. *differing* are the
    places of those with differences.
    """

    waves: tuple[WaveRead, ...]
    ruling: Ruling
    followed: bool
    standing: Tally
    by_status: Mapping[Status | None, int]
    by_verdict: Mapping[Verdict | None, int]
    states: Mapping[tuple[State, int], int]
    replaced: Mapping[int, int]
    troubles: Mapping[TroubleKey, Mapping[int, int]]
    chosen: Places
    differing: Sequence[int]
    omitted: int
    omitted_grave: int
    read: Waves
    _numbers: Mapping[str, int]
    _offsets: "tuple[array[int], ...]"

    @property
    def word(self) -> Ruling | None:
        """What the gate says; None where nobody followed any of the waves."""
        return self.ruling if self.followed else None

    @property
    def entries(self) -> int | None:
        """How many entries there are; None where that cannot be told of each wave."""
        return self.ruling.entries if all(wave.seen.entries is not None for wave in self.waves) else None

    def listed(self) -> Iterator[Row]:
        """The entries of the list. Raises `UserError` where the files are not what they were."""
        yield from self.rows(self.chosen.judged)
        with ExitStack() as stack:
            line_of = stack.enter_context(self._reading())
            for wave, index in zip(*self.chosen.plain, strict=True):
                yield Row(wave=wave, index=index, line=line_of(wave, index), state=self.chosen.state)

    def rows(self, places: Sequence[int]) -> Iterator[Row]:
        """The entries at *places* of the gate. Raises `UserError` where the files are not what they were."""
        with ExitStack() as stack:
            line_of = stack.enter_context(self._reading())
            entry_at = stack.enter_context(self.read.reading())
            for judged in self.ruling.court.at(places):
                wave, index = self._numbers[judged.latest.file], judged.latest.index
                runs = [entry_at(place) for place in judged.replaced]
                yield Row(
                    wave=wave,
                    index=index,
                    line=None if judged.latest.status is None else line_of(wave, index),
                    judged=judged,
                    state=state_of(judged, followed=self.followed),
                    earlier=tuple((self._numbers[run.file], run) for run in runs),
                )

    @contextmanager
    def _reading(self) -> Iterator[Callable[[int, int], Mapping[str, Any] | None]]:
        """What reads the result line of an entry, by the number of its wave and its place in the manifest."""
        with ExitStack() as stack:
            files = [stack.enter_context(wave.file.open("rb")) for wave in self.waves]

            def line_of(wave: int, index: int) -> Mapping[str, Any] | None:
                offset = self._offsets[wave][index] if index < len(self._offsets[wave]) else _NOWHERE
                if offset == _NOWHERE:
                    return None
                path = self.waves[wave].file
                line = line_at(files[wave], path, offset, parsed_line)
                if line.get("index") != index:
                    raise UserError(f"{path} was written anew while it was read: run the same command again.")
                return line

            yield line_of


def gather_page(
    results: Sequence[Path],
    acceptances: Sequence[Acceptance] = (),
    *,
    journal: Path | None = None,
    entries: Mapping[Path, int] | None = None,
    most_rows: int = MOST_ROWS,
) -> PageData:
    """Read *results*, of one or several waves, with what lies beside, and have the gate rule. Raises `UserError`.

    *journal* is that of the one wave, where it is not beside; *entries* says how many entries a wave has.
    """
    said = entries or {}
    numbers = {str(path): number for number, path in enumerate(results)}
    followed = any(verdicts_beside(path).exists() for path in results)
    read = entries_of(results, journal=journal, entries=said)
    heard = _Heard(numbers, followed)
    ruling = rule(read, acceptances, utc_now().date(), heard=heard.hear)
    for place in ruling.replaced:
        heard.replaced[numbers[read.file_of(place)]] += 1
    standing = Tally(several=True)
    troubles: dict[TroubleKey, Counter[int]] = {}
    waves, offsets = [], []
    for number, path in enumerate(results):
        lines = _Lines(number, heard.speaking[number], standing, troubles)
        waves.append(read_wave(path, journal=journal, entries=said.get(path), heard=lines.hear))
        offsets.append(lines.offsets)
    chosen, grave = heard.chosen(most_rows)
    return PageData(
        waves=tuple(waves),
        ruling=ruling,
        followed=followed,
        standing=standing,
        by_status=heard.by_status,
        by_verdict=ruling.verdicts,
        states=heard.states,
        replaced=heard.replaced,
        troubles=troubles,
        chosen=chosen,
        differing=heard.differing(),
        omitted=ruling.entries - len(chosen),
        omitted_grave=max(0, grave - most_rows),
        read=read,
        _numbers=numbers,
        _offsets=tuple(offsets),
    )


@dataclass(slots=True)
class _Heard:
    """What is kept of the entries while the gate hears them."""

    numbers: Mapping[str, int]
    followed: bool
    by_status: Counter[Status | None] = field(default_factory=Counter)
    states: Counter[tuple[State, int]] = field(default_factory=Counter)
    replaced: Counter[int] = field(default_factory=Counter)
    speaking: list[bytearray] = field(default_factory=list)  # by wave and place in the manifest
    _places: "dict[State, array[int]]" = field(default_factory=dict)
    _plain: "tuple[array[int], array[int]]" = field(default_factory=lambda: (array("I"), array("I")))
    _differing: "dict[State, array[int]]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.speaking = [bytearray() for _ in self.numbers]

    def hear(self, judged: Judged) -> None:
        latest = judged.latest
        wave, state = self.numbers[latest.file], state_of(judged, followed=self.followed)
        self.by_status[latest.status] += 1
        self.states[state, wave] += 1
        if judged.replaced or state not in (State.CREATED, State.CONSISTENT):
            self._places.setdefault(state, array("I")).append(judged.place)
        else:
            self._plain[0].append(wave)
            self._plain[1].append(latest.index)
        speaking = self.speaking[wave]
        if latest.index >= len(speaking):
            speaking.extend(bytes(max(latest.index + 1 - len(speaking), len(speaking))))
        speaking[latest.index] = 1
        if latest.verdict is not None and any(half.differences for half in latest.verdict.halves):
            self._differing.setdefault(state, array("I")).append(judged.place)

    def chosen(self, most: int) -> tuple[Places, int]:
        """At most *most* entries, the gravest first, and how many grave ones there are in all."""
        places = Places()
        places.judged.extend(_in_order(self._places))
        places.plain = self._plain
        places.state = State.CONSISTENT if self.followed else State.CREATED
        places.cut(most)
        return places, sum(len(of_one) for state, of_one in self._places.items() if state.grave)

    def differing(self) -> "array[int]":
        """The places of entries with differences, the gravest first."""
        return _in_order(self._differing)


def _in_order(by_state: "Mapping[State, array[int]]") -> "array[int]":
    places = array("I")
    for state in _STATES:
        places.extend(by_state.get(state, ()))
    return places


@dataclass(slots=True)
class _Lines:
    """What is kept of the lines of one results file while it is read. *offsets* are by place in the manifest."""

    wave: int
    speaking: bytearray
    standing: Tally
    troubles: dict[TroubleKey, Counter[int]]
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))

    def hear(self, line: Mapping[str, Any], offset: int) -> None:
        index = line["index"]
        if index >= len(self.speaking):
            return  # it came only now: the wave is running
        if index >= len(self.offsets):
            self.offsets.extend([_NOWHERE] * (len(self.speaking) - len(self.offsets)))
        self.offsets[index] = offset
        if not self.speaking[index]:
            return  # a later run speaks for the entry
        self.standing.add(line)
        if line["status"] != Status.CREATED:
            key = (line["status"], line["error_kind"], code_of(line))
            self.troubles.setdefault(key, Counter())[self.wave] += 1
