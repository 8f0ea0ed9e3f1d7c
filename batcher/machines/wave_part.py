"""The part of a wave that lies in one scope, while this process holds that."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from pydantic import ValidationError

from batcher.channel.connections import width
from batcher.channel.governor import Limit, limit_of
from batcher.channel.left_over import LeftDoubt
from batcher.channel.passes import Pass
from batcher.drs.cloud import Credential
from batcher.drs.outcome import Trouble
from batcher.errors import UserError
from batcher.follow.follower import FollowStatus
from batcher.journal.errors import JournalFailed
from batcher.journal.port import Record, SharedJournal
from batcher.journal.postgres.orders import Orders
from batcher.journal.postgres.work import WaveWork
from batcher.life.entry import Scope
from batcher.life.policy import LookFirst, MaxFailures
from batcher.life.state import history
from batcher.machines.held_scope import LEAVE_S, HeldScope
from batcher.machines.kept_verdicts import FollowedPart
from batcher.machines.lane_journal import LaneJournal
from batcher.machines.machine import Machine
from batcher.machines.part_follower import PartFollower
from batcher.rates import parse_pace
from batcher.settings import RunSettings
from batcher.settings.policy import policy_of
from batcher.wave.engine import Engine, RunStart
from batcher.wave.prior_run_check import LOOKS_FIRST
from batcher.wave.status import WaveStatus
from batcher.wave.stop import Stop, StopKind, Stopping

_BATCH = 256  # entries read at a time
_ENDS = {
    "stopped": StopKind.ASKED,
    "deadline": StopKind.DEADLINE,
    "max_failures": StopKind.MAX_FAILURES,
}
_SAID = {
    "deadline": "the deadline is reached",
    "max_failures": "more entries failed than --max-failures allows",
}


class WavePart:
    """Runs what the wave of *work* has in the scope that is *held*; see `open`."""

    def __init__(self, machine: Machine, held: HeldScope, work: WaveWork) -> None:
        self.work = work
        self._machine = machine
        self._held = held
        self._stopping = Stopping()
        self._deadline: asyncio.TimerHandle | None = None
        self._own: dict[str, Any] = {}  # what the wave was handed in with, as an order would say it
        self._applied: dict[str, Any] = {}
        self._engine: Engine | None = None
        self._pass: Pass | None = None
        self._journal: LaneJournal | None = None
        self._scope: Scope | None = None
        self._place: int | None = None
        self._follower: PartFollower | None = None

    async def open(self, credentials: Mapping[tuple[str, str], Credential]) -> None:
        """Have all ready for the run, and the channel know what is in doubt. Raises `JournalFailed`, `UserError`."""
        machine, held = self._machine, self._held
        inner = await machine.keeper.journal_of(self.work.id)
        self._scope = scope = await self._find_scope(inner)
        bound = inner.of(scope, held.epoch)
        self._place = bound.place
        self._journal = LaneJournal(bound, held, self.work.version, self._read_orders)
        facts = await inner.ask(Record.facts)
        settings = machine.connections.of(settings_of(facts, machine.connections.settings))
        start = await self._start(inner, scope, facts, settings)
        concurrency = width(settings.concurrency, 1)
        passes = await machine.connections.enter(
            [scope],
            settings,
            credentials,
            wave=self._name,
            age=_begun_at(facts),
            concurrency=concurrency,
        )
        self._pass = passes[scope]
        self._pass.may_look = held.check_lease
        assert self._place is not None  # noqa: S101 - the journal is bound to it
        part = FollowedPart(self.work.number, scope, self._place)
        self._follower = follower = PartFollower(
            machine.keeper, inner, held, part, self._pass, settings, machine.clock, machine.rng, self._cannot_follow
        )
        self._engine = Engine(
            start=start,
            policy=replace(policy_of(settings), concurrency=concurrency, max_failures=MaxFailures()),
            clock=machine.clock,
            rng=machine.rng,
            journal=self._journal,
            sink=None,
            passes=passes,
            on_result=follower.settled,
            admission=follower,
            stopping=self._stopping,
            watch=machine.watch,
            may_leave=held.check,
            others_sent_until=held.taken_at + LEAVE_S if held.free_for_s is not None else machine.clock.monotonic(),
        )
        self._own = {"rate": str(settings.pace), "read_rate": str(settings.read_pace), "concurrency": concurrency}
        self._applied = dict(self._own)
        await self._journal.heed(None)
        await self._engine.take_note()
        await follower.begin(wanted=self.work.wanted)

    async def tell_doubts(self) -> None:
        """Have the channel know what the wave has in doubt here, without running it. Raises `JournalFailed`."""
        journal = await self._machine.keeper.journal_of(self.work.id)
        scope = await self._find_scope(journal)
        policy = policy_of(settings_of(await journal.ask(Record.facts), self._machine.connections.settings))
        jobs, after = self._machine.connections.channels.to(scope.endpoint, scope.project_id).jobs, -1
        while batch := await journal.ask(Record.open_entries, scope.number, after, _BATCH):
            for entry, events in batch:
                doubt = LeftDoubt(entry, history(entry.asked, events))
                if doubt.state.in_doubt:
                    jobs.was_left((self._name, entry.index), doubt, policy.leave_s + policy.landing_s)
            after = batch[-1][0].index

    @property
    def _name(self) -> str:
        """What the channel knows the wave by."""
        return f"wave {self.work.number}"

    @property
    def period_s(self) -> float:
        """The longest time over which a limit is counted here, in seconds."""
        return 0.0 if self._pass is None else self._pass.period_s

    async def run(self) -> tuple[str, ...]:
        """Run it to its end, which `cede` and orders hasten: to the last verdict, where those are wanted.

        Returns what the cloud told and the journal could not take. Raises only on defects and cancellation.
        """
        engine, scope, follower = self._engine, self._scope, self._follower
        assert engine is not None and scope is not None and follower is not None  # noqa: S101, PT018 - `open` comes first
        try:
            return await follower.beside(lambda: engine.run_part(scope, self._held.epoch))
        finally:
            self.close()

    def cede(self, why: str) -> None:
        """Send and look up nothing more, *why* for people; what is under way is awaited."""
        if self._follower is not None:
            self._follower.end()
        if self._engine is not None:
            self._engine.cede(why)

    def want_verdicts(self, wanted: bool) -> None:
        """Whether somebody wants to know them from now on. Raises `UserError`."""
        if self._follower is not None:
            if wanted:
                self._follower.want()
            else:
                self._follower.want_no_more()

    def _cannot_follow(self) -> None:
        """How many comparisons are running is not known any more, or verdicts cannot be written: nothing is sent."""
        trouble = None if self._follower is None else self._follower.trouble
        kind = StopKind.JOURNAL if isinstance(trouble, JournalFailed) else StopKind.REFUSED
        self._stopping.stop(Stop(kind, str(trouble)))

    def close(self) -> None:
        """Nothing is waited for any more."""
        if self._follower is not None:
            self._follower.close()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._engine is not None:
            self._engine.leave()
        if self._pass is not None:
            self._pass.close()

    def forget(self) -> None:
        """What is in doubt here is for whoever has the scope next, who is told by the database."""
        channel = self._machine.connections.channels.to(self._held.endpoint, self._held.project_id)
        channel.jobs.forget(self._name)

    @property
    def halted(self) -> Trouble | None:
        """Why the scope stopped for good, or nothing can be looked at in it, where that is so."""
        if self._pass is not None and self._pass.halted is not None:
            return self._pass.halted
        return None if self._follower is None else self._follower.barred

    @property
    def unusable(self) -> UserError | None:
        """Why this machine cannot go on with it, where it cannot."""
        trouble = None if self._follower is None else self._follower.trouble
        return trouble if isinstance(trouble, UserError) else None

    @property
    def stop(self) -> Stop | None:
        """Why the wave stops here, where it does."""
        return self._stopping.why

    @property
    def version(self) -> int:
        """Which version the orders have that it goes by."""
        return self.work.version if self._journal is None else self._journal.version

    async def heed(self, version: int) -> None:
        """Go by the orders, of which there is that version by now. Raises `JournalFailed`."""
        if self._journal is not None:
            await self._journal.heed(version)

    def status(self) -> WaveStatus | None:
        """Where this part stands; None before it is open."""
        return None if self._engine is None else self._engine.status()

    def following(self) -> FollowStatus | None:
        """Where the following stands here; None: nothing is followed."""
        return None if self._follower is None else self._follower.status()

    # --- what it begins with --------------------------------------------------------------------------------

    async def _find_scope(self, journal: SharedJournal) -> Scope:
        scopes = await journal.ask(Record.scopes)
        named = (self._held.endpoint, self._held.project_id)
        return next(scope for scope in scopes if (scope.endpoint, scope.project_id) == named)

    async def _start(
        self, journal: SharedJournal, scope: Scope, facts: Mapping[str, Any], settings: RunSettings
    ) -> RunStart:
        entries, counts, sizes, settled = await asyncio.gather(  # together: each may have to wait for a commit
            journal.ask(Record.entry_count),
            journal.ask(Record.status_counts),
            journal.ask(Record.scope_sizes),
            journal.ask(Record.settled_counts),
        )
        # A database is not copied and run in two places as a folder is, so nobody probes whether it was.
        always = facts.get(LOOKS_FIRST) or settings.look_first is LookFirst.ALWAYS
        return RunStart(
            entries=entries,
            settled=counts,
            scopes={scope: sizes.get(scope.number, 0)},
            settled_by_scope=settled,
            next_seq=0,
            begun_at=_begun_at(facts) if always else None,
            look_first=LookFirst.ALWAYS if always else LookFirst.NEVER,
        )

    # --- orders -----------------------------------------------------------------------------------------------

    async def _read_orders(self) -> int:
        orders = await self._machine.keeper.orders(self.work.number, self._place)
        self._apply(orders)
        return orders.version

    def _apply(self, orders: Orders) -> None:
        engine, one = self._engine, self._pass
        assert engine is not None and one is not None  # noqa: S101, PT018 - `open` made them
        if orders.forbids in _ENDS:
            said = orders.stop or _SAID.get(orders.forbids, "it was stopped")
            self._stopping.stop(Stop(_ENDS[orders.forbids], said))
        one.hold(orders.paused or orders.scope_paused)
        one.set_priority(orders.priority)
        one.channel.order(_limit(orders.scope_rate))
        ordered = {"rate": orders.rate, "read_rate": orders.read_rate, "concurrency": orders.concurrency}
        for name, own in self._own.items():
            value = own if ordered[name] is None else ordered[name]
            if value != self._applied[name]:
                self._applied[name] = value
                self._change(name, value)
        self._set_deadline(orders.deadline_in_s)

    def _change(self, name: str, value: Any) -> None:
        assert self._engine is not None and self._pass is not None  # noqa: S101, PT018 - `_apply` looked
        match name:
            case "rate":
                self._pass.set_limit(_limit(value))
            case "read_rate":
                self._pass.set_read_limit(_limit(value))
            case _:
                self._engine.controls.set_concurrency(str(value))

    def _set_deadline(self, in_s: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if in_s is not None and in_s > 0:
            reached = Stop(StopKind.DEADLINE, _SAID["deadline"])
            self._deadline = asyncio.get_running_loop().call_later(in_s, self._stopping.stop, reached)


def _limit(said: str | None) -> Limit:
    return None if said is None else limit_of(parse_pace(said))


# What a wave has with it, whichever machine runs it. The rest is a machine's own: its way, its patience, its log.
_OF_WAVE = (
    *("rate", "read_rate", "concurrency", "attempts", "entry_deadline", "landing_time", "language", "reconcile"),
    *("look_first", "grace", "wait_ready", "poll", "max_running", "max_running_per"),
)


def settings_of(facts: Mapping[str, Any], own: RunSettings) -> RunSettings:
    """This machine's *own* settings with what the wave has with it, as its *facts* say. Raises `UserError`."""
    said = facts.get("settings") or {}
    try:
        given = RunSettings.model_validate({name: said[name] for name in _OF_WAVE if said.get(name) not in (None, "")})
    except ValidationError as error:
        raise UserError(f"this version of batcher cannot read the settings of the wave: {error}") from None
    return own.model_copy(update={name: getattr(given, name) for name in _OF_WAVE})


def _begun_at(facts: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(facts.get("lost_since") or facts["begun_at"]).timestamp()
