"""Waves at a glance: where each stands, and what comes next. A running wave is asked, of others the files are read."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from batcher.errors import UserError
from batcher.follow.verdict import Verdict
from batcher.journal.beside import journal_file_of, reading
from batcher.journal.errors import JournalAbsent
from batcher.journal.files import WaveFiles, is_verdicts
from batcher.journal.wave_lock import is_held
from batcher.life.result import Status
from batcher.locks import is_taken
from batcher.report.read import tally_file
from batcher.report.verdict_counts import VerdictCounts
from batcher.text import counted
from batcher.wave.control import NoWave, ask
from batcher.wave.known_files import RESULTS, kind_of
from batcher.wave.results_file import result_lines

_JOURNAL = ".journal"
_AT_ONCE = 16  # waves that are asked at the same time: one that does not answer keeps nobody waiting


class Stage(StrEnum):
    """What a wave is doing."""

    RUNNING = "running"
    PAUSED = "paused"  # by the operator, in every scope
    FOLLOWING = "following"  # all is submitted, and somebody follows it to its verdicts
    STOPPED = "stopped"  # entries are open, and nobody has the wave
    ENDED = "ended"
    UNREADABLE = "unreadable"


class NextStep(Struct, frozen=True):
    """What to do: *why* in a few words, *command* for a shell; None: nobody knows which."""

    why: str
    command: str | None = None


class Glance(Struct, frozen=True, kw_only=True):
    """One wave. *entries* is None where nobody knows how many it has; *by_status* counts its results.

    *verdicts* counts the final ones on comparisons that were made. *eta_s* are the seconds until a running wave has
    submitted all. *notes* are what it says of itself, for people. *example* is the job of an unsettled entry, *command*
    what the wave was begun with.
    """

    results: Path
    stage: Stage
    entries: int | None = None
    by_status: Mapping[Status, int] = {}
    in_flight: int = 0
    rate_per_s: float | None = None
    eta_s: float | None = None
    notes: tuple[str, ...] = ()
    verdicts: Mapping[Verdict, int] = {}
    example: str | None = None
    command: str | None = None

    @property
    def settled(self) -> int:
        """Entries that have a result."""
        return sum(self.by_status.values())

    @property
    def undecided(self) -> int:
        """Entries with a comparison that has no final verdict yet."""
        made = self.by_status.get(Status.CREATED, 0) + self.by_status.get(Status.PARTIAL, 0)
        return max(0, made - sum(self.verdicts.values()))

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it by itself, or by a command that goes on with it."""
        return self.stage is Stage.ENDED and not self.undecided

    def as_json(self) -> dict[str, Any]:
        """The wave at a glance as plain data, for `--json`."""
        return {
            "results": str(self.results),
            "stage": self.stage.value,
            "entries": self.entries,
            "by_status": {status.value: self.by_status.get(status, 0) for status in Status},
            "in_flight": self.in_flight,
            "rate_per_s": self.rate_per_s,
            "eta_s": self.eta_s,
            "notes": list(self.notes),
            "verdicts": {verdict.value: self.verdicts.get(verdict, 0) for verdict in Verdict},
            "undecided": self.undecided,
            "next": [{"why": step.why, "command": step.command} for step in next_steps(self)],
        }


def next_steps(glance: Glance) -> Iterator[NextStep]:
    """What a person should do about a wave, the gravest first; none where it goes on by itself, or is done."""
    results = shlex.quote(str(glance.results))
    count = glance.by_status.get
    open_entries = (glance.entries or 0) - glance.settled
    match glance.stage:
        case Stage.UNREADABLE:
            if (journal := glance.results.with_name(f"{glance.results.name}{_JOURNAL}")).is_file():
                yield NextStep("its journal", f"batcher journal check {shlex.quote(str(journal))}")
            return
        case Stage.PAUSED:
            yield NextStep("paused by the operator", f"batcher control {results} resume")
        case Stage.STOPPED:
            yield NextStep(f"{counted(open_entries, 'entry is', 'entries are')} open", glance.command)
    if doubtful := count(Status.UNSETTLED, 0):
        job = shlex.quote(glance.example) if glance.example else "ID"
        yield NextStep(f"{doubtful:,} unsettled: look in the console", f"batcher explain {results} --job {job}")
    if glance.stage in (Stage.RUNNING, Stage.PAUSED, Stage.STOPPED):
        return
    if not_made := sum(count(status, 0) for status in (Status.FAILED, Status.PARTIAL, Status.INVALID)):
        yield NextStep(f"{not_made:,} not created, or only in part", f"batcher report {results}")
    if rest := count(Status.NOT_SUBMITTED, 0):
        yield NextStep(f"{rest:,} not submitted: it goes on with them", glance.command)
    if glance.stage is Stage.FOLLOWING:
        return
    if glance.undecided:
        yield NextStep(f"{glance.undecided:,} without a verdict", f"batcher watch {results}")
    elif any(glance.verdicts.get(verdict, 0) for verdict in Verdict if verdict is not Verdict.CONSISTENT):
        yield NextStep("not everything is consistent", f"batcher gate {results}")


def gate_of(glances: Sequence[Glance]) -> str | None:
    """The command that rules over all of them; None while that is too early."""
    if not glances or not all(glance.is_over and glance.verdicts for glance in glances):
        return None
    return shlex.join(["batcher", "gate", *(str(glance.results) for glance in glances)])


def waves_in(paths: Sequence[Path]) -> list[Path]:
    """The results files of the waves that *paths* name: files, or folders with all waves in them. Raises `UserError`.

    A folder's waves are those with a journal in it, and results that were copied there without one.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            if not is_verdicts(path):
                found[path.with_name(path.name.removesuffix(_JOURNAL))] = None
            continue
        try:
            names = sorted(name for name in path.iterdir() if name.is_file())
        except OSError as error:
            raise UserError(f"cannot look into {path}: {error.strerror}.") from None
        for name in names:
            if name.name.endswith(_JOURNAL) or (name.suffix == ".jsonl" and kind_of(name) == RESULTS):
                found[name.with_name(name.name.removesuffix(_JOURNAL))] = None
    return list(found)


class Looker:
    """Looks at waves, again and again: what has not changed since is not read twice."""

    def __init__(self) -> None:
        self._verdicts: dict[Path, VerdictCounts] = {}
        self._still: dict[Path, tuple[Any, Glance]] = {}

    def look(self, waves: Sequence[Path]) -> list[Glance]:
        """How each wave stands now, by its results file."""
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            return list(pool.map(self._glance, waves))

    def _glance(self, results: Path) -> Glance:
        try:
            return self._look(results)
        except UserError as error:
            return Glance(results=results, stage=Stage.UNREADABLE, notes=(error.message,))

    def _look(self, results: Path) -> Glance:
        try:
            journal = journal_file_of(results)
        except JournalAbsent:
            if not results.exists():
                raise UserError(f"there is no file {results}.") from None
            return self._without_journal(results)
        try:
            return _of_running(results, ask(WaveFiles.of_journal(journal), "status")["status"], self._decided(results))
        except NoWave:
            return self._still_wave(results, journal)
        except UserError as error:
            return Glance(results=results, stage=Stage.RUNNING, notes=(error.message,))

    def _still_wave(self, results: Path, journal: Path) -> Glance:
        """A wave that nobody runs; `is_held` is asked once more, for one that begins just now."""
        stamp = [_stamp(path) for path in (journal, journal.with_name(f"{journal.name}-wal"), results)]
        known = self._still.get(results)
        if known is None or known[0] != stamp:
            with reading(journal) as store:
                entries, by_status, facts = store.entry_count(), store.status_counts(), store.facts()
            command = facts.get("command")
            glance = Glance(
                results=results,
                stage=Stage.STOPPED if sum(by_status.values()) < entries else Stage.ENDED,
                entries=entries,
                by_status=by_status,
                example=_example(results) if by_status.get(Status.UNSETTLED) else None,
                command=command if isinstance(command, str) and command else None,
            )
            self._still[results] = (stamp, glance)
        else:
            glance = known[1]
        if is_held(journal):
            return _with(glance, stage=Stage.RUNNING, notes=("it begins, or ends",))
        return self._followed(glance)

    def _without_journal(self, results: Path) -> Glance:
        """A wave of which only the results are here."""
        tally, _, _ = tally_file(results)
        entries = tally.wave_entries
        known = {status: count for status, count in tally.by_status.items() if count}
        glance = Glance(
            results=results,
            stage=Stage.ENDED if entries is None or tally.lines >= entries else Stage.STOPPED,
            entries=entries,
            by_status=known,
            notes=("no journal lies beside it",),
            example=_example(results) if known.get(Status.UNSETTLED) else None,
        )
        return self._followed(glance)

    def _followed(self, glance: Glance) -> Glance:
        verdicts = self._decided(glance.results)
        is_followed = glance.stage is Stage.ENDED and is_taken(WaveFiles.of(glance.results).verdicts)
        return _with(glance, verdicts=verdicts, stage=Stage.FOLLOWING if is_followed else glance.stage)

    def _decided(self, results: Path) -> Mapping[Verdict, int]:
        return self._verdicts.setdefault(results, VerdictCounts(WaveFiles.of(results).verdicts)).counts()


def _with(glance: Glance, **changes: Any) -> Glance:
    return replace(glance, **changes)


def _of_running(results: Path, status: Mapping[str, Any], verdicts: Mapping[Verdict, int]) -> Glance:
    """What a wave says of itself."""
    scopes = status["scopes"]
    reasons = dict.fromkeys(scope["reason"] for scope in scopes if scope["reason"])
    held = scopes and all("by the operator" in (scope["reason"] or "") for scope in scopes)
    stopping = [f"stopping: {status['stopping']}"] if status["stopping"] else []
    return Glance(
        results=results,
        stage=Stage.PAUSED if held else Stage.RUNNING,
        entries=status["entries"],
        by_status={one: status[one.value] for one in Status},
        in_flight=status["in_flight"],
        rate_per_s=status["rate_per_s"],
        eta_s=status["eta_s"],
        notes=(*stopping, *(() if held else reasons)),
        verdicts=verdicts,
    )


def _example(results: Path) -> str | None:
    """The job of the first entry that is unsettled."""
    try:
        lines = (line for _, line in result_lines(results) if line.get("status") == Status.UNSETTLED)
        return next((line["job_id"] for line in lines if isinstance(line.get("job_id"), str)), None)
    except UserError:
        return None  # an example only: the journal is what is believed


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
