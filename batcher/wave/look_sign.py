"""The journal's sign that look-ups leave."""

from batcher.clock import utc
from batcher.journal.ops import Noted
from batcher.wave.context import Context

_SIGN_S = 15.0  # less than what `Lane.go_on_after` counts back


class LookSign:
    """Lets the journal know that look-ups leave: the next run's count for the limit as well, also where this process
    dies before it has recorded what came of one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._left_at: float | None = None  # monotonic

    async def leave(self) -> None:
        """A look-up is about to leave. Raises `JournalFailed`."""
        now = self._context.clock.monotonic()
        if self._left_at is None or now - self._left_at >= _SIGN_S:
            at = utc(self._context.clock.now()).isoformat()
            await self._context.record(Noted(name="looked_at", value=at))
            self._left_at = now
