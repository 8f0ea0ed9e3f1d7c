"""A database that machines share, in memory: what `batcher/journal/postgres` does with rows, epochs and leases.

It is the server: each call is one statement, done at once and as a whole. The way to it, on which statements are late,
lost or repeated, is in `shared_link.py`.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from batcher.journal.errors import JournalFailed, LaneLost
from batcher.journal.memory_record import MemoryRecord
from batcher.journal.ops import Happened, Op, Receipt
from batcher.journal.postgres.work import WaveWork
from batcher.journal.postgres.writing import Binding
from batcher.life.events import Answered

Named = tuple[str, str]
"""A scope: (endpoint, project_id)."""


class SharedRecord(MemoryRecord):
    """The record of one wave, with the answers that came to machines which had lost its scope."""

    def __init__(self, name: str, beside: Iterable[MemoryRecord]) -> None:
        super().__init__(name, beside)
        self.late: list[tuple[int, int, float, Answered]] = []  # index, epoch, when, answer
        self.settled_at: dict[int, float] = {}  # by index

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


@dataclass(slots=True)
class SharedDatabase:
    """See the module."""

    loop: asyncio.AbstractEventLoop
    records: dict[str, SharedRecord] = field(default_factory=dict)
    scopes: dict[Named, ScopeRow] = field(default_factory=dict)
    takes: list[tuple[float, Named, int, str]] = field(default_factory=list)
    refused: int = 0  # groups of a lease that is somebody else's
    repeated: int = 0  # commits that were there already
    _last: dict[str, tuple[int, list[Receipt | Exception | None]]] = field(default_factory=dict)

    def new_wave(self, wave: str) -> SharedRecord:
        """The record of a wave to be planned."""
        self.records[wave] = SharedRecord(wave, self.records.values())
        return self.records[wave]

    def know(self, named: Named) -> None:
        """Have a row for that scope."""
        self.scopes.setdefault(named, ScopeRow(named, len(self.scopes) + 1))

    # --- recording ------------------------------------------------------------------------------------------

    def commit(self, writer: str, number: int, groups: Sequence[tuple[Binding, Sequence[Op]]]) -> list[object]:
        """`record_ops`: a commit that is there already is not written again, and one that comes too late never."""
        last, told = self._last.get(writer, (0, []))
        if number < last:
            raise JournalFailed(f"commit {number} comes too late")
        if number == last:
            self.repeated += 1
            return [*told]
        outcomes = [self._recorded(binding, ops) for binding, ops in groups]
        self._last[writer] = number, outcomes
        return [*outcomes]

    def _recorded(self, binding: Binding, ops: Sequence[Op]) -> Receipt | Exception | None:
        record, now = self.records[binding.name], self.loop.time()
        if not self.is_current(binding):
            self.refused += 1
            answers = ((op.index, op.event) for op in ops if isinstance(op, Happened))
            epoch = binding.epoch or 0
            record.late += [(at, epoch, now, event) for at, event in answers if isinstance(event, Answered)]
            return LaneLost(f"{binding.name}: another process has taken its scope over")
        try:
            (receipt,) = record.commit(ops)
        except JournalFailed as error:
            return error
        if receipt is not None:
            record.settled_at |= {op.index: now for op in ops if not isinstance(op, Happened) and hasattr(op, "index")}
        return receipt

    def is_current(self, binding: Binding) -> bool:
        """Whether the lease by which something is written is the scope's newest: the fence."""
        return any(row.id == binding.scope and row.epoch == binding.epoch for row in self.scopes.values())

    # --- leases ---------------------------------------------------------------------------------------------

    def take(self, named: Named, owner: str, lasts_s: float) -> tuple[int, float | None] | None:
        """The scope's new epoch, and for how long nobody had had it; None: somebody has it."""
        row, now = self.scopes[named], self.loop.time()
        if row.until is not None and row.until > now and row.owner != owner:
            return None
        row.free_since = row.free_since if row.until is None else row.until
        row.epoch, row.owner, row.until = row.epoch + 1, owner, now + lasts_s
        self.takes.append((now, named, row.epoch, owner))
        return row.epoch, None if row.free_since is None else max(0.0, now - row.free_since)

    def renew(self, named: Named, epoch: int, owner: str, lasts_s: float) -> bool:
        """Whether it is still that lease's, for so long from now on."""
        row = self.scopes[named]
        if row.epoch != epoch:
            return False
        row.owner, row.until = owner, self.loop.time() + lasts_s
        return True

    def give_back(self, named: Named, epoch: int) -> None:
        """Nobody has it from now on."""
        row = self.scopes[named]
        if row.epoch == epoch:
            row.epoch, row.owner, row.until, row.free_since = epoch + 1, None, None, self.loop.time()

    # --- work -----------------------------------------------------------------------------------------------

    def work_in(self, named: Named) -> list[WaveWork]:
        """The waves that have entries without a result there."""
        numbered = enumerate(self.records.items(), 1)
        return [
            WaveWork(id=wave, number=number, version=0, forbids=None)
            for number, (wave, record) in numbered
            if self._left(record, named)
        ]

    def waiting(self) -> list[Named]:
        """Scopes with work that nobody has."""
        now = self.loop.time()
        free = (row for row in self.scopes.values() if row.until is None or row.until <= now)
        return [row.named for row in free if self.work_in(row.named)]

    def is_settled(self) -> bool:
        """Whether every entry of every wave has a result."""
        return all(record.is_settled() for record in self.records.values())

    def _left(self, record: SharedRecord, named: Named) -> bool:
        sizes, settled = record.scope_sizes(), record.settled_counts()
        return any(
            settled.get(scope.number, 0) < sizes.get(scope.number, 0)
            for scope in record.scopes()
            if (scope.endpoint, scope.project_id) == named
        )
