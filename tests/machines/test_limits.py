"""What a scope allows, where nobody has said it: what its waves were submitted with, together."""

import random
from typing import Any, cast

import pytest

from batcher.channel.channel import Channel, ChannelLimits
from batcher.channel.common_limits import greatest, lower
from batcher.channel.governor import Limit
from batcher.channel.passes import Pass
from batcher.clock import SystemClock
from batcher.drs.cloud import Cloud
from batcher.rates import Rate

FIVE, TEN, SLOW = Rate(5, 1.0), Rate(10, 1.0), Rate(100, 60.0)


@pytest.mark.parametrize(
    ("limits", "all_fit"),
    [([FIVE], FIVE), ([FIVE, TEN, SLOW], TEN), ([FIVE, None], None), ([FIVE, "auto"], "auto"), ([None, "auto"], None)],
)
def test_the_greatest_hinders_none(limits: list[Limit], all_fit: Limit) -> None:
    assert greatest(limits) == all_fit
    assert greatest(reversed(limits)) == all_fit


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [(FIVE, TEN, FIVE), (SLOW, TEN, SLOW), (None, FIVE, FIVE), ("auto", FIVE, FIVE), ("auto", None, "auto")],
)
def test_the_lower_keeps_both(one: Limit, other: Limit, both: Limit) -> None:
    assert lower(one, other) == lower(other, one) == both


def channel(of_waves: tuple[str, ...]) -> Channel:
    limits = ChannelLimits(
        rate=FIVE, read_rate=FIVE, concurrency=4, give_up_after_s=None, slack_s=1.0, of_waves=frozenset(of_waves)
    )
    return Channel("tested", SystemClock(), random.Random(1), limits)


def entered(one: Channel, wave: str, rate: Limit, **more: Any) -> Pass:
    return one.enter(cast(Cloud, None), wave=wave, rate=rate, read_rate=rate, **more)


def test_a_scope_follows_the_waves_in_it() -> None:
    """Two waves of the same rate have it together; one of a higher rate is not hindered by what nobody has said."""
    one = channel(("rate", "read_rate", "concurrency"))
    pacer = one.governor.creates.pacer
    entered(one, "a", FIVE, concurrency=8)
    entered(one, "b", FIVE, concurrency=2)
    assert pacer.rate == FIVE
    fast = entered(one, "c", TEN, concurrency=2)
    assert (pacer.rate, one.governor.reads.pacer.rate) == (TEN, TEN)
    fast.close()
    assert pacer.rate == FIVE
    fast = entered(one, "d", FIVE, concurrency=2)
    fast.set_limit(TEN)  # an order for that wave
    assert pacer.rate == TEN


def test_what_was_said_of_a_scope_stays_above_its_waves() -> None:
    one = channel(())
    entered(one, "a", TEN, concurrency=8)
    assert one.governor.creates.pacer.rate == FIVE


def test_an_order_for_the_scope_holds_over_all_its_waves() -> None:
    one = channel(("rate",))
    pacer = one.governor.creates.pacer
    entered(one, "a", TEN, concurrency=8)
    one.order(FIVE)
    assert pacer.rate == FIVE
    entered(one, "b", Rate(50, 1.0), concurrency=8)
    assert pacer.rate == FIVE
    one.order(None)
    assert pacer.rate == Rate(50, 1.0)
