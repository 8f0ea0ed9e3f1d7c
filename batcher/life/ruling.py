"""The operator's word on an entry that is not settled: whether it can stand, and what follows from it. Pure.

A ruling says what became of each half in doubt, or that the entry is to be sent again. It is taken only where it fits
what is known: of an entry that is unsettled or in doubt, of all its halves in doubt and no others, and with ids that
no other half and no other entry of the job has.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from batcher.drs.outcome import Comparison, ErrorKind, Fate, Half, Trouble
from batcher.errors import UserError
from batcher.life.decide import Settle, unfinished
from batcher.life.entry import PlannedEntry
from batcher.life.events import UNDO, Event, Reopened, Ruled, standing, task_ids
from batcher.life.reconcile import types_of
from batcher.life.result import Status
from batcher.life.state import EntryState, fold, history

_SHORT = {"object": Half.OBJECT, "data": Half.DATA}
_GRAMMAR = (
    "write created=TASK_ID, object=TASK_ID,data=TASK_ID (either may be `failed` instead of an id), failed, or retry"
)
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_SHOWN = 3  # of the comparisons that the cloud lists
_BACK = (
    "the operator took the decision on it back: it may have been created. The same `batcher run` looks it up; or "
    "record what is true with `batcher settle`"
)
_NOT_CREATED = "not created, as the operator recorded with `batcher settle`"


class NotSettled(UserError):
    """The ruling cannot be recorded; the text says why and the way out. Nothing was changed."""


class Ruling(Struct, frozen=True, kw_only=True):
    """What the operator says, as typed: *text* for the record.

    *halves* maps a half to its task id, None to say that it was not created; *whole* is a task id for the one half in
    doubt; *retry* sends the entry again; *undo* takes the last ruling back. With none of these no half was created.
    """

    text: str
    halves: Mapping[Half, str | None] = {}
    whole: str | None = None
    retry: bool = False
    undo: bool = False

    @property
    def names_ids(self) -> bool:
        """Whether the operator named a comparison by its id."""
        return self.whole is not None or any(task_id is not None for task_id in self.halves.values())

    @classmethod
    def taken_back(cls) -> "Ruling":
        """The last ruling no longer holds."""
        return cls(text=UNDO, undo=True)

    @classmethod
    def parse(cls, text: str, where: str = "--as") -> "Ruling":
        """The ruling that *text* names. Raises `NotSettled` with the mend, naming *where* it stands."""
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
                raise NotSettled(f"{where} {text} is no ruling: {_GRAMMAR}.")
            halves[_SHORT[name]] = None if told == "failed" else told
        return cls(text=text.strip(), halves=halves)


def _is_id(text: str) -> bool:
    return bool(text.strip()) and not any(sign.isspace() or sign in ",=" for sign in text.strip())


class RulingEffect(Struct, frozen=True, kw_only=True):
    """What a ruling does: the *events* that are added, the *state* after them, and how the entry then stands.

    *is_final* is False where it is sent again: it then stands as one that its run did not settle.
    """

    events: tuple[Event, ...]
    state: EntryState
    stands: Settle
    is_final: bool


def rule(
    entry: PlannedEntry,
    state: EntryState,
    status: Status | None,
    ruling: Ruling,
    others: Iterable[tuple[PlannedEntry, Iterable[Event]]],
    now: float,
    listed: Collection[Comparison] | None = None,
) -> RulingEffect:
    """What *ruling* does to *entry*, which is in *state* and has a result with *status* (None: none yet).

    *others* are the other entries of its job, with their events; *now* is Unix seconds; *listed* is what the cloud
    lists for the job, None: it was not asked. Raises `NotSettled`.
    """
    _check_open(entry, state, status)
    named = {} if ruling.retry else _named(entry, state, ruling)
    ids = {half: task_id for half, task_id in named.items() if task_id is not None}
    _check_shapes(entry, ids.values())
    _check_ids(entry, state, ids.values(), others)
    if listed is not None:
        _check_listed(entry, ids, listed)
    events: list[Event] = []
    if status is not None:
        events.append(Reopened(at=now, was=status.value, why="the operator settles it", fresh=False))
    events.append(Ruled(at=now, ruling=ruling.text, halves=ids))
    for event in events:
        state = fold(state, event)
    stands = unfinished(state, None) if ruling.retry else _ended(state)
    return RulingEffect(events=tuple(events), state=state, stands=stands, is_final=not ruling.retry)


def take_back(entry: PlannedEntry, events: Sequence[Event], status: Status | None, now: float) -> RulingEffect:
    """The last ruling on *entry*, to which *events* happened, taken back: it is in doubt again, as it was before.

    *status* and *now* are of `rule`. Raises `NotSettled`.
    """
    left = standing(events)
    if not left or not isinstance(left[-1], Ruled):
        raise NotSettled(
            f"entry {entry.key} has no decision to take back, or went on since: `batcher explain` shows what was done."
        )
    if not history(entry.asked, left[:-1]).in_doubt:
        raise NotSettled(f"entry {entry.key} was not in doubt before that decision: it stands.")
    was = "to be sent again by the next run" if status is None else status.value
    added = (
        Ruled(at=now, ruling=UNDO),
        Reopened(at=now, was=was, why="the operator takes the decision back", fresh=False),
    )
    trouble = Trouble(fate=Fate.MAYBE, kind=ErrorKind.STOPPED, error_msg=_BACK)
    return RulingEffect(
        events=added,
        state=history(entry.asked, [*events, *added]),
        stands=Settle(Status.UNSETTLED, trouble, _BACK),
        is_final=True,
    )


def _check_shapes(entry: PlannedEntry, ids: Collection[str]) -> None:
    """What people copy in an id's place is no id of a comparison. Raises `NotSettled`."""
    others = {
        entry.job_id: "the id of the job",
        entry.key: "the entry's key",
        entry.scope.project_id: "the id of the project",
    }
    for task_id in ids:
        if task_id in others:
            raise NotSettled(f"{task_id} is {others[task_id]}, not of a comparison: copy compare_task_id.")
        if not _ID.fullmatch(task_id):
            raise NotSettled(
                f"{task_id[:80]!r} is no id of a comparison: those have letters, digits, - and _ alone, at most 64."
            )


def _check_listed(entry: PlannedEntry, ids: Mapping[Half, str], listed: Collection[Comparison]) -> None:
    """The cloud lists what was made. Raises `NotSettled`."""
    types = {comparison.compare_task_id: comparison.compare_type for comparison in listed}
    for half, task_id in ids.items():
        if task_id not in types:
            shown = ", ".join(list(types)[-_SHOWN:]) or "none"
            raise NotSettled(
                f"the cloud does not list {task_id} among the comparisons of job {entry.job_id} (the last are: "
                f"{shown}). Look again; --offline records it all the same."
            )
        if types[task_id] not in types_of(half, entry):
            raise NotSettled(
                f"{task_id} is a comparison of {types[task_id]}, and entry {entry.key} asked for "
                f"{' or '.join(sorted(types_of(half, entry)))}. Look again; --offline records it all the same."
            )


def _check_open(entry: PlannedEntry, state: EntryState, status: Status | None) -> None:
    if status is Status.UNSETTLED or (status is None and state.in_doubt):
        return
    if status is None:
        raise NotSettled(
            f"entry {entry.key} is still to be sent, or on its way, and not in doubt: the wave goes on with it."
        )
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


def _check_ids(
    entry: PlannedEntry,
    state: EntryState,
    ids: Collection[str],
    others: Iterable[tuple[PlannedEntry, Iterable[Event]]],
) -> None:
    """A comparison belongs to one entry, and to one half of it. Raises `NotSettled`."""
    for half in state.halves.values():
        if half.made in ids:
            raise NotSettled(f"{half.made} is what entry {entry.key} made at its other level: look for another one.")
    for other, events in others:
        for task_id in sorted(task_ids(events).intersection(ids)):
            raise NotSettled(f"{task_id} belongs to entry {other.key} of the same job: look for another one.")
    if known := sorted(state.known.intersection(ids)):
        raise NotSettled(f"{known[0]} was there before entry {entry.key} was first sent: look for a younger one.")


def _ended(state: EntryState) -> Settle:
    """The end after the ruling: what has no id was not created."""
    missing = [half for half in state.halves.values() if half.made is None]
    if not missing:
        return Settle(Status.CREATED, None, "every comparison asked for exists")
    last = next((half.trouble for half in missing if half.trouble is not None), None)
    trouble = Trouble(
        fate=Fate.REFUSED,
        kind=last.kind if last is not None else ErrorKind.STOPPED,
        error_code=last.error_code if last is not None else None,
        error_msg=_NOT_CREATED,
    )
    status = Status.PARTIAL if len(missing) < len(state.halves) else Status.FAILED
    return Settle(status, trouble, _NOT_CREATED)
