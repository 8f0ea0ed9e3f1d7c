"""A database that machines share, in memory: what `batcher/journal/postgres` does with rows, epochs and leases.

It is the server: each call is one statement, done at once, as a whole or not at all. The way to it, on which statements
are late, lost or repeated, is in `shared_link.py`.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from batcher.journal.errors import IntentRefused, JournalFailed, LaneLost
from batcher.journal.memory_record import MemoryRecord
from batcher.journal.ops import Happened, Op, Receipt, Settled
from batcher.journal.postgres.orders import Orders
from batcher.journal.postgres.verdicts import KeptVerdict
from batcher.journal.postgres.work import WaveWork
from batcher.journal.postgres.writing import Binding
from batcher.life.events import Answered, Intended
from batcher.life.result import Status
from tests.worlds.shared_orders import Named, Order, ScopeOrders, WaveOrders, as_told, forbidden
from tests.worlds.shared_verdicts import Decided, Verdicts

Outcome = Receipt | LaneLost | IntentRefused | None
"""What became of a group."""


class ServerDown(Exception):
    """The server fails, and comes back."""


class SharedRecord(MemoryRecord):
    """The record of one wave, with the answers that came to machines which had lost its scope."""

    def __init__(self, name: str, number: int, beside: Iterable[MemoryRecord]) -> None:
        super().__init__(name, beside)
        self.number = number
        self.orders = WaveOrders()
        self.verdicts = Verdicts()
        self.late: list[tuple[int, int, float, Answered]] = []  # index, epoch, when, answer
        self.settled_at: dict[int, float] = {}  # by index

    def has_left(self, named: Named) -> bool:
        """Whether entries of that scope have no result."""
        return any(index not in self._wave.results for index in self._indexes(named))

    def undecided(self, named: Named) -> list[tuple[int, bytes]]:
        """The results of that scope without a verdict, each with its number, in their order."""
        lacking = [
            index for index in self._indexes(named) if index in self._wave.results and index not in self.verdicts
        ]
        return sorted((seq, line) for seq, _, line in map(self._wave.results.__getitem__, lacking))

    def _indexes(self, named: Named) -> list[int]:
        entries = self._entries()
        return [one.index for one in entries if (one.scope.endpoint, one.scope.project_id) == named]

    def late_answers(self, index: int, lease: int) -> list[Answered]:
        """What the cloud answered about an entry that was intended by that *lease*, and came too late."""
        return [answer for at, epoch, _, answer in self.late if (at, epoch) == (index, lease)]


@dataclass(slots=True)
class ScopeRow:
    """Who has a scope; times are the server's."""

    named: Named
    id: int
    epoch: int = 0
    owner: str | None = None
    until: float | None = None
    free_since: float | None = None
    orders: ScopeOrders = field(default_factory=ScopeOrders)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One op that the server wrote, for *wave*, by the lease of that *epoch* on the *scope*."""

    at: float
    wave: str
    scope: Named
    epoch: int
    op: Op


@dataclass(frozen=True, slots=True)
class Ordered:
    """One order that the server wrote."""

    at: float
    order: Order


@dataclass(frozen=True, slots=True)
class Leased:
    """From *at* on the *scope* is *owner*'s until then, unless more is said; None: nobody's. *epoch* is its newest."""

    at: float
    scope: Named
    epoch: int
    owner: str | None
    until: float


@dataclass(slots=True)
class Handed:
    """A group of *ops* that a machine handed over for *wave*, and what it was told became of it: `durable`, `refused`,
    `failed`, which it may have been or not, or nothing."""

    wave: str
    ops: Sequence[Op]
    told: str = ""


@dataclass(slots=True)
class SharedDatabase:
    """See the module. *log* is all that was written, in order; *handed* all that was to be."""

    loop: asyncio.AbstractEventLoop
    records: dict[str, SharedRecord] = field(default_factory=dict)
    scopes: dict[Named, ScopeRow] = field(default_factory=dict)
    takes: list[tuple[float, Named, int, str]] = field(default_factory=list)
    leases: list[Leased] = field(default_factory=list)
    log: list[Recorded | Ordered | Decided] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    refused: int = 0  # groups of a lease that is somebody else's
    intents: int = 0
    on_intent: Callable[[int], None] | None = None  # told how many there were by now
    forbidden: int = 0  # groups with an intent that an order forbids
    repeated: int = 0  # commits that were there already
    shared: int = 0  # commits of several groups
    torn: int = 0  # of these, such as broke off in the middle
    followed: set[str] = field(default_factory=set)  # waves of which verdicts are wanted, or will be
    verdicts_refused: int = 0  # statements with verdicts, by a lease that is somebody else's
    verdicts_known: int = 0  # that were there already
    _last: dict[str, tuple[int, list[Outcome]]] = field(default_factory=dict)

    def new_wave(self, wave: str) -> SharedRecord:
        """The record of a wave to be planned."""
        self.records[wave] = SharedRecord(wave, len(self.records) + 1, self.records.values())
        return self.records[wave]

    def know(self, named: Named) -> None:
        """Have a row for that scope."""
        self.scopes.setdefault(named, ScopeRow(named, len(self.scopes) + 1))

    # --- recording ------------------------------------------------------------------------------------------

    def commit(
        self, writer: str, number: int, groups: Sequence[tuple[Binding, Sequence[Op]]], *, breaks: bool = False
    ) -> list[Outcome]:
        """`record_ops`: a commit that is there already is not written again, and one that comes too late never.

        *breaks*: the server fails in the middle of it, and nothing of it is there afterwards.
        """
        last, told = self._last.get(writer, (0, []))
        if number < last:
            raise JournalFailed(f"commit {number} comes too late")
        if self._is_there(number, last):
            self.repeated += 1
            return [*told]
        self.shared += len(groups) > 1
        before = {binding.name: self.records[binding.name].copy() for binding, _ in groups} if breaks else {}
        written = len(self.log)
        done = groups[: len(groups) // 2] if breaks else groups
        outcomes = [self._recorded(binding, ops) for binding, ops in done]
        if breaks:
            self.torn += 1
            self._roll_back(before, written)
            raise ServerDown
        self._last[writer] = number, outcomes
        return [*outcomes]

    def _is_there(self, number: int, last: int) -> bool:
        """Whether the commit of that *number* was written: its writer's *last* one."""
        return number == last

    def _roll_back(self, before: dict[str, object], written: int) -> None:
        for name, copy in before.items():
            self.records[name].restore(copy)
        del self.log[written:]

    def _recorded(self, binding: Binding, ops: Sequence[Op]) -> Outcome:
        record, now = self.records[binding.name], self.loop.time()
        epoch = binding.epoch or 0
        if not self.is_current(binding):
            self.refused += 1
            answers = ((op.index, op.event) for op in ops if isinstance(op, Happened))
            record.late += [(at, epoch, now, event) for at, event in answers if isinstance(event, Answered)]
            return LaneLost(f"{binding.name}: another process has taken its scope over")
        row = self._row(binding.scope)
        intends = any(isinstance(op, Happened) and isinstance(op.event, Intended) for op in ops)
        if intends and (why := self.forbids(record, row)) is not None:
            self.forbidden += 1
            return IntentRefused(f"{binding.name}: nothing new is sent: {why}", why)
        (receipt,) = record.commit(ops)
        self.log += [Recorded(now, binding.name, row.named, epoch, op) for op in ops]
        record.settled_at |= {op.index: now for op in ops if isinstance(op, Settled)}
        if intends:
            self.intents += 1
            if self.on_intent is not None:
                self.on_intent(self.intents)
        return receipt

    def is_current(self, binding: Binding) -> bool:
        """Whether the lease by which something is written is the scope's newest: the fence."""
        return any(row.id == binding.scope and row.epoch == binding.epoch for row in self.scopes.values())

    # --- verdicts -------------------------------------------------------------------------------------------

    def record_verdicts(self, number: int, verdicts: Sequence[KeptVerdict], place: int, epoch: int) -> bool:
        """`record_verdicts`: False where the lease with that *epoch* is not the scope's newest."""
        record, row, now = self._numbered(number), self._row(place), self.loop.time()
        if not self.may_decide(row, epoch):
            self.verdicts_refused += 1
            return False
        new = record.verdicts.new(verdicts, record.settled_at)
        self.verdicts_known += len(verdicts) - len(new)
        for one in new:
            record.verdicts.add(one.index)
            self.log.append(Decided(now, record.name, row.named, epoch, one.index, one.verdict))
        return True

    def may_decide(self, row: ScopeRow, epoch: int) -> bool:
        """Whether verdicts are written by that lease: the fence."""
        return row.epoch == epoch

    def undecided(self, number: int, place: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next results there without a verdict, behind number *after*."""
        found = self._numbered(number).undecided(self._row(place).named)
        return [(seq, line) for seq, line in found if seq > after][:limit]

    def _numbered(self, number: int) -> SharedRecord:
        return next(one for one in self.records.values() if one.number == number)

    def _row(self, place: int | None) -> ScopeRow:
        return next(row for row in self.scopes.values() if row.id == place)

    # --- orders ---------------------------------------------------------------------------------------------

    def order(self, order: Order) -> None:
        """The operator gives an order: it holds for whatever is recorded from now on."""
        now = self.loop.time()
        if order.wave is not None:
            self.records[order.wave].orders.change(order.changes, now)
        if order.scope is not None and order.scope in self.scopes:
            self.scopes[order.scope].orders.change(order.changes)
        self.log.append(Ordered(now, order))

    def forbids(self, record: SharedRecord, row: ScopeRow) -> str | None:
        """Why nothing may be intended for that wave in that scope."""
        return forbidden(record.orders, row.orders, self._counts(record), self.loop.time())

    def orders_for(self, number: int, place: int | None) -> Orders:
        """The orders for the wave with that number, in the scope with the number *place*."""
        record, row = self._numbered(number), self._row(place)
        return as_told(record.orders, row.orders, self._counts(record), self.loop.time())

    def version_for(self, binding: Binding) -> int:
        """Which version the orders have by which something is written."""
        return self.records[binding.name].orders.version + self._row(binding.scope).orders.version

    def _counts(self, record: SharedRecord) -> dict[Status, int]:
        return record.status_counts() if record.orders.max_failures is not None else {}

    # --- leases ---------------------------------------------------------------------------------------------

    def take(self, named: Named, owner: str, lasts_s: float) -> tuple[int, float | None] | None:
        """The scope's new epoch, and for how long nobody had had it; None: somebody has it."""
        row, now = self.scopes[named], self.loop.time()
        if row.until is not None and row.until > now and row.owner != owner:
            return None
        row.free_since = row.free_since if row.until is None else row.until
        row.epoch, row.owner, row.until = row.epoch + 1, owner, now + lasts_s
        self.takes.append((now, named, row.epoch, owner))
        self.leases.append(Leased(now, named, row.epoch, owner, row.until))
        return row.epoch, None if row.free_since is None else max(0.0, now - row.free_since)

    def renew(self, named: Named, epoch: int, owner: str, lasts_s: float) -> bool:
        """Whether it is still that lease's, for so long from now on."""
        row = self.scopes[named]
        if row.epoch != epoch:
            return False
        row.owner, row.until = owner, self.loop.time() + lasts_s
        self.leases.append(Leased(self.loop.time(), named, epoch, owner, row.until))
        return True

    def give_back(self, named: Named, epoch: int) -> None:
        """Nobody has it from now on."""
        row = self.scopes[named]
        if row.epoch == epoch:
            row.epoch, row.owner, row.until, row.free_since = epoch + 1, None, None, self.loop.time()
            self.leases.append(Leased(self.loop.time(), named, row.epoch, None, self.loop.time()))

    # --- work -----------------------------------------------------------------------------------------------

    def work_in(self, named: Named) -> list[WaveWork]:
        """The waves that have something left to do there: entries without a result, or verdicts that are wanted."""
        row = self.scopes[named]
        found = (self._work_of(record, row) for record in self.records.values())
        return [work for work in found if work is not None]

    def _work_of(self, record: SharedRecord, row: ScopeRow) -> WaveWork | None:
        work = WaveWork(
            id=record.name,
            number=record.number,
            version=record.orders.version + row.orders.version,
            forbids=self.forbids(record, row),
            wanted=record.orders.follow,
            undecided=len(record.undecided(row.named)),
        )
        return work if work.follows or record.has_left(row.named) else None

    def waiting(self) -> list[Named]:
        """Scopes with work that nobody has."""
        now = self.loop.time()
        free = (row for row in self.scopes.values() if row.until is None or row.until <= now)
        return [row.named for row in free if any(not work.is_ended for work in self.work_in(row.named))]

    def is_settled(self) -> bool:
        """Whether every entry of every wave has a result, and a verdict where those are wanted."""
        return all(record.is_settled() for record in self.records.values()) and not any(
            self.records[wave].undecided(named) for wave in self.followed for named in self.scopes
        )
