"""The window: whatever jitters within the margin, no more than the limit is counted in any period."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.pace.window import MARGIN, MARGIN_S, Window
from batcher.rates import Rate
from tests.pace.server import most_in

RATES = st.builds(Rate, st.integers(1, 40), st.sampled_from([0.5, 1.0, 5.0, 60.0, 3600.0]))


@given(RATES, st.data(), st.integers(5, 120))
@settings(max_examples=50, deadline=None)
def test_never_more_than_the_limit_in_any_period(rate: Rate, data: st.DataObject, requests: int) -> None:
    """Departures, and arrivals that jitter by up to the margin, stay within the limit in every window."""
    margin_s = max(MARGIN * rate.period_s, MARGIN_S)
    rng = data.draw(st.randoms(use_true_random=False))
    window = Window(rate)
    departures, arrivals = [], []
    now = 0.0
    for _ in range(requests):
        opens_at = window.opens_at(now)
        now = max(now, opens_at) + rng.choice([0.0, 0.0, rng.random() * rate.period_s])
        place = window.take()
        now += rng.choice([0.0, rng.random() * rate.period_s])  # connecting
        window.left(place, now)
        departures.append(now)
        arrived = now + rng.random() * margin_s
        arrivals.append(arrived)
        answered = arrived + rng.choice([0.0, rng.random() * rate.period_s])
        if rng.random() < 0.8:
            window.answered(place, answered)  # told ahead of time, which changes nothing before it
    assert most_in(departures, rate.period_s) <= rate.count
    assert most_in(arrivals, rate.period_s) <= rate.count


@given(RATES, st.data(), st.integers(5, 120))
@settings(max_examples=50, deadline=None)
def test_strict_holds_on_any_way(rate: Rate, data: st.DataObject, requests: int) -> None:
    """Counted from the answers, arrivals stay within the limit however long the way takes."""
    rng = data.draw(st.randoms(use_true_random=False))
    window = Window(rate)
    window.strict = True
    arrivals = []
    now = 0.0
    for _ in range(requests):
        now = max(now, window.opens_at(now))
        place = window.take()
        window.left(place, now)
        arrived = now + rng.random() * 3 * rate.period_s
        arrivals.append(arrived)
        window.answered(place, arrived + rng.random())
    assert most_in(arrivals, rate.period_s) <= rate.count


def test_what_has_not_left_holds_its_place() -> None:
    """A connection that hangs takes one place, and no more than that."""
    window = Window(Rate(2, 1.0))
    hanging, quick = window.take(), window.take()
    assert window.opens_at(0.0) == inf
    window.left(quick, 0.0)
    window.answered(quick, 0.0)
    assert 1.0 < window.opens_at(0.0) < 1.002
    assert window.opens_at(1.01) == -inf
    window.left(hanging, 50.0)
    window.take()
    assert window.opens_at(50.0) > 51.0


def test_what_never_left_gives_its_place_back_at_once() -> None:
    """A request that could not connect counts nowhere."""
    window = Window(Rate(1, 60.0))
    place = window.take()
    assert window.opens_at(0.0) == inf
    window.never_left(place)
    assert window.opens_at(0.0) == -inf


def test_an_answer_proves_when_it_was_counted() -> None:
    """Without an answer the margin is waited for; with one, only the period."""
    window = Window(Rate(1, 1.0))
    place = window.take()
    window.left(place, 0.0)
    assert window.opens_at(0.0) == 1.0 + MARGIN
    window.answered(place, 0.002)
    assert window.opens_at(0.002) == 1.003


def answers_after(window: Window, took_s: list[float]) -> float:
    """A request every two seconds, answered after so long: how long after the last departure its place is free."""
    for turn, took in enumerate(took_s):
        place = window.take()
        window.left(place, 2.0 * turn)
        window.answered(place, 2.0 * turn + took)
        free_at = window.opens_at(2.0 * turn + took)
        window.opens_at(2.0 * turn + 1.99)
    return free_at - 2.0 * (len(took_s) - 1)


def test_where_answers_take_long_the_departure_is_what_counts() -> None:
    """A long way, or a slow cloud, is no stall."""
    assert answers_after(Window(Rate(1, 1.0)), [0.5] * 10) == pytest.approx(1.0 + MARGIN)


def test_where_the_time_of_answers_varies_a_late_one_says_nothing() -> None:
    """Work that now takes longer and now shorter is done after the request was counted."""
    assert answers_after(Window(Rate(1, 1.0)), [0.1, 0.4] * 10) == pytest.approx(1.0 + MARGIN)


@pytest.mark.parametrize("usual_s", [0.002, 0.3])
def test_where_answers_take_the_same_a_late_one_was_perhaps_counted_late(usual_s: float) -> None:
    """A stall on the way, or in the cloud: the period begins no earlier than its answer."""
    free_after = answers_after(Window(Rate(1, 1.0)), [usual_s] * 10 + [usual_s + 0.1])
    assert free_after == pytest.approx(1.0 + usual_s + 0.1, abs=0.002)


def test_the_first_answer_has_nothing_to_be_held_against() -> None:
    """It is taken for late where it is later than the margin."""
    assert answers_after(Window(Rate(1, 1.0)), [0.05]) == pytest.approx(1.051)


def test_what_left_before_a_change_counts_after_it() -> None:
    """After a change to a longer period, the requests of that period count."""
    window = Window(Rate(5, 1.0))
    for moment in range(10):
        place = window.take()
        window.left(place, moment * 0.3)
        window.answered(place, moment * 0.3)
        window.opens_at(moment * 0.3)
    window.resize(Rate(10, 60.0), 2.7)
    assert 60.0 < window.opens_at(2.7) < 60.01
    window.resize(Rate(11, 60.0), 2.7)
    assert window.opens_at(2.7) == -inf


def test_a_cut_waits_until_as_many_are_back_as_it_takes() -> None:
    """With five under way and a new limit of two, four places have to come back."""
    window = Window(Rate(5, 10.0))
    for moment in range(5):
        window.left(window.take(), float(moment))
    window.resize(Rate(2, 10.0), 4.0)
    assert window.opens_at(4.0) == 3.0 + 10.0 + MARGIN * 10.0


def test_requests_on_their_way_survive_a_change() -> None:
    """A place taken before a change and not left yet is held after it."""
    window = Window(Rate(2, 1.0))
    on_its_way = window.take()
    window.resize(Rate(1, 1.0), 0.0)
    assert window.opens_at(0.0) == inf
    window.left(on_its_way, 1.0)
    assert window.opens_at(1.0) == 2.0 + MARGIN


def steady(window: Window) -> float:
    """Ten requests that are answered after 20 ms each; when the next may leave."""
    for turn in range(10):
        place = window.take()
        window.left(place, 2.0 * turn)
        window.answered(place, 2.0 * turn + 0.02)
        window.opens_at(2.0 * turn + 1.99)
    return 20.0


def test_what_is_overdue_keeps_its_place_and_not_for_ever() -> None:
    """The way stands still, perhaps: what left into it may arrive at any moment."""
    window = Window(Rate(1, 1.0))
    now = steady(window)
    window.left(window.take(), now)
    assert window.opens_at(now + 1.2) > now + 1.2
    assert window.opens_at(now + 6.1) == -inf


@pytest.mark.parametrize("ended", ["answered", "lost"])
def test_what_was_overdue_counts_from_its_end(ended: str) -> None:
    window = Window(Rate(1, 1.0))
    now = steady(window)
    place = window.take()
    window.left(place, now)
    window.opens_at(now + 1.2)
    (window.answered if ended == "answered" else window.lost)(place, now + 3.0)
    assert window.opens_at(now + 3.0) == pytest.approx(now + 4.0, abs=0.01)
    assert window.opens_at(now + 4.01) == -inf


def test_another_that_is_answered_shows_that_the_way_is_open() -> None:
    window = Window(Rate(2, 1.0))
    now = steady(window)
    silent, other = window.take(), window.take()
    window.left(silent, now)
    window.left(other, now + 0.1)
    window.opens_at(now + 1.2)
    window.answered(other, now + 2.0)
    assert window.opens_at(now + 2.9) == pytest.approx(now + 3.0, abs=0.01)
    assert window.opens_at(now + 3.01) == -inf
