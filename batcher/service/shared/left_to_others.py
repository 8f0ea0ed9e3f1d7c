"""Queued waves that this service cannot open, and another may: it has another configuration, or other credentials."""

from msgspec import Struct
from msgspec.structs import replace

from batcher.clock import Clock
from batcher.errors import BatcherError
from batcher.logger import get_logger
from batcher.service.kept.register import WaveRow
from batcher.service.models import State

log = get_logger("batcher.service")

_AGAIN_S = 10.0  # until this service looks whether it can open it by now
_TOLD_ON_S = 5.0  # while it looks


class NotHere(BatcherError):
    """This service cannot open a wave, for a reason of its own: nothing about the wave is wrong."""


class _LeftWave(Struct, frozen=True):
    """*why* it was left, and until when, in monotonic seconds."""

    why: str
    until: float


class LeftToOthers:
    """Remembers the waves that are left to other services, and why."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: dict[str, _LeftWave] = {}

    def leave(self, id: str, error: NotHere) -> None:
        """The wave with that id is not opened here for a while; it is said once for each reason."""
        before, why = self._left.get(id), str(error)
        if before is None or before.why != why:
            log.warning("service.wave_postponed", wave=id, reason=why)
        self._left[id] = _LeftWave(why, self._clock.monotonic() + _AGAIN_S)

    def has(self, id: str) -> bool:
        """Whether the wave with that id is left to others at the moment."""
        left = self._left.get(id)
        return left is not None and self._clock.monotonic() < left.until

    def told(self, row: WaveRow) -> WaveRow:
        """*row* as it is told: while nobody has opened it, with why this service does not."""
        left = self._left.get(row.id)
        if left is None or row.state is not State.QUEUED or self._clock.monotonic() > left.until + _TOLD_ON_S:
            return row
        return replace(row, reason=f"it waits for another service: {left.why}")

    def forget(self, id: str) -> None:
        """Remember nothing of the wave with that id, which has ended."""
        self._left.pop(id, None)
