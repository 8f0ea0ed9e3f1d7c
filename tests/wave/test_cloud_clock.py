"""The clock of the cloud: learnt from comparisons whose creation is known, never from a `Date`."""

from collections.abc import Iterator
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.channel.cloud_clock import CloudClock, StampedComparison
from batcher.clock import Instant, SystemClock
from batcher.drs.outcome import Comparison
from tests.virtual import VirtualClock, VirtualLoop
from tests.wave.made import NOON, comparison

AHEAD = NOON - 1000.0  # the cloud's clock against our monotonic one


class Time(CloudClock):
    """A cloud's clock, with short words for what happens to it."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        super().__init__(VirtualClock(self.loop), slack_s=5.0)

    def created(
        self,
        task_id: str,
        at: float,
        took_s: float = 0.2,
        *,
        off_s: float = 0.0,
        job: str | None = None,
        sure: bool = True,
    ) -> Comparison:
        """Ours was created in the middle of a request that left at *at*; the clock that stamps it is off."""
        job_id = job or f"job-{task_id}"
        known = StampedComparison(
            task_id=task_id, job_id=job_id, timebase="virtual", after=at, before=at + took_s, sure=sure
        )
        self.remember(known)
        return comparison(task_id, at=AHEAD + at + took_s / 2 + off_s)

    def off_at(self, at: float) -> tuple[float, float] | None:
        """How far off it may have been at *at*, in whole tenths of a second."""
        bounds = self.at(Instant("virtual", at))
        return bounds and (round(bounds.earliest - AHEAD - at, 1), round(bounds.latest - AHEAD - at, 1))  # type: ignore[return-value]


@pytest.fixture
def time() -> Iterator[Time]:
    time = Time()
    yield time
    time.loop.close()


def test_a_date_tells_nothing(time: Time) -> None:
    for at in (1000.0, 1001.0, 1060.0):
        time.heard(AHEAD + at, at, at + 0.1)
    assert time.at(Instant("virtual", 1000.0)) is None
    assert time.now() is None
    shown = time.by_date(1000.0)
    assert shown is not None
    assert shown.earliest <= NOON <= shown.latest


def test_one_comparison_of_ours_tells_it_whatever_date_says(time: Time) -> None:
    time.heard(AHEAD + 1000.0 + 1200.0, 1000.0, 1000.1)
    time.listed([time.created("a", 1001.0)])
    assert time.off_at(1001.0) == (-0.1, 0.1)
    assert time.off_at(1100.0) == (-0.1, 0.1)


def test_what_is_looked_up_is_remembered_until_then(time: Time) -> None:
    instant = Instant("virtual", 1001.0)
    assert time.wanted(instant) is None
    made = time.created("a", 1001.0)
    wanted = time.wanted(instant)
    assert wanted is not None
    assert wanted.task_id == "a"
    assert time.wanted(Instant("another machine", 1001.0)) is None
    time.listed([comparison("b"), made])
    assert time.wanted(instant) is None


def test_several_narrow_it(time: Time) -> None:
    time.listed([time.created("slow", 1001.0, took_s=40.0)])
    assert time.off_at(1001.0) == (-20.0, 20.0)
    quick = time.created("quick", 1050.0)
    assert time.wanted(Instant("virtual", 1001.0)) is not None  # it would help
    time.listed([quick])
    assert time.off_at(1001.0) == (-0.1, 0.1)


def test_contradictions_widen_it(time: Time) -> None:
    """The clock was set back in between: a request around then may be stamped either way."""
    time.listed([time.created("a", 1001.0), time.created("b", 1100.0, off_s=-60.0)])
    assert time.off_at(1050.0) == (-60.1, 0.1)
    assert time.off_at(1101.0) == (-60.1, -59.9)


def test_machines_of_the_service_may_differ_a_little(time: Time) -> None:
    time.listed([time.created("a", 1001.0), time.created("b", 1010.0, off_s=2.0)])
    assert time.off_at(1011.0) == (-0.1, 2.1)


@pytest.mark.parametrize(("jump_s", "off"), [(-60.0, (-60.1, 0.1)), (60.0, (-0.1, 60.1))])
def test_a_date_that_jumps_makes_us_careful_until_ours_tells_again(
    time: Time, jump_s: float, off: tuple[float, float]
) -> None:
    for at in (1000.0, 1000.4, 1000.8):
        time.heard(AHEAD + int(at), at, at)
    first = time.created("a", 1001.0)
    time.heard(AHEAD + 1050.0 + jump_s, 1050.0, 1050.0)
    time.listed([first])
    low, high = time.off_at(1051.0) or (0.0, 0.0)
    assert (low, high) == pytest.approx(off, abs=1.5)
    again = time.created("b", 1052.0)
    wanted = time.wanted(Instant("virtual", 1051.0))
    assert wanted is not None
    assert wanted.task_id == "b"
    time.listed([again])
    assert time.off_at(1051.0) == (-0.1, 0.1)  # it was the gateway's alone


def test_two_gateways_that_differ_are_no_jump_once_both_are_known(time: Time) -> None:
    for at in range(1000, 1010):
        time.heard(AHEAD + at + 1200.0 * (at % 2), float(at), at + 0.1)
    time.listed([time.created("a", 1011.0)])
    for at in range(1012, 1020):
        time.heard(AHEAD + at + 1200.0 * (at % 2), float(at), at + 0.1)
    assert time.off_at(1015.0) == (-0.1, 0.1)


def test_what_keep_was_answered_with_may_be_older_and_needs_a_second(time: Time) -> None:
    time.listed([time.created("a", 1001.0, sure=False)])
    assert time.off_at(1001.0) is None
    time.listed([time.created("b", 1002.0, sure=False, job="job-a")])
    assert time.off_at(1001.0) is None  # of the same job: it proves no more
    time.listed([time.created("c", 1003.0, sure=False)])
    assert time.off_at(1001.0) == (-0.1, 0.1)


def test_a_comparison_that_waits_tells_nothing(time: Time) -> None:
    """Its `create_time` may be its start."""
    made = time.created("a", 1001.0)
    waiting = comparison("a", at=(made.create_time or 0) / 1000 + 600.0, status="WAITING_FOR_RUNNING")
    time.listed([waiting])
    assert time.off_at(1001.0) is None


def test_times_of_this_machine_compare_and_of_others_do_not() -> None:
    assert SystemClock().timebase == SystemClock().timebase != "virtual"


_SIXTY_FOURTHS = st.integers(0, 64_000).map(lambda n: n / 64)  # seconds, in numbers that add up to the bit


@given(
    offset=_SIXTY_FOURTHS,
    exchanges=st.lists(st.tuples(_SIXTY_FOURTHS, st.integers(1, 60).map(lambda n: n / 64)), min_size=1, max_size=30),
)
def test_what_dates_show_of_one_clock_is_all_that_they_agree_on(
    offset: float, exchanges: list[tuple[float, float]]
) -> None:
    """Also where a date tells less than is known already, which is passed over."""
    clock = CloudClock(SystemClock(), 1.0)
    lows, highs = [], []
    for sent, took in exchanges:
        date = float(floor(sent + took / 2 + offset))
        clock.heard(date, sent, sent + took)
        lows.append(date - (sent + took))
        highs.append(date + 1.0 - sent)
    shown = clock.by_date(0.0)
    assert shown is not None
    assert (shown.earliest, shown.latest) == (max(lows), min(highs))
