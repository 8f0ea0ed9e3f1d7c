"""Running a scope that is held: all waves that have something to do there, at once, until nothing is left.

    HeldScope.take ──▶ run_scope:  doubts of all waves ──▶ silence ──▶ lanes, with waves that join ──▶ given back

Invariants:
- Before the first request the channel knows what is in doubt of every wave in the scope, and for one period of the
  limit nobody has sent anything there.
- Nothing is sent once the scope is lost, nor once it is to be handed on: what is under way is answered and recorded.
- What was in doubt when a run ended is not remembered: whoever has the scope next is told by the database, also where
  that is this process again.
- It is given back whatever happens, so that another need not wait for the lease to run out.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum

from msgspec import Struct

from batcher.drs.cloud import Credential
from batcher.drs.outcome import Trouble
from batcher.errors import UserError
from batcher.journal.errors import JournalFailed, LaneLost
from batcher.journal.postgres.work import WaveWork
from batcher.life.entry import Scope
from batcher.logger import in_scope
from batcher.machines.held_scope import HeldScope
from batcher.machines.machine import Machine
from batcher.machines.wave_part import WavePart
from batcher.wave.stop import StopKind

LOOK_S = 2.0
"""How often a run of a scope looks for waves that join, and for orders, in seconds."""

_GIVE_BACK_S = 5.0  # for the database to take a lease back; else it runs out


class ScopeEndKind(Enum):
    """Why a run of a scope ended."""

    DONE = "nothing is left to do"
    HANDED_ON = "told to hand on"
    LOST = "another process has taken the scope over"
    HALTED = "nothing can be sent here"  # the credential or the way is refused, or there is none
    FAILED = "the database failed"


class ScopeEnd(Struct, frozen=True, kw_only=True):
    """How a run of a scope ended. *said* is why, for people, where there is more to say; *trouble* is what the cloud
    said where it is `HALTED`. *unrecorded* says what the cloud told and the journal could not take."""

    kind: ScopeEndKind
    said: str | None = None
    trouble: Trouble | None = None
    unrecorded: tuple[str, ...] = ()


async def run_scope(held: HeldScope, machine: Machine, hand_on: asyncio.Event, *, only: str | None = None) -> ScopeEnd:
    """Run all waves of the database that have something to do in the scope that is *held*, and give it back.

    It ends when nothing is left to do there, soon after *hand_on* is set, or when the scope is lost. *only* is the id
    of a wave: the others are left alone, but for what they have in doubt. Raises only on defects and cancellation.
    """
    in_scope(held.endpoint, held.project_id)
    run = _ScopeRun(held, machine, hand_on, only)
    keeping = asyncio.create_task(held.keep(), name=f"lease on {held.name}")
    keeping.add_done_callback(lambda done: _kept(done, held))
    try:
        end = await run.to_its_end()
    except JournalFailed as error:
        end = ScopeEnd(kind=ScopeEndKind.FAILED, said=str(error))
    except UserError as error:
        end = ScopeEnd(kind=ScopeEndKind.HALTED, said=error.message)
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        await _give_back(held)
    if not keeping.cancelled():
        keeping.result()  # raises what kept the lease from being renewed
    return end


def _kept(keeping: asyncio.Task[None], held: HeldScope) -> None:
    """The lease is renewed no more: where that was by a defect, nothing may leave by it either."""
    if not keeping.cancelled() and keeping.exception() is not None:
        held.give_up()


async def _give_back(held: HeldScope) -> None:
    giving = asyncio.ensure_future(held.give_back())
    await asyncio.wait({giving}, timeout=_GIVE_BACK_S)
    if giving.done():
        with suppress(JournalFailed, LaneLost):
            giving.result()
    else:
        giving.add_done_callback(_seen)
        giving.cancel()


def _seen(giving: asyncio.Future[None]) -> None:
    """Nobody waits for it any more: whether it worked out does not matter."""
    if not giving.cancelled():
        giving.exception()


class _ScopeRun:
    """One run of a scope."""

    def __init__(self, held: HeldScope, machine: Machine, hand_on: asyncio.Event, only: str | None) -> None:
        self._held = held
        self._machine = machine
        self._hand_on = hand_on
        self._only = only
        self._parts: dict[int, WavePart] = {}  # by the wave's number, those that are not at their end
        self._ended: dict[int, int] = {}  # likewise, those that ended here: by which version of their orders
        self._told: set[int] = set()  # waves that are not run, and whose doubts the channel knows
        self._known: list[WavePart] = []  # all of which the channel knows what is in doubt
        self._credentials: Mapping[tuple[str, str], Credential] = {}
        self._unrecorded: list[str] = []
        self._halted: Trouble | None = None
        self._failed: JournalFailed | None = None
        self._unusable: UserError | None = None
        self._is_ceding = False
        self._why = ""  # it is ceding, for people
        self._nudge = asyncio.Event()
        held.on_lost(lambda: self._cede("the lease on its scope is lost"))

    async def to_its_end(self) -> ScopeEnd:
        """See `run_scope`. Raises `JournalFailed`, `UserError`."""
        scope = Scope(0, self._held.endpoint, self._held.project_id)
        self._credentials = await self._machine.connections.credentials([scope], of=1)
        waiting = asyncio.create_task(self._wait_to_hand_on())
        try:
            opened = await self._look()
            async with asyncio.TaskGroup() as group:
                while opened or self._parts:
                    for part in opened:
                        group.create_task(self._run(part), name=f"wave {part.work.id}")
                    await self._pause()
                    if self._is_ceding:
                        break
                    opened = await self._look_again()
        finally:
            waiting.cancel()
            for part in self._parts.values():
                part.close()
            for part in self._known:
                part.forget()
        return self._end()

    async def _wait_to_hand_on(self) -> None:
        await self._hand_on.wait()
        self._cede("its scope is handed on")

    def _cede(self, why: str) -> None:
        self._is_ceding = True
        self._why = self._why or why
        self._nudge.set()
        for part in self._parts.values():
            part.cede(self._why)

    def _end(self) -> ScopeEnd:
        unrecorded, said, trouble = tuple(self._unrecorded), None, None
        if self._held.is_lost:
            kind = ScopeEndKind.LOST
        elif self._halted is not None:
            kind, trouble = ScopeEndKind.HALTED, self._halted
            said = trouble.error_msg or trouble.kind.value
        elif self._unusable is not None:
            kind, said = ScopeEndKind.HALTED, self._unusable.message
        elif self._failed is not None:
            kind, said = ScopeEndKind.FAILED, str(self._failed)
        else:
            kind = ScopeEndKind.HANDED_ON if self._is_ceding else ScopeEndKind.DONE
        return ScopeEnd(kind=kind, said=said, trouble=trouble, unrecorded=unrecorded)

    # --- waves that are there, and that join ------------------------------------------------------------------

    async def _look(self) -> list[WavePart]:
        """Open the waves that have something to do and are not run yet, and have the others heed their orders.

        Those that were opened. Raises `JournalFailed`, `UserError`.
        """
        found = await self._machine.keeper.work_in(self._held.endpoint, self._held.project_id)
        wanted = {work.number for work in found if work.wanted}
        for number, part in self._parts.items():
            part.want_verdicts(number in wanted)
        opened = []
        for work in found:
            if (running := self._parts.get(work.number)) is not None:
                if running.version != work.version:
                    await running.heed(work.version)
            elif self._ended.get(work.number) == work.version or self._is_ceding:
                continue
            elif work.is_ended or self._only not in (None, work.id):
                await self._tell_doubts(work)
            else:
                part = self._parts[work.number] = self._part(work)
                await part.open(self._credentials)
                if self._is_ceding:  # told meanwhile, when there was nothing yet that could be
                    part.cede(self._why)
                opened.append(part)
        return opened

    async def _look_again(self) -> list[WavePart]:
        """The same while some are run, which are to end in order where it fails."""
        try:
            return await self._look()
        except JournalFailed as error:
            self._failed, why = error, str(error)
        except UserError as error:
            self._unusable, why = error, error.message
        self._cede(why)
        return []

    async def _tell_doubts(self, work: WaveWork) -> None:
        """Have the channel know what a wave has in doubt that is not run here: its jobs are not free."""
        if work.number not in self._told:
            self._told.add(work.number)
            await self._part(work).tell_doubts()

    def _part(self, work: WaveWork) -> WavePart:
        part = WavePart(self._machine, self._held, work)
        self._known.append(part)
        return part

    async def _run(self, part: WavePart) -> None:
        running = self._machine.parts
        running.append(part)
        try:
            await self._be_silent(part.period_s)
            self._unrecorded += await part.run()
        finally:
            part.close()  # also where it never came to run
            running.remove(part)
            self._parts.pop(part.work.number, None)
            self._ended[part.work.number] = part.version
            self._nudge.set()
        self._halted = self._halted or part.halted
        self._unusable = self._unusable or part.unusable
        if part.stop is not None and part.stop.kind is StopKind.JOURNAL:
            self._failed = self._failed or JournalFailed(part.stop.text)

    async def _pause(self, seconds: float = LOOK_S) -> None:
        """Until it is time to look again, or something has happened here."""
        self._nudge.clear()
        if self._is_ceding:
            return
        waiting = [asyncio.ensure_future(self._nudge.wait()), asyncio.ensure_future(self._machine.clock.sleep(seconds))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _be_silent(self, period_s: float) -> None:
        """Wait until nobody but this process can have sent anything here for *period_s*: what an earlier holder sent
        counts for the limit no more then."""
        while (silent_s := self._held.silent_for_s) is not None and silent_s < period_s and not self._is_ceding:
            await self._machine.clock.sleep(min(period_s - silent_s, LOOK_S))
