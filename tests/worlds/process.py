"""One run of the process in a world: its clock, and the moment at which it dies.

The process touches the world in steps: it hands something to the journal, hears that it is durable, sends a request,
gets an answer, writes to the results file, passes a boundary. Between two of these nothing leaves it, so a death at
every step is a death at every await. From then on whatever the code still does in this Python process, as it is
being cleared away, has no effect on the world.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from tests.virtual import WALL_AT_START
from tests.worlds.spec import Life


class Died(BaseException):
    """The process is dead. Raised only where it dies outside the event loop's care, while it opens its wave."""


class Process:
    """See the module. It is also the `Clock` that the engine gets."""

    def __init__(self, life: Life, booted_at: float, wall_ahead_s: float, say: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._life = life
        self._booted_at = booted_at  # the monotonic clock begins anew with each start of a machine
        self.timebase = f"since {self._booted_at:.6f}"
        self.wall_ahead_s = wall_ahead_s
        self.clock_was_set = False
        self.journal_was_unreadable = False
        self.say = say
        self.steps = 0
        self.dead = False
        self.death = asyncio.Event()
        self.at_death: list[Callable[[], None]] = []
        self.on_signal: Callable[[int], None] = lambda _: None
        self.on_copy: Callable[[], None] = lambda: None
        self.power = life.power
        self.epochs: dict[str, int] = {}  # by project: of the lease on it, where machines share the journal

    def step(self, what: str) -> bool:
        """The process is about to do *what*; False: it is dead, and nothing comes of it."""
        if self.dead:
            return False
        self.steps += 1
        if self.steps == self._life.dies_at:
            self.say(f"{'POWER CUT' if self.power else 'KILLED'} at step {self.steps}: {what}")
            self.dead = True
            for act in self.at_death:
                act()
            self.death.set()
            return False
        if self.steps == self._life.copies_at:
            self.on_copy()
        if self.steps == self._life.signal_at:
            self._loop.call_soon(self.on_signal, 1)
        if self.steps == self._life.second_signal_at:
            self._loop.call_soon(self.on_signal, 2)
        return True

    async def is_stopped_short(self) -> bool:
        """Whether it was frozen just after a request was let leave, before its bytes did; it goes on by now."""
        return False

    def passes(self, boundary: str) -> None:
        """It passes a boundary of durability: the engine's `watch`."""
        self.step(boundary)

    def step_or_die(self, what: str) -> None:
        """The same for code outside the event loop. Raises `Died`."""
        if not self.step(what):
            raise Died

    async def never(self) -> NoReturn:
        """What a dead process waits for."""
        await self._loop.create_future()
        raise AssertionError("a dead process was woken")

    def now(self) -> float:
        """Its wall clock."""
        return WALL_AT_START + self._loop.time() + self.wall_ahead_s

    def monotonic(self) -> float:
        """Its monotonic clock."""
        return self._loop.time() - self._booted_at

    def boot(self) -> float:
        """The same, where it is not suspended."""
        return self.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)
