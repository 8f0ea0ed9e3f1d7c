"""The failure budget: an outage is noticed, waited out with few probes, and over at the first sound answer."""

import random

from hypothesis import given
from hypothesis import strategies as st

from batcher.pace.outage_detector import FULL, OutageDetector


def _fail(detector: OutageDetector, times: int, *, at: float = 0.0) -> list[float | None]:
    return [detector.failed(at, at + 0.1, "HTTP 503") for _ in range(times)]


def test_most_attempts_failing_is_an_outage() -> None:
    """Ten failures on end: the tenth finds the outage, which began with the first."""
    detector = OutageDetector()
    for second in range(9):
        assert detector.failed(float(second), second + 0.5, "HTTP 503") is None
    assert not detector.out
    assert detector.failed(9.0, 9.5, "HTTP 503") is not None
    assert detector.out
    assert detector.out_for(30.0) == 30.0


@given(st.integers(0, 500))
def test_a_few_failures_are_none(seed: int) -> None:
    """One failure in ten never is an outage."""
    detector, rng = OutageDetector(), random.Random(seed)
    for moment in range(1000):
        if rng.random() < 0.1:
            assert detector.failed(moment, moment, "HTTP 503") is None
        else:
            detector.sound(moment)


def test_probes_become_rare_but_never_stop() -> None:
    """An hour's outage costs fewer than eighty probes."""
    detector = OutageDetector()
    silence_s = _fail(detector, 10)[-1]
    probes, now = 0, 0.0
    while now < 3600:
        assert silence_s is not None
        assert 0 < silence_s <= 60
        now += silence_s
        silence_s = detector.failed(now, now, "refused")
        probes += 1
    assert probes < 80


def test_what_was_under_way_does_not_lengthen_the_silence() -> None:
    """The other requests that were in flight when the outage was found are no probes."""
    detector = OutageDetector()
    assert _fail(detector, 16)[10:] == [None] * 6


def test_the_first_sound_answer_ends_it() -> None:
    """The scope goes on, with little credit: it stops soon if it was a fluke."""
    detector = OutageDetector()
    _fail(detector, 10)
    assert detector.sound(5.0)
    assert not detector.out
    assert detector.out_for(9.0) == 0.0
    assert _fail(detector, 3, at=6.0)[-1] is not None


def test_an_answer_from_before_does_not_end_it() -> None:
    """A request that left before the outage was found says nothing about now."""
    detector = OutageDetector()
    _fail(detector, 10, at=1.0)
    assert not detector.sound(0.5)
    assert detector.out


def test_credit_comes_back() -> None:
    """After an outage that is over, sound answers fill the budget again."""
    detector = OutageDetector()
    _fail(detector, 10)
    detector.sound(5.0)
    for moment in range(6, 100):
        assert not detector.sound(float(moment))
    assert detector.tokens == FULL
