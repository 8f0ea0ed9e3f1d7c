"""How long a wave takes, before it runs."""

import pytest

from batcher.pace.estimate import estimate
from batcher.rates import Rate


def test_scopes_run_side_by_side() -> None:
    """Each scope has its pace, so the wave takes as long as the longest."""
    told = estimate({"a": 301, "b": 11, "c": 0}, Rate(5, 1.0))
    assert told.seconds_by_scope == {"a": 60.0, "b": 2.0, "c": 0.0}
    assert told.seconds == 60.0
    assert told.text == "about 1m00s"


def test_without_a_limit_it_depends() -> None:
    """No limit of ours, no latency known: no estimate, rather than a wrong one."""
    told = estimate({"a": 10}, None)
    assert told.seconds is None
    assert told.text == "as long as the cloud takes"


@pytest.mark.parametrize(("rate", "seconds"), [(None, 51.5), (Rate(50, 1.0), 51.5), (Rate(1, 1.0), 1000.5)])
def test_latency_and_concurrency_bound_it_too(rate: Rate | None, seconds: float) -> None:
    """Ten at a time, half a second each, are twenty a second at most."""
    told = estimate({"a": 1001}, rate, concurrency=10, latency_s=0.5)
    assert told.seconds == pytest.approx(seconds, abs=1.1)


def test_nothing_to_do_takes_no_time() -> None:
    """A wave that is done is no reason to divide by nothing."""
    assert estimate({}, None).seconds == 0.0


def test_a_moment_is_said_in_words() -> None:
    """One entry takes no time that a number would tell."""
    assert estimate({"a": 1}, Rate(5, 1.0)).text == "less than a second"
    assert estimate({"a": 21}, Rate(5, 1.0)).text == "about 4.0s"
