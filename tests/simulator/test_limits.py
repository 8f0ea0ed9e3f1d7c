"""The enforced limit is exact: never more than the rate in any window, and nobody is refused without need."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.rates import Rate
from batcher.simulator.limits import WindowLimit, throttle_text

TICKS = 1024  # a second in parts that floats hold exactly, so that the edge of a window is one for both sides
GAPS = st.lists(st.integers(min_value=0, max_value=700), max_size=60)


@given(gaps=GAPS, count=st.integers(min_value=1, max_value=5))
def test_no_window_holds_more_than_the_rate(gaps: list[int], count: int) -> None:
    limit = WindowLimit(Rate(count, 1.0))
    now = 0
    let_in: list[int] = []
    for gap in gaps:
        now += gap
        within = [at for at in let_in if now - at < TICKS]
        refused_for = limit.admit(now / TICKS)
        assert (refused_for is None) == (len(within) < count)
        if refused_for is None:
            let_in.append(now)
        else:
            assert refused_for == pytest.approx((within[0] + TICKS - now) / TICKS)


@given(gaps=GAPS, count=st.integers(min_value=1, max_value=5))
def test_refused_requests_can_use_the_limit_up(gaps: list[int], count: int) -> None:
    limit = WindowLimit(Rate(count, 1.0), count_refused=True)
    now = 0
    arrived: list[int] = []
    for gap in gaps:
        now += gap
        within = [at for at in arrived if now - at < TICKS]
        assert (limit.admit(now / TICKS) is None) == (len(within) < count)
        arrived.append(now)


@pytest.mark.parametrize(
    ("rate", "text"),
    [("10/s", "limit:10,time:1 second"), ("600/min", "limit:600,time:1 minute"), ("5/5m", "limit:5,time:5 minute")],
)
def test_the_limit_is_worded_as_the_gateway_does(rate: str, text: str) -> None:
    assert throttle_text(Rate.parse(rate)).endswith(f"policy user over ratelimit,{text}")
