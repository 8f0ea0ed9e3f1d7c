"""On which terms a scope is looked at: as a wave that creates does it, or as those do who only look.

A wave's look-ups are part of what it sends: they take places in flight, a failed one tells of an outage, and the
cloud's clock is learnt from them. Who only looks does nothing of that, and lives without what it may not see.
"""

from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from enum import StrEnum, auto
from typing import Protocol, Self, cast

from batcher.channel.passes import Pass
from batcher.clock import Clock
from batcher.drs.outcome import Comparison, ErrorKind, Fate, Foreign, Trouble


class ReadAnswer(Protocol):
    """The answer to a look-up, which may be trouble as a whole. *server_time*: the cloud's `Date`, Unix seconds."""

    @property
    def trouble(self) -> Trouble | None: ...
    @property
    def left(self) -> bool: ...
    @property
    def answered(self) -> bool: ...
    @property
    def server_time(self) -> float | None: ...


class Next(StrEnum):
    """What comes after a look-up in trouble."""

    ANSWER = auto()  # the trouble is the answer
    AGAIN = auto()  # it is asked once more; the pace has seen to the pause
    RENEW = auto()  # once more with another credential, or the scope halts
    HALT = auto()  # the scope halts


class PlaceInFlight(Protocol):
    """A place in flight: `take` waits for it, and leaving the context that gave it gives it back."""

    def take(self) -> Awaitable[None]: ...


class ReadTerms(Protocol):
    """What goes with each look-up of a `ScopeReader`."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Entered around each request: the first of a channel goes alone."""
        ...

    def place(self) -> AbstractContextManager[PlaceInFlight]:
        """The place in flight of one request."""
        ...

    def leaves(self) -> Awaitable[None]:
        """A request is about to leave."""
        ...

    def heard(self, answer: ReadAnswer, sent_at: float) -> None:
        """The request that left at *sent_at*, monotonic, has its *answer*."""
        ...

    def listed(self, comparisons: Iterable[Comparison]) -> None:
        """A page of a job's list brought *comparisons*."""
        ...

    def after(self, trouble: Trouble) -> Next:
        """What comes after *trouble*."""
        ...


class OnlyLooks:
    """The terms of commands that only look, and of what looks beside a wave. Each request goes alone until the channel
    is let in; how many are on their way is up to who asks."""

    def __init__(self, through: Pass) -> None:
        self._pass = through

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Until the cloud has let the channel in, one at a time."""
        return _WITH_OTHERS if self._pass.is_in else self._pass.first_alone()

    def place(self) -> AbstractContextManager[PlaceInFlight]:
        """None is taken."""
        return _NOTHING

    def leaves(self) -> Awaitable[None]:
        """Nobody has to know."""
        return _AT_ONCE

    def heard(self, answer: ReadAnswer, sent_at: float) -> None:
        """Only the limit is learnt: a look that fails says nothing about what is sent."""
        trouble = answer.trouble
        throttled = trouble if trouble is not None and trouble.fate is Fate.TURNED_AWAY else None
        if trouble is None or throttled is not None:
            self._pass.governor.reads.heard(sent_at, throttled)

    def listed(self, comparisons: Iterable[Comparison]) -> None:
        """Nothing is learnt from them."""

    def after(self, trouble: Trouble) -> Next:
        """A missing permission is the answer: who may not look may still create."""
        if trouble.foreign is Foreign.BARRED:
            return Next.HALT
        return Next.ANSWER if trouble.kind is ErrorKind.PERMISSION else _after(trouble)


class LooksForWave:
    """The terms of a wave's own look-ups. The step of the entry that they belong to goes alone as a whole, so that they
    need not. *leave_sign* is awaited before each leaves; what it raises is raised."""

    def __init__(self, through: Pass, clock: Clock, leave_sign: Callable[[], Awaitable[None]]) -> None:
        self._pass = through
        self._clock = clock
        self._leave_sign = leave_sign

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Who asks has seen to it."""
        return nullcontext()

    def place(self) -> AbstractContextManager[PlaceInFlight]:
        """One of the wave's slots."""
        return self._pass.look_slot()

    async def leaves(self) -> None:
        """Let the next run know."""
        await self._leave_sign()

    def heard(self, answer: ReadAnswer, sent_at: float) -> None:
        """The cloud's clock, the limit, and whether the cloud is there at all. What is barred halts the scope there."""
        self._pass.cloud_clock.heard(answer.server_time, sent_at, self._clock.monotonic())
        self._pass.governor.read_answered(sent_at, answer.trouble)

    def listed(self, comparisons: Iterable[Comparison]) -> None:
        """What stands in a list may tell the cloud's time."""
        self._pass.cloud_clock.listed(comparisons)

    def after(self, trouble: Trouble) -> Next:
        """A wave that may not look up its doubts halts."""
        return _after(trouble)


def _after(trouble: Trouble) -> Next:
    match trouble.fate:
        case Fate.TURNED_AWAY:
            return Next.AGAIN
        case Fate.NOT_LET_IN:
            return Next.RENEW
        case _:
            return Next.ANSWER


class _AtOnce:
    """What is there already: no coroutine is made to await it."""

    def __await__(self) -> Generator[None, None, None]:
        return cast("Generator[None, None, None]", iter(()))


_AT_ONCE = _AtOnce()


class _Nothing:
    """No context to be entered, and no place to be taken."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __aenter__(self) -> Awaitable[None]:
        return _AT_ONCE

    def __aexit__(self, *_: object) -> Awaitable[None]:
        return _AT_ONCE

    def take(self) -> Awaitable[None]:
        return _AT_ONCE


_NOTHING = _Nothing()
_WITH_OTHERS = cast("AbstractAsyncContextManager[None]", _NOTHING)
