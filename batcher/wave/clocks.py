"""Our clock, handed in. What we know of the cloud's is in `cloud_clock.py`."""

from typing import NamedTuple, Protocol

from batcher.clock import SystemClock, utc

__all__ = ["Clock", "Instant", "SystemClock", "utc"]


class Clock(Protocol):
    """Time as the engine sees it."""

    @property
    def timebase(self) -> str:
        """Names what `monotonic` counts from: times of two processes compare only where this is the same."""
        ...

    def now(self) -> float:
        """Wall time, Unix seconds: for what people read. It may step."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps: for every duration."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        ...


class Instant(NamedTuple):
    """A moment on the monotonic clock of some process, this one or an earlier one."""

    timebase: str
    monotonic: float
