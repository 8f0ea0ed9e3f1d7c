"""Looks come soon while a comparison is young, seldom when it is old, and never outside the bounds."""

from hypothesis import given
from hypothesis import strategies as st

from batcher.pace.patience import Patience, after_failure_s, next_look_s, patience_of
from batcher.settings import RunSettings

PATIENCE = Patience(soonest_s=5, longest_s=120)
ages = st.floats(0, 1e6, allow_nan=False)
draws = st.floats(0, 1, exclude_max=True)
shares = st.none() | st.floats(0, 1)


@given(ages, shares, draws)
def test_looks_stay_within_the_bounds(age_s: float, done: float | None, draw: float) -> None:
    assert 5 * 0.9 <= next_look_s(age_s, done, PATIENCE, draw) <= 120 * 1.1


@given(ages, ages, draws)
def test_the_older_the_rarer(one: float, other: float, draw: float) -> None:
    younger, older = sorted((one, other))
    assert next_look_s(younger, None, PATIENCE, draw) <= next_look_s(older, None, PATIENCE, draw)


def test_one_that_is_nearly_done_is_looked_at_sooner() -> None:
    assert next_look_s(400, 0.95, PATIENCE, 0.5) < next_look_s(400, 0.5, PATIENCE, 0.5) == 100


@given(st.integers(1, 10_000), draws)
def test_failures_are_waited_out_longer_each_time_up_to_a_bound(failures: int, draw: float) -> None:
    wait_s = after_failure_s(failures, PATIENCE, draw)
    assert 2.5 <= wait_s <= 120
    assert after_failure_s(failures + 1, PATIENCE, draw) >= wait_s


def test_the_shortest_pause_is_the_setting() -> None:
    patience = patience_of(RunSettings(poll=2.0))
    assert (patience.soonest_s, patience.longest_s) == (2.0, 48.0)
