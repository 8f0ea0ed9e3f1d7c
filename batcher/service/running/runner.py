"""Runs the waves that are to run: by priority, then age; each goes on by itself after whatever ended the service."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from batcher.clock import Clock, utc
from batcher.errors import UserError
from batcher.logger import get_logger
from batcher.service.kept.decisions import tally_of_journal
from batcher.service.kept.errors import StoreFailed
from batcher.service.kept.folders import DataFolder
from batcher.service.kept.register import Register, WaveRow
from batcher.service.meters import Meters
from batcher.service.models import State
from batcher.service.running.feed import Feed
from batcher.service.running.feeds import Feeds
from batcher.service.running.host import Host
from batcher.service.running.memory import MemoryReturn
from batcher.service.running.run import Run, RunOutcome, in_brief
from batcher.service.running.verbs import BUT, asked, final, is_due
from batcher.service.running.view import wave_told

log = get_logger("batcher.service")

_TICK_S = 0.25
_STORE_AGAIN_S = 5.0
_LEAVE_S = 3.0  # for a wave that is to leave at once to do so
_ACTIVE = (State.HELD, State.QUEUED, State.RUNNING, State.PAUSED, State.STOPPING)


class Runner:
    """The waves in this process. `start` takes up those that earlier processes left; `close` ends in order."""

    def __init__(
        self, register: Register, data: DataFolder, host: Host, clock: Clock, meters: Meters, *, workers: int = 1
    ) -> None:
        """Without *workers* nothing runs here."""
        self._workers = workers
        self._register = register
        self._data = data
        self._host = host
        self._clock = clock
        self._meters = meters
        self._rows: dict[str, WaveRow] = {}  # of waves that have not ended
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waits: dict[str, asyncio.TimerHandle] = {}  # waves that are tried again later
        self._feeds = Feeds()
        self._ticking: asyncio.Task[None] | None = None
        self.is_closing = False
        self._hurried = asyncio.Event()
        self._earlier: list[WaveRow] = []  # waves that an earlier process ran, and that were not long over
        self._fresh: set[str] = set()  # waves that this process began
        self._known: set[str] = set()  # waves of which is known which others ran beside them before

    async def start(self) -> None:
        """Take up what is there. Raises `StoreFailed`."""
        for row in await self._register.in_states(_ACTIVE):
            self._rows[row.id] = row
            changes: dict[str, Any] = {"state": State.QUEUED} if row.state is State.RUNNING else {}
            # The earlier process may have died before it could say how far the wave was.
            if row.is_begun and (tally := await tally_of_journal(self._data.wave(row.id, row.format))) is not None:
                changes |= {"counts": final(tally.counts), "settled": tally.settled}
            if changes:
                await self._take_up(row, changes)
        self._earlier = await self._register.begun(ended_after=self._clock.now())
        await self._host.take_note(self._earlier)
        self._ticking = asyncio.create_task(self._tick(), name="service-tick")
        self._ticking.add_done_callback(_told_of)
        self._schedule()

    async def _take_up(self, row: WaveRow, changes: Mapping[str, Any]) -> None:
        """Go on with *row* as *changes* have it; where that cannot be kept it is kept later, with what comes of it."""
        self._rows[row.id] = replace(row, **changes)
        try:
            await self._register.change(row.id, lambda _: changes)
        except StoreFailed as error:
            log.error("service.store_failed", wave=row.id, error=str(error))
            self._tell_of_trouble(row.id, error)

    def hurry(self) -> None:
        """Leave at once: what is in flight is looked up by the next start."""
        self._hurried.set()

    async def close(self, grace_s: float) -> None:
        """Have every wave settle what is in flight, for *grace_s* at most, and leave the rest to the next start."""
        if self.is_closing:
            return
        self.is_closing = True
        log.warning("service.ending", waves=len(self._runs))
        for timer in self._waits.values():
            timer.cancel()
        for run in self._runs.values():
            run.cut()
        self._feeds.wake()
        await self._ended(grace_s)
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking

    async def _ended(self, grace_s: float) -> None:
        """Wait until nothing runs any more; whoever is late is left behind."""
        hurried = asyncio.create_task(self._hurried.wait())
        late = set(self._tasks.values())
        limit = asyncio.get_running_loop().time() + grace_s
        while late and not hurried.done() and (left_s := limit - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait({*late, hurried}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            late = set(self._tasks.values())
        hurried.cancel()
        if late:
            for run in self._runs.values():
                run.abandon()
            _, late = await asyncio.wait(late, timeout=_LEAVE_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    # --- what there is ----------------------------------------------------------------------------------

    @property
    def running(self) -> Mapping[str, Run]:
        """The runs of this process, by the wave's id."""
        return self._runs

    @property
    def to_go(self) -> int:
        """How many waves run, or are to run."""
        return sum(row.state is not State.HELD for row in self._rows.values())

    def row(self, id: str) -> WaveRow | None:
        """The wave with that id, where it has not ended."""
        return self._rows.get(id)

    def told(self, row: WaveRow) -> dict[str, Any]:
        """The wave as it is told, see `WaveModel`."""
        run = self._runs.get(row.id)
        if not self._workers and row.state is State.QUEUED and row.reason is None:
            row = replace(row, reason="this service runs no waves: it was started with --workers 0")
        return wave_told(row) if run is None else wave_told(row, run.status(), run.following())

    def feed(self, id: str) -> Feed:
        """The events of a wave."""
        return self._feeds.of(id)

    def final_results(self, id: str) -> int | None:
        """How many result lines of a running wave are final; None: it does not run, and all in its file count."""
        run = self._runs.get(id)
        if run is None:
            row = self._rows.get(id)
            return None if row is None else sum(row.counts.values())
        status = run.status()
        return 0 if status is None else status.settled

    # --- what is to be done -----------------------------------------------------------------------------

    def put(self, row: WaveRow) -> None:
        """The wave *row* is new, or was changed: do what its state asks for, and tell of it."""
        if row.state in _ACTIVE:
            self._rows[row.id] = row
        else:
            self._rows.pop(row.id, None)
        run = self._runs.get(row.id)
        if run is not None:
            match row.state:
                case State.PAUSED:
                    run.pause()
                case State.RUNNING:
                    run.resume()
                case State.STOPPING:
                    run.stop(row.reason or "stopped")
                case _:
                    pass
        if timer := self._waits.pop(row.id, None):
            timer.cancel()
        self._tell(row)
        self._schedule()

    def keep(self, row: WaveRow) -> None:
        """Something was noted about *row* that changes nothing for it."""
        if row.id in self._rows:
            self._rows[row.id] = row

    def _schedule(self) -> None:
        if self.is_closing or not self._workers:
            return
        waiting = [row for row in self._rows.values() if row.id not in self._tasks and is_due(row)]
        beside = [self._rows[id] for id in self._runs if id in self._rows]
        for row in sorted(waiting, key=lambda row: (-row.priority, row.number)):
            if row.id not in self._waits and self._host.may_begin(row, beside):
                self._begin(row)
            beside.append(row)  # nobody overtakes it in its scopes

    def _begin(self, row: WaveRow) -> None:
        folder = self._data.wave(row.id, row.format)
        try:
            wave = self._host.wave(row)
        except UserError as error:
            log.error("service.wave_refused", wave=row.id, error=error.message)
            reason = in_brief(error.message)
            outcome = RunOutcome(state=State.STOPPED, exit_code=error.exit_code, reason=reason)
            self._own(row.id, self._end(row.id, outcome))
            return

        async def opened() -> None:
            self._measure(row.id, run)  # what earlier runs came to is not counted again
            deadline, now = run.settings.deadline, self._clock.now()
            changes: dict[str, Any] = {"retry_failed": False}
            if deadline is not None and row.deadline_at is None:
                changes["deadline_at"] = now + deadline.seconds_from(utc(now))
            await self._keep(row.id, lambda _: changes)

        run = self._runs[row.id] = Run(wave, folder.results, opened)
        if row.state is State.PAUSED:
            run.pause()
        if row.state is State.STOPPING:
            run.stop(row.reason or "stopped")
        self._own(row.id, self._play(row, run))

    async def _learn_beside(self, row: WaveRow) -> None:
        """Find out which waves earlier processes ran beside *row*; as often as it takes, for it may send nothing
        without."""
        while row.id not in self._known:
            earlier = self._earlier
            try:
                if row.is_begun and row.started_at is not None:
                    earlier = await self._register.begun(ended_after=row.started_at)
            except StoreFailed as error:
                log.error("service.store_failed", wave=row.id, error=str(error))
                await asyncio.sleep(_STORE_AGAIN_S)
                continue
            self._host.set_beside(row, (other for other in earlier if other.id not in self._fresh))
            self._known.add(row.id)

    def _own(self, id: str, work: Coroutine[Any, Any, None]) -> None:
        """Have *work* for a wave done in a task; what it fails with is never lost."""
        task = self._tasks[id] = asyncio.create_task(work, name=f"wave {id}")

        def done(task: asyncio.Task[None]) -> None:
            if self._tasks.get(id) is task:
                del self._tasks[id]
            if not task.cancelled() and (defect := task.exception()) is not None:
                log.error("service.wave_failed", wave=id, exc_info=defect)
            self._schedule()

        task.add_done_callback(done)

    async def _play(self, row: WaveRow, run: Run) -> None:
        now = self._clock.now()

        def begun(row: WaveRow) -> dict[str, Any]:
            changes = {"is_begun": True, "runs": row.runs + 1, "started_at": row.started_at or now, "ended_at": None}
            fresh = {"state": State.RUNNING, "reason": None, "exit_code": None}
            return {**changes, **(fresh if row.state is State.QUEUED else {"reason": asked(row) or None})}

        await self._learn_beside(row)
        if not row.is_begun:
            self._fresh.add(row.id)
        await self._keep(row.id, begun)
        log.info("service.wave_begun", wave=row.id, name=row.name)
        outcome = await run.play()
        del self._runs[row.id]
        self._measure(row.id, run)
        self._meters.end(row.id)
        if run.is_cut and outcome.state is State.STOPPED:
            if outcome.counts is not None:
                counts = final(outcome.counts)
                await self._keep(row.id, lambda _: {"counts": counts})
            return
        await self._end(row.id, outcome)

    async def _end(self, id: str, outcome: RunOutcome) -> None:
        now, row = self._clock.now(), self._rows.get(id)
        tally = None
        if row is not None and row.is_begun:
            tally = await tally_of_journal(self._data.wave(id, row.format))
        counts = outcome.counts or (tally and tally.counts)

        def ended(row: WaveRow) -> dict[str, Any]:
            changes: dict[str, Any] = {"state": outcome.state, "reason": outcome.reason, "exit_code": outcome.exit_code}
            for name, counted in (("counts", counts), ("verdicts", outcome.verdicts)):
                if counted is not None:
                    changes[name] = counted
            if tally is not None:
                changes |= {"settled": tally.settled, "to_rule": tally.to_rule}
            if outcome.again_s is None:
                changes["ended_at"] = now
            elif row.state in (State.PAUSED, State.STOPPING):
                changes["state"] = row.state  # that was asked for, and is done when it goes on
                changes["reason"] = f"{asked(row)}{BUT}{outcome.reason}"
            return changes

        log.info(
            "service.wave_ended",
            wave=id,
            state=outcome.state.value,
            exit_code=outcome.exit_code,
            reason=outcome.reason,
        )
        await self._keep(id, ended)
        if outcome.again_s is not None and not self.is_closing:
            loop = asyncio.get_running_loop()
            self._waits[id] = loop.call_later(outcome.again_s, self._try_again, id)

    def _try_again(self, id: str) -> None:
        self._waits.pop(id, None)
        self._schedule()

    async def _keep(self, id: str, decide: Callable[[WaveRow], Mapping[str, Any]]) -> None:
        """Have a change on disk and told; as often as it takes, for what has happened cannot be refused."""
        while True:
            try:
                row = await self._register.change(id, decide)
                break
            except StoreFailed as error:
                log.error("service.store_failed", wave=id, error=str(error))
                if self.is_closing:
                    return
                self._tell_of_trouble(id, error)
                await asyncio.sleep(_STORE_AGAIN_S)
        assert row is not None  # noqa: S101 - waves are never removed
        if row.is_final:
            self._rows.pop(id, None)
        else:
            self._rows[id] = row
        self._tell(row)

    # --- telling of it ----------------------------------------------------------------------------------

    def _tell(self, row: WaveRow) -> None:
        self._feeds.tell(row.id, self.told(row), goes_on=row.id in self._runs)

    def _tell_of_trouble(self, id: str, error: StoreFailed) -> None:
        """That cannot be kept, but whoever looks sees why nothing moves."""
        if (row := self._rows.get(id)) is not None:
            self._rows[id] = replace(row, reason=f"{error}. It is tried again by itself")
            self._tell(self._rows[id])

    def _measure(self, id: str, run: Run) -> None:
        """Count what the run of wave *id* did since it was last looked at."""
        status, following = run.status(), run.following()
        if status is not None:
            verdicts = None if following is None else {v.value: count for v, count in following.verdicts.items()}
            self._meters.look(id, status, verdicts)

    async def _tick(self) -> None:
        """Tell how far the running waves are, and let those who read lines look again."""
        settled: dict[str, tuple[int, int]] = {}
        memory, has_run = MemoryReturn(self._clock.monotonic), False
        while True:
            await asyncio.sleep(_TICK_S)
            if has_run and not self._tasks:
                has_run = not await memory.when_idle()
            has_run = has_run or bool(self._tasks)
            for id in list(self._runs):
                row = self._rows.get(id)
                if row is None:
                    continue
                run = self._runs[id]
                status, following = run.status(), run.following()
                if status is None:
                    continue
                self._measure(id, run)
                now = status.settled, 0 if following is None else following.decided
                before = settled.get(id, (0, 0))
                self._tell(row)
                for name, new, old in zip(("results", "verdicts"), now, before, strict=True):
                    if new != old:
                        self.feed(id).publish(name, {"sequence": new})
                settled[id] = now
            for id in settled.keys() - self._runs.keys():
                del settled[id]
            self._feeds.tidy(self._rows)


def _told_of(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (defect := task.exception()) is not None:
        log.error("service.wave_failed", wave=None, exc_info=defect)
