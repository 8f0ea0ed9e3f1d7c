"""How many workers may be busy at once, which may change while they are."""

import asyncio
from collections import deque
from types import TracebackType


class Width:
    """A context that at most *size* callers are in; others wait. Growing takes effect at once, shrinking as callers
    leave."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def resize(self, size: int) -> None:
        """Let *size* callers in."""
        self.size = size
        self._wake()

    async def __aenter__(self) -> None:
        while self._inside >= self.size:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()  # it may have been meant for someone who can take it
                raise
        self._inside += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
        self._wake()

    def _wake(self) -> None:
        """Wake as many as there are places for; who comes too late waits again."""
        free = self.size - self._inside
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
