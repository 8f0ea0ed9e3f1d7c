"""Reconciling, the pure part: which of a job's listed comparisons can be the one our request made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from batcher.drs import guesses
from batcher.drs.outcome import Comparison, Half
from batcher.wave.events import Seen, Sight
from batcher.wave.life import EntryState
from batcher.wave.plan import PlannedEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One whole look at a job's comparisons, and what is needed to judge it.

    *since* is the cloud's time (Unix seconds) from which a comparison may be ours, None if not known;
    *cloud_now* is the latest it can be there now.
    *elsewhere* are ids that belong to other entries. *landed* tells that no request of ours can still be on
    its way.
    """

    comparisons: tuple[Comparison, ...]
    since: float | None
    cloud_now: float | None
    elsewhere: frozenset[str]
    landed: bool
    slack_s: float


def judge(entry: PlannedEntry, state: EntryState, look: Look) -> tuple[Mapping[Half, Seen], bool]:
    """The verdict on each half in doubt, and whether a data-level comparison that is older than our first
    doubtful request is still unfinished."""
    seen = {half: _judge_half(half, entry, state, look) for half in sorted(state.doubtful)}
    return seen, any(_older_unfinished(comparison, look) for comparison in look.comparisons)


def _judge_half(half: Half, entry: PlannedEntry, state: EntryState, look: Look) -> Seen:
    types = guesses.OBJECT_LEVEL_TYPES if half is Half.OBJECT else frozenset({entry.compare_type or ""})
    ours = {state_half.made for state_half in state.halves.values()}
    certain: list[str] = []
    possible: list[str] = []
    for comparison in look.comparisons:
        task_id = comparison.compare_task_id
        if comparison.compare_type not in types:
            continue
        if task_id in look.elsewhere or task_id in state.known or task_id in ours:
            continue
        match _since_intent(comparison, half, entry, look):
            case True:
                certain.append(task_id)
            case None:
                possible.append(task_id)
            case False:
                pass
    return _sight(certain, possible, landed=look.landed)


def _sight(certain: list[str], possible: list[str], *, landed: bool) -> Seen:
    if possible or len(certain) > 1:
        return Seen(sight=Sight.AMBIGUOUS, ids=tuple(certain + possible))
    if certain:
        return Seen(sight=Sight.FOUND, ids=(certain[0],))
    return Seen(sight=Sight.PROVEN_ABSENT if landed else Sight.ABSENT)


def _since_intent(comparison: Comparison, half: Half, entry: PlannedEntry, look: Look) -> bool | None:
    """Whether *comparison* was created since the intent; None where that cannot be told."""
    if comparison.create_time is None or look.since is None:
        return None
    created = comparison.create_time / 1000
    if look.cloud_now is not None and created > look.cloud_now + look.slack_s:
        # Not documented: create_time of a scheduled comparison may be its planned start. It is ours only with
        # the start that we asked for.
        planned = entry.start_time if half is Half.DATA else None
        return planned is not None and abs(created - planned / 1000) <= look.slack_s
    return created >= look.since - look.slack_s


def _older_unfinished(comparison: Comparison, look: Look) -> bool:
    return (
        comparison.compare_type in guesses.DATA_LEVEL_TYPES
        and not comparison.finished
        and comparison.create_time is not None
        and look.since is not None
        and comparison.create_time / 1000 < look.since - look.slack_s
    )


def merge(pages: Iterable[Iterable[Comparison]]) -> tuple[Comparison, ...]:
    """The comparisons of several pages, each id once, the freshest reading of it kept."""
    return tuple({c.compare_task_id: c for page in pages for c in page}.values())
