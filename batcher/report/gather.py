"""Everything the report's page shows, gathered from what lies beside the results file: journal and verdicts."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from batcher.drs.outcome import Sort, Trouble
from batcher.follow.accepted import Acceptance
from batcher.follow.files import verdicts_beside
from batcher.follow.gate import Ruling, rule
from batcher.follow.verdict import Difference, Verdict, VerdictLine
from batcher.follow.waves import entries_of
from batcher.rates import Rate
from batcher.report.tally import NoResult, Tally
from batcher.report.timeline import Kind, Sent, Timeline, timeline
from batcher.wave.files import journal_beside
from batcher.wave.result import Status
from batcher.wave.results_file import Torn, result_lines, results_problem
from batcher.wave.schema import NotAJournal
from batcher.wave.store import Store

# Entries listed one by one on the page; beyond that those with trouble come first, and the page says so.
MOST_ROWS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """One difference of one entry; *half* is `object_level` or `data_level`, *accepted* the reason why it may pass."""

    key: str
    job_id: str | None
    half: str
    compare_type: str | None
    difference: Difference
    accepted: str | None


@dataclass(slots=True, kw_only=True)
class Verdicts:
    """The verdicts summed up, with the gate's *ruling*; *by_index* has each entry's verdict and its reason."""

    ruling: Ruling
    by_verdict: Counter[Verdict] = field(default_factory=Counter)
    by_index: dict[int, tuple[Verdict, str | None]] = field(default_factory=dict)
    differences: list[DifferenceRow] = field(default_factory=list)

    def of(self, index: int) -> tuple[Verdict | None, str | None]:
        """The verdict on the entry at *index*, and why."""
        return self.by_index.get(index, (None, None))

    def add(self, line: VerdictLine, acceptances: Sequence[Acceptance]) -> None:
        """Take in one verdict line. *acceptances* are those that hold."""
        self.by_verdict[line.verdict] += 1
        self.by_index[line.index] = (line.verdict, line.reason)
        for half, found in (
            ("object_level", line.object_level_compare_result),
            ("data_level", line.data_level_compare_result),
        ):
            if found is None:
                continue
            self.differences += [
                DifferenceRow(
                    key=line.key,
                    job_id=line.job_id,
                    half=half,
                    compare_type=found.compare_type,
                    difference=difference,
                    accepted=next((a.reason for a in acceptances if a.covers(line.job_id, difference)), None),
                )
                for difference in found.differences
            ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A wave as the page shows it. *facts* are the journal's, None where there is none to be read.

    *lines* are result lines; *omitted* says how many more there are. *problems* are sentences.
    """

    file: Path
    tally: Tally
    lines: list[dict[str, Any]]
    omitted: int
    verdicts: Verdicts | None
    timeline: Timeline | None
    facts: Mapping[str, Any] | None
    problems: tuple[str, ...]

    @property
    def entries(self) -> int | None:
        """How many entries the manifest has; None where only the journal could tell and there is none."""
        return None if self.facts is None else int(self.facts["entries"])

    @property
    def ruling(self) -> Ruling | None:
        """What the gate says of the wave; None where it was not followed."""
        return None if self.verdicts is None else self.verdicts.ruling

    @property
    def rate(self) -> Rate | None:
        """The limit of each scope that the wave was run with; None: not known, or none."""
        text = (self.facts or {}).get("settings", {}).get("rate")
        try:
            return Rate.parse(text) if isinstance(text, str) else None
        except ValueError:
            return None  # `off` or `auto`


def gather(results: Path, acceptances: Sequence[Acceptance] = (), *, most_rows: int = MOST_ROWS) -> Report:
    """Read *results* and what lies beside it, and have the gate rule over it. Raises `UserError`."""
    tally, torn = Tally(), Torn()
    plain: list[dict[str, Any]] = []  # created
    grave: list[dict[str, Any]] = []  # everything else
    for number, line in result_lines(results, torn):
        try:
            tally.add(line)
        except NoResult as error:
            raise results_problem(results, number, str(error)) from None
        kept = plain if line["status"] == Status.CREATED else grave
        if len(kept) < most_rows:
            kept.append(line)
    lines = grave + plain[: most_rows - len(grave)]
    facts, whole, problems = _journal(results)
    verdicts = read_verdicts(results, acceptances)
    if torn.torn:
        problems.append("The last line is cut off (the wave is running, or was killed) and not counted.")
    problems += [f"{misfit}." for misfit in tally.misfits(None if facts is None else facts["entries"])]
    return Report(
        file=results,
        tally=tally,
        lines=sorted(lines, key=lambda line: line["index"]),
        omitted=tally.lines - len(lines),
        verdicts=verdicts,
        timeline=whole or timeline(_first_requests(lines), whole=False),
        facts=facts,
        problems=tuple(problems),
    )


def read_verdicts(results: Path, acceptances: Sequence[Acceptance] = ()) -> Verdicts | None:
    """The verdicts of the wave whose results are in *results*; None where it was not followed. Raises `UserError`."""
    if not verdicts_beside(results).exists():
        return None
    today = datetime.now(UTC).date()
    entries = list(entries_of([results]))
    verdicts = Verdicts(ruling=rule(entries, acceptances, today))
    holding = [acceptance for acceptance in acceptances if not acceptance.expired(today)]
    for entry in entries:
        if entry.verdict is not None:
            verdicts.add(entry.verdict, holding)
    return verdicts


def _journal(results: Path) -> tuple[dict[str, Any] | None, Timeline | None, list[str]]:
    path = journal_beside(results)
    if not path.exists():
        return None, None, ["There is no journal beside the results file: retries and throttling are not shown."]
    try:
        store = Store.open_to_read(path)
    except (NotAJournal, sqlite3.Error) as error:
        return None, None, [f"The journal could not be read ({error}): retries and throttling are not shown."]
    try:
        facts = {**store.facts(), "entries": store.entry_count()}
        return facts, timeline(_requests(store), whole=True), []
    except sqlite3.Error as error:
        return None, None, [f"The journal {path} could not be read ({error}): retries and throttling are not shown."]
    finally:
        store.close()


def _requests(store: Store) -> Iterator[Sent]:
    begun: set[int] = set()
    for index, answer in store.answers():
        troubles = [verdict for verdict in answer.halves.values() if isinstance(verdict, Trouble)]
        if any(trouble.sort is Sort.TURNED_AWAY for trouble in troubles):
            kind = Kind.THROTTLED
        else:
            kind = Kind.RETRY if index in begun else Kind.FIRST
        begun.add(index)
        yield Sent(answer.sent_at, kind)


def _first_requests(lines: list[dict[str, Any]]) -> Iterator[Sent]:
    for line in lines:
        if isinstance(line["submitted_at"], str):
            yield Sent(datetime.fromisoformat(line["submitted_at"]).timestamp(), Kind.FIRST)


def task_id(line: Mapping[str, Any], half: str) -> str | None:
    """The id of the comparison that result *line* has for *half* (the name of its field), if any."""
    found = line[half]
    return found.get("compare_task_id") if isinstance(found, Mapping) else None
