"""Event loops with a clock of their own, on which computing takes no time: it moves on only while nothing can happen.

Client and simulated cloud run on the same such loop, so pace, latency, back-off and limits are what they would be on an
idle machine. `LeapingLoop` leaps to the next timer, and a rehearsal of an hour takes as long as the computing it needs;
`SteadyLoop` waits for it, for people to watch. Threads hold time still while they work.
"""

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from batcher.clock import SystemClock
from batcher.journal.ops import Op, Receipt
from batcher.journal.port import Journal, Record

P = ParamSpec("P")
T = TypeVar("T")

_TICK_S = 1e-6  # what is due at the same moment is due together


class TimedSelector(selectors.BaseSelector):
    """A selector that has its loop's time: *now*, in seconds. It must not move on while *busy* threads are at work."""

    now: float
    busy: int


class _LeapingSelector(selectors.DefaultSelector, TimedSelector):
    """Looks at what is real; where there is nothing, moves the clock on, after waiting for it if it *waits*."""

    def __init__(self, *, waits: bool) -> None:
        super().__init__()
        self.now = SystemClock.monotonic()
        self.busy = 0
        self._waits = waits

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """The file objects that are ready, as every selector tells them; time is moved on instead of waited for."""
        ready: list[tuple[selectors.SelectorKey, int]]
        if timeout is None or self.busy:
            ready = super().select(None if timeout != 0 else 0)
            return ready
        ready = super().select(0)
        if not ready and timeout > 0:
            ready = super().select(0)  # a byte over loopback is there at once, or after the other side's turn
            if not ready and self._waits:
                began = SystemClock.monotonic()
                if ready := super().select(timeout):  # a signal, say
                    self.now += min(SystemClock.monotonic() - began, timeout)
            if not ready:
                self.now += timeout + _TICK_S
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock leaps to the next timer as soon as nothing else can happen."""

    _waits = False

    def __init__(self, selector: TimedSelector | None = None) -> None:
        """*selector* has the time; None: one that leaps."""
        self._timed = selector or _LeapingSelector(waits=self._waits)
        super().__init__(self._timed)

    def time(self) -> float:
        """Seconds on the loop's own clock."""
        return self._timed.now

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Time stands still inside: a thread is at work, and will wake the loop when it has done."""
        self._timed.busy += 1
        try:
            yield
        finally:
            self._timed.busy -= 1

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        """Have *func* run in a thread, as every loop does; time stands still until it has ended."""
        future = super().run_in_executor(executor, func, *args)
        self._timed.busy += 1
        future.add_done_callback(self._no_longer_busy)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads, as every loop does; time stands still, so that no *timeout* can pass meanwhile."""
        with self.busy():
            await super().shutdown_default_executor()

    def _no_longer_busy(self, _: object) -> None:
        self._timed.busy -= 1


class SteadyLoop(LeapingLoop):
    """A `LeapingLoop` that waits for the next timer, so that people can watch; computing still takes no time."""

    _waits = True


class LoopClock:
    """A `Clock` that reads the running loop's time."""

    timebase = "loop"  # no other process goes on with what is timed by it

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ahead = SystemClock.now() - loop.time()

    def now(self) -> float:
        """Wall time, Unix seconds."""
        return self._loop.time() + self._ahead

    def monotonic(self) -> float:
        """The running loop's time, in seconds."""
        return self._loop.time()

    def boot(self) -> float:
        """As `monotonic` reads: a loop is never suspended."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Suspend the caller for *seconds* of the loop's time."""
        await asyncio.sleep(seconds)


class TimelessJournal:
    """A `Journal` whose commits take no time on the loop: it stands still for as long as *inner*'s thread works."""

    def __init__(self, inner: Journal, loop: LeapingLoop) -> None:
        self._inner = inner
        self._loop = loop

    async def record(self, *ops: Op) -> Receipt | None:
        """Make *ops* durable, in order, all or none, while time stands still. Raises `JournalFailed`."""
        with self._loop.busy():
            return await self._inner.record(*ops)

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """The answer to *question*, while time stands still. Raises `JournalFailed`."""
        with self._loop.busy():
            return await self._inner.ask(question, *args, **more)
