"""Whether the cloud lets a scope in: the first request goes alone; a refused credential is renewed once, or ends it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol

from batcher.clock import Clock
from batcher.drs.auth.explain import explained
from batcher.drs.cloud import Cloud, Refusal
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.logger import get_logger
from batcher.pace.fair_semaphore import FairSemaphore, Party, PartyClosed

log = get_logger("batcher.wave")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


class Asker(Protocol):
    """Who asks: by which *cloud*, and the *long_waits* of its wave, which is closed once that is to stop."""

    @property
    def cloud(self) -> Cloud: ...
    @property
    def long_waits(self) -> Party: ...


class CredentialState:
    """The fate of one scope's credential, for all waves in it. *on_halt* is called when it is refused for good.

    *give_up_after_s*: so long is waited for an IAM that cannot be asked, once it has worked; None: for ever.
    """

    def __init__(
        self,
        scope: str,
        clock: Clock,
        on_halt: Callable[[Trouble], None],
        *,
        give_up_after_s: float | None = None,
    ) -> None:
        self.give_up_after_s = give_up_after_s
        self.halted: Trouble | None = None  # why the scope stopped for good
        self._scope = scope
        self._clock = clock
        self._on_halt = on_halt
        self.is_in = False  # the cloud has let the scope in
        self._asking = FairSemaphore(1)
        self._alone = asyncio.Lock()
        self._renewing = asyncio.Lock()
        self._renewed_at: float | None = None  # monotonic
        self._renewed = False  # since the cloud last let us in

    async def ready(self, who: Asker) -> bool:
        """Whether the scope may send: not halted, and the credential is at hand."""
        if self.halted is not None:
            return False
        refusal = await who.cloud.prepare()
        if refusal is not None and refusal.passing and self.is_in:
            refusal = await self._outlast(refusal, who)
            if refusal is not None and who.long_waits.closed:
                return False
        if refusal is not None:
            self.halt(_not_let_in(refusal))
        return self.halted is None

    async def _outlast(self, refusal: Refusal, who: Asker) -> Refusal | None:
        """IAM cannot be asked, and the credential was good until now: ask until it can, as in any outage."""
        try:
            await self._asking.enter(who.long_waits)
        except PartyClosed:
            return refusal
        try:
            began, pause_s = self._clock.monotonic(), _FIRST_PAUSE_S
            log.warning("credential.iam_unreachable", scope=self._scope, reason=refusal.error_msg)
            while not who.long_waits.closed and self.halted is None:
                lasted_s = self._clock.monotonic() - began
                if self.give_up_after_s is not None and lasted_s >= self.give_up_after_s:
                    return refusal
                await who.long_waits.until_closed(pause_s)
                if who.long_waits.closed:
                    break
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                again = await who.cloud.prepare()
                if again is None or not again.passing:
                    return again
                refusal = again
        finally:
            self._asking.leave()
        return refusal

    def let_in(self) -> None:
        """The cloud has answered to a request, and not by refusing its credential."""
        self.is_in, self._renewed = True, False

    async def renew_or_halt(self, trouble: Trouble, sent_at: float, who: Asker) -> bool:
        """After a refusal: True if there is a newer credential than at *sent_at*, not refused yet."""
        async with self._renewing:
            if self._renewed_at is not None and sent_at < self._renewed_at:
                return True
            if trouble.kind is ErrorKind.AUTH and not self._renewed and await who.cloud.renew():
                self._renewed, self._renewed_at = True, self._clock.monotonic()
                return True
            why = await who.cloud.prepare() if trouble.kind is ErrorKind.AUTH else None
        self.halt(explained(trouble) if why is None else _not_let_in(why))
        return False

    def first_alone(self) -> AbstractAsyncContextManager[None]:
        """Until the cloud has let us in, one request at a time: a wrong credential costs one refusal."""
        return nullcontext() if self.is_in else self._one_at_a_time()

    @asynccontextmanager
    async def _one_at_a_time(self) -> AsyncIterator[None]:
        await self._alone.acquire()
        if self.is_in:  # meanwhile
            self._alone.release()
            yield
            return
        try:
            yield
        finally:
            self._alone.release()

    def halt(self, trouble: Trouble) -> None:
        """The scope stops for good, for *trouble*."""
        if self.halted is not None:
            return
        self.halted = trouble
        log.error("scope.stopped", scope=self._scope, error_code=trouble.error_code, reason=trouble.error_msg)
        self._on_halt(trouble)

    def go_on(self) -> None:
        """Another try after a halt: of a wave that comes later. Its first request goes alone again."""
        self.halted = None
        self.is_in = self._renewed = False


def _not_let_in(refusal: Refusal) -> Trouble:
    return Trouble(
        fate=Fate.NOT_LET_IN,
        kind=ErrorKind.AUTH,
        error_code=refusal.error_code,
        error_msg=refusal.error_msg,
    )
