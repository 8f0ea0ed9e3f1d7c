"""The life of an entry: its state is the fold of its events, live and on resume alike.

    planned ──intended──▶ in doubt ──answered──▶ clear ──▶ settled, or planned again
                             ▲  └─ no clear answer, or the process died ─▶ looked up ─┘

What holds in every state that a fold leads to:

- A half is in doubt from the moment its intent is durable until an answer, a look-up, the operator, or the record that
  its request did not leave clears it: a process that dies at any point leaves exactly the doubts it must.
- A half is at most one of made, refused and in doubt; one that is none of them is still to be asked for.
- What was made stays made, whatever happens afterwards.
- A repeat whose first request may have landed goes out as `keep`, unless an older comparison was in its way.
- `since` is the first intent of which something may have come that is not accounted for: only what the cloud created
  after that can be the entry's own.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from batcher.drs.outcome import Accepted, ErrorKind, Fate, Half, HalfOutcome, Made, Trouble
from batcher.life.events import (
    Answered,
    Event,
    Intended,
    LookedUp,
    LookedUpHalf,
    Reopened,
    Retracted,
    Ruled,
    Sight,
    Suspected,
    standing,
)


class HalfState(Struct, frozen=True, kw_only=True):
    """What is known of one half. *made*, *refused* and *doubt* exclude each other."""

    made: str | None = None
    recovered: bool = False
    refused: Trouble | None = None
    trouble: Trouble | None = None  # the last trouble, of any kind
    doubt: bool = False
    accepted: bool = False  # the cloud took the last request for it, and named no comparison
    ambiguous: tuple[str, ...] | None = None  # ids that a look-up could not tell apart
    unclear: tuple[str, ...] | None = None  # ids that the last look-up could not tell from older ones
    in_the_way: bool = False  # refused by an answer that may mean: another comparison is unfinished
    was_its_own: bool = False  # and that was the one this entry had made

    @property
    def open(self) -> bool:
        """Still to be asked for."""
        return self.made is None and self.refused is None and not self.doubt


_FRESH = HalfState()
_SENT = HalfState(doubt=True)
_NAMELESS = Trouble(
    fate=Fate.MAYBE, kind=ErrorKind.PROTOCOL, error_msg="the cloud accepted the request and named no comparison"
)
"""What is wrong with a half that was accepted, should nothing more be learnt of it."""


class RepeatedTrouble(Struct, frozen=True):
    """Why requests for an entry came to nothing: *trouble* as it was met last, *times* in all."""

    trouble: Trouble
    times: int


class EntryState(Struct, frozen=True, kw_only=True):
    """Everything the engine remembers of an entry between two steps."""

    halves: Mapping[Half, HalfState] = {}
    attempts: int = 0  # create requests sent
    charged: int = 0  # of them, those that count against the bound on attempts
    first_at: float | None = None  # when the first was sent: `submitted_at`
    intent: Intended | None = None  # the last intent
    since: Intended | None = None  # the first intent of which something may have come that is not accounted for
    known: frozenset[str] = frozenset()  # ids a snapshot showed before the first attempt
    snapshot: bool = False  # there was one: what it did not show is younger than it
    blocked: bool = False  # the last look-up showed an older data-level comparison, unfinished
    keep: bool = False  # a repeat goes out as `keep`, lest it cancel what the first made
    looks: int = 0  # look-ups since the doubt arose
    failed_looks: int = 0  # of them, one after the other until now
    unlisted: tuple[int | None, str | None] | None = None  # last unlisted (status, code)
    unlisted_times: int = 0
    http_status: int | None = None
    request_id: str | None = None
    given_up: bool = False  # settled `unsettled` once: looked up again, never sent again
    not_found: bool = False  # and that look-up found nothing
    causes: tuple[RepeatedTrouble, ...] = ()  # of its requests so far, by kind and code, the one met last at the end
    gone: Trouble | None = None  # the cloud's own word, in a look-up, that there is no such job
    gone_looks: int = 0  # look-ups that said so since the last request
    suspicion: str = ""  # why another run may have sent it, of which the journal knows nothing
    suspected_since: float | None = None  # and the cloud's time since which that can be

    @property
    def in_doubt(self) -> bool:
        """A request may have been sent whose outcome is not known."""
        for half in self.halves.values():  # noqa: SIM110 - asked several times for each entry, and twice as fast so
            if half.doubt:
                return True
        return False

    @property
    def exists(self) -> bool:
        """A comparison of it was made, or may have been."""
        return any(half.doubt or half.made is not None for half in self.halves.values())

    @property
    def recovered(self) -> bool:
        """A task id was learnt by a look-up, not from an answer."""
        for half in self.halves.values():  # noqa: SIM110
            if half.recovered:
                return True
        return False

    @property
    def snapshot_due(self) -> bool:
        """No snapshot was taken, and each request so far is accounted for by its answer."""
        return not self.snapshot and self.since is None

    @property
    def doubtful(self) -> frozenset[Half]:
        """The halves in doubt."""
        return frozenset(name for name, half in self.halves.items() if half.doubt)

    @property
    def to_ask(self) -> frozenset[Half]:
        """The halves that the next request asks for."""
        return frozenset([name for name, half in self.halves.items() if half.open])

    @property
    def is_open(self) -> bool:
        """A half is left to be asked for."""
        for half in self.halves.values():  # noqa: SIM110
            if half.open:
                return True
        return False

    @property
    def in_the_way(self) -> frozenset[Half]:
        """The halves that were refused because a comparison was in the way, which may be our own."""
        return frozenset([name for name, half in self.halves.items() if half.in_the_way])

    @property
    def is_in_the_way(self) -> bool:
        """There are such."""
        for half in self.halves.values():  # noqa: SIM110
            if half.in_the_way:
                return True
        return False

    @property
    def may_be_ours_since(self) -> Intended | None:
        """The intent since which a comparison may be ours; None: nothing was sent."""
        return self.since or self.intent


def fresh(asked: Iterable[Half]) -> EntryState:
    """The state of an entry that nothing has happened to; *asked* are the halves it wants."""
    return _fresh(frozenset(asked))


@cache  # there are four
def _fresh(asked: frozenset[Half]) -> EntryState:
    return EntryState(halves={half: _FRESH for half in sorted(asked)})


def fold(state: EntryState, event: Event) -> EntryState:
    """*state* after *event*."""
    match event:
        case Intended():
            return _intended(state, event)
        case Retracted():
            return _retracted(state)
        case Answered():
            return _answered(state, event)
        case LookedUp():
            return _looked_up(state, event)
        case Reopened():
            if event.fresh:
                return _forgotten(state)
            again = replace(state, looks=0, failed_looks=0, gone_looks=0, halves=_unambiguous(state))
            return replace(again, given_up=True, not_found=False)
        case Ruled():
            return _ruled(state, event)
        case Suspected():
            return _suspected(state, event)
        case _:
            assert_never(event)


def is_unclear(state: EntryState) -> bool:
    """A comparison is listed that may be ours or an older one."""
    for half in state.halves.values():  # noqa: SIM110
        if half.doubt and half.unclear:
            return True
    return False


def anew(state: EntryState) -> EntryState:
    """*state* for a process that goes on with it: what an earlier one could not tell is looked up again."""
    return replace(state, halves=_unambiguous(state), failed_looks=0, gone_looks=0) if state.in_doubt else state


def history(asked: Iterable[Half], events: Iterable[Event]) -> EntryState:
    """The state that *events* lead to, oldest first."""
    state = fresh(asked)
    for event in standing(events):
        state = fold(state, event)
    return state


def _intended(state: EntryState, event: Intended) -> EntryState:
    return replace(
        state,
        halves={
            name: half if name not in event.asked else replace(_SENT, trouble=half.trouble) if half.trouble else _SENT
            for name, half in state.halves.items()
        },
        attempts=state.attempts + 1,
        first_at=event.at if state.first_at is None else state.first_at,
        intent=event,
        known=state.known | event.known if event.known else state.known,
        snapshot=state.snapshot or event.snapshot,
        looks=0,
        failed_looks=0,
        gone_looks=0,
    )


def _retracted(state: EntryState) -> EntryState:
    intent = state.intent
    assert intent is not None  # noqa: S101 - only ever recorded after an intent
    attempts = state.attempts - 1
    return replace(
        state,
        halves={
            name: replace(half, doubt=False) if name in intent.asked else half for name, half in state.halves.items()
        },
        attempts=attempts,
        first_at=state.first_at if attempts else None,
        snapshot=state.snapshot and attempts > 0,
    )


def _answered(state: EntryState, event: Answered) -> EntryState:
    halves = {**state.halves, **{name: _after(verdict) for name, verdict in event.halves.items()}}
    troubles = [half.trouble for name, half in halves.items() if half.trouble is not None and name in event.halves]
    told = {"halves": halves, "http_status": event.http_status, "request_id": event.request_id}
    if not troubles:
        after = replace(state, **told, unlisted=None, unlisted_times=0)
        return _doubted(after) if after.in_doubt or after.is_in_the_way else after
    if _is_in_the_way(state, event.halves.get(Half.DATA)):
        halves[Half.DATA] = replace(halves[Half.DATA], in_the_way=True)
    charged = not event.spared and any(trouble.fate not in (Fate.TURNED_AWAY, Fate.NOT_LET_IN) for trouble in troubles)
    unlisted = next(((event.http_status, t.error_code) for t in troubles if not t.listed), None)
    after = replace(
        state,
        **told,
        causes=_counted(state.causes, troubles[0]) if charged else state.causes,
        charged=state.charged + charged,
        unlisted=unlisted,
        unlisted_times=state.unlisted_times + 1
        if unlisted is not None and unlisted == state.unlisted
        else int(unlisted is not None),
    )
    return _doubted(after) if after.in_doubt or after.is_in_the_way else after


def _counted(causes: tuple[RepeatedTrouble, ...], trouble: Trouble) -> tuple[RepeatedTrouble, ...]:
    """*causes* with *trouble*, which was met once more."""
    same = [cause for cause in causes if _is_alike(cause.trouble, trouble)]
    others = tuple(cause for cause in causes if not _is_alike(cause.trouble, trouble))
    return (*others, RepeatedTrouble(trouble, 1 + sum(cause.times for cause in same)))


def _is_alike(one: Trouble, other: Trouble) -> bool:
    return (one.kind, one.error_code) == (other.kind, other.error_code)


def _after(verdict: HalfOutcome) -> HalfState:
    match verdict:
        case Made():
            return HalfState(made=verdict.compare_task_id)
        case Accepted():
            return HalfState(trouble=_NAMELESS, doubt=True, accepted=True)
        case Trouble():
            if verdict.fate is Fate.REFUSED:
                return HalfState(refused=verdict, trouble=verdict)
            return HalfState(trouble=verdict, doubt=verdict.fate is Fate.MAYBE)
        case _:
            assert_never(verdict)


def _is_in_the_way(state: EntryState, verdict: HalfOutcome | None) -> bool:
    """Whether *verdict* may mean that an unfinished comparison was kept. Which codes say so is not documented."""
    keeps = state.intent is not None and state.intent.conflict_policy == "keep"
    return (
        keeps
        and isinstance(verdict, Trouble)
        and verdict.fate in (Fate.REFUSED, Fate.NOT_YET)
        and verdict.kind in (ErrorKind.STATE, ErrorKind.CONFLICT)
        and verdict.error_code is not None
    )


def _doubted(state: EntryState) -> EntryState:
    """The last intent may have landed: comparisons made since then may be ours from now on."""
    return state if state.since is not None else replace(state, since=state.intent)


def _looked_up(state: EntryState, event: LookedUp) -> EntryState:
    state = _doubted(state)
    trouble = event.trouble
    gone = trouble is not None and trouble.kind is ErrorKind.NOT_FOUND and trouble.listed and trouble.foreign is None
    proven = any(seen.sight is Sight.PROVEN_ABSENT and state.halves[name].doubt for name, seen in event.halves.items())
    return replace(
        state,
        halves={**state.halves, **{name: _told(state, name, seen) for name, seen in event.halves.items()}},
        looks=state.looks + (event.trouble is None),
        failed_looks=0 if event.trouble is None else state.failed_looks + (not event.spared),
        blocked=event.blocked if event.trouble is None else state.blocked,
        keep=state.keep or (proven and not event.blocked),
        not_found=state.given_up and proven,
        gone=event.trouble if gone else state.gone,
        gone_looks=state.gone_looks + gone if event.trouble is not None else 0,
    )


def _told(state: EntryState, name: Half, seen: LookedUpHalf) -> HalfState:
    """A half after a look-up that was sound. A refusal stands, unless what was in the way is our own."""
    half = replace(state.halves[name], unclear=None)
    match seen.sight:
        case Sight.FOUND:
            return HalfState(made=seen.ids[0], recovered=True, was_its_own=half.in_the_way)
        case Sight.UNCLEAR:
            return replace(half, unclear=seen.ids)
        case Sight.AMBIGUOUS:
            return replace(half, ambiguous=seen.ids, doubt=True, refused=None, in_the_way=False)
        case Sight.PROVEN_ABSENT:
            return replace(half, doubt=half.doubt and state.given_up, accepted=False, in_the_way=False)
        case Sight.CANDIDATE | Sight.ABSENT:
            return replace(half, in_the_way=False)
        case _:
            assert_never(seen.sight)


def _suspected(state: EntryState, event: Suspected) -> EntryState:
    halves = {
        name: replace(half, doubt=True, ambiguous=event.halves[name]) if name in event.halves else half
        for name, half in state.halves.items()
    }
    return replace(state, halves=halves, suspicion=event.why, suspected_since=event.since)


def _ruled(state: EntryState, event: Ruled) -> EntryState:
    """What the operator did not name was not created, and no doubt is left.

    After `retry`, what is listed so far is none of ours; but in case it is after all, the repeat keeps it.
    """
    halves = {name: replace(half, doubt=False, ambiguous=None, unclear=None) for name, half in state.halves.items()}
    halves |= {name: HalfState(made=task_id) for name, task_id in event.halves.items()}
    after = replace(state, halves=halves, given_up=False, not_found=False, suspicion="")
    if event.ruling != "retry":
        return after
    return replace(_undoubted(after), keep=state.keep or not state.blocked)


def _forgotten(state: EntryState) -> EntryState:
    """Taken up anew: what was made stays made, and what is known not to be is asked for again, as at first."""
    halves = {name: half if half.made is not None else _FRESH for name, half in state.halves.items()}
    return replace(_undoubted(state), halves=halves, keep=False, suspicion="")


def _undoubted(state: EntryState) -> EntryState:
    """Whatever was sent so far is accounted for: attempts are counted anew, and so is from when on to look."""
    return replace(
        state,
        charged=0,
        causes=(),
        first_at=None,
        since=None,
        snapshot=False,
        unlisted=None,
        unlisted_times=0,
    )


def _unambiguous(state: EntryState) -> dict[Half, HalfState]:
    return {name: replace(half, ambiguous=None, unclear=None) for name, half in state.halves.items()}
