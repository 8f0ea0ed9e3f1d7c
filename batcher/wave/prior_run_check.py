"""A resumed wave looks before it sends: another run may have gone on with a newer journal than this one.

A restored snapshot, or a folder that was copied and continued in both places, leaves nothing beside the journal that
tells. What tells is the cloud: comparisons that nothing in this journal made, and that are newer than the wave.
The run that went on sent first what this one would send first. So the first few entries are looked up before they are
sent; if one of them shows such a comparison, every entry is, and what has one is left to a person.
"""

import asyncio
from collections.abc import Iterable, Mapping

from batcher.channel.cloud_clock import CloudClock
from batcher.channel.scope_reader import ScopeReader
from batcher.drs.outcome import Comparison, Half, Trouble
from batcher.journal.ops import Noted
from batcher.journal.port import Record
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Suspected, task_ids
from batcher.life.policy import LookFirst
from batcher.life.reconcile import Others, types_of
from batcher.pace.fair_semaphore import PartyClosed
from batcher.wave.agenda import Agenda, HeldEntry
from batcher.wave.context import Context, log
from batcher.wave.entry_state_machine import EntryStateMachine

LOOKS_FIRST = "look_first"  # the fact in the journal that every entry is to be looked up before it is sent
_KNOWN = 20  # entries among which one without a start time is looked for
_DOUBT_S = 600.0  # by how much a gateway's clock may differ from the cloud's, where nothing tells the cloud's own

_NEWER = (
    "{} on this job is newer than the wave, and nothing in the journal made it: another run may have gone on with a "
    "newer journal. If so, put that one back. If others made it, run the same command again with "
    "--look-first never; or look in the console and record what is true with `batcher settle`"
)
_FAILED = (
    "the journal may be older than what happened, and the job's comparisons could not be listed to see. Put the newest "
    "journal back; or look in the console and record what is true with `batcher settle`"
)


class PriorRunCheck:
    """Says of each entry of one scope, before this run first sends it, whether another run may have sent it."""

    def __init__(
        self,
        scope: Scope,
        context: Context,
        reader: ScopeReader,
        machine: EntryStateMachine,
        agenda: Agenda,
        cloud_clock: CloudClock,
        *,
        look_first: LookFirst,
        begun_at: float | None,
    ) -> None:
        """*begun_at* is when an earlier run planned the wave, Unix seconds by our clock; None: this run did."""
        self._scope = scope
        self._context = context
        self._reader = reader
        self._machine = machine
        self._agenda = agenda
        self._cloud_clock = cloud_clock
        self._begun_at = begun_at
        self._always = look_first is LookFirst.ALWAYS and begun_at is not None
        self._probes = 0 if begun_at is None or look_first is not LookFirst.AUTO else context.policy.probes
        self._alone = asyncio.Lock()
        self._since: float | None = None
        self._knows_since = False

    def is_due(self, held: HeldEntry) -> bool:
        """Whether anything is left to be asked of *held*; if not, it may be sent."""
        return (self._always or self._probes > 0) and held.sent_at is None

    async def clears(self, held: HeldEntry) -> bool:
        """Whether *held*, of which that is due, may be sent. If not it was led on, or the scope may not ask."""
        if not self._always:
            async with self._alone:  # the others wait for what the first ones show
                if not self._always:
                    if not self._probes:
                        return True
                    self._probes -= 1
                    return await self._look(held)
        return await self._look(held)

    def tells_nothing(self, held: HeldEntry) -> None:
        """*held* was refused: so it would have been to another run, and that it is not there says nothing of one."""
        if held.probed and not self._always and self._probes < self._context.policy.probes:
            held.probed = False
            self._probes += 1

    async def _look(self, held: HeldEntry) -> bool:
        began, timebase = self._context.clock.monotonic(), self._context.clock.timebase
        try:
            listed = await self._reader.comparisons(held.entry.job_id)
            await self._learn_since()
        except PartyClosed:
            return False
        if listed is None:
            return False
        if isinstance(listed.comparisons, Trouble):
            return await self._failed(held)
        others = await self._machine.others(held.entry)
        newer = unknown_and_newer(
            held.entry,
            held.state.to_ask,
            listed.comparisons,
            known=held.state.known | _made_by(others, held),
            since=None if self._since is None else self._since - self._context.policy.slack_s,
        )
        if not newer:
            held.probed = True
            held.saw(listed.comparisons, began, timebase)
            return True
        if not self._always:
            self._always = True
            await self._context.record(Noted(name=LOOKS_FIRST, value=True))
            log.warning(
                "journal.outdated",
                key=held.entry.key,
                newer=[task_id for ids in newer.values() for task_id in ids],
            )
        named = ", ".join(task_id for ids in newer.values() for task_id in ids)
        await self._suspect(held, newer, _NEWER.format(named))
        return False

    async def _failed(self, held: HeldEntry) -> bool:
        """A look-up that fails tells nothing, and is made again; in the end another entry has to tell. But where all
        are looked up nothing is sent without."""
        held.failed_looks += 1
        if not self._always:
            self._probes += 1
        if held.failed_looks < self._context.policy.failed_looks:
            self._agenda.again(held, min(2.0**held.failed_looks, self._context.policy.look_again_s))
        elif not self._always:
            self._probes -= 1
            return True
        else:
            await self._suspect(held, dict.fromkeys(held.state.to_ask, ()), _FAILED)
        return False

    async def _suspect(self, held: HeldEntry, newer: Mapping[Half, tuple[str, ...]], why: str) -> None:
        event = Suspected(at=self._context.clock.now(), halves=newer, since=self._since, why=why)
        await self._machine.next(held, event)

    async def _learn_since(self) -> None:
        """Find out when the wave was planned, by the cloud's clock: what is newer, another run of it can have made.

        Best by the cloud's own time of what was created first, less the time that it took until then. Where nothing
        was created yet, by `Date`, which somebody on the way may have written: so with a wide margin. Raises
        `PartyClosed`.
        """
        if self._knows_since or self._begun_at is None:
            return
        known = await self._context.ask(Record.first_created, self._scope.number, _KNOWN)
        for entry, events in known:
            if entry.start_time is not None:
                continue  # it may be listed under that
            listed = await self._reader.comparisons(entry.job_id)
            if listed is not None and not isinstance(listed.comparisons, Trouble):
                ids = task_ids(events)
                stamps = [c.create_time for c in listed.comparisons if c.compare_task_id in ids and c.create_time]
                took_s = max(event.at for event in events) - self._begun_at
                self._since = max(stamps) / 1000 - max(took_s, 0.0) if stamps else None
            break
        if self._since is None:
            ago_s = self._context.clock.now() - self._begun_at
            now = self._cloud_clock.now() or self._cloud_clock.by_date(self._context.clock.monotonic())
            self._since = None if now is None else now.earliest - ago_s - _DOUBT_S
        self._knows_since = True


def _made_by(others: Others, held: HeldEntry) -> frozenset[str]:
    return others.made | {half.made for half in held.state.halves.values() if half.made is not None}


def unknown_and_newer(
    entry: PlannedEntry,
    halves: Iterable[Half],
    comparisons: Iterable[Comparison],
    *,
    known: frozenset[str],
    since: float | None,
) -> dict[Half, tuple[str, ...]]:
    """The *comparisons* that a request for these *halves* of *entry* would make again, should it have left already.

    They have the type, are not *known*, and were created after *since* by the cloud's clock (None: any may have been).
    """
    found: dict[Half, tuple[str, ...]] = {}
    listed = tuple(comparisons)
    for half in sorted(halves):
        types = types_of(half, entry)
        ids = tuple(
            c.compare_task_id
            for c in listed
            if c.compare_type in types
            and c.compare_task_id not in known
            and (since is None or c.create_time is None or c.create_time / 1000 > since)
        )
        if ids:
            found[half] = ids
    return found
