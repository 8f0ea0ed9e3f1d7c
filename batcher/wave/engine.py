"""The engine: a planned wave, run to its end. It owns the lanes and the one way in which a wave stops early."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import Struct

from batcher import exits
from batcher.channel.passes import Pass
from batcher.clock import Clock, utc
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.holding.admission import Admission, AdmitAll
from batcher.journal.errors import JournalFailed, LaneLost
from batcher.journal.ops import Noted
from batcher.journal.port import Journal, Record
from batcher.life.entry import Scope
from batcher.life.policy import LookFirst, Policy
from batcher.life.result import Status
from batcher.life.state import history
from batcher.wave.collector import Collector, NoLines, stop_for
from batcher.wave.context import Boundary, Context, MayLeave, OnResult, log, unwatched
from batcher.wave.controls import Controls
from batcher.wave.lane import Lane
from batcher.wave.rebuild import provisional_line
from batcher.wave.sink import Sink, SinkFailed
from batcher.wave.status import WaveCounts, WaveStatus
from batcher.wave.stop import HowHard, Stop, StopKind, Stopping

P = ParamSpec("P")
T = TypeVar("T")
_TAIL = 500  # provisional lines written at a time
_EXIT_CODES = {**exits.OF_SIGNALS, StopKind.READER.name: exits.SIGPIPE}
_ASKED_AGAIN = 3  # times that the journal is asked anew, should it fail, for what is needed at the end


class WaveEnd(Struct, frozen=True, kw_only=True):
    """How a run of a wave ended. *stop* is None where every entry was settled.

    *halted* are the scopes that stopped for good (a credential refused, no way to the cloud), with the reason.
    *unrecorded* says what the cloud told and the journal could not take. *goes_on*: others go on with the wave, and
    only this run of it was stopped.
    """

    stop: Stop | None
    halted: Mapping[Scope, Trouble]
    status: WaveStatus
    unrecorded: tuple[str, ...]
    goes_on: bool = False

    @property
    def exit_code(self) -> int:
        """What `batcher run` exits with; see `batcher.exits`."""
        if self.stop is not None:
            return _EXIT_CODES.get(self.stop.kind.name, exits.STOPPED)
        if self.halted:
            return exits.STOPPED
        if self.status.unsettled:
            return exits.UNSETTLED
        return exits.CREATED if self.status.created == self.status.entries else exits.INCOMPLETE


class RunStart(Struct, frozen=True, kw_only=True):
    """What the journal says at the beginning of a run. *last_sign_s* is how long ago an earlier run last recorded
    something, by our clock (so it may be wrong, and even negative), and *begun_at* when it planned the wave, Unix
    seconds by that clock; None: there was none."""

    entries: int
    settled: Mapping[Status, int]
    scopes: Mapping[Scope, int]
    settled_by_scope: Mapping[int, int]
    next_seq: int
    last_sign_s: float | None = None
    begun_at: float | None = None
    look_first: LookFirst = LookFirst.AUTO

    def left_in(self, scope: Scope) -> int:
        """How many entries of *scope* have no result yet."""
        return self.scopes[scope] - self.settled_by_scope.get(scope.number, 0)


class Engine:
    """Runs what the journal has planned, through the clouds, into the sink."""

    def __init__(
        self,
        *,
        start: RunStart,
        policy: Policy,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        sink: Sink | None,
        passes: Mapping[Scope, Pass],
        on_result: OnResult,
        stopping: Stopping,
        watch: Boundary = unwatched,
        admission: Admission | None = None,
        ends_at: float | None = None,
        may_leave: MayLeave | None = None,
        others_sent_until: float = -inf,
    ) -> None:
        """*ends_at* is a deadline, in monotonic seconds: nothing new is sent after it. Without a *sink*, lines are
        somebody else's to write, and the engine is for `run_part`. For the last two see `Context`."""
        self._start = start
        self._sink = sink
        self._stopping = stopping
        self._alarm: asyncio.TimerHandle | None = None
        self._ends_at = ends_at
        self._is_stopping = False
        self._ended = False
        self._tasks: list[asyncio.Task[None]] = []
        self._context = Context(
            policy=policy,
            clock=clock,
            rng=rng,
            journal=journal,
            collector=NoLines(stopping) if sink is None else Collector(sink, start.next_seq, stopping),
            counts=WaveCounts(clock, start.entries, dict(start.settled)),
            stopping=stopping,
            on_result=on_result,
            watch=watch,
            admission=admission or AdmitAll(),
            may_leave=may_leave,
            others_sent_until=others_sent_until,
        )
        self._lanes = {
            scope: Lane(
                scope,
                passes[scope],
                self._context,
                share=len(start.scopes),
                look_first=start.look_first,
                begun_at=start.begun_at,
            )
            for scope in start.scopes
        }
        self.controls = Controls(tuple(self._lanes.values()), clock)
        if start.last_sign_s is not None:
            for lane in self._lanes.values():
                lane.channel_pass.go_on_after(start.last_sign_s, policy.leave_s)
        stopping.observe(self._told_to_stop)

    @property
    def reads(self) -> Mapping[Scope, Pass]:
        """What each scope's look-ups go through, also after the run: for whoever follows what was created."""
        return {scope: lane.channel_pass for scope, lane in self._lanes.items()}

    def _told_to_stop(self) -> None:
        """The wave is to stop, or to stop harder."""
        why = self._stopping.why
        if why is not None and not self._is_stopping:
            self._is_stopping = True
            signal = {"signal": why.kind.name} if why.kind.is_signal else {}
            if why.kind is StopKind.SUSPENDED:
                log.info("wave.left", reason=why.text)
            else:
                log.warning("wave.stopping", reason=why.text, **signal)
            for lane in self._lanes.values():
                lane.stop()
            if not self._ended:
                grace_s = self._context.policy.grace_s
                self._alarm = asyncio.get_running_loop().call_later(grace_s, self._stopping.stop, why, HowHard.CUT_OFF)
        if self._stopping.how >= HowHard.CUT_OFF:
            for task in self._tasks:
                task.cancel()

    def _set_deadline(self) -> asyncio.TimerHandle | None:
        if self._ends_at is None:
            return None
        left_s = max(0.0, self._ends_at - self._context.clock.monotonic())
        reached = Stop(StopKind.DEADLINE, "the deadline is reached")
        return asyncio.get_running_loop().call_later(left_s, self._stopping.stop, reached)

    async def take_note(self) -> None:
        """Let the other waves of the process know what is in doubt here. Raises `JournalFailed`."""
        for lane in self._lanes.values():
            await lane.take_note()

    def leave(self) -> None:
        """Wait for nothing in the channels any more: the wave is not run, or has ended."""
        for lane in self._lanes.values():
            lane.leave()

    async def run_lane(self, scope: Scope, lease: int | None = None) -> None:
        """Run the lane of *scope* to its end, by the lease of that number, which stands in each of its intents.

        Lanes know nothing of each other: a process may run some of a wave's, each for as long as it has the lease.
        """
        await self._lanes[scope].run(lease)

    async def run_part(self, scope: Scope, lease: int) -> tuple[str, ...]:
        """Run the lane of *scope* to its end by that lease, where other processes may run the wave's other scopes.

        No line is written, and nothing is said of what stays open. Returns what the cloud told and the journal could
        not take. Raises only on defects and cancellation.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._tasks = [group.create_task(self.run_lane(scope, lease))]
                if self._stopping.how >= HowHard.CUT_OFF:
                    self._told_to_stop()
        finally:
            self._ended = True
            if self._alarm is not None:
                self._alarm.cancel()
        with suppress(JournalFailed, LaneLost):
            await self._lanes[scope].note_clock()
        return tuple(what for what, _ in self._context.unrecorded)

    def cede(self, why: str) -> None:
        """Send and look up nothing more, *why* for people: another process goes on, or has gone on already. What is
        under way has the policy's grace to be answered."""
        self._stopping.stop(Stop(StopKind.SUSPENDED, why))
        for lane in self._lanes.values():
            lane.cede()

    async def run(self) -> WaveEnd:
        """Run until every entry is settled or the wave has stopped. Raises only on defects and cancellation."""
        deadline = self._set_deadline()
        try:
            async with asyncio.TaskGroup() as group:
                self._tasks = [group.create_task(self.run_lane(scope)) for scope in self._lanes]
                if self._stopping.how >= HowHard.CUT_OFF:
                    self._told_to_stop()
        finally:
            self._ended = True
            if deadline is not None:
                deadline.cancel()
            if self._alarm is not None:
                self._alarm.cancel()
            self._context.collector.flush()
        tail = await self._finish()
        return WaveEnd(
            stop=self._stopping.why,
            halted={scope: lane.halted for scope, lane in self._lanes.items() if lane.halted is not None},
            status=self.status(tail),
            unrecorded=tuple(what for what, _ in self._context.unrecorded),
        )

    async def _finish(self) -> Counter[Status]:
        """Write what is still to be written; returns how many entries stay open, by their provisional status."""
        tail: Counter[Status] = Counter()
        try:
            await self._catch_up()
            why = self._stopping.why
            suspended = why is not None and why.kind is StopKind.SUSPENDED
            if self._context.counts.settled < self._start.entries and not suspended:
                tail = await self._write_tail()
            if self._sink is not None and not self._context.collector.failed:
                self._sink.sync()
            for lane in self._lanes.values():
                await lane.note_clock()
            ended_at = utc(self._context.clock.now()).isoformat()
            await self._context.record(Noted(name="ended_at", value=ended_at))  # look-ups that fail leave no other sign
            self._context.watch("finished")
        except JournalFailed as error:
            self._stopping.stop(Stop(StopKind.JOURNAL, str(error)))
        except SinkFailed as error:
            self._stopping.stop(stop_for(error))
        return tail

    async def _catch_up(self) -> None:
        """Take the journal's word for what is settled: a worker that was cancelled may have recorded more than it
        could tell."""
        context, collector = self._context, self._context.collector
        collector.finish(await self._ask(Record.lines_from, collector.next))
        context.counts.by_status = Counter(await self._ask(Record.status_counts))
        held = [await self._ask(Record.holds, ops) for _, ops in context.unrecorded]
        context.unrecorded = [item for item, is_held in zip(context.unrecorded, held, strict=True) if not is_held]

    async def _ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """The journal's answer, asked for more than once if need be: without it the counts would not add up."""
        for _ in range(_ASKED_AGAIN):
            try:
                return await self._context.journal.ask(question, *args, **more)
            except JournalFailed:
                await self._context.clock.sleep(1.0)
        return await self._context.journal.ask(question, *args, **more)

    async def _write_tail(self) -> Counter[Status]:
        """A provisional line for each entry that has no result, so that the file speaks of all of them. Where the wave
        is to end at once they are only counted."""
        counts: Counter[Status] = Counter()
        after = -1
        while self._stopping.how < HowHard.AT_ONCE:
            batch = await self._ask(Record.unfinished, after, _TAIL)
            if not batch:
                return counts
            lines = []
            for entry, events in batch:
                status, line = provisional_line(entry, events, self._context.clock.now(), self._why(entry.scope))
                counts[status] += 1
                lines.append(line)
            after = batch[-1][0].index
            self._context.collector.write(lines)
        return await self._count_tail()

    async def _count_tail(self) -> Counter[Status]:
        """The entries that have no result, by their provisional status; only those are read that something has happened
        to."""
        counts: Counter[Status] = Counter()
        for scope in self._lanes:
            after = -1
            while batch := await self._ask(Record.open_entries, scope.number, after, _TAIL):
                after = batch[-1][0].index
                counts[Status.UNSETTLED] += sum(history(entry.asked, events).in_doubt for entry, events in batch)
        counts[Status.NOT_SUBMITTED] = self._start.entries - self._context.counts.settled - counts.total()
        return counts

    def _why(self, scope: Scope) -> Trouble:
        """Why entries of *scope* stay open."""
        said = self._stopping.why.text if self._stopping.why else "the wave was stopped"
        stopped = Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.STOPPED, error_msg=said)
        return self._lanes[scope].halted or stopped

    def status(self, tail: Mapping[Status, int] | None = None) -> WaveStatus:
        """Where the wave stands; *tail* counts the entries that stay open at its end."""
        counts = self._context.counts
        by_status = counts.by_status + Counter(tail or {})
        scopes = tuple(
            lane.status(self._start.scopes[scope], self._start.settled_by_scope.get(scope.number, 0))
            for scope, lane in self._lanes.items()
        )
        elapsed = self._context.clock.monotonic() - counts.began
        rate = counts.rate_per_s
        return WaveStatus(
            entries=counts.entries,
            created=by_status[Status.CREATED],
            partial=by_status[Status.PARTIAL],
            failed=by_status[Status.FAILED],
            unsettled=by_status[Status.UNSETTLED],
            invalid=by_status[Status.INVALID],
            not_submitted=by_status[Status.NOT_SUBMITTED],
            in_flight=counts.in_flight,
            in_doubt=counts.in_doubt,
            waiting=sum(lane.waiting for lane in self._lanes.values()),
            attempts=counts.attempts,
            retried=counts.retried,
            throttled=counts.throttled,
            recovered=counts.recovered,
            elapsed_s=elapsed,
            rate_per_s=rate,
            eta_s=self._eta_s(elapsed - self.controls.paused_s),
            stopping=self._stopping.why.text if self._stopping.why else None,
            changed=self.controls.changed,
            scopes=scopes,
        )

    def _eta_s(self, worked_s: float) -> float | None:
        """Seconds until the end, if the rest fares like what was settled here in *worked_s*, and not before what waits
        is due.

        None where that would mean nothing.
        """
        counts = self._context.counts
        done_here = counts.settled - sum(self._start.settled.values())
        if done_here <= 0 or not all(lane.has_an_end for lane in self._lanes.values()):
            return None
        left = counts.entries - counts.settled
        return max(left * worked_s / done_here, *(lane.due_in_s for lane in self._lanes.values()), 0.0)
