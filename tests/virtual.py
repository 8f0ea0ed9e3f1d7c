"""Virtual time: an event loop whose clock jumps to the next timer as soon as nothing else can happen.

A wave of an hour passes in milliseconds and always the same way, so tests wait for what they mean and never for
the machine. Use it by hand (`run`), or for a whole test module:

    pytestmark = pytest.mark.virtual_time

Sockets work as long as both ends live in the loop. Threads do too, where they are started by `to_thread` or
`run_in_executor`: time stands still while one is at work.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from unittest import mock

from batcher.rehearsal.leap import LeapingLoop, LoopClock, TimedSelector

T = TypeVar("T")

WALL_AT_START = 1_790_000_000.0  # 2026-09-21: what `VirtualClock.now` shows when the loop begins
_TICK = 1e-6  # a timer fires so much late: what is due at the same moment is due
_PATIENCE_S = 90.0  # real seconds that a thread may work while time stands still
_ON_ITS_WAY_S = 0.0003  # likewise: what one end of a connection wrote is, on a busy machine, not yet at the other


class Stalled(AssertionError):
    """Every task waits for something that can never come, or one of them spins."""


class _JumpSelector(selectors.SelectSelector, TimedSelector):
    """Polls what is real; where nothing is, moves the clock on instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.busy = 0
        self.turns_left = -1  # negative: no bound
        self._own = True  # nothing is registered but the loop's own wake-up pipe

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self._own = len(self.get_map()) <= 1
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._own = len(self.get_map()) <= 1
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns_left -= 1
        if self.turns_left == 0:
            raise Stalled("it goes round and round")
        if self.busy or not self._own:
            ready = super().select(0)
            if not ready and self.busy and timeout != 0:
                ready = super().select(_PATIENCE_S)
            if not ready and not self.busy and timeout:
                ready = super().select(_ON_ITS_WAY_S)
            if ready or self.busy:
                return ready
        if timeout is None:
            return self._woken_from_outside()
        if timeout > 0:
            self.now += timeout + _TICK
        return []

    def _woken_from_outside(self) -> list[tuple[selectors.SelectorKey, int]]:
        """No timer and nothing ready: only a thread or a peer can still move something, and soon."""
        ready = super().select(0 if self._own and threading.active_count() == 1 else _PATIENCE_S)
        if not ready:
            raise Stalled("every task waits for something that can never come")
        return ready


class VirtualLoop(LeapingLoop):
    """See the module. `time()` begins at 1000 s; the loop's `clock` is a `Clock` of the same time."""

    def __init__(self, turns: int = -1) -> None:
        """At most *turns* of the loop, where that is not negative; then `Stalled` is raised."""
        jump = _JumpSelector()
        jump.turns_left = turns
        super().__init__(jump)
        self.clock = VirtualClock(self)

    def stand_still(self, seconds: float) -> None:
        """Let time pass within a turn of the loop, as if the process were frozen right here."""
        self._timed.now += seconds


class VirtualClock(LoopClock):
    """A `Clock` on a virtual loop, which shows *wall* now."""

    timebase = "virtual"

    def __init__(self, loop: asyncio.AbstractEventLoop, wall: float = WALL_AT_START) -> None:
        super().__init__(loop)
        self._ahead = wall - loop.time()

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back, as an administrator or NTP does. The monotonic one stays."""
        self._ahead += seconds


class _LoopTime:
    """Stands in for the `time` module in libraries that look at the clock by themselves."""

    @staticmethod
    def time() -> float:
        return asyncio.get_running_loop().time()

    monotonic = perf_counter = time


@contextmanager
def libraries_on_loop_time() -> Iterator[None]:
    """asyncio-throttle asks the `time` module; inside, it is told the loop's time."""
    with mock.patch("asyncio_throttle.throttler.time", _LoopTime):
        yield


def run(main: Callable[[], Coroutine[Any, Any, T]], *, turns: int = -1) -> T:
    """Run *main* to its end in virtual time, within so many *turns* of the loop if that is not negative."""
    with libraries_on_loop_time(), asyncio.Runner(loop_factory=partial(VirtualLoop, turns)) as runner:
        return runner.run(main())
