"""One scope of a wave: its entries, its workers, its end. All that the scope has beside belongs to its channel.

What holds here:

- What an earlier run left open is taken up before anything new is planned; a doubt is known to the channel, and looked
  up, before anything else is done for its entry.
- Nothing is sent, nor waits to be sent, for a job of which a doubt has not been taken up: doubts go first, and one that
  is still to be read is read for it. So two entries of a job never wait for each other, one in the channel and the
  other behind it here.
- An entry is sent once its wave's own pace lets it go, with its job in hand and admitted, in this order: nothing that
  other waves wait for is held while it waits for its own.
- Its job is free after each step that leaves no doubt, before any other worker can have the entry.
- Memory is bounded: entries are read on when the workers are about to run dry, and not while too much waits.
- It ends when all is settled, after `stop` or `cede`, or when its channel halts; then nothing of it is left in the
  channel but its doubts.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from batcher.channel.job_claims import Who
from batcher.channel.passes import Pass
from batcher.channel.read_terms import LooksForWave
from batcher.channel.scope_reader import ScopeReader
from batcher.drs.outcome import Trouble
from batcher.holding.admission import Admitted, Refused, Waits, WaitsFor
from batcher.journal.errors import JournalFailed, LaneLost
from batcher.journal.ops import ClockNoted
from batcher.journal.port import MOST_BYTES, Record
from batcher.life.decide import LookUp, Send, Settle, not_admitted
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.policy import LookFirst, Reconcile
from batcher.life.state import EntryState, fresh, history
from batcher.logger import in_scope
from batcher.pace.fair_semaphore import PartyClosed, PartyPaused
from batcher.wave.agenda import Agenda, HeldEntry
from batcher.wave.attempt import Attempts
from batcher.wave.context import Context
from batcher.wave.entry_state_machine import EntryStateMachine
from batcher.wave.look_sign import LookSign
from batcher.wave.look_up import LookUps
from batcher.wave.prior_run_check import PriorRunCheck
from batcher.wave.status import ScopeStatus

_BATCH = 256  # entries read from the plan at a time
_LOOKERS = 2  # beside the workers
_OFTEN = 4  # steps: how many workers it takes is measured anew with each, and changes little
_SPARE = 8  # workers: one of so many is kept beyond need, as the need goes up and down with every answer
_OPEN_IN_ORDER: tuple[Callable[[EntryState], bool], ...] = (
    lambda state: state.in_doubt,
    lambda state: state.exists,
    lambda _: True,
)
_BATCHES = 8  # that fit into a lane's share of the memory, at least, where entries are large


class Lane:
    """Runs the entries of one scope to their results. `run` ends when all are settled, or after `stop`."""

    def __init__(
        self,
        scope: Scope,
        through: Pass,
        context: Context,
        *,
        share: int = 1,
        look_first: LookFirst = LookFirst.NEVER,
        begun_at: float | None = None,
    ) -> None:
        """One of *share* lanes, who share the memory that the policy allows. For the rest see `PriorRunCheck`."""
        self.scope = scope
        self._most_bytes = max(1, context.policy.held_bytes // share)
        self._held_back: Counter[WaitsFor] = Counter()  # entries that the admission keeps waiting
        self._context = context
        self._agenda = Agenda(context.clock)
        self.channel_pass = through
        through.on_halt = self._halt
        self._jobs = through.jobs
        self._machine = EntryStateMachine(context, self._agenda, through)
        terms = LooksForWave(through, context.clock, LookSign(context).leave)
        reader = ScopeReader(through, context.clock, terms)
        prior_run = PriorRunCheck(
            scope,
            context,
            reader,
            self._machine,
            self._agenda,
            through.cloud_clock,
            look_first=LookFirst.NEVER if context.policy.reconcile is Reconcile.OFF else look_first,
            begun_at=begun_at,
        )
        self._attempts = Attempts(through, context, self._machine, reader, prior_run)
        self._look_ups = LookUps(through, context, self._machine, reader)
        self._workers: asyncio.TaskGroup | None = None
        self._hired = 0
        self._steps = 0  # of workers
        self._stopping = False
        self._ceded = False
        self._lease: int | None = None
        self._taken: set[int] = set()  # entries that were open at the beginning, as far as they have been taken up
        self._knows_doubts = False  # all that were there at the beginning have been
        self._room = asyncio.Event()

    @property
    def halted(self) -> Trouble | None:
        """Why the scope stopped for good: its credential was refused, or the way to the cloud."""
        return self.channel_pass.halted

    async def take_note(self) -> None:
        """Let the other waves of the process know what is in doubt here: before any of them sends, where all are opened
        first. Raises `JournalFailed`."""
        after = -1
        while not self.channel_pass.channel.private:
            batch = await self._context.ask(
                Record.open_entries, scope=self.scope.number, after=after, limit=_BATCH, most_bytes=self._batch_bytes
            )
            if not batch:
                return
            for entry, events in batch:
                held = HeldEntry(entry, history(entry.asked, events))
                if held.state.in_doubt:
                    self._jobs.doubt(self._who(held), held)
            after = batch[-1][0].index

    def leave(self) -> None:
        """Wait for nothing any more in the channel; what is in doubt is known there until it can land no more."""
        self._jobs.leave(self.channel_pass.wave, self._machine.lands_within_s)

    async def run(self, lease: int | None = None) -> None:
        """Take up what an earlier process left open, then everything planned, by the lease of that number."""
        self._lease = lease
        in_scope(self.scope.endpoint, self.scope.project_id)
        if self.halted is not None:  # the channel let it in no more
            self._halt()
        try:
            async with asyncio.TaskGroup() as group:
                self._workers = group
                group.create_task(self._produce())
                self._hire()
                for _ in range(_LOOKERS):
                    group.create_task(self._look())
        finally:
            self._workers = None
            self.channel_pass.end()
            self.leave()

    def set_concurrency(self, concurrency: int) -> None:
        """So many requests may be in flight from now on; what is in flight is not touched."""
        self.channel_pass.resize(concurrency)
        self._hire()

    def _hire(self) -> None:
        if self._workers is not None:
            while self._hired < self.channel_pass.slots.workers:
                self._hired += 1
                self._workers.create_task(self._work())

    def stop(self) -> None:
        """Send nothing new. What is in flight is awaited; a fresh doubt is looked up once."""
        self._stopping = True
        self.channel_pass.stop()
        self._agenda.stop()
        self._room.set()

    def cede(self) -> None:
        """Send and look up nothing more: what is under way is awaited, what is in doubt is for whoever has the scope
        next."""
        self._ceded = True
        self.stop()
        self.channel_pass.close()

    def _halt(self) -> None:
        """The credential or the way is refused: nothing more can be sent or looked up in this scope."""
        self.stop()
        if self.halted is not None:
            self._context.admission.halted(self.scope, self.halted)

    async def _produce(self) -> None:
        try:
            await self._read_open()
            await self._read_plan()
            self._agenda.complete()
        except (JournalFailed, LaneLost):
            pass  # the wave is stopping for it, or the lane

    async def _read_open(self) -> None:
        """Take up what has begun: a doubt is looked up before anything else is done for its entry.

        First come doubts, as nothing else of their job is sent before they are settled, then all others of which a
        comparison may exist: they may take a place that another of their job waits for.
        """
        for is_next in _OPEN_IN_ORDER:
            after = -1
            while not self._stopping:
                batch = await self._context.ask(
                    Record.open_entries, self.scope.number, after, _BATCH, self._batch_bytes
                )
                if not batch:
                    self._knows_doubts = True  # they are the first that are looked for
                    break
                for entry, events in batch:
                    if entry.index not in self._taken and is_next(state := history(entry.asked, events)):
                        self._take_up(entry, state)
                after = batch[-1][0].index
                await self._wait_for_room()

    def _take_up(self, entry: PlannedEntry, state: EntryState) -> None:
        self._taken.add(entry.index)
        held = HeldEntry(entry, state, lease=self._lease)
        if state.in_doubt:
            self._jobs.doubt(self._who(held), held)
        self._machine.take_up(held)

    async def _take_up_doubts_beside(self, entry: PlannedEntry) -> None:
        """Take up what is in doubt of the job of *entry* in this wave, and has not been read yet."""
        for other, events in await self._context.ask(Record.others_of_job, entry):
            is_own = other.wave_entries is not None
            if is_own and other.index not in self._taken and (state := history(other.asked, events)).in_doubt:
                is_open = await self._context.ask(Record.result_of, other.index) is None
                if is_open and other.index not in self._taken:  # nor was it read meanwhile
                    self._take_up(other, state)

    async def _read_plan(self) -> None:
        after = -1
        while not self._stopping:
            batch = await self._context.ask(Record.planned, self.scope.number, after, _BATCH, self._batch_bytes)
            if not batch:
                return
            for entry in batch:
                self._agenda.add(HeldEntry(entry, fresh(entry.asked), lease=self._lease))
            after = batch[-1].index
            await self._wait_for_room()

    @property
    def _batch_bytes(self) -> int:
        return min(MOST_BYTES, self._most_bytes // _BATCHES)

    async def _wait_for_room(self) -> None:
        """Read on when the workers are about to run dry, unless too much waits already."""
        policy = self._context.policy
        while not self._stopping and (
            self._agenda.ready > max(_BATCH // 2, self.channel_pass.slots.workers)
            or self._agenda.size - self.held_back >= policy.held
            or self.held_back >= policy.set_aside
            or self._agenda.bytes >= self._most_bytes
        ):
            self._room.clear()
            await self._room.wait()

    async def _work(self) -> None:
        try:
            while (held := await self._agenda.next()) is not None and not self._ceded:
                await self._step(held)
                self._jobs.after(self._who(held), held)
                self._room.set()
                self._steps += 1
                if self._steps % _OFTEN == 0:
                    workers = self.channel_pass.slots.workers
                    if self._hired > workers + workers // _SPARE:
                        self._hired -= 1
                        return
                    if self._hired < workers:
                        self._hire()
        except (JournalFailed, LaneLost):
            pass  # the wave is stopping for it, or the lane

    async def _look(self) -> None:
        """Look doubts up that are due, also while every worker waits for its turn to send."""
        try:
            while (held := await self._agenda.next(looks=True)) is not None and not self._ceded:
                await self._step(held)
                self._jobs.after(self._who(held), held)
                self._room.set()
        except (JournalFailed, LaneLost):
            pass  # the wave is stopping for it, or the lane

    def _step(self, held: HeldEntry) -> Coroutine[Any, Any, None]:
        """What is to be done for *held* next."""
        match held.action:
            case Send():
                return self._send(held)
            case LookUp():
                return self._look_ups.make(held)
            case Settle() as action:
                return self._machine.settle(held, action)
            case _:
                assert_never(held.action)

    async def _send(self, held: HeldEntry) -> None:
        """Send *held*, once its wave's own pace lets it go, it has its job in hand and it is admitted.

        A doubt of its job goes first: the job is not in hand before that is settled.
        """
        if held.entry.shares_job and not self._knows_doubts:
            await self._take_up_doubts_beside(held.entry)
        if self._agenda.doubt_first(held):
            return
        waits_for: list[WaitsFor] = []
        through = self.channel_pass

        def again() -> None:
            self._held_back.subtract(waits_for)
            self._agenda.again(held, 0.0)

        try:
            if not through.sends.free:
                await through.sends.until_free()
            turn = through.turn()
            if not turn.is_paced:
                await turn.pace()
            try:
                if not self._jobs.take(self._who(held), held, again):
                    self._wait(WaitsFor.JOB, waits_for)
                    return
                match self._context.admission.ask(held.entry, again):
                    case Admitted():
                        await self._attempts.make(held, turn)
                    case Waits(what):
                        self._wait(what, waits_for)
                    case Refused(trouble):
                        await self._machine.settle(held, not_admitted(held.state, trouble))
                    case other:
                        assert_never(other)
            finally:
                turn.unpace()
        except PartyPaused:
            self._agenda.again(held, 0.0)
        except PartyClosed:
            pass  # it is resumable

    def _wait(self, what: WaitsFor, waits_for: list[WaitsFor]) -> None:
        waits_for.append(what)
        self._held_back[what] += 1

    def _who(self, held: HeldEntry) -> Who:
        return self.channel_pass.wave, held.entry.index

    @property
    def held_back(self) -> int:
        """Entries that the admission keeps waiting, or another entry of their job."""
        return self._held_back.total()

    @property
    def has_an_end(self) -> bool:
        """Whether its end can be foretold: not while it stands still, or waits for jobs to get ready."""
        return not self.channel_pass.stands_still and not self._held_back[WaitsFor.READINESS]

    @property
    def waiting(self) -> int:
        """Entries that wait for their next step."""
        return self._agenda.waiting + self.held_back

    @property
    def due_in_s(self) -> float:
        """The least that it still takes: until something is due, and until nothing that was looked for in vain can land
        any more."""
        return max(self._agenda.due_in_s, self._machine.doubts_end_in_s)

    async def note_clock(self) -> None:
        """Keep in the journal how far the cloud's clock is ahead of ours."""
        offset = self.channel_pass.cloud_clock.offset_s
        if offset is not None:
            await self._context.record(ClockNoted(scope=self.scope.number, offset_s=round(offset, 3)))

    def status(self, entries: int, settled_before: int) -> ScopeStatus:
        """Where the scope stands."""
        halted = self.halted
        return ScopeStatus(
            endpoint=self.scope.endpoint,
            project_id=self.scope.project_id,
            entries=entries,
            settled=settled_before + self._machine.settled,
            in_flight=self._attempts.in_flight,
            sent=self._attempts.sent,
            rate_text=self.channel_pass.rate_text,
            paused_until_s=None if halted else self.channel_pass.paused_until_s,
            reason=halted.error_msg if halted else self.channel_pass.reason,
            held_for_readiness=self._held_back[WaitsFor.READINESS],
            held_for_place=self._held_back[WaitsFor.PLACE],
            doubts_end_in_s=self._machine.doubts_end_in_s,
        )
