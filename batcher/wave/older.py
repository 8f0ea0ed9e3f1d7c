"""An older journal, noticed: one put back from a backup or a snapshot, or whose write-ahead log got lost.

It is a sound journal, and it has forgotten what was sent since. Whoever goes on with it creates that again. What
gives it away lies beside it: the sign of life in the lock file, and results and verdicts that it knows nothing of.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from batcher.drs.outcome import Half
from batcher.journal.errors import WaveRefused
from batcher.journal.held_journal import HasGeneration
from batcher.journal.ops import Happened, Op, Settled
from batcher.journal.port import MutableRecord, Record
from batcher.journal.sign_of_life import SignOfLife, sign_beside
from batcher.life.entry import PlannedEntry
from batcher.life.events import Event, Intended, Reopened, Retracted, Ruled, Suspected, task_ids
from batcher.life.result import Status
from batcher.life.result_line import is_untouched
from batcher.text import counted, printable

_WAY_OUT = (
    "It is a backup, part of a restored snapshot, or a copy without the `-wal` beside it, which holds what was "
    "recorded last: put the newest journal back, with its -wal and .lock where it has them. If that is lost, "
    "--look-first always goes on with this one: it takes over what the results tell, looks every other entry up "
    "before it is sent, and leaves to you what may be there already"
)


class OlderJournal(WaveRefused):
    """The journal has forgotten what was sent. Nothing was sent or changed; the text says what tells so."""

    def __init__(self, journal: Path | str, why: str) -> None:
        super().__init__(f"{journal} is older than what happened: {why}. {_WAY_OUT}")


HALVES = {Half.OBJECT: "object_level_compare_create_result", Half.DATA: "data_level_compare_create_result"}
_TAKEN = "the results file says so, and the newest journal is lost"
_FINAL = frozenset({Status.CREATED, Status.PARTIAL, Status.FAILED})
_TAIL = 1024 * 1024  # bytes at the end of a verdicts file that are looked at


def refuse_untold(record: Record, results: Path) -> Callable[[int], None]:
    """What `mend` has to call before it changes *results*. It raises `OlderJournal` where they know more."""

    def refuse(offset: int) -> None:
        if (why := untold_results(record, results, offset)) is not None:
            raise OlderJournal(record.name, why)

    return refuse


def behind_its_sign(keeper: HasGeneration, journal: Path, sign: SignOfLife | None = None) -> str | None:
    """Why *journal* is older than the sign beside it says, a sentence; None: it is not, or there is no sign.

    Of a wave that is running, *sign* has to be read before its keeper is opened.
    """
    sign = sign or sign_beside(journal)
    if sign is None:
        return None
    wave, generation = keeper.identity()
    if wave == sign.wave and generation >= sign.generation:
        return None
    if wave is not None and wave != sign.wave:
        return (
            f"{journal} is not the journal that was here last, but that of another wave: put the right one back, or "
            f"remove {journal.name}.lock if this one is"
        )
    return f"{journal} lacks what was recorded last: it is at {generation}, and was at {sign.generation}"


def take_results(record: MutableRecord, results: Path, now: float, *, is_whole: bool = True) -> Iterator[str]:
    """Take into the journal what the results file says and it does not know: the newest journal is lost, and what the
    file says was written by the run that had it. Says how much that was.

    Not *is_whole*: the plan lacks entries; their results stay where they are, and are counted. Raises OSError,
    `OlderJournal` where the file is of another plan, `JournalFailed`.
    """
    taken = left = 0
    for line, told in _lines(results, 0):
        if not _is_untold(record, line, told):
            continue
        entry = record.entry(told["index"])
        if not is_whole and record.line_of(told["index"]) is None:
            left += 1
            continue
        if entry is None or (told.get("key"), told.get("job_id")) != (entry.key, entry.job_id):
            raise OlderJournal(record.name, f"{results} has another entry {told['index']} than it has")
        found = record.result_of(entry.index)
        ops: list[Op] = []
        if found is not None:
            ops.append(_happened(entry, Reopened(at=now, was=found[1].value, why=_TAKEN, fresh=False)))
        status = Status(told["status"])
        if status is Status.UNSETTLED:
            ops.append(
                _happened(entry, Suspected(at=now, halves=dict.fromkeys(entry.asked, ()), since=None, why=_TAKEN))
            )
        else:
            ids = {half: task_id for half, name in HALVES.items() if (task_id := _id_of(told, name)) is not None}
            ops.append(_happened(entry, Ruled(at=now, ruling=_TAKEN, halves=ids)))
        if status is not Status.NOT_SUBMITTED:
            ops.append(Settled(index=entry.index, status=status, line=line))
        record.commit(ops)
        taken += 1
    if taken:
        yield f"{counted(taken, 'result')} that {results} has and the journal did not know were taken from there"
    if left:
        yield f"{counted(left, 'result')} of entries that the journal lost: {results} alone tells what was made"


def _happened(entry: PlannedEntry, event: Event) -> Happened:
    return Happened(index=entry.index, event=event)


def untold_results(record: Record, results: Path, offset: int = 0) -> str | None:
    """What the results file at *results*, from byte *offset* on, says and the journal does not know, as a sentence.

    The file is never ahead of its journal, so the journal is older. Raises OSError.
    """
    count, first = 0, ""
    for line, told in _lines(results, offset):
        if _is_untold(record, line, told):
            count += 1
            first = first or _words(told, _ids_of(told))
    if not count:
        return None
    return f"{results} has {counted(count, 'result', 'results')} that the journal does not know, such as {first}"


def untold_verdicts(record: Record, verdicts: Path) -> str | None:
    """The same of a verdicts file: verdicts on comparisons that the journal does not know. Raises OSError."""
    if not verdicts.exists():
        return None
    size = verdicts.stat().st_size
    for _, told in _lines(verdicts, max(0, size - _TAIL)):
        halves = told.get("halves")
        index = told.get("index")
        if not isinstance(halves, list) or not isinstance(index, int):
            continue
        ids = {
            str(half["compare_task_id"]) for half in halves if isinstance(half, dict) and half.get("compare_task_id")
        }
        if ids - task_ids(record.events(index)):
            return f"{verdicts} has a verdict that the journal knows no comparison of: {_words(told, sorted(ids))}"
    return None


def _lines(path: Path, offset: int) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The whole lines of *path* from byte *offset* on that are JSON objects, but those that say that nothing was done:
    of them nobody has to know."""
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if is_untouched(line):
                continue
            try:
                told = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if line.endswith(b"\n") and isinstance(told, dict):
                yield line, told


def _is_untold(record: Record, line: bytes, told: dict[str, Any]) -> bool:
    index, status = told.get("index"), told.get("status")
    if not isinstance(index, int) or not 0 <= index < 2**63 or status == Status.INVALID:
        return False
    if (found := record.result_of(index)) is not None and found[2] == line:
        return False
    ids, attempts = _ids_of(told), told.get("attempts")
    if status == Status.NOT_SUBMITTED and not attempts and not ids:
        return False  # nothing was done
    events = record.events(index)
    if set(ids) - task_ids(events):
        return True
    if isinstance(attempts, int) and attempts > attempts_in(events):
        return True
    return status in _FINAL and found is None and not events


def attempts_in(events: Iterable[Event]) -> int:
    """How many requests *events* say were sent."""
    return sum(isinstance(event, Intended) - isinstance(event, Retracted) for event in events)


def _ids_of(told: dict[str, Any]) -> list[str]:
    return [task_id for name in HALVES.values() if (task_id := _id_of(told, name)) is not None]


def _id_of(told: dict[str, Any], name: str) -> str | None:
    half = told.get(name)
    task_id = half.get("compare_task_id") if isinstance(half, dict) else None
    return task_id if isinstance(task_id, str) else None


def _words(told: dict[str, Any], ids: Iterable[str]) -> str:
    made = ", ".join(ids)
    said = f" ({printable(made)})" if made else f" ({told.get('status')})"
    return f"entry {told.get('index')}{said}"
