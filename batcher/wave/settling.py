"""The operator's word on an unsettled entry, on record: what became of it, or that it is to be sent again."""

from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import Struct

from batcher.drs.outcome import ErrorKind, Fate, Half, Trouble
from batcher.errors import UserError
from batcher.journal.ops import Happened, Noted, Op, Settled
from batcher.journal.port import MutableRecord, Record
from batcher.life.entry import PlannedEntry
from batcher.life.events import Event, Reopened, Ruled, task_ids
from batcher.life.result import Result, Status
from batcher.life.result_line import result_of
from batcher.life.state import EntryState, fold, history
from batcher.wave.older import refuse_untold
from batcher.wave.rebuild import provisional, whole_file
from batcher.wave.sink import mend, write_all

_SHORT = {"object": Half.OBJECT, "data": Half.DATA}
_GRAMMAR = (
    "write created=TASK_ID, object=TASK_ID,data=TASK_ID (either may be `failed` instead of an id), failed, or retry"
)


class NotSettled(UserError):
    """The ruling cannot be recorded; the text says why and the way out. Nothing was changed."""


class Ruling(Struct, frozen=True, kw_only=True):
    """What the operator says, as typed: *text* for the record.

    *halves* maps a half to its task id, None to say that it was not created; *whole* is a task id for the one half in
    doubt; *retry* sends the entry again. With none of these no half was created.
    """

    text: str
    halves: Mapping[Half, str | None] = {}
    whole: str | None = None
    retry: bool = False

    @classmethod
    def parse(cls, text: str) -> "Ruling":
        """The ruling that *text* names. Raises `NotSettled` with the mend."""
        match text.strip().partition("="):
            case ("retry", "", ""):
                return cls(text="retry", retry=True)
            case ("failed", "", ""):
                return cls(text="failed")
            case ("created", "=", task_id) if _is_id(task_id):
                return cls(text=text.strip(), whole=task_id.strip())
        halves: dict[Half, str | None] = {}
        for part in text.split(","):
            name, _, told = (word.strip() for word in part.partition("="))
            if name not in _SHORT or not _is_id(told) or _SHORT[name] in halves:
                raise NotSettled(f"--as {text} is no ruling: {_GRAMMAR}.")
            halves[_SHORT[name]] = None if told == "failed" else told
        return cls(text=text.strip(), halves=halves)


def _is_id(text: str) -> bool:
    return bool(text.strip()) and not any(sign.isspace() or sign in ",=" for sign in text.strip())


class Recorded(Struct, frozen=True, kw_only=True):
    """What the entry's *result* is now; *said* is what else had to be done to the results file, for people."""

    result: Result
    said: str | None


def settle(record: MutableRecord, results: Path | None, index: int, ruling: Ruling, now: float) -> Recorded:
    """Record *ruling* for the entry at *index* and bring the file *results* in line.

    The caller holds the wave's lock. Raises `NotSettled`, `OlderJournal`, `SinkFailed`, `JournalFailed`.
    """
    entry = record.entry(index)
    if entry is None:
        raise NotSettled("an invalid entry was never sent: mend it in the manifest.")
    events = record.events(index)
    before = history(entry.asked, events)
    settled = record.result_of(index)
    _check_open(entry, before, settled[1] if settled else None)
    made = {} if ruling.retry else _named(entry, before, ruling)
    ids = {half: task_id for half, task_id in made.items() if task_id is not None}
    _check_ids(entry, before, ids.values(), record)
    said = None
    if results is not None and not record.facts().get("rewriting"):
        said = mend(results, record.lines, refuse_untold(record, results)).said
    added: list[Event] = []
    if settled is not None:
        added.append(Reopened(at=now, was=settled[1].value, why="the operator settles it", fresh=False))
    added.append(Ruled(at=now, ruling=ruling.text, halves=ids))
    state = before
    for event in added:
        state = fold(state, event)
    ops: list[Op] = [Noted(name="rewriting", value=True), *(Happened(index=index, event=event) for event in added)]
    if ruling.retry:
        result = provisional(entry, [*events, *added], now)
    else:
        result = _ruled_result(entry, state, now)
        ops.append(Settled(index=index, status=result.status, line=result.to_line()))
    record.commit(ops)
    if results is not None:
        write_all(results, whole_file(record, now))
    record.commit([Noted(name="rewriting", value=False)])
    return Recorded(result=result, said=said)


def _check_open(entry: PlannedEntry, state: EntryState, status: Status | None) -> None:
    if status is Status.UNSETTLED or (status is None and state.in_doubt):
        return
    if status is None:
        raise NotSettled(f"entry {entry.key} is not settled yet, and not in doubt: `batcher run` goes on with it.")
    way_out = " `batcher run --retry-failed` takes failed entries up again." if status is Status.FAILED else ""
    raise NotSettled(f"entry {entry.key} is {status.value}, not unsettled: there is nothing to decide.{way_out}")


def _named(entry: PlannedEntry, state: EntryState, ruling: Ruling) -> dict[Half, str | None]:
    """What the ruling says of each half in doubt. Raises `NotSettled` where it does not fit them."""
    doubtful = state.doubtful
    if ruling.whole is not None:
        if len(doubtful) != 1:
            raise NotSettled(
                f"entry {entry.key} has both its object level and its data level in doubt, so one id is not enough: "
                "say object=TASK_ID,data=TASK_ID, with `failed` for one that was not created."
            )
        return dict.fromkeys(doubtful, ruling.whole)
    if not ruling.halves:
        return dict.fromkeys(doubtful, None)
    if ruling.halves.keys() != doubtful:
        names = " and ".join(sorted(name for name, half in _SHORT.items() if half in doubtful))
        raise NotSettled(
            f"in doubt of entry {entry.key} is {names}: say of that, and of nothing else, what became of it."
        )
    if len(set(ruling.halves.values())) < len(ruling.halves) and None not in ruling.halves.values():
        raise NotSettled("two comparisons never share an id: look again at which is which.")
    return dict(ruling.halves)


def _check_ids(entry: PlannedEntry, state: EntryState, ids: Collection[str], record: Record) -> None:
    """A comparison belongs to one entry, and to one half of it. Raises `NotSettled`."""
    for half in state.halves.values():
        if half.made in ids:
            raise NotSettled(f"{half.made} is what entry {entry.key} made at its other level: look for another one.")
    for other, events in record.others_of_job(entry):
        for task_id in sorted(task_ids(events).intersection(ids)):
            raise NotSettled(f"{task_id} belongs to entry {other.key} of the same job: look for another one.")
    if known := sorted(state.known.intersection(ids)):
        raise NotSettled(f"{known[0]} was there before entry {entry.key} was first sent: look for a younger one.")


def _ruled_result(entry: PlannedEntry, state: EntryState, now: float) -> Result:
    """The final result after the ruling: what has no id was not created."""
    missing = [half for half in state.halves.values() if half.made is None]
    if not missing:
        return result_of(entry, state, Status.CREATED, None, now)
    last = next((half.trouble for half in missing if half.trouble is not None), None)
    trouble = Trouble(
        fate=Fate.REFUSED,
        kind=last.kind if last is not None else ErrorKind.STOPPED,
        error_code=last.error_code if last is not None else None,
        error_msg="not created, as the operator recorded with `batcher settle`",
    )
    status = Status.PARTIAL if len(missing) < len(state.halves) else Status.FAILED
    return result_of(entry, state, status, trouble, now)
