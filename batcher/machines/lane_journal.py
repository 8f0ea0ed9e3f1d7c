"""A wave's journal as its lane in one scope has it: by the lease, and with an eye on the orders."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

from batcher.journal.errors import IntentRefused, LaneLost
from batcher.journal.ops import Op, Receipt
from batcher.journal.port import Record, SharedJournal
from batcher.machines.held_scope import HeldScope

P = ParamSpec("P")
T = TypeVar("T")


class LaneJournal:
    """*journal*, which is bound to the lease on *held*: a `Journal`.

    *read_orders* is awaited where the orders are others than they were, before whoever recorded goes on: so what was
    just intended leaves by the new ones. It returns their version.
    """

    def __init__(
        self, journal: SharedJournal, held: HeldScope, version: int, read_orders: Callable[[], Awaitable[int]]
    ) -> None:
        """*version* is that of the orders which are known."""
        self._journal = journal
        self._held = held
        self._read_orders = read_orders
        self._reading = asyncio.Lock()
        self.version = version

    async def record(self, *ops: Op) -> Receipt | None:
        """Make *ops* durable, in order, all or none. Raises `JournalFailed`, `LaneLost` and `IntentRefused`."""
        try:
            receipt = await self._journal.record(*ops)
        except LaneLost:
            self._held.lose()
            raise
        except IntentRefused:
            await self.heed(None)
            raise
        if self._journal.orders_version != self.version:
            await self.heed(self._journal.orders_version)
        return receipt

    async def heed(self, version: int | None) -> None:
        """Go by the orders, which have that *version* now; None: by whichever there are. Raises `JournalFailed`."""
        async with self._reading:
            if version is None or version != self.version:  # else another has just read them
                self.version = await self._read_orders()

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """The answer to *question*, a method of `Record`."""
        return await self._journal.ask(question, *args, **more)
