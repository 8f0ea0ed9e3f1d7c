"""Looking at a scope that is held: only while the lease runs, as another machine looks once it does not.

So the limit of look-ups holds over the machines, as that of creates does.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from batcher.channel.passes import Pass
from batcher.channel.read_terms import ReadAnswer
from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs.cloud import HeldBack, OnSent
from batcher.machines.held_scope import HeldScope

T = TypeVar("T", bound=ReadAnswer)

_LAPSED_S = 0.2  # between two looks whether a lease runs again


class HeldReader(ScopeReader):
    """The look-ups *through* a pass of the scope that is *held*. Once that is lost nothing leaves any more."""

    def __init__(self, through: Pass, held: HeldScope, clock: Clock) -> None:
        super().__init__(through, clock)
        self._held = held

    async def _ask(self, send: Callable[[OnSent], Awaitable[T]]) -> T | None:
        """The answer; a look whose turn comes while the lease does not run takes another turn later."""
        while not self._held.is_lost:
            if self._held.runs:
                try:
                    return await super()._ask(lambda on_sent: send(lambda: self._leaves(on_sent)))
                except HeldBack:
                    continue
            await self._clock.sleep(_LAPSED_S)
        return None

    def _leaves(self, on_sent: OnSent) -> None:
        """The bytes are about to leave."""
        if not self._held.runs:
            raise HeldBack("the lease on its scope is not to be relied on")
        if on_sent is not None:
            on_sent()
