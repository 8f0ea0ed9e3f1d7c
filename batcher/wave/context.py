"""What every lane of a wave shares: handed in once, so that the engine has no clock, cloud or disk of its own."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import Struct, field

from batcher.clock import Clock
from batcher.holding.admission import Admission, AdmitAll
from batcher.journal.errors import JournalFailed, LaneLost
from batcher.journal.ops import Op, Receipt, Settled
from batcher.journal.port import Journal, Record
from batcher.life.policy import Policy
from batcher.logger import get_logger
from batcher.wave.collector import Collector
from batcher.wave.status import WaveCounts
from batcher.wave.stop import Stop, StopKind, Stopping

log = get_logger("batcher.wave")

P = ParamSpec("P")
T = TypeVar("T")
Boundary = Callable[[str], None]

OnResult = Callable[[bytes], Awaitable[None] | None]
"""Sees the line of each result; what it returns is awaited before the entry's job is free."""

MayLeave = Callable[[float], None]
"""Asked right before a request leaves, with when it was intended by the boot clock. Raises `HeldBack`: it must not."""


def unwatched(boundary: str) -> None:
    """The boundary watcher of production: nobody watches."""


class Context(Struct, kw_only=True):
    """The wave's surroundings, and the few things that happen to all of it at once.

    *watch* is told each step of durability by name, right after it; tests kill the process there.
    *stopping* says whether the wave is to end, and takes reasons for it. *on_result* sees the line of every result that
    was settled. *may_leave* is asked last of all before a request leaves. *others_sent_until* (monotonic) is when the
    last request of an earlier process can have left.
    """

    policy: Policy
    clock: Clock
    rng: random.Random
    journal: Journal
    collector: Collector
    counts: WaveCounts
    stopping: Stopping
    on_result: OnResult
    watch: Boundary = unwatched
    admission: Admission = field(default_factory=AdmitAll)
    may_leave: MayLeave | None = None
    others_sent_until: float = -inf
    unrecorded: list[tuple[str, Sequence[Op]]] = []

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """The answer of the journal to *question*. A journal that fails stops the wave; raises `JournalFailed`."""
        try:
            return await self.journal.ask(question, *args, **more)
        except JournalFailed as error:
            self._failed(error)
            raise

    async def record(self, *ops: Op) -> Receipt | None:
        """Make *ops* durable, in order, all or none. A journal that fails stops the wave; raises `JournalFailed`.

        In a database that machines share also `LaneLost`, which ends the lane, and `IntentRefused`.
        """
        try:
            return await self.journal.record(*ops)
        except JournalFailed as error:
            self._failed(error)
            raise

    def _failed(self, error: JournalFailed) -> None:
        self.stopping.stop(Stop(StopKind.JOURNAL, str(error)))

    async def record_surely(self, what: Callable[[], str], *ops: Op) -> Receipt | None:
        """Make durable what the cloud told: tried again until the wave's grace is over, and written once.

        *what* says it for people; if it cannot be recorded, it is at least reported. Raises `LaneLost` where the scope
        is another process's by now.
        """
        has_failed = False
        try:
            while True:
                try:
                    if has_failed and await self._is_recorded(ops):
                        return await self._receipt_of(ops)
                    return await self.journal.record(*ops)
                except JournalFailed as error:
                    has_failed = True
                    self._failed(error)
                    await self.clock.sleep(1.0)
        except LaneLost:
            raise  # whoever has the scope by now knows it: it is kept beside the record
        except BaseException:
            self.unrecorded.append((what(), ops))  # as far as we know: what was handed over may still be written
            raise

    async def _is_recorded(self, ops: Sequence[Op]) -> bool:
        """Whether *ops*, which failed, are there all the same, as where the answer of a database was lost. After this
        they will not come any more by themselves. Raises `JournalFailed`."""
        try:
            await self.journal.record()  # what is under way still comes too late behind it
        except LaneLost:
            return False  # what is handed over again is kept beside the record
        return await self.journal.ask(Record.holds, ops)

    async def _receipt_of(self, ops: Sequence[Op]) -> Receipt | None:
        """The receipt of the last result among *ops*, which are there; None: there is none. Raises `JournalFailed`."""
        settled = [op for op in ops if isinstance(op, Settled)]
        if not settled or (found := await self.journal.ask(Record.result_of, settled[-1].index)) is None:
            return None
        return Receipt(found[0], Counter(await self.journal.ask(Record.status_counts)))

    def settled(self, settled: Settled, receipt: Receipt | None, *, recovered: bool) -> Awaitable[None] | None:
        """A result is durable: its line goes to the collector. Returns what is to be awaited until who wanted to see it
        has it; None: nobody waits."""
        assert receipt is not None  # noqa: S101 - a result has one
        self.collector.settled(receipt.seq, settled.line)
        counts, too_many = self.counts, self.policy.max_failures
        counts.by_status = receipt.counts
        counts.recovered += recovered
        delivering = self.on_result(settled.line)
        if too_many.reached(counts.failures, counts.entries):
            why = f"{counts.failures} of {counts.entries} entries failed, which --max-failures does not allow"
            self.stopping.stop(Stop(StopKind.MAX_FAILURES, why))
        return delivering
