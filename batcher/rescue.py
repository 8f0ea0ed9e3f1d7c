"""A damaged wave: what its journal lacks, and a new one of what is left that cannot create anything twice.

What is lost may be what told that a request had left. So a rescued wave looks every entry up in the cloud before it
sends it, and leaves to a person what was begun and what cannot be told any more.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from msgspec import Struct

from batcher.drs.outcome import Half
from batcher.errors import UserError
from batcher.journal.errors import NotAJournal, WaveRefused
from batcher.journal.files import WaveFiles
from batcher.journal.ops import Happened, Op
from batcher.journal.port import MutableRecord
from batcher.journal.sign_of_life import SignOfLife, sign_beside
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.journal.sqlite.log import has_log
from batcher.journal.sqlite.salvage import Salvage, write_salvaged
from batcher.journal.sqlite.salvaged_rows import Row, SalvagedRows, entry_of
from batcher.journal.wave_lock import WaveLock
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Event, Ruled, Suspected, decode, task_ids
from batcher.life.result import Result, Status
from batcher.life.state import history
from batcher.text import counted
from batcher.wave.older import HALVES, take_results
from batcher.wave.prior_run_check import LOOKS_FIRST
from batcher.wave.rebuild import every_open_entry, rebuild
from batcher.whole import sync_folder

_WHY = "what the damaged journal said of it last is lost"
_RESULT = "its result says so; what the damaged journal said of its requests is lost"
_SHOWN = 5
_MOST_ENTRIES = 1 << 32  # of any wave
_STATUSES = frozenset(Status)


class Checked(Struct, kw_only=True):
    """What is in a journal, and what is wrong with it, in sentences; none: it is sound."""

    entries: int = 0
    events: int = 0
    results: int = 0
    wrong: list[str] = []


class Rescued(Struct, frozen=True, kw_only=True):
    """What a rescued wave has. *lost_entries* are places in the manifest of which nothing is left."""

    entries: int
    settled: int
    open: int
    suspected: int
    lost_entries: tuple[int, ...]
    said: tuple[str, ...]


class _Left(Struct, kw_only=True):
    """What can be read of a journal, and what was wrong. *events_lost*: not all that happened is known."""

    rows: SalvagedRows
    facts: dict[str, Any]
    wrong: list[str]
    events_lost: bool


def check_journal(path: Path) -> Checked:
    """Look whether the journal at *path* is sound: its pages, and what they say. Nothing is changed.

    Raises OSError, and `NotAJournal` where nothing can be read.
    """
    salvage = Salvage(path)
    try:
        found = salvage.findings()
        with _left(salvage) as left:
            entries, events, results = map(left.rows.count, ("entries", "events", "results"))
    finally:
        salvage.close()
    wrong = [*found, *left.wrong]
    if left.facts.get("in_use") == 1 and not has_log(path):
        wrong.append(f"its log, {path.name}-wal, is missing: what was recorded last is not there")
    sign = sign_beside(path)
    generation = left.facts.get("generation", 0)
    if (
        sign is not None
        and isinstance(generation, int)
        and (left.facts.get("wave"), generation)
        < (
            sign.wave,
            sign.generation,
        )
    ):
        wrong.append(f"it is older than what happened: at {generation}, and it was at {sign.generation}")
    return Checked(entries=entries, events=events, results=results, wrong=wrong)


def rescue_journal(path: Path, results: Path, to: Path, now: float) -> Rescued:
    """Make a new wave at the results file *to* of what is left of the journal at *path* and of its *results* file.

    Neither *to* nor a journal of it may be there yet; where it fails or is killed, nothing is. Raises OSError,
    `UserError`, `NotAJournal` where nothing can be read, `JournalFailed`.
    """
    # Made beside, and put into its place once it is whole: half of it would be gone on with as if it were all.
    try:
        folder = TemporaryDirectory(prefix=".rescue-", dir=to.parent)
    except OSError as error:
        raise UserError(f"{to} cannot be written: {error.strerror}") from error
    with folder:
        made = Path(folder.name, to.name)
        rescued, sign = _rescued(path, results, made, now)
        _put_in_place(made, to, sign)
    return rescued


def _put_in_place(made: Path, to: Path, sign: SignOfLife | None) -> None:
    """Move the wave whose results are *made* to *to*, with the *sign* of its journal. Raises `WaveRefused`, OSError."""
    new = WaveFiles.of(to).journal
    own = WaveLock(new)  # which makes an empty journal, for whoever comes now
    try:
        if new.stat().st_size or (to.exists() and to.stat().st_size):
            raise WaveRefused(f"another wave has been begun at {to} meanwhile")
        if sign is not None:
            own.write(sign.wave, sign.generation)
        journal = WaveFiles.of(made).journal
        journal.chmod(S_IMODE(new.stat().st_mode))  # the wave's owner alone reads it
        journal.replace(new)
        made.replace(to)
        sync_folder(new.parent)
    finally:
        own.release()


def _rescued(path: Path, results: Path, to: Path, now: float) -> tuple[Rescued, SignOfLife | None]:
    """What a rescue makes at *to*, and the sign of life of the new journal."""
    new = WaveFiles.of(to).journal
    lock = WaveLock(path)  # nobody runs it meanwhile
    try:
        salvage = Salvage(path)
        try:
            with _left(salvage) as left:
                there = left.rows.count("entries")
                if not there:
                    raise NotAJournal(f"of the plan in {path} nothing can be read, so there is nothing to go on with")
                entries = _count(left)
                lost = tuple(_missing(left.rows.of("entries"), entries))
                facts = {name: value for name, value in left.facts.items() if name not in ("planned", "in_use", "wave")}
                facts |= {
                    LOOKS_FIRST: True,
                    "rescued_from": str(path),
                    "generation": 0,
                    "entries": entries,
                    "rewriting": False,
                }
                write_salvaged(new, salvage, left.rows, facts)
        finally:
            salvage.close()
    finally:
        lock.release()
    own = WaveLock(new)
    try:
        keeper = SqliteKeeper(new)
        try:
            keeper.keep_sign(own)
            record = keeper.wave()
            _tell_made(record)
            said = list(take_results(record, results, now, is_whole=not lost)) if results.is_file() else []
            suspected = _suspect(record, now) if left.events_lost else 0
            rebuilt = rebuild(record, to, now)
        finally:
            keeper.close()
        sign = own.sign()
    finally:
        own.release()
    rescued = Rescued(
        entries=there,
        settled=rebuilt.settled,
        open=sum(rebuilt.open.values()),
        suspected=suspected,
        lost_entries=lost,
        said=tuple(said),
    )
    return rescued, sign


def _count(left: _Left) -> int:
    """How many entries the manifest has: as the wave's facts say, or at least as many as are there."""
    seen = left.rows.last_entry() + 1
    said = left.facts.get("entries")
    return max(seen, said) if isinstance(said, int) else seen


def _missing(entries: Iterator[Row], count: int) -> Iterator[int]:
    """The places below *count* that none of *entries* has, which are in order."""
    expected = 0
    for entry in entries:
        yield from range(expected, entry[0])
        expected = entry[0] + 1
    yield from range(expected, count)


def _tell_made(record: MutableRecord) -> None:
    """Have the events of every settled entry tell what was made, as its result does: others look there for it."""
    for line in record.lines():
        told = Result.model_validate_json(line)
        halves = {half: getattr(told, name) for half, name in HALVES.items()}
        ids = {half: made.compare_task_id for half, made in halves.items() if made and made.compare_task_id}
        if set(ids.values()) - task_ids(record.events(told.index)):
            at = told.finished_at.timestamp()
            record.commit([Happened(index=told.index, event=Ruled(at=at, ruling=_RESULT, halves=ids))])


def _suspect(record: MutableRecord, now: float) -> int:
    """Have every open entry that was begun, and is not made whole, left to a person; how many these are."""
    count = 0
    for scope in record.scopes():
        for entry, events in every_open_entry(record, scope.number):
            state = history(entry.asked, events)
            open_halves: dict[Half, tuple[str, ...]] = dict.fromkeys(state.to_ask | state.doubtful, ())
            if open_halves and not state.suspicion:
                event: Event = Suspected(at=now, halves=open_halves, since=None, why=_WHY)
                ops: list[Op] = [Happened(index=entry.index, event=event)]
                record.commit(ops)
                count += 1
    return count


@contextmanager
def _left(salvage: Salvage) -> Iterator[_Left]:
    """What can be read, without rows that nobody can make sense of. Raises `JournalFailed`."""
    rows = SalvagedRows()
    try:
        yield _sieved(salvage, rows)
    finally:
        rows.close()


def _sieved(salvage: Salvage, rows: SalvagedRows) -> _Left:
    facts = salvage.meta()
    scopes = {row[0]: Scope(*row[:3]) for row in salvage.scopes()}
    said = facts.get("entries")
    most = min(said, _MOST_ENTRIES) if isinstance(said, int) else _MOST_ENTRIES
    rows.add("entries", (row for row in salvage.rows("entries") if _is_entry(row, scopes, most)))
    read = Counter[bool]()  # whether it says something
    rows.add("events", _sound(salvage.rows("events"), _is_event, read))
    rows.add("results", _sound(salvage.rows("results"), _is_result, read))
    strangers = read[False] + rows.drop_strangers("events") + rows.drop_strangers("results")
    senseless, shown = rows.drop_events_of(
        (entry[0] for entry, events in rows.events_by_entry() if not _folds(entry_of(entry, scopes), events)), _SHOWN
    )
    return _Left(
        rows=rows,
        facts=facts,
        wrong=list(_wrong(salvage, facts, rows.count("entries"), strangers, senseless, shown)),
        events_lost=bool(salvage.lost["events"] or strangers or senseless),
    )


def _sound(rows: Iterator[Row], is_sound: Callable[[Row], bool], read: Counter[bool]) -> Iterator[Row]:
    for row in rows:
        read[says := is_sound(row)] += 1
        if says:
            yield row


def _wrong(
    salvage: Salvage, facts: dict[str, Any], entries: int, strangers: int, senseless: int, shown: list[int]
) -> Iterator[str]:
    """What is wrong, in sentences; *shown* are the first of the entries whose events are *senseless*."""
    for table, gaps in salvage.lost.items():
        if gaps:
            yield f"{counted(gaps, 'stretch', 'stretches')} of its {table} cannot be read"
    if strangers:
        yield f"{counted(strangers, 'row')} of events or results are of no entry, or say nothing"
    if senseless:
        told = ", ".join(map(str, shown)) + (", …" if senseless > len(shown) else "")
        yield f"what happened to {counted(senseless, 'entry', 'entries')} makes no sense (index {told})"
    if "planned" not in facts:
        yield "it does not say that its plan is whole"
    said = facts.get("entries")
    if isinstance(said, int) and said != entries:
        yield f"it has {counted(entries, 'entry', 'entries')} of {said:,}"


def _is_entry(row: Row, scopes: dict[int, Scope], most: int) -> bool:
    """Whether *row* can be one of at most so many entries: what a plan cannot hold is damage."""
    index, line, key, scope, job_id, x_language, labels, body = row
    if not (isinstance(index, int) and 0 <= index < most and isinstance(line, int) and line >= 0):
        return False
    if not isinstance(key, str):
        return False
    if scope is None:
        return job_id is None or isinstance(job_id, str)
    if not (scope in scopes and isinstance(job_id, str) and isinstance(body, bytes)):
        return False
    if not (x_language is None or isinstance(x_language, str)):
        return False
    try:
        tags = orjson.loads(labels) if labels is not None else {}
        return (
            isinstance(orjson.loads(body), dict)
            and isinstance(tags, dict)
            and all(isinstance(value, str) for value in tags.values())
        )
    except (orjson.JSONDecodeError, TypeError):
        return False


def _event(row: Row) -> Event | None:
    try:
        return decode(row[2], row[3])
    except Exception:  # noqa: BLE001 - bytes of a damaged page can be anything
        return None


def _is_event(row: Row) -> bool:
    return _event(row) is not None


def _is_result(row: Row) -> bool:
    _, index, status, line = row
    try:
        told = Result.model_validate_json(line)
    except ValueError:
        return False
    return status in _STATUSES and told.index == index and told.status == status


def _folds(entry: PlannedEntry | None, rows: list[Row]) -> bool:
    if entry is None:
        return False
    try:
        history(entry.asked, [event for row in rows if (event := _event(row)) is not None])
    except Exception:  # noqa: BLE001 - likewise
        return False
    return True
