"""A wave in a database that machines share, as it would be had they run it: copied from one that ran on a file."""

from batcher.journal.ops import Happened, Op, Settled
from batcher.journal.port import MutableRecord, Record


def copied(source: Record, to: MutableRecord, *, settled: int | None = None) -> None:
    """Plan the wave of *source* in *to*, with what happened to its first *settled* results; None: to all."""
    count = source.entry_count()
    with to.planning() as plan:
        for scope in source.scopes():
            plan.add_scope(scope)
        plan.add_entries(entry for index in range(count) if (entry := source.entry(index)) is not None)
        facts = source.facts()
        plan.finish({name: facts[name] for name in ("digest", "manifest", "settings") if name in facts})
    settle(source, to, 0, settled)


def settle(source: Record, to: MutableRecord, first: int, end: int | None = None) -> None:
    """Have happen in *to* what happened in *source*, from its result number *first* on, up to number *end*."""
    numbered = sorted(
        (found[0], index, found) for index in range(source.entry_count()) if (found := source.result_of(index))
    )
    for _, index, (_, status, line) in numbered[first:end]:
        events: list[Op] = [Happened(index=index, event=event) for event in source.events(index)]
        to.commit([*events, Settled(index=index, status=status, line=line)])
