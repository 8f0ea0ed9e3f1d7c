"""Reconciling, the pure part: which of a job's listed comparisons can be the one our request made."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from batcher.drs import guesses
from batcher.drs.outcome import Comparison, Half
from batcher.wave.events import Seen, Sight
from batcher.wave.life import EntryState
from batcher.wave.plan import PlannedEntry


class Rival(Struct, frozen=True, kw_only=True):
    """Another entry of the same job whose request may have made a comparison of these *types*, nobody knows which.

    It would have been created between *since* and *until* by the cloud's clock; None: no bound is known.
    """

    types: frozenset[str]
    since: float | None
    until: float | None

    def may_have_made(self, comparison: Comparison, slack_s: float) -> bool:
        """Whether *comparison* can be its."""
        if comparison.compare_type not in self.types:
            return False
        if comparison.create_time is None:
            return True
        created = comparison.create_time / 1000
        return (self.since is None or created >= self.since - slack_s) and (
            self.until is None or created <= self.until + slack_s
        )


class Others(Struct, frozen=True, kw_only=True):
    """The other entries of the job: the ids of what they *made*, and those whose fate is open."""

    made: frozenset[str] = frozenset()
    rivals: tuple[Rival, ...] = ()


class Look(Struct, frozen=True, kw_only=True):
    """One whole look at a job's comparisons, and what is needed to judge it.

    *since* is the cloud's time (Unix seconds) from which a comparison may be ours, None if not known; its clock was
    set back by *set_back_s* meanwhile. *cloud_now* is the latest it can be there now. *landed* tells that no
    request of ours can still be on its way; until then a *patient* look takes not even the only candidate for ours,
    as others make comparisons too.
    """

    comparisons: tuple[Comparison, ...]
    since: float | None
    cloud_now: float | None
    others: Others
    landed: bool
    slack_s: float
    set_back_s: float = 0.0
    patient: bool = False


def rivals(entry: PlannedEntry, state: EntryState, *, lands_within_s: float) -> Iterator[Rival]:
    """What *entry* may have made without knowing, where it is in doubt."""
    intent = state.intent
    until = None if intent is None or intent.cloud_at is None else intent.cloud_at + lands_within_s
    for half in sorted(state.doubtful):
        yield Rival(types=_types(half, entry), since=since(state), until=until)


def since(state: EntryState) -> float | None:
    """The cloud's time from which a comparison may be that of an entry in doubt; None: not known."""
    last = state.intent.cloud_at if state.intent is not None else None
    if last is None or (state.timeless and state.attempts > 1):
        return None
    return last if state.since is None else min(state.since, last)


def judge(entry: PlannedEntry, state: EntryState, look: Look) -> tuple[Mapping[Half, Seen], bool]:
    """The verdict on each half in doubt, and whether a data-level comparison that is older than our first
    doubtful request is still unfinished."""
    seen = {half: _judge_half(half, entry, state, look) for half in sorted(state.doubtful)}
    return seen, any(_older_unfinished(comparison, look) for comparison in look.comparisons)


def _types(half: Half, entry: PlannedEntry) -> frozenset[str]:
    return guesses.OBJECT_LEVEL_TYPES if half is Half.OBJECT else frozenset({entry.compare_type or ""})


def _judge_half(half: Half, entry: PlannedEntry, state: EntryState, look: Look) -> Seen:
    types = _types(half, entry)
    not_ours = look.others.made | state.known | {state_half.made for state_half in state.halves.values()}
    certain: list[str] = []
    possible: list[str] = []
    for comparison in look.comparisons:
        if comparison.compare_type not in types or comparison.compare_task_id in not_ours:
            continue
        is_ours = _since_intent(comparison, half, entry, look)
        if is_ours is False and state.snapshot:
            is_ours = None  # it came after the snapshot, whatever the clock says that stamped it
        if is_ours and any(rival.may_have_made(comparison, look.slack_s) for rival in look.others.rivals):
            is_ours = None
        if is_ours is not False:
            (certain if is_ours else possible).append(comparison.compare_task_id)
    return _sight(certain, possible, look)


def _sight(certain: list[str], possible: list[str], look: Look) -> Seen:
    if possible or len(certain) > 1:
        return Seen(sight=Sight.AMBIGUOUS, ids=tuple(certain + possible))
    if certain:
        return Seen(sight=Sight.CANDIDATE if look.patient and not look.landed else Sight.FOUND, ids=(certain[0],))
    return Seen(sight=Sight.PROVEN_ABSENT if look.landed else Sight.ABSENT)


def _since_intent(comparison: Comparison, half: Half, entry: PlannedEntry, look: Look) -> bool | None:
    """Whether *comparison* was created since the intent; None where that cannot be told."""
    if comparison.create_time is None or look.since is None:
        return None
    created = comparison.create_time / 1000
    if look.cloud_now is not None and created > look.cloud_now + look.slack_s + look.set_back_s:
        # Not documented: create_time of a scheduled comparison may be its planned start. Ours it surely is with the
        # start that we asked for; with another it is somebody's plan, or ours by a clock that runs ahead of `Date`.
        planned = entry.start_time if half is Half.DATA else None
        return True if planned is not None and abs(created - planned / 1000) <= look.slack_s else None
    if created >= look.since - look.slack_s:
        return True
    return None if created >= look.since - look.slack_s - look.set_back_s else False


def _older_unfinished(comparison: Comparison, look: Look) -> bool:
    return (
        comparison.compare_type in guesses.DATA_LEVEL_TYPES
        and not comparison.finished
        and comparison.create_time is not None
        and look.since is not None
        and comparison.create_time / 1000 < look.since - look.slack_s
    )
