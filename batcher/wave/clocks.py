"""Our clock, handed in. What we know of the cloud's is in `cloud_clock.py`."""

import asyncio
import hashlib
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol


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


class SystemClock:
    """The machine's clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)  # the same clock as the event loop's

    @property
    def timebase(self) -> str:
        """See `Clock.timebase`: the machine's last start, where it tells; else this process."""
        return _timebase()

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


@cache
def _timebase() -> str:
    """Linux counts from its start, which has an id; a time namespace may shift that."""
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
