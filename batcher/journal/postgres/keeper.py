"""The keeper of records in a PostgreSQL database that machines share: of many waves, each with its scopes.

What fences one process off from another is in `schema.py`; who has which scope, in `leases.py`.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID, uuid4

from batcher.journal.errors import IntentRefused, JournalAbsent, JournalFailed, LaneLost, NotAJournal, WaveRefused
from batcher.journal.group_commit import GroupCommit, Handed, Outcome, each_alone
from batcher.journal.ops import Op, Receipt
from batcher.journal.port import PlanWriter, Record
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.link import DatabaseLink, Patience
from batcher.journal.postgres.migrations import require_current
from batcher.journal.postgres.orders import Orders, orders_of
from batcher.journal.postgres.plan import planning
from batcher.journal.postgres.record import PostgresRecord
from batcher.journal.postgres.steps import steps_of
from batcher.journal.postgres.verdicts import KeptVerdict, PostgresVerdicts
from batcher.journal.postgres.work import WaveWork, waves_in
from batcher.journal.postgres.writing import Binding, CommitWriter
from batcher.life.entry import Scope

P = ParamSpec("P")
T = TypeVar("T")

_MOST_OPS = 400  # in a statement: while it runs whoever takes a scope over has to wait


class PostgresWrittenRecord(PostgresRecord):
    """The record of one wave of a database that may be written: a `MutableRecord`."""

    def __init__(self, link: DatabaseLink, writer: CommitWriter, number: int, wave: str) -> None:
        super().__init__(link, number, wave)
        self._writer = writer

    def planning(self) -> AbstractContextManager[PlanWriter]:
        """Write the wave's plan while it lasts. Where it is left before `PlanWriter.finish`, nothing was planned."""
        return planning(self._db, self.number, self.name)

    def commit(self, *groups: Sequence[Op]) -> list[Receipt | None]:
        """Make the ops of all *groups* durable, in order, all or none.

        Raises `LaneLost` where somebody has a lease on a scope that they are about, `IntentRefused` where an order
        forbids what they intend.
        """
        binding = self.binding()
        outcomes = self._writer.write([(binding, ops) for ops in groups], whole=True)
        receipts: list[Receipt | None] = []
        for outcome in outcomes:
            if isinstance(outcome, LaneLost | IntentRefused):
                raise outcome
            receipts.append(outcome)
        return receipts

    def orders_version(self, binding: Binding) -> int:
        """Which version the orders for it had at the last commit; 0: there was none."""
        return self._writer.orders_version(binding)

    def binding(self, scope: Scope | None = None, epoch: int | None = None) -> Binding:
        """Where ops of this wave are written, by the lease with that *epoch* on *scope*. Raises `JournalFailed`."""
        if scope is None:
            return Binding(self.number, self.name)
        if (place := self.place_of(scope)) is None:
            raise JournalFailed(f"{self.name} has nothing in {scope}")
        return Binding(self.number, self.name, place, epoch)


class PostgresJournal:
    """The record of one wave that runs: a `SharedJournal`, over the thread of its database."""

    def __init__(self, record: PostgresWrittenRecord, group: GroupCommit[Binding], binding: Binding) -> None:
        self._record = record
        self._group = group
        self._binding = binding

    def of(self, scope: Scope, epoch: int) -> "PostgresJournal":
        """The same for the lane of *scope*, by the lease with that *epoch*. Raises `JournalFailed`."""
        return PostgresJournal(self._record, self._group, self._record.binding(scope, epoch))

    def record(self, *ops: Op) -> Awaitable[Receipt | None]:
        """Make *ops* durable, in order, all or none.

        Raises `JournalFailed`, `LaneLost` where the lease by which they are written is somebody else's by now, and
        `IntentRefused` where an order forbids what they intend.
        """
        return self._group.write(self._binding, ops)  # cancelling it takes nothing back

    @property
    def place(self) -> int | None:
        """The number by which the database knows the scope that it is bound to; None: it is bound to none."""
        return self._binding.scope

    @property
    def orders_version(self) -> int:
        """Which version the orders for the wave and its scope had when something was last recorded here; 0: never."""
        return self._record.orders_version(self._binding)

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """The answer to *question*, a method of `Record`: `await journal.ask(Record.events, 7)`."""
        own: Callable[..., T] = getattr(self._record, question.__name__)
        if (steps := steps_of(own, *args, **more)) is not None:
            # What goes through a large wave leaves room between: the lease is renewed in the same thread.
            while (found := await self._group.ask(lambda: next(steps))) is None:
                pass
            return found  # type: ignore[return-value]
        answer: T = await self._group.ask(lambda: own(*args, **more))  # type: ignore[assignment]
        return answer


class PostgresKeeper:
    """Keeps the waves in the database at *address*; see `Keeper`.

    *identity* is this process's own, drawn anew each time: what it writes twice is recorded once.
    """

    def __init__(
        self,
        address: Address,
        *,
        patience: Patience = Patience(),  # noqa: B008 - a value that never changes
        identity: UUID | None = None,
        program: str = "batcher",
    ) -> None:
        """Connect to it. Raises `NotAJournal` where it was not prepared for this version, `WaveRefused` where it
        cannot be trusted with a wave, and `JournalFailed`."""
        self.link = DatabaseLink(address, patience, program=program)
        try:
            require_current(self.link)
        except BaseException:
            self.link.close()
            raise
        self._writer = CommitWriter(self.link, identity or uuid4())
        self._records: dict[str, PostgresWrittenRecord] = {}
        self._group: GroupCommit[Binding] | None = None

    def waves(self) -> list[str]:
        """The ids of the waves that are planned, oldest first. Raises `JournalFailed`."""
        return [wave for (wave,) in self.link.rows("SELECT id FROM waves WHERE planned ORDER BY number")]

    def wave(self, wave: str | None = None) -> PostgresWrittenRecord:
        """The record of the *wave* with that id; always the same object."""
        if wave is None:
            raise NotAJournal(f"{self.link.name} is a database of many waves, and none of them is named")
        if wave not in self._records:
            row = self.link.row("SELECT number FROM waves WHERE id = %s", (wave,))
            if row is None:
                raise JournalAbsent(f"there is no wave {wave} in {self.link.name}.")
            self._records[wave] = PostgresWrittenRecord(self.link, self._writer, row[0], wave)
        return self._records[wave]

    def new_wave(self, wave: str) -> PostgresWrittenRecord:
        """The record of a wave to be planned, with that id."""
        made = self.link.do(
            lambda c: c.execute(
                "WITH made AS (INSERT INTO waves (id) VALUES (%s) ON CONFLICT (id) DO NOTHING RETURNING number) "
                "INSERT INTO wave_orders (wave) SELECT number FROM made RETURNING wave",
                (wave,),
            ).fetchone(),
            writing=True,
        )
        if made is None:
            raise WaveRefused(f"{self.link.name} has a wave {wave} already")
        return self.wave(wave)

    def forget(self, wave: str) -> None:
        """The wave with that id may be another one from now on."""
        self._records.pop(wave, None)

    def journal(self, wave: str | None = None) -> PostgresJournal:
        """That wave's record for the running event loop; from now on `aclose` ends it. Raises as `wave` does."""
        record = self.wave(wave)
        return PostgresJournal(record, self.group(), record.binding())

    async def journal_of(self, wave: str) -> PostgresJournal:
        """That wave's record, looked for in the journals' thread: a database that is away holds up nothing else.

        Raises `JournalAbsent`, `JournalFailed`.
        """
        await self.group().ask(lambda: self.wave(wave))
        return self.journal(wave)

    def group(self) -> GroupCommit[Binding]:
        """The thread that writes for the running event loop, and answers in its turn."""
        if self._group is None:
            self._group = GroupCommit(self._commit, self.link.name)
        return self._group

    async def work_in(self, endpoint: str, project_id: str) -> list[WaveWork]:
        """The waves that have something left to do in that scope; see `waves_in`. Raises `JournalFailed`."""
        return await self.group().ask(lambda: waves_in(self.link, endpoint, project_id))  # type: ignore[return-value]

    async def orders(self, wave: int, place: int | None) -> Orders:
        """The orders for the wave with that number, in the scope with the number *place*. Raises `JournalFailed`."""
        return await self.group().ask(lambda: orders_of(self.link, wave, place))  # type: ignore[return-value]

    def verdicts(self, wave: int) -> PostgresVerdicts:
        """The verdicts of the wave with that number; asked from a thread."""
        return PostgresVerdicts(self.link, wave, f"{self.link.name}, wave number {wave}")

    async def record_verdicts(self, wave: int, verdicts: Sequence[KeptVerdict], place: int, epoch: int) -> None:
        """Make *verdicts* durable, by the lease with that *epoch* on the scope with the number *place*.

        Raises `LaneLost`, `JournalFailed`.
        """
        await self.group().ask(lambda: self.verdicts(wave).record(verdicts, place, epoch))

    async def undecided(self, wave: int, place: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next result lines there without a verdict, behind number *after*. Raises `JournalFailed`."""
        steps = steps_of(self.verdicts(wave).undecided, place, after, limit)
        assert steps is not None  # noqa: S101 - it goes through a large wave
        while (found := await self.group().ask(lambda: next(steps))) is None:
            pass
        return found  # type: ignore[return-value]

    def close(self) -> None:
        """Let go, where no journal was taken."""
        self.link.close()

    async def aclose(self) -> None:
        """Write what is pending, and let go."""
        self.link.hurry()
        if self._group is not None:
            await self._group.aclose()
        self.link.close()

    def _commit(self, batch: list[Handed[Binding]]) -> list[Outcome]:
        """Write what was handed over to the thread; what became of each."""
        outcomes: list[Outcome] = []
        part: list[Handed[Binding]] = []
        ops = 0
        for handed in batch:
            if part and ops + len(handed[1]) > _MOST_OPS:
                outcomes += each_alone(self._committed, part)
                part, ops = [], 0
            part.append(handed)
            ops += len(handed[1])
        return outcomes + each_alone(self._committed, part)

    def _committed(self, batch: list[Handed[Binding]]) -> list[Outcome]:
        return [*self._writer.write([(binding, ops) for binding, ops, _ in batch])]
