"""Reconciling, the pure part: which of a job's listed comparisons can be the one our request made.

What holds:

- A comparison is taken for ours only where nothing else can have made it: it has the type, is younger than our first
  doubtful request by the cloud's own clock (or did not stand in a list that was read after that), no other entry of
  the job made it or may have, and it is the only one.
- Absence is proven only by a whole list that was asked for when nothing of ours could land any more.
- What cannot be told apart, now or later, is ambiguous, and a person's to decide. What more knowledge of the cloud's
  clock may tell apart is unclear, and waits.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum

from msgspec import Struct

from batcher.drs import guesses
from batcher.drs.outcome import Comparison, ErrorKind, Fate, Half, HalfOutcome, Made, Trouble
from batcher.life.entry import PlannedEntry
from batcher.life.events import Intended, LookedUpHalf, Sight
from batcher.life.state import EntryState


class Bounds(Struct, frozen=True):
    """What the cloud's clock showed at a moment, Unix seconds: between the two."""

    earliest: float
    latest: float


class Rival(Struct, frozen=True, kw_only=True):
    """Another entry of the same job whose request may have made a comparison of these *types*, nobody knows which.

    It would have been created between *since* and *until* by the cloud's clock; None: no bound is known. What is to
    start at *start*, Unix seconds, may be listed under that instead.
    """

    types: frozenset[str]
    since: float | None
    until: float | None
    start: float | None = None

    def may_have_made(self, comparison: Comparison, slack_s: float) -> bool:
        """Whether *comparison* can be its."""
        if comparison.compare_type not in self.types:
            return False
        if comparison.create_time is None:
            return True
        created = comparison.create_time / 1000
        if self.start is not None and abs(created - self.start) <= slack_s:
            return True
        return (self.since is None or created >= self.since - slack_s) and (
            self.until is None or created <= self.until + slack_s
        )


class Others(Struct, frozen=True, kw_only=True):
    """The other entries of the job: the ids of what they *made*, and those whose fate is open.

    *unsure* are those of *made* that an answer to `keep` gave: that may be what was there already, ours perhaps.
    """

    made: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()
    rivals: tuple[Rival, ...] = ()


class Look(Struct, frozen=True, kw_only=True):
    """One whole look at a job's comparisons, and what is needed to judge it. Times are the cloud's, in Unix seconds.

    *since* bounds the moment from which a comparison may be ours; None where that clock is not known: then only what
    is older than *ancient* is certainly not ours. *appeared* are ids that a list did not show that was read after that
    moment. *cloud_now* is the latest it can be there now. *landed* tells that
    no request of ours can still be on its way; until then a *patient* look takes not even the only candidate for
    ours, as others make comparisons too.
    """

    comparisons: tuple[Comparison, ...]
    since: Bounds | None
    cloud_now: float | None
    others: Others
    landed: bool
    slack_s: float
    ancient: float | None = None
    appeared: frozenset[str] = frozenset()
    patient: bool = False


When = Callable[[Intended], Bounds | None]
"""What the cloud's clock showed when a request was intended; None: not known."""


def rivals(entry: PlannedEntry, state: EntryState, when: When, *, lands_within_s: float) -> Iterator[Rival]:
    """What *entry* may have made without knowing, where it is in doubt."""
    first, last = state.may_be_ours_since, state.intent
    since, until = (None if intent is None else when(intent) for intent in (first, last))
    for half in sorted(state.doubtful):
        yield Rival(
            types=types_of(half, entry),
            since=None if since is None else since.earliest,
            until=None if until is None else until.latest + lands_within_s,
            start=entry.start_time / 1000 if half is Half.DATA and entry.start_time is not None else None,
        )


def judge(entry: PlannedEntry, state: EntryState, look: Look) -> tuple[Mapping[Half, LookedUpHalf], bool]:
    """The verdict on each half in doubt, or refused for what was in its way, and whether a data-level comparison that
    is older than our first doubtful request is still unfinished."""
    seen = {half: _judge_half(half, entry, state, look) for half in sorted(state.doubtful | state.in_the_way)}
    return seen, any(_older_unfinished(comparison, state, look) for comparison in look.comparisons)


def without_anothers(halves: Mapping[Half, HalfOutcome], elsewhere: frozenset[str]) -> Mapping[Half, HalfOutcome]:
    """What an answer says of *halves*, with a task id that is *elsewhere* (it was there before, or belongs to another
    entry of the job) turned into the conflict that it is."""
    if not elsewhere:
        return halves
    found = {half: verdict for half, verdict in halves.items() if isinstance(verdict, Made)}
    anothers = {half: made.compare_task_id for half, made in found.items() if made.compare_task_id in elsewhere}
    return {**halves, **{half: _conflict(task_id) for half, task_id in anothers.items()}} if anothers else halves


def _conflict(task_id: str) -> Trouble:
    return Trouble(
        fate=Fate.REFUSED,
        kind=ErrorKind.CONFLICT,
        error_msg=f"the cloud answered with comparison {task_id}, which was there before or belongs to another entry "
        "of this job: nothing new was created. Wait until it ends, or use conflict_policy cancel",
    )


def types_of(half: Half, entry: PlannedEntry) -> frozenset[str]:
    """How the list names what *half* of *entry* makes."""
    return guesses.OBJECT_LEVEL_TYPES if half is Half.OBJECT else frozenset({entry.compare_type or ""})


def _judge_half(half: Half, entry: PlannedEntry, state: EntryState, look: Look) -> LookedUpHalf:
    types = types_of(half, entry)
    not_ours = (
        (look.others.made - look.others.unsure)
        | state.known
        | {state_half.made for state_half in state.halves.values()}
    )
    ids: dict[_Age, list[str]] = {age: [] for age in _Age}
    for comparison in look.comparisons:
        if comparison.compare_type not in types or comparison.compare_task_id in not_ours:
            continue
        age = _age(comparison, half, entry, look)
        if state.suspicion:
            age = _age_of_suspected(comparison, state)
        elif state.snapshot:
            age = _AFTER_SNAPSHOT[age]
        if age is not _Age.OLDER and comparison.compare_task_id in look.others.unsure:
            age = _Age.ODD
        if age is _Age.YOUNGER and any(rival.may_have_made(comparison, look.slack_s) for rival in look.others.rivals):
            age = _Age.ODD
        ids[age].append(comparison.compare_task_id)
    return _sight(ids, look)


class _Age(Enum):
    """How old a comparison is, against the first request of ours that may have made it."""

    OLDER = "older"
    YOUNGER = "younger"
    UNCLEAR = "cannot be told, until the cloud's time is known better"
    ODD = "cannot be told"


# What a snapshot did not show came after it. A clock that says otherwise, or nothing, is no proof that it is ours.
_AFTER_SNAPSHOT = {
    _Age.OLDER: _Age.ODD,
    _Age.YOUNGER: _Age.YOUNGER,
    _Age.UNCLEAR: _Age.YOUNGER,
    _Age.ODD: _Age.ODD,
}


def _sight(ids: Mapping[_Age, list[str]], look: Look) -> LookedUpHalf:
    younger, unclear, odd = ids[_Age.YOUNGER], ids[_Age.UNCLEAR], ids[_Age.ODD]
    could_be = (*younger, *unclear, *odd)
    if odd or len(younger) > 1:
        return LookedUpHalf(sight=Sight.AMBIGUOUS, ids=could_be)
    if unclear:
        return LookedUpHalf(sight=Sight.UNCLEAR, ids=could_be)
    if younger:
        return LookedUpHalf(sight=Sight.CANDIDATE if look.patient and not look.landed else Sight.FOUND, ids=could_be)
    return LookedUpHalf(sight=Sight.PROVEN_ABSENT if look.landed else Sight.ABSENT)


def _age(comparison: Comparison, half: Half, entry: PlannedEntry, look: Look) -> _Age:
    created = None if comparison.create_time is None else comparison.create_time / 1000
    if created is not None and look.cloud_now is not None and created > look.cloud_now + look.slack_s:
        # Not documented: create_time of a scheduled comparison may be its planned start. Ours it surely is with the
        # start that we asked for; with another it is somebody's plan, or ours by a clock that was set.
        planned = entry.start_time if half is Half.DATA else None
        return _Age.YOUNGER if planned is not None and abs(created - planned / 1000) <= look.slack_s else _Age.ODD
    if comparison.compare_task_id in look.appeared:
        return _Age.YOUNGER
    if created is None:
        return _Age.ODD
    if look.since is None:
        return _Age.OLDER if look.ancient is not None and created < look.ancient else _Age.UNCLEAR
    if created < look.since.earliest - look.slack_s:
        return _Age.OLDER
    if created < look.since.earliest:
        return _Age.ODD  # somebody else's of a moment before, or ours by a machine of the cloud's whose clock is behind
    return _Age.YOUNGER if created >= look.since.latest - look.slack_s else _Age.UNCLEAR


def _age_of_suspected(comparison: Comparison, state: EntryState) -> _Age:
    """The age where this journal sent nothing: what is young enough is another run's, or somebody else's."""
    since, created = state.suspected_since, comparison.create_time
    return _Age.OLDER if since is not None and created is not None and created / 1000 < since else _Age.ODD


def _older_unfinished(comparison: Comparison, state: EntryState, look: Look) -> bool:
    if comparison.compare_type not in guesses.DATA_LEVEL_TYPES or comparison.finished:
        return False
    if comparison.compare_task_id in state.known:
        return True
    return (
        comparison.create_time is not None
        and look.since is not None
        and comparison.create_time / 1000 < look.since.earliest - look.slack_s
    )
