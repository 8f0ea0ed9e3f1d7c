"""The channel to one scope of the cloud, in this process: what belongs to the scope and not to a wave.

What holds here:

- There is one for each (endpoint, project_id), and all waves of a process that work there share it: one credential and
  its fate, one pace, so many requests in flight, one notion of the cloud's clock, one table of jobs in hand.
- A wave has a `Pass`. It stops, pauses and ends by that, and nobody else notices. The limits of the channel hold over
  all passes; a pass may have narrower ones of its own.
- Whoever is sent first waits for its own pace before it takes anything that others wait for, and a wave that is paused
  has nothing in hand: what it had prepared is taken back.
- Waves with other limits or another credential use the same channel, one kind after the other: what the earlier ones
  sent and made still counts.
- A channel that halts (its credential was refused, or there is no way) halts every pass in it. A pass that comes later
  tries again, unless that would show a refused credential once more: then it is halted from the beginning.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from batcher.channel.cloud_clock import CloudClock
from batcher.channel.common_limits import greatest, lower
from batcher.channel.credential_state import CredentialState
from batcher.channel.governor import Governor, Limit
from batcher.channel.job_claims import JobClaims
from batcher.channel.other_journals import OtherRecords
from batcher.channel.passes import Pass
from batcher.clock import Clock
from batcher.drs.cloud import Cloud
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.logger import scope_name
from batcher.pace.fair_semaphore import FairSemaphore


class ChannelLimits(Struct, frozen=True, kw_only=True):
    """What a scope allows: create requests, look-ups, and requests in flight; how long an outage may last (None: for
    ever), and how far the clocks of the cloud's machines may differ; both in seconds.

    *of_waves* names those of `rate`, `read_rate` and `concurrency` that nobody has said: they are what the waves in the
    scope were submitted with, the greatest of them; see `common_limits`.
    """

    rate: Limit
    read_rate: Limit
    concurrency: int
    give_up_after_s: float | None
    slack_s: float
    of_waves: frozenset[str] = frozenset()


class Channel:
    """What a scope has once in a process, shared by its waves.

    *private*: one wave has it to itself, and its limits are the channel's.
    """

    def __init__(
        self, name: str, clock: Clock, rng: random.Random, limits: ChannelLimits, *, private: bool = False
    ) -> None:
        self.name = name
        self.clock = clock
        self.rng = rng
        self.private = private
        self.credential = CredentialState(name, clock, self._halt, give_up_after_s=limits.give_up_after_s)
        self.governor = Governor(
            clock,
            rng,
            limit=limits.rate,
            read_limit=limits.read_rate,
            give_up_after_s=limits.give_up_after_s,
            on_give_up=self.credential.halt,
        )
        self.cloud_clock = CloudClock(clock, limits.slack_s)
        self.jobs = JobClaims(clock, remembers=not private)
        self.places = None if private else FairSemaphore(limits.concurrency)
        self._limits = limits
        self._passes: dict[Pass, None] = {}  # in the order in which they came
        self.mark: object = None  # of the credential in use: tells it the credential in use from others
        self._try_again = False
        self._waves: dict[str, int] = {}  # how often each was here: what it sent then counts already
        self._went_on = False
        self._ordered: Limit = None  # what an operator has said of the scope, for all waves

    def enter(
        self,
        cloud: Cloud,
        *,
        wave: str,
        priority: int = 0,
        age: float = 0.0,
        rate: Limit = None,
        read_rate: Limit = None,
        concurrency: int | None = None,
        credential: object = None,
        others: OtherRecords | None = None,
    ) -> Pass:
        """A pass for *wave*, which sends through *cloud*; see `Pass` for the limits.

        *credential* is a mark that is equal where the credential is the same. *others* know what waves of earlier
        processes did.
        """
        halted, is_other = self.credential.halted, credential != self.mark
        if halted is not None and (self._try_again or is_other or not _is_refusal(halted)):
            self.credential.go_on()
            self.governor.go_on()
            self._try_again = False
        elif halted is None and is_other:
            self.credential.go_on()  # it is yet to be let in: its first request goes alone
        self.mark = credential
        one = Pass(
            self,
            cloud,
            wave=wave,
            priority=priority,
            age=age,
            rate=rate,
            read_rate=read_rate,
            concurrency=self._limits.concurrency if concurrency is None else concurrency,
            others=others,
        )
        self._passes[one] = None
        self.follow()
        self._waves[wave] = self._waves.get(wave, 0) + 1
        if self.credential.halted is not None:
            one.halt(self.credential.halted)
        return one

    def fit(self, limits: ChannelLimits) -> None:
        """The waves that come now have *limits*: what left before counts in them. Where somebody is in it, it stays as
        it is: waves of other limits come one after the other."""
        limits = replace(limits, **{name: getattr(self._limits, name) for name in limits.of_waves})
        if limits == self._limits or self._passes:
            return
        before, self._limits = self._limits, limits
        self._change(limits, before)
        self.governor.give_up_after_s = self.credential.give_up_after_s = limits.give_up_after_s

    def follow(self) -> None:
        """The waves in it, or what they may at most, have changed: what of the limits is theirs changes with them."""
        passes, before = tuple(self._passes), self._limits
        if not passes or not before.of_waves:
            return
        said = {
            "rate": greatest(one.rate for one in passes),
            "read_rate": greatest(one.read_rate for one in passes),
            "concurrency": max(one.concurrency for one in passes),
        }
        self._limits = replace(before, **{name: said[name] for name in before.of_waves})
        self._change(self._limits, before)

    def order(self, limit: Limit) -> None:
        """An operator says what the scope allows at most, over all waves; None: nothing of it."""
        if limit != self._ordered:
            self._ordered = limit
            self.governor.set_limit(lower(self._limits.rate, limit))

    def _change(self, limits: ChannelLimits, before: ChannelLimits) -> None:
        if limits.rate != before.rate:
            self.governor.set_limit(lower(limits.rate, self._ordered))
        if limits.read_rate != before.read_rate:
            self.governor.reads.set_limit(limits.read_rate)
        if self.places is not None and limits.concurrency != before.concurrency:
            self.places.resize(limits.concurrency)

    def try_again(self) -> None:
        """The next wave shows a refused credential once more: an operator says so."""
        self._try_again = True

    def go_on(self, wave: str, last_sign_s: float, leave_s: float) -> None:
        """An earlier process ran *wave*, and gave its last sign so long ago: what it sent until then counts for the
        limits as well."""
        if self._waves.get(wave, 0) > 1 or self._went_on:
            return
        for pacer in (self.governor.creates.pacer, self.governor.reads.pacer):
            if pacer.rate is not None and last_sign_s < pacer.rate.period_s + leave_s:
                pacer.go_on(in_flight=self._limits.concurrency)
                self._went_on = not self.private

    def leave(self, one: Pass) -> None:
        """*one* is closed."""
        self._passes.pop(one, None)
        self.follow()

    def close(self) -> None:
        """Nothing goes through it any more."""
        self.jobs.close()

    def _halt(self, trouble: Trouble) -> None:
        for one in tuple(self._passes):
            one.halt(trouble)


class Channels:
    """The channels of a process, by (endpoint, project_id), for waves with *limits*.

    *private*: one wave has them to itself, and its limits are the channels'.
    """

    def __init__(self, clock: Clock, rng: random.Random, limits: ChannelLimits, *, private: bool = False) -> None:
        self._clock = clock
        self._rng = rng
        self._limits = limits
        self._private = private
        self._channels: dict[tuple[str, str], Channel] = {}

    def with_limits(self, limits: ChannelLimits) -> Self:
        """The same channels, for waves with other *limits*: a scope is one, whoever sends there. See `Channel.fit`."""
        other = type(self)(self._clock, self._rng, limits, private=self._private)
        other._channels = self._channels
        return other

    def to(self, endpoint: str, project_id: str) -> Channel:
        """The channel to that scope, with the limits of these where nobody is in it."""
        channel = self._channels.get((endpoint, project_id))
        if channel is None:
            channel = self._channels[endpoint, project_id] = Channel(
                scope_name(endpoint, project_id), self._clock, self._rng, self._limits, private=self._private
            )
        channel.fit(self._limits)
        return channel

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._channels.values())

    def items(self) -> Mapping[tuple[str, str], Channel]:
        """Those that were asked for, by (endpoint, project_id)."""
        return dict(self._channels)

    def close(self) -> None:
        """Nothing goes through them any more."""
        for channel in self._channels.values():
            channel.close()


def _is_refusal(trouble: Trouble) -> bool:
    return trouble.fate is Fate.NOT_LET_IN and trouble.kind is ErrorKind.AUTH
