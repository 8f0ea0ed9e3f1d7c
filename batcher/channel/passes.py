"""A wave's way into a channel. All that it sends or looks up goes through its pass; it stops and pauses there."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from batcher.channel.governor import Limit
from batcher.channel.other_journals import OtherRecords
from batcher.channel.slots import Slot, Slots
from batcher.drs.cloud import Cloud
from batcher.drs.outcome import Trouble
from batcher.pace.fair_semaphore import Party
from batcher.pace.pacer import Pacer, Turn
from batcher.rates import Rate

if TYPE_CHECKING:
    from batcher.channel.channel import Channel


class Pass:
    """What one wave has of a channel. Limits of its own are kept below the channel's; in a private one they are its.

    `on_halt` is called when the channel halts. `sends` and `looks` are the wave's parties in the channel's lines.
    """

    def __init__(
        self,
        channel: "Channel",
        cloud: Cloud,
        *,
        wave: str,
        priority: int,
        age: float,
        rate: Limit,
        read_rate: Limit,
        concurrency: int,
        others: OtherRecords | None = None,
    ) -> None:
        self.channel = channel
        self.cloud = cloud
        self.wave = wave
        self.governor = channel.governor
        self.cloud_clock = channel.cloud_clock
        self.jobs = channel.jobs
        self.others = others
        self.sends = Party(priority=priority, age=age)
        self.looks = Party(priority=priority, age=age)
        self.long_waits = Party()  # closed where the wave waits for nothing more that may take long
        self.slots = Slots(concurrency, channel.clock, channel.places)
        self.rate, self.read_rate, self.concurrency = rate, read_rate, concurrency  # what it may at most
        self.halted: Trouble | None = None  # why nothing goes through it any more
        self.on_halt: Callable[[], None] = _nobody
        # Asked right before a look-up leaves; raises `HeldBack` where it must not, for now.
        self.may_look: Callable[[], None] | None = None
        creates, reads = channel.governor.creates.pacer.rate, channel.governor.reads.pacer.rate
        self._creates = None if channel.private else Pacer(_own_rate(rate, creates), channel.clock)  # its own pace
        self._reads = None if channel.private else Pacer(_own_rate(read_rate, reads), channel.clock)

    # --- its credential -------------------------------------------------------------------------------------

    @property
    def at_hand(self) -> bool:
        """Whether `ready` would say so at once: then it need not be awaited."""
        return self.halted is None and self.cloud.at_hand and self.channel.credential.halted is None

    async def ready(self) -> bool:
        """Whether the wave may send or look: not halted, and the credential is at hand."""
        return self.halted is None and await self.channel.credential.ready(self) and self.halted is None

    def first_alone(self) -> AbstractAsyncContextManager[None]:
        """Until the cloud has let the channel in, one request at a time: a wrong credential costs one refusal."""
        return self.channel.credential.first_alone()

    @property
    def is_in(self) -> bool:
        """Whether the cloud has let the channel in: nobody needs to go first any more."""
        return self.channel.credential.is_in

    def let_in(self) -> None:
        """The cloud has answered to a request, and not by refusing its credential."""
        self.channel.credential.let_in()

    async def renew_or_halt(self, trouble: Trouble, sent_at: float) -> bool:
        """After a refusal: True if there is a newer credential than at *sent_at*, not refused yet."""
        return await self.channel.credential.renew_or_halt(trouble, sent_at, self)

    # --- its turns and slots ----------------------------------------------------------------------------

    def turn(self) -> Turn:
        """The next turn to create. Wait for `Turn.pace` before anything is taken that others wait for."""
        shared = self.governor.creates.pacer
        return shared.turn(self.sends) if self._creates is None else _OwnPaceTurn(self._creates, shared, self.sends)

    def look(self) -> Turn:
        """The next turn to look."""
        shared = self.governor.reads.pacer
        return shared.turn(self.looks) if self._reads is None else _OwnPaceTurn(self._reads, shared, self.looks)

    def slot(self) -> Slot:
        """A slot for a request that is to be sent."""
        return self.slots.slot(self.sends)

    def look_slot(self) -> Slot:
        """A slot for a look-up."""
        return self.slots.slot(self.looks)

    # --- what is done to it -----------------------------------------------------------------------------

    def stop(self) -> None:
        """Nothing new is sent through it; look-ups still go."""
        self.end()
        self.long_waits.close()

    def end(self) -> None:
        """Nothing is left to send through it; look-ups go on as before."""
        self.sends.close()
        self._ring()

    def halt(self, trouble: Trouble) -> None:
        """Nothing goes through it any more, for *trouble*."""
        if self.halted is None:
            self.halted = trouble
            self.stop()
            self.looks.close()
            self._ring()
            self.on_halt()

    def close(self) -> None:
        """The wave is done with the channel."""
        self.stop()
        self.looks.close()
        self._ring()
        self.channel.leave(self)

    def hold(self, reason: str | None) -> None:
        """Nothing is sent until this is called with None; look-ups are not held, nor are other waves."""
        self.sends.hold(reason)
        self._ring()

    def set_limit(self, limit: Limit) -> None:
        """Create at most so many from now on."""
        if self._creates is None:
            self.governor.set_limit(limit)
        else:
            self._creates.set_rate(_rate(limit))
        self.rate = limit
        self.channel.follow()

    def set_read_limit(self, limit: Limit) -> None:
        """Look up at most so many from now on."""
        if self._reads is None:
            self.governor.reads.set_limit(limit)
        else:
            self._reads.set_rate(_rate(limit))
        self.read_rate = limit
        self.channel.follow()

    def resize(self, concurrency: int) -> None:
        """Have at most so many requests in flight from now on."""
        self.slots.resize(concurrency)
        self.concurrency = concurrency
        self.channel.follow()

    def set_priority(self, priority: int) -> None:
        """Stand in line with another *priority* from now on."""
        self.sends.priority = self.looks.priority = priority

    def go_on_after(self, last_sign_s: float, leave_s: float) -> None:
        """An earlier run of the wave gave its last sign so long ago: what it sent until then counts as well."""
        self.channel.go_on(self.wave, last_sign_s, leave_s)
        for pacer in (self._creates, self._reads):
            if pacer is not None and pacer.rate is not None and last_sign_s < pacer.rate.period_s + leave_s:
                pacer.go_on(in_flight=self.slots.size)

    # --- what it says -----------------------------------------------------------------------------------

    @property
    def rate_text(self) -> str:
        """The pace in force, for people."""
        own = None if self._creates is None else self._creates.rate
        limit = self.governor.creates.pacer.rate
        if own is not None and (limit is None or own.per_s < limit.per_s):
            return str(own)
        return self.governor.creates.rate_text

    @property
    def reason(self) -> str | None:
        """Why less is sent than could be, for people."""
        return self.sends.held or self.governor.reason

    @property
    def stands_still(self) -> bool:
        """Whether nothing is sent until something changes that nobody here can foresee: an outage, the operator."""
        return self.sends.held is not None or self.governor.out

    @property
    def paused_until_s(self) -> float | None:
        """Seconds until it sends again, 0 where that is not known; None: it is not paused."""
        paused_s = self.governor.paused_until_s
        return 0.0 if paused_s is None and self.sends.held is not None else paused_s

    @property
    def period_s(self) -> float:
        """The longest time over which a limit that it keeps is counted, in seconds; a second where none is set."""
        return max((pacer.rate.period_s for pacer in self._pacers() if pacer.rate is not None), default=1.0)

    def _pacers(self) -> Iterator[Pacer]:
        for pacer in (self.governor.creates.pacer, self.governor.reads.pacer, self._creates, self._reads):
            if pacer is not None:
                yield pacer

    def _ring(self) -> None:
        for pacer in self._pacers():
            pacer.ring()


class _OwnPaceTurn(Turn):
    """A turn that has to keep the wave's own pace as well. That is waited for first, by `pace` or on entering."""

    __slots__ = ("_own", "is_paced")

    def __init__(self, own: Pacer, shared: Pacer, party: Party) -> None:
        super().__init__(shared, party)
        self._own = own.turn(party)
        self.is_paced = False

    async def pace(self) -> None:
        """Wait for the wave's own pace."""
        await self._own.enter()
        self.is_paced = True

    def unpace(self) -> None:
        """Let others have the own pace, which lies behind this turn."""
        if self.is_paced:
            self._own.leave()

    def enters(self) -> bool:
        """Enter, if that can be had at once; a pace of its own is waited for."""
        return self.is_paced and super().enters()

    async def enter(self) -> None:
        """Enter, once both paces let it."""
        if self.is_paced:
            await super().enter()
            return
        await self._own.enter()
        try:
            await super().enter()
        except BaseException:
            self._own.leave()
            raise

    def leave(self) -> None:
        """Let others enter: into both paces, unless the own one is waited for by `pace`."""
        super().leave()
        if not self.is_paced:
            self._own.leave()

    def is_due(self) -> bool:
        """Never at once: a pace of its own is waited for."""
        return False

    async def due(self) -> None:
        """Wait until both paces let the request leave, and take the slot in both."""
        while True:
            pacer = self._own._pacer
            rate = pacer.rate
            await self._own.due()
            try:
                await super().due()
            except BaseException:
                self._own.ended(sent=False)
                raise
            if pacer.rate == rate:
                return
            # The wave's own pace is another one by now, in whose window this has no place.
            super().ended(sent=False)
            self._own.ended(sent=False)

    def sent(self) -> None:
        """The request leaves: both paces count it from now."""
        self._own.sent()
        super().sent()

    def ended(self, *, sent: bool, answered: bool = False) -> None:
        """The request has ended, for both paces."""
        self._own.ended(sent=sent, answered=answered)
        super().ended(sent=sent, answered=answered)


def _rate(limit: Limit) -> Rate | None:
    """The pace of its own that a wave keeps for *limit*; what is to be found, the channel finds."""
    return limit if isinstance(limit, Rate) else None


def _own_rate(limit: Limit, shared: Rate | None) -> Rate | None:
    """The same where the channel has the pace *shared*: what is no slower than that need not be kept twice."""
    own = _rate(limit)
    return None if own == shared else own


def _nobody() -> None:
    """Nobody asks to know."""
