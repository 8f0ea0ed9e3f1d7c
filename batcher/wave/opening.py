"""Opening a wave: the whole manifest is checked and planned before anything is sent, or an old wave is taken up.

What holds here:
- The plan is written in one transaction. A manifest with findings, or a process that dies in between, leaves no plan,
  and a wave without a plan has sent nothing.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace

from batcher._version import __version__
from batcher.channel.left_over import last_sign
from batcher.clock import Clock, utc
from batcher.drs.outcome import ErrorKind
from batcher.errors import BatcherError
from batcher.journal.errors import JournalDamaged, JournalFailed, NotAJournal, WaveRefused
from batcher.journal.files import followed, remove_journal
from batcher.journal.held_journal import FileKeeper, HeldJournal
from batcher.journal.port import MutableRecord, PlanWriter, Record
from batcher.journal.sign_of_life import sign_beside
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.journal.wave_lock import WaveLock
from batcher.life.entry import Scope
from batcher.life.entry_columns import EntryColumns
from batcher.life.policy import LookFirst
from batcher.life.result import Result, Status
from batcher.manifest import AlikeEntries, Entry, Finding, finding_line
from batcher.manifest.entry import bodies_of, keys_of
from batcher.manifest.grouped import GroupedFindings, once
from batcher.wave.context import Boundary, unwatched
from batcher.wave.engine import RunStart
from batcher.wave.prior_run_check import LOOKS_FIRST
from batcher.wave.rebuild import count_doubts
from batcher.wave.request import Request
from batcher.wave.restart import put_wave_aside, where_results_go
from batcher.wave.resuming import looks_first, take_up
from batcher.wave.sink import SinkFailed, write_all


class BadManifest(BatcherError):
    """The manifest has findings. Nothing was sent or kept.

    *findings* are the first thousand in the order of the manifest, *found* knows how many there are and of which kinds,
    and *entries* are the sound ones.
    """

    def __init__(self, found: GroupedFindings, entries: int) -> None:
        super().__init__(f"{found.count} findings")
        self.found = found
        self.findings = found.first
        self.entries = entries


class OpeningState(Struct, frozen=True, kw_only=True):
    """What was there at the start of this run; *said* are sentences about what was mended or put aside. *elsewhere* are
    the scopes (endpoint, project_id) that others run at that moment, each with who does."""

    resumed: bool
    settled: int
    in_doubt: int
    to_go: int
    said: tuple[str, ...] = ()
    elsewhere: Mapping[tuple[str, str], str] = {}


class OpenedWave(Struct):
    """A wave that is ready to run. Whoever has it closes it, by the keeper where a journal was taken from that."""

    keeper: FileKeeper
    record: MutableRecord
    lock: WaveLock
    start: RunStart
    found: OpeningState
    facts: Mapping[str, Any]

    def close(self) -> None:
        """Close the keeper and let go of the wave."""
        self.keeper.close()
        self.lock.release()


KeeperAt = Callable[[Path], FileKeeper]
"""Opens or makes the journal at a path. Raises `NotAJournal`, `WaveRefused`, `JournalFailed`."""


def open_wave(
    request: Request, clock: Clock, watch: Boundary = unwatched, keeper_at: KeeperAt = SqliteKeeper
) -> OpenedWave:
    """Check and plan a new wave, or take up the one that the journal holds.

    Raises `WaveRefused`, `BadManifest`, `NotAJournal`, `SinkFailed`, `JournalFailed`.
    """
    try:
        return _opened(request, clock, watch, keeper_at)
    except JournalDamaged as error:  # nothing was sent, and the same again would meet the same
        raise NotAJournal(str(error)) from error


def _opened(request: Request, clock: Clock, watch: Boundary, keeper_at: KeeperAt) -> OpenedWave:
    require_digest(request)
    files = request.files
    followed(files.journal)  # refuses a link that leads nowhere
    check_results(files.results)
    said: list[str] = []
    if request.restart:
        said += put_wave_aside(files)
    lock = WaveLock(files.journal)
    try:
        keeper = keeper_at(files.journal)
    except BaseException:
        lock.release()
        raise
    record = keeper.wave()
    try:
        start, found = begin(request, record, clock, watch, HeldJournal(files.journal, keeper, lock))
        found = replace(found, said=(*said, *found.said))
        return OpenedWave(keeper=keeper, record=record, lock=lock, start=start, found=found, facts=record.facts())
    except BaseException as error:
        _leave(request, keeper, lock)
        if isinstance(error, OSError):
            raise SinkFailed(f"cannot write results to {files.results}: {error.strerror}") from error
        raise


def require_digest(request: Request) -> None:
    """See that the manifest is the one that was approved. Raises `WaveRefused`."""
    if request.digest is not None and request.digest != request.manifest.digest:
        raise WaveRefused(
            f"{request.manifest.file} is not the manifest that was approved: its digest is {request.manifest.digest}, "
            f"and --digest asks for {request.digest}"
        )


def check_results(results: Path | None) -> None:
    """Refuse what is no file: putting it aside for a new wave would move a folder with all that is in it."""
    if results is None or results.is_file() or not results.exists():
        return
    if results.is_dir():
        raise WaveRefused(f"{results} is a folder: name a file in it, such as {results / 'results.jsonl'}")
    raise WaveRefused(f"{results} is no ordinary file: choose another -o, or - for standard output")


def _leave(request: Request, keeper: FileKeeper, lock: WaveLock) -> None:
    """Let go of a wave that could not be opened; a journal without a plan leaves no trace."""
    try:
        planned = keeper.wave().is_planned()
    except JournalFailed:
        planned = True  # not known: then it stays
    keeper.close()
    if not planned:
        remove_journal(request.files.journal)
        if sign_beside(request.files.journal) is None:
            lock.forget()
    lock.release()


def begin(
    request: Request, record: MutableRecord, clock: Clock, watch: Boundary = unwatched, hold: HeldJournal | None = None
) -> tuple[RunStart, OpeningState]:
    """Plan the wave in *record*, or take up the one it holds; *hold* has it where it lies in a file.

    Raises what `open_wave` does, and OSError.
    """
    resumed = record.is_planned()
    said: list[str] = []
    signed_at = last_sign(record) if resumed else None
    if resumed:
        said = take_up(request, record, clock, hold)
    else:
        _refuse_leftovers(request)
        if hold is not None:
            hold.lock.clear()
        plan_wave(request, record, clock)
        if hold is not None:
            hold.keep_sign()
        watch("plan durable")
        if (results := request.files.results) is not None:
            write_all(results, record.lines())
    settled = record.status_counts()
    sizes = record.scope_sizes()
    start = RunStart(
        entries=record.entry_count(),
        settled=settled,
        scopes={scope: sizes.get(scope.number, 0) for scope in record.scopes()},
        settled_by_scope=record.settled_counts(),
        next_seq=record.next_seq(),
        last_sign_s=None if signed_at is None else clock.now() - signed_at,
        begun_at=_begun_at(record) if resumed else request.lost_since,
        look_first=looks_first(request, record),
    )
    in_doubt, done = count_doubts(record) if resumed else 0, sum(settled.values())
    to_go = start.entries - done - in_doubt
    return start, OpeningState(resumed=resumed, settled=done, in_doubt=in_doubt, to_go=to_go, said=tuple(said))


def _begun_at(record: Record) -> float:
    facts = record.facts()
    return datetime.fromisoformat(facts.get("lost_since") or facts["begun_at"]).timestamp()


# --- a new wave -----------------------------------------------------------------------------------------


def _refuse_leftovers(request: Request) -> None:
    """A new wave does not begin beside what an earlier one left: its journal may have got lost."""
    journal = request.files.journal
    sign = sign_beside(journal)
    for file in request.files.told:
        if not file.exists() or not file.stat().st_size:
            continue
        if sign is not None:
            raise WaveRefused(
                f"{file} is there, and {journal.name}.lock says that its wave had a journal, which is gone: "
                f"put {journal} back to go on. Or begin a new wave with --restart, which keeps the old files "
                "aside and creates again what they tell of"
            )
        raise WaveRefused(
            f"{file} exists and has no journal beside it, so it belongs to something else. Choose another -o, or "
            "begin a new wave with --restart, which keeps the old file aside"
        )


def plan_wave(request: Request, record: MutableRecord, clock: Clock) -> None:
    """Check the manifest and plan the wave. Raises `BadManifest`, `WaveRefused`, `JournalFailed`."""
    with record.planning() as plan:
        _write_plan(request, plan, clock)
        plan.finish(_facts(request, clock))


def _write_plan(request: Request, plan: PlanWriter, clock: Clock) -> None:
    """The manifest's entries, in the order of the manifest. Raises `BadManifest`."""
    found = GroupedFindings()
    valid, invalid = _Valid(plan), _Invalid(plan, clock)
    now = clock.now() if request.checked_at is None else request.checked_at
    batches = request.manifest.read_batches(request.defaults, now=now, allow_duplicates=request.allow_duplicates)

    def findings() -> Iterator[Finding]:
        """Those of all entries; the valid ones are planned meanwhile."""
        for judged in batches:
            if isinstance(judged, AlikeEntries):
                valid.add_alike(judged, only_count=found.count > 0)
                continue
            sound = [one for one in judged if isinstance(one, Entry)]
            if sound:
                valid.add(sound, only_count=found.count > 0)
            if len(sound) < len(judged):
                yield from chain.from_iterable(one for one in judged if isinstance(one, list))

    for finding in findings() if request.skip_invalid else once(findings()):
        if request.skip_invalid and finding.index is not None:
            invalid.add(finding)
        else:
            found.add(finding)
    invalid.flush()
    if found.count:
        raise BadManifest(found, valid.count)


class _Valid:
    """Puts valid entries into the plan, and their scopes."""

    def __init__(self, plan: PlanWriter) -> None:
        self.count = 0
        self._plan = plan
        self._scopes: dict[tuple[str, str], Scope] = {}

    def add(self, entries: list[Entry], *, only_count: bool) -> None:
        """Add *entries*, one at least; *only_count* them where the manifest has findings."""
        self.count += len(entries)
        if only_count:
            return
        terms = [entry.terms for entry in entries]
        if terms.count(terms[0]) == len(terms):
            self._add(terms[0].scope, entries)
            return
        by_scope: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            by_scope.setdefault(entry.terms.scope, []).append(entry)
        for place, own in by_scope.items():
            self._add(place, own)

    def add_alike(self, entries: AlikeEntries, *, only_count: bool) -> None:
        """The same for entries that are alike."""
        self.count += len(entries)
        if only_count:
            return
        bodies = entries.bodies()
        columns = EntryColumns(
            self._scope(entries.terms.scope),
            entries.indexes,
            entries.lines if isinstance(entries.lines, range) else [*entries.lines],
            [*entries.keys(bodies)],
            [*entries.job_ids],
            [entries.terms.x_language] * len(entries),
            [*entries.labels],
            bodies,
        )
        self._plan.add_columns(columns)

    def _scope(self, place: tuple[str, str]) -> Scope:
        scope = self._scopes.get(place)
        if scope is None:
            scope = self._scopes[place] = Scope(len(self._scopes), *place)
            self._plan.add_scope(scope)
        return scope

    def _add(self, place: tuple[str, str], entries: list[Entry]) -> None:
        bodies = bodies_of(entries)
        columns = EntryColumns(
            self._scope(place),
            [entry.index for entry in entries],
            [entry.line for entry in entries],
            keys_of(entries, bodies),
            [entry.job_id for entry in entries],
            [entry.terms.x_language for entry in entries],
            [entry.labels for entry in entries],
            bodies,
        )
        self._plan.add_columns(columns)


class _Invalid:
    """Gathers the findings of one invalid entry into its place in the plan and its result."""

    def __init__(self, plan: PlanWriter, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._findings: list[Finding] = []

    def add(self, finding: Finding) -> None:
        """Take a finding; those of one entry come one after the other."""
        if self._findings and self._findings[0].index != finding.index:
            self.flush()
        self._findings.append(finding)

    def flush(self) -> None:
        """Write the entry whose findings were gathered."""
        if not self._findings:
            return
        findings, self._findings = self._findings, []
        first = findings[0]
        assert first.index is not None  # noqa: S101 - findings about the whole file do not come here
        index, key = first.index, first.key or f"invalid-{first.index}"
        result = Result(
            key=key,
            index=index,
            job_id=first.job_id,
            project_id=first.project_id,
            endpoint=first.endpoint,
            status=Status.INVALID,
            attempts=0,
            recovered=False,
            object_level_compare_create_result=None,
            data_level_compare_create_result=None,
            error_code=None,
            error_msg=" ".join(finding_line(finding) for finding in findings),
            error_kind=ErrorKind.VALIDATION,
            http_status=None,
            request_id=None,
            submitted_at=None,
            finished_at=utc(self._clock.now()),
            labels=first.labels,
        )
        self._plan.add_invalid(index, first.line or 0, key, first.job_id, result.to_line())


def _facts(request: Request, clock: Clock) -> dict[str, Any]:
    lost = {}
    if request.lost_since is not None:
        lost = {"lost_since": utc(request.lost_since).isoformat(), LOOKS_FIRST: request.look_first is LookFirst.ALWAYS}
    return {
        **lost,
        "batcher": __version__,
        "platform": f"Python {platform.python_version()} on {platform.system()}",
        "command": request.command,
        "begun_at": utc(clock.now()).isoformat(),
        "wave": uuid4().hex,
        "manifest": str(request.manifest.file),
        **where_results_go(request.files),
        "digest": request.manifest.digest,
        "allow_duplicates": request.allow_duplicates,
        "skip_invalid": request.skip_invalid,
        "defaults": {
            "endpoint": request.defaults.endpoint,
            "project_id": request.defaults.project_id,
            "x_language": request.defaults.x_language,
        },
        "settings": dict(request.settings or {}),
    }
