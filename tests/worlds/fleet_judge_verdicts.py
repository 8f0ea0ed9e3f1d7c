"""The judge of several machines, as far as they look: never without a lease, and each verdict is there, once."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator

import orjson

from batcher.follow.verdict import Verdict
from tests.worlds.fleet import FleetHistory
from tests.worlds.judge import HALF_FIELDS
from tests.worlds.shared_database import Leased
from tests.worlds.shared_orders import Named
from tests.worlds.shared_verdicts import Decided
from tests.worlds.violation import Violation


def judge_verdicts(history: FleetHistory) -> Iterator[Violation]:
    """Every promise of these that was broken."""
    yield from _leased(history)
    yield from _fenced(history)
    yield from _decided(history)


def _leased(history: FleetHistory) -> Iterator[Violation]:
    """Nothing is looked at without a lease that runs, by the database's clock."""
    by_project: dict[str, list[Leased]] = defaultdict(list)
    for one in history.database.leases:
        by_project[one.scope[1]].append(one)
    moments = {project: [one.at for one in leases] for project, leases in by_project.items()}
    for read in history.reads:
        before = bisect_left(moments.get(read.project, []), read.left_at)
        lease = by_project[read.project][before - 1] if before else None
        if lease is None or lease.owner != f"machine {read.life}" or lease.until < read.left_at:
            who = "nobody" if lease is None else f"{lease.owner} until {lease.until - 1000:.3f}"
            text = f"machine {read.life} looks at {read.left_at - 1000:.3f} in {read.project}, which {who} has"
            yield Violation("leaseless", text)


def _fenced(history: FleetHistory) -> Iterator[Violation]:
    """No verdict is written by a lease once another has the scope, or it was given back."""
    leases: dict[Named, list[Leased]] = defaultdict(list)
    for lease in history.database.leases:
        leases[lease.scope].append(lease)
    for one in history.database.log:
        if isinstance(one, Decided):
            newest = max((lease.epoch for lease in leases[one.scope] if lease.at < one.at), default=0)
            if one.epoch < newest:
                text = f"{one.wave}: epoch {one.epoch} decides at {one.at - 1000:.3f}, and the newest is {newest}"
                yield Violation("verdict fence", text)


def _decided(history: FleetHistory) -> Iterator[Violation]:
    """Where verdicts are wanted each result has one in the end, once, and not before its comparisons have ended."""
    decided = [one for one in history.database.log if isinstance(one, Decided)]
    times = Counter((one.wave, one.index) for one in decided)
    for (wave, index), count in times.items():
        if count > 1:
            yield Violation("verdicts", f"{wave}: entry {index} has {count} verdicts")
        if wave not in history.database.followed:
            yield Violation("verdicts", f"{wave}: entry {index} has a verdict that nobody wants")
    if history.is_settled:
        for wave in sorted(history.database.followed):
            for index in range(history.database.records[wave].entry_count()):
                if not times[wave, index]:
                    yield Violation("verdicts", f"{wave}: entry {index} has no verdict")
    ends_at = {made: at for sent in history.sent for made, at in sent.ends_at.items()}
    cancelled = {made for sent in history.sent for made in sent.cancelled}
    for one in decided:
        found = history.database.records[one.wave].result_of(one.index)
        result = orjson.loads(found[2]) if found is not None else {}
        made = [str((result.get(name) or {}).get("compare_task_id")) for name in HALF_FIELDS.values()]
        is_compared = any(ends_at.get(each, 0.0) > one.at for each in made if each not in cancelled)
        if one.verdict != Verdict.UNKNOWN and is_compared:
            text = f"{one.wave}: entry {one.index} is {one.verdict} at {one.at - 1000:.3f}, while it is compared"
            yield Violation("early", text)
