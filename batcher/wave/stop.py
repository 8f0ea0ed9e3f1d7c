"""Whether a wave, or the following of one, is to end before it is done, why, and how hard: one value, `Stopping`.

It is made where the wave is, and handed to all who may have a reason (signals, the operator, deadlines, a journal that
fails, too many failures, results or verdicts that cannot be written) and to all who must end: the reading of the
manifest, the engine, and what follows the comparisons. The first reason is the one that counts; it can only become
harder. A scope that halts is another matter: that is told by its `Pass`.
"""

from collections.abc import Callable
from enum import Enum, IntEnum

from msgspec import Struct


class StopKind(Enum):
    """What stops a wave; each has its exit code in the command line."""

    SIGINT = "interrupted"
    SIGTERM = "terminated"
    SIGHUP = "hung up"
    ASKED = "stopped on request"
    SUSPENDED = "suspended"  # it goes on by itself soon: no line is written of what stays open
    REFUSED = "credentials refused"
    MAX_FAILURES = "too many failures"
    DEADLINE = "deadline reached"
    WATCH_TIMEOUT = "followed for as long as was allowed"
    JOURNAL = "journal not writable"
    RESULTS = "results not writable"
    READER = "whoever read the results went away"

    @property
    def is_signal(self) -> bool:
        """Whether a signal stops the wave, of the member's name."""
        return self in (StopKind.SIGINT, StopKind.SIGTERM, StopKind.SIGHUP)


class Stop(Struct, frozen=True):
    """A reason to stop; *text* is a sentence for people."""

    kind: StopKind
    text: str


class HowHard(IntEnum):
    """How hard a wave is to stop; each includes those before it."""

    NOT = 0
    IN_ORDER = 1  # nothing new is sent; what is in flight has the policy's grace to settle
    CUT_OFF = 2  # the grace is over: nothing is waited for, what is in flight stays in doubt in the journal
    AT_ONCE = 3  # there is not even time for the provisional lines


class Stopping:
    """Whether one wave, or one following, is to stop, *why*, and *how* hard."""

    def __init__(self) -> None:
        self.why: Stop | None = None
        self.how = HowHard.NOT
        self._observers: list[Callable[[], None]] = []

    def stop(self, why: Stop, how: HowHard = HowHard.IN_ORDER) -> None:
        """Stop for *why*, unless another reason came first; and at least so hard."""
        self.why = self.why or why
        if how > self.how:
            self.how = how
            for observer in tuple(self._observers):
                observer()

    def observe(self, observer: Callable[[], None]) -> None:
        """Call *observer* each time that it becomes harder, and now if it has begun."""
        self._observers.append(observer)
        if self.how:
            observer()
