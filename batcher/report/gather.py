"""What a report tells of one wave, gathered from what lies beside its results file: journal and verdicts."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from batcher.clock import utc_now
from batcher.drs.outcome import Fate, Trouble
from batcher.follow.coverage import WaveCoverage, how_many, plan_beside, sentence
from batcher.follow.verdict import Difference, Verdict
from batcher.gate.accepted import Acceptance
from batcher.gate.evaluator import EvaluatedEntry
from batcher.gate.result import GateResult, LazySequence, evaluate
from batcher.gate.wave_entries import WaveEntries, entries_of
from batcher.journal.errors import JournalUnusable
from batcher.journal.files import WaveFiles
from batcher.journal.place import JournalPlace
from batcher.journal.port import Record
from batcher.manifest.labels import ANY_LABELS, LabelFilter
from batcher.rates import Rate
from batcher.report.tally import NoResult, Tally
from batcher.report.timeline import RequestKind, SentRequest, Stretches, Timeline, timeline
from batcher.text import counted
from batcher.wave.results_file import Torn, parsed_line, raw_lines, results_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """One difference of one entry; *half* is `object_level` or `data_level`, *accepted* the reason why it may pass."""

    key: str
    job_id: str | None
    half: str
    compare_type: str | None
    difference: Difference
    accepted: str | None


Word = tuple[Verdict | None, str | None]  # an entry's verdict, and why it is not consistent


class WaveVerdicts:
    """The verdicts on the entries of one wave, with the gate's *gate*."""

    def __init__(self, entries: WaveEntries, acceptances: Sequence[Acceptance], today: date) -> None:
        self._entries = entries
        self._holding = [acceptance for acceptance in acceptances if not acceptance.expired(today)]
        self.gate: GateResult = evaluate(entries, acceptances, today)
        self.by_verdict = Counter({v: count for v, count in self.gate.verdicts.items() if v is not None})
        differing, count = array("I"), 0
        for place, differences in entries.table.differing():
            differing.append(place)
            count += differences
        self.differences: Sequence[DifferenceRow] = LazySequence(self.gate.evaluation, differing, count, self._rows)

    def verdict_at(self, place: int) -> Verdict | None:
        """The verdict on the entry whose result is the one at *place* of its file."""
        return self._entries.table.verdict_at(place)

    @contextmanager
    def reading(self) -> Iterator[Callable[[int], Word]]:
        """What gives the verdict, and why, on the entry whose result is the one at a place of its file."""
        with self._entries.reading() as entry_at:

            def word_at(place: int) -> Word:
                verdict = self.verdict_at(place)
                if verdict is None or verdict is Verdict.CONSISTENT:
                    return verdict, None
                line = entry_at(place).verdict
                return verdict, line.reason if line else None

            yield word_at

    def _rows(self, evaluated: EvaluatedEntry) -> Iterator[DifferenceRow]:
        line = evaluated.latest.verdict
        if line is None:
            return
        for half, found in (
            ("object_level", line.object_level_compare_result),
            ("data_level", line.data_level_compare_result),
        ):
            if found is None:
                continue
            for difference in found.differences:
                yield DifferenceRow(
                    key=line.key,
                    job_id=line.job_id,
                    half=half,
                    compare_type=found.compare_type,
                    difference=difference,
                    accepted=next((a.reason for a in self._holding if a.covers(line.job_id, difference)), None),
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedWave:
    """A wave of a service, as people know it: by its *id*, which commands take, and its *name*. Where its files lie is
    nobody's business."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRead:
    """What the files of one wave tell of it, but for its verdicts. *facts* are the journal's; None: it is not read.

    *coverage* tells whether all of the wave is here. *problems* are sentences. *served* is how a wave of a service is
    known, which makes the report; None: its files are here for whoever reads it. *place* is where the wave is in a
    database, of which *file* is a copy.
    """

    file: Path
    tally: Tally
    timeline: Timeline | None
    facts: Mapping[str, Any] | None
    coverage: WaveCoverage
    problems: tuple[str, ...]
    labels: LabelFilter = ANY_LABELS
    served: ServedWave | None = None
    place: str | None = None

    @property
    def called(self) -> str:
        """What the wave is called where it is told of."""
        return self.file.name if self.served is None else self.served.name

    @property
    def typed(self) -> str:
        """What names the wave in a command."""
        return str(self.file) if self.served is None else self.served.id

    @property
    def entries(self) -> int | None:
        """How many entries the wave has, of those that the labels mean; None where that cannot be told."""
        if not self.labels:
            return self.coverage.entries
        return self.tally.lines if self.coverage.lines == self.coverage.entries else None

    @property
    def rate(self) -> Rate | None:
        """The limit of each scope that the wave was run with; None: not known, or none."""
        text = (self.facts or {}).get("settings", {}).get("rate")
        try:
            return Rate.parse(text) if isinstance(text, str) else None
        except ValueError:
            return None  # `off` or `auto`


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A wave with its verdicts, as the summaries show it."""

    wave: WaveRead
    verdicts: WaveVerdicts | None

    @property
    def file(self) -> Path:
        """The path of the wave's results file."""
        return self.wave.file

    @property
    def tally(self) -> Tally:
        """The counts of its lines."""
        return self.wave.tally

    @property
    def entries(self) -> int | None:
        """How many entries the wave has, of those that the labels mean; None where that cannot be told."""
        return self.wave.entries

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the files, in sentences."""
        return self.wave.problems

    @property
    def gate(self) -> GateResult | None:
        """What the gate says of the wave; None where it was not followed."""
        return None if self.verdicts is None else self.verdicts.gate


def gather(
    results: Path,
    acceptances: Sequence[Acceptance] = (),
    *,
    journal: JournalPlace | None = None,
    entries: int | None = None,
    labels: LabelFilter = ANY_LABELS,
    served: ServedWave | None = None,
) -> Report:
    """Read *results* and what lies beside it, and have the gate rule over it. Raises `UserError`.

    *journal* is the wave's, where it is not beside; *entries* is how many the operator says that the wave has. Only
    what has *labels* is counted. *served* is of `WaveRead`.
    """
    verdicts = read_verdicts(results, acceptances, journal=journal, entries=entries, labels=labels, served=served)
    wave = read_wave(results, journal=journal, entries=entries, labels=labels, served=served)
    return Report(wave=wave, verdicts=verdicts)


def read_wave(
    results: Path,
    *,
    journal: JournalPlace | None = None,
    entries: int | None = None,
    labels: LabelFilter = ANY_LABELS,
    heard: Callable[[Mapping[str, Any]], None] = lambda _: None,
    served: ServedWave | None = None,
) -> WaveRead:
    """Read *results* and the journal, as `gather` does. Raises `UserError`.

    *heard* is told of every result line with *labels*, in the order of the file. The pace is that of the whole wave.
    """
    tally, torn, sent = Tally(), Torn(), Stretches()
    meant = Tally(several=True) if labels else tally
    for number, raw in raw_lines(results, torn):
        line = parsed_line(results, number, raw)
        try:
            tally.add(line)
        except NoResult as error:
            raise results_problem(results, number, str(error)) from None
        if labels and labels.takes(line["labels"]):
            meant.add(line)
        if not labels or labels.takes(line["labels"]):
            heard(line)
        if isinstance(line["submitted_at"], str):
            sent.add(datetime.fromisoformat(line["submitted_at"]).timestamp(), RequestKind.FIRST)
    facts, whole, why = _journal(results, journal)
    coverage = coverage_of(results, tally, None if facts is None else facts["entries"], why, entries)
    problems = [] if why is None else [f"{coverage.unproven or why} Retries and throttling are not shown."]
    if torn.torn:
        problems.append("The last line is cut off (the wave is running, or was killed) and not counted.")
    problems += [f"{misfit}." for misfit in tally.misfits(coverage.entries)]
    if labels:
        problems.append(only(labels, meant, coverage))
    return WaveRead(
        file=results,
        tally=meant,
        timeline=whole or sent.timeline(whole=False),
        facts=facts,
        coverage=coverage,
        problems=tuple(problems),
        labels=labels,
        served=served,
        place=None if journal is None or isinstance(journal, Path) else str(journal),
    )


def only(labels: LabelFilter, meant: Tally, coverage: WaveCoverage) -> str:
    """That no more than the entries with *labels* are counted, and of how many."""
    whole = f"{meant.lines:,} of {counted(coverage.lines, 'result line')}"
    return f"Only entries with label {labels} are counted: {whole}."


def coverage_of(results: Path, tally: Tally, planned: int | None, why: str | None, said: int | None) -> WaveCoverage:
    """Whether *tally* counts all of the wave of *results*, whose journal has *planned* entries, or is not read: *why*.

    *said* is how many the operator says that it has. Raises `UserError` where they contradict each other.
    """
    entries, source = how_many(results, planned=planned, stated=tally.wave_entries, said=said, highest=tally.highest)
    return WaveCoverage(
        file=str(results),
        lines=tally.lines,
        repeated=tally.repeated,
        entries=entries,
        source=source,
        journal=why,
    )


def coverage_of_file(results: Path, tally: Tally, journal: JournalPlace | None, said: int | None) -> WaveCoverage:
    """Whether *tally* counts all of the wave of *results*, by the *journal* that was named, or lies beside.

    Raises `UserError`.
    """
    with plan_beside(results, journal) as (record, why):
        return coverage_of(results, tally, None if record is None else record.entry_count(), why, said)


def read_verdicts(
    results: Path,
    acceptances: Sequence[Acceptance] = (),
    *,
    journal: JournalPlace | None = None,
    entries: int | None = None,
    labels: LabelFilter = ANY_LABELS,
    served: ServedWave | None = None,
) -> WaveVerdicts | None:
    """The verdicts of the wave whose results are in *results*; None where it was not followed. Raises `UserError`.

    *journal*, *entries*, *labels* and *served* are of `gather`.
    """
    if not WaveFiles.of(results).is_followed:
        return None
    said = None if entries is None else {results: entries}
    named = None if served is None else {results: served.name}
    read = entries_of([results], journal=journal, entries=said, labels=labels, named=named)
    return WaveVerdicts(read, acceptances, utc_now().date())


def _journal(results: Path, journal: JournalPlace | None) -> tuple[dict[str, Any] | None, Timeline | None, str | None]:
    """What the journal tells; or, where it cannot be read, why."""
    try:
        with plan_beside(results, journal) as (record, why):
            if record is None:
                return None, None, why
            facts = {**record.facts(), "entries": record.entry_count()}
            return facts, timeline_of(record), None
    except JournalUnusable as error:
        if journal is not None:
            raise
        return None, None, sentence(error, results)


def timeline_of(record: Record) -> Timeline | None:
    """When the create requests of a wave left; None where none did. Raises `JournalFailed`."""
    return timeline(_requests(record), whole=True)


def _requests(record: Record) -> Iterator[SentRequest]:
    begun = bytearray(record.entry_count())
    for index, answer in record.answers():
        troubles = [verdict for verdict in answer.halves.values() if isinstance(verdict, Trouble)]
        if any(trouble.fate is Fate.TURNED_AWAY for trouble in troubles):
            kind = RequestKind.THROTTLED
        else:
            kind = RequestKind.RETRY if begun[index] else RequestKind.FIRST
        begun[index] = True
        yield SentRequest(answer.sent_at, kind)


def task_id(line: Mapping[str, Any], half: str) -> str | None:
    """The id of the comparison that result *line* has for *half* (the name of its field), if any."""
    found = line[half]
    return found.get("compare_task_id") if isinstance(found, Mapping) else None


def words_of(verdicts: WaveVerdicts | None) -> AbstractContextManager[Callable[[int], Word]]:
    """`WaveVerdicts.reading`, also where there are none."""
    return verdicts.reading() if verdicts is not None else nullcontext(lambda _: (None, None))
