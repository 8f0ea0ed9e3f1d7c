"""Looks come soon while a comparison is young, seldom when it is old, and never outside the bounds."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from batcher.pace.polling import PollPolicy, after_failure_s, next_look_s, poll_policy_of
from batcher.settings import RunSettings

POLLING = PollPolicy(soonest_s=5, longest_s=120)
ages = st.floats(0, 1e6, allow_nan=False)
draws = st.floats(0, 1, exclude_max=True)
shares = st.none() | st.floats(0, 1)


@given(ages, shares, draws)
def test_looks_stay_within_the_bounds(age_s: float, done: float | None, draw: float) -> None:
    assert 5 * 0.9 <= next_look_s(age_s, done, POLLING, draw) <= 120 * 1.1


@given(ages, ages, draws)
def test_the_older_the_rarer(one: float, other: float, draw: float) -> None:
    younger, older = sorted((one, other))
    assert next_look_s(younger, None, POLLING, draw) <= next_look_s(older, None, POLLING, draw)


def test_one_that_is_nearly_done_is_looked_at_sooner() -> None:
    assert next_look_s(400, 0.95, POLLING, 0.5) < next_look_s(100, 0.5, POLLING, 0.5) == 85


@given(st.integers(1, 10_000), draws)
def test_failures_are_waited_out_longer_each_time_up_to_a_bound(failures: int, draw: float) -> None:
    wait_s = after_failure_s(failures, POLLING, draw)
    assert 2.5 <= wait_s <= 120
    assert after_failure_s(failures + 1, POLLING, draw) >= wait_s


def test_the_shortest_pause_is_the_setting() -> None:
    polling = poll_policy_of(RunSettings(poll=2.0))
    assert (polling.soonest_s, polling.longest_s) == (2.0, 48.0)


def test_foretold_ends_take_a_third_of_the_looks_at_no_more_than_twice_the_lateness() -> None:
    """Comparisons of 180 s in the median, progress off by up to 15%. With half of what was left waited for each
    time, and never more than a quarter of the age, it took 16.2 looks a verdict, which was told 7.9 s late."""
    rng, looks, late_s, verdicts = random.Random(1), 0, 0.0, 2000
    for _ in range(verdicts):
        lasts_s, age_s = 180 * math.exp(rng.gauss(0, 1)), 5.0
        while age_s < lasts_s:
            looks += 1
            done = min(0.999, age_s / lasts_s * rng.uniform(0.85, 1.15))
            age_s += next_look_s(age_s, done, POLLING, rng.random())
        looks += 1
        late_s += age_s - lasts_s
    assert looks / verdicts <= 16.2 / 3
    assert late_s / verdicts <= 2 * 7.9
