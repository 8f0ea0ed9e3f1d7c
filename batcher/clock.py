"""Our clock, handed in, and the machine's: the one place where time is read. The cloud's: `channel/cloud_clock.py`."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

# Linux counts suspension in a clock of its own; macOS does in the one that Python does not take for `monotonic`.
_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_SLEPT_S = 0.5  # that much more, and the machine was suspended


class Clock(Protocol):
    """Time as the engine sees it."""

    @property
    def timebase(self) -> str:
        """Names what `monotonic` counts from: times of two processes, and of one, compare only where this is the same.

        It is another one after the machine was suspended, which `monotonic` does not count: how long ago something was
        can be told no more by that, only what came first (`same_start`).
        """
        ...

    def now(self) -> float:
        """Wall time, Unix seconds: for what people read. It may step."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps: for every duration."""
        ...

    def boot(self) -> float:
        """Seconds on a clock that never steps and goes on while the machine is suspended: for what others wait for."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Suspend the caller for *seconds* of this clock."""
        ...


class Instant(NamedTuple):
    """A moment on the monotonic clock of some process, this one or an earlier one."""

    timebase: str
    monotonic: float


def same_start(timebase: str, other: str) -> bool:
    """Whether both count from the same start of the same machine, which may have been suspended in between."""
    return timebase.partition("+")[0] == other.partition("+")[0]


class SystemClock:
    """The machine's clock, as a `Clock`."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)  # the same clock as the event loop's
    _slept_s = 0.0  # for how long the machine was suspended when somebody last asked

    def boot(self) -> float:
        """Seconds since the machine's start, suspended or not; where there is no such clock, as `monotonic`."""
        return time.clock_gettime(_BOOT)

    @property
    def timebase(self) -> str:
        """What `monotonic` counts from: the machine's last start, where that has a name; else this process's own; and
        for how long it was suspended since."""
        slept_s = self.boot() - self.monotonic()
        if abs(slept_s - self._slept_s) > _SLEPT_S:  # the two were not read at one moment
            self._slept_s = slept_s
        return _timebase() if self._slept_s < _SLEPT_S else f"{_timebase()}+{self._slept_s:.0f}"

    async def sleep(self, seconds: float) -> None:
        """Suspend the caller for *seconds*, on the running event loop."""
        import asyncio  # a command that only looks at files does without

        await asyncio.sleep(seconds)


@cache
def _timebase() -> str:
    """Linux counts from its start, which has an id; a time namespace may shift that."""
    import hashlib
    import os

    try:
        known = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        with suppress(FileNotFoundError):
            known += Path("/proc/self/timens_offsets").read_bytes()
    except OSError:
        known = os.urandom(16)
    return hashlib.sha256(known).hexdigest()[:12]


def utc(moment: float) -> datetime:
    """*moment* (Unix seconds) as an aware datetime."""
    return datetime.fromtimestamp(moment, UTC)


def utc_now() -> datetime:
    """The time, as an aware datetime."""
    return utc(SystemClock.now())
