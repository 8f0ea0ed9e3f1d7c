"""Finding the cloud's limit: close to the speed of a client that knew it, and hardly ever turned away."""

from itertools import pairwise

import pytest

from batcher.pace.limit_finding.finder import LimitFinder
from batcher.rates import Rate
from tests.pace.simulated import Cloud, send_all

SEEDS = range(20)
PER_S, PER_MINUTE = Rate(10, 1.0), Rate(10, 60.0)


def _finder(start: str) -> LimitFinder:
    match start:
        case "auto":
            return LimitFinder(None, search=True)
        case "off":
            return LimitFinder(None)
        case rate:
            return LimitFinder(Rate.parse(rate))


@pytest.mark.parametrize("start", ["auto", "off", "50/s", "1/1m"])
def test_what_happens_at_one_moment_is_survived(start: str) -> None:
    """As where time is simulated, or no clock is finer: what is turned away and let in left at the same time."""
    finder = _finder(start)
    most = 1000.0 if finder.ceiling is None else finder.ceiling.per_s
    for _ in range(20):
        for _ in range(2):
            silence_s = finder.turned_away(7.0, 7.0, retry_after_s=None, named=None)
            assert silence_s is None or 0 < silence_s < 3600
        finder.accepted(7.0, 7.0)
        assert finder.rate is not None
        assert 0 < finder.rate.per_s <= most


@pytest.mark.parametrize("says", ["nothing", "when", "limit"])
@pytest.mark.parametrize("start", ["auto", "off", "50/s", "5/s"])
@pytest.mark.parametrize(("limit", "requests"), [(PER_S, 1000), (PER_MINUTE, 120)], ids=str)
def test_an_unknown_limit_is_found(limit: Rate, requests: int, start: str, says: str) -> None:
    """A start-up phase of one period aside: at most 1.15 times the time of a client that knew, under 3% refused."""
    if limit is PER_S and start == "5/s":
        pytest.skip("our own limit is the lower one")
    cloud = Cloud(limit=limit, says_when=says == "when", says_limit=says == "limit")
    for seed in SEEDS:
        knew = send_all(LimitFinder(limit), cloud, requests, seed=seed)
        found = send_all(_finder(start), cloud, requests, seed=seed)
        assert found.seconds - limit.period_s <= 1.15 * knew.seconds, f"seed {seed}"
        assert found.refused_after(limit.period_s) < 0.03 * requests, f"seed {seed}"


@pytest.mark.parametrize(
    ("limit", "requests"), [("5/s", 600), ("20/s", 2000), ("100/s", 3000), ("30/min", 360), ("1000/h", 3000)]
)
def test_other_limits_are_found_as_well(limit: str, requests: int) -> None:
    """The same holds for them, of more requests than are remembered, too."""
    true = Rate.parse(limit)
    for seed in SEEDS[:5]:
        knew = send_all(LimitFinder(true), Cloud(limit=true), requests, seed=seed)
        found = send_all(_finder("auto"), Cloud(limit=true), requests, seed=seed)
        assert found.seconds - true.period_s <= 1.15 * knew.seconds, f"seed {seed}"
        assert found.refused_after(true.period_s) < 0.03 * requests, f"seed {seed}"


def test_a_limit_of_an_hour_is_reached_at_our_own() -> None:
    """The pace was kept for minutes, and far more was let in than is remembered: still it is known what it was."""
    hourly = Rate(1000, 3600.0)
    for seed in (2, 10, 27, 30):
        knew = send_all(LimitFinder(hourly), Cloud(limit=hourly), 3000, seed=10_000 + seed)
        found = send_all(LimitFinder(Rate(5, 1.0)), Cloud(limit=hourly), 3000, seed=10_000 + seed)
        assert found.seconds - hourly.period_s <= 1.15 * knew.seconds, f"seed {seed}"


def test_limits_that_start_afresh_each_period() -> None:
    """They let in more than their count within some windows; that is not taken for proof of a higher limit."""
    for limit, requests in ((PER_S, 1000), (PER_MINUTE, 120)):
        for seed in SEEDS:
            found = send_all(_finder("auto"), Cloud(limit=limit, slides=False), requests, seed=seed)
            assert found.refused_after(limit.period_s) < 0.04 * requests, f"seed {seed}"


@pytest.mark.parametrize("limit", ["60/min", "200/5m", "5/5s", "100/s", "20/30s"])
def test_limits_of_other_kinds(limit: str) -> None:
    """Whatever kind the limit is of: not much slower than a client that knew, after two periods."""
    true = Rate.parse(limit)
    cloud = Cloud(limit=true)
    requests = 12 * true.count if true.count > 20 else 200
    for seed in SEEDS[:3]:
        knew = send_all(LimitFinder(true), cloud, requests, seed=seed)
        found = send_all(_finder("auto"), cloud, requests, seed=seed)
        start_up_s = max(2 * true.period_s, 6.0)
        assert found.seconds - start_up_s <= 1.25 * knew.seconds, f"seed {seed}"
        assert found.refused_after(true.period_s) < 0.03 * requests, f"seed {seed}"


def test_refused_requests_that_do_not_count() -> None:
    """The other way in which clouds count works too."""
    cloud = Cloud(limit=PER_S, refused_count=False)
    for seed in SEEDS:
        found = send_all(_finder("auto"), cloud, 1000, seed=seed)
        assert found.seconds <= 116
        assert found.refused_after(1.0) < 30


def test_our_own_limit_is_never_exceeded() -> None:
    """Finding the cloud's limit stops at ours."""
    found = send_all(LimitFinder(Rate(5, 1.0)), Cloud(limit=Rate(50, 1.0)), 100)
    assert not found.refused
    assert found.seconds >= 99 / 5


def test_jitter_under_our_own_limit_costs_one_refusal() -> None:
    """Where the way pushes requests together, each is counted from its answer from then on."""
    cloud = Cloud(limit=PER_S, latency_s=(0.01, 0.3))
    for seed in SEEDS:
        finder = LimitFinder(PER_S)
        course = send_all(finder, cloud, 300, seed=seed)
        assert len(course.refused) <= 6  # what left before that included
        assert finder.rate == PER_S


def test_a_named_limit_is_used_and_then_confirmed() -> None:
    """The limit in the answer's text is gone to at once, and counts as confirmed after a period under it."""
    finder = LimitFinder(Rate(5, 1.0))
    course = send_all(finder, Cloud(limit=PER_MINUTE, says_limit=True), 40)
    assert finder.rate == finder.named == PER_MINUTE
    assert finder.confirmed
    assert course.refused_after(60.0) == 0


def test_a_named_limit_that_is_wrong_is_dropped() -> None:
    """A text is no contract: refused again and again under the limit it named, the scope goes on by what it sees."""
    for seed in SEEDS:
        finder = LimitFinder(Rate(5, 1.0))
        course = send_all(finder, Cloud(limit=PER_MINUTE, says_wrong=Rate(60, 60.0)), 120, seed=seed)
        assert course.seconds <= 1.35 * 12 * 60
        assert finder.rate is not None
        assert finder.rate.per_s < 0.25


def test_a_named_limit_above_ours_is_none_of_ours() -> None:
    """Somebody else uses the account: the limit it names is not what holds us back."""
    finder = LimitFinder(Rate(5, 1.0))
    finder.turned_away(0.0, 0.1, retry_after_s=None, named=(10, 1.0))
    assert finder.named is None
    assert finder.rate == Rate(5, 1.0)


def test_retry_after_is_kept() -> None:
    """The scope waits for as long as the answer says."""
    finder = LimitFinder(Rate(5, 1.0))
    assert finder.turned_away(0.0, 0.1, retry_after_s=17.0, named=None) == 17.0
    assert finder.alone
    assert (finder.turned_away(18.0, 18.1, retry_after_s=2.0, named=None) or 0) > 17.0


def test_what_was_under_way_says_nothing_new() -> None:
    """Ten answers to one mistake are one mistake."""
    finder = LimitFinder(Rate(5, 1.0))
    assert finder.turned_away(1.0, 1.5, retry_after_s=None, named=None) is not None
    assert finder.turned_away(1.2, 1.6, retry_after_s=None, named=None) is None
    finder.accepted(1.3, 1.7)
    assert finder.alone


def test_each_silence_is_longer_than_the_one_before() -> None:
    """Refused probes count against the limit: they become rare."""
    finder = LimitFinder(None, search=True)
    now, silences = 0.0, []
    for _ in range(12):
        silence_s = finder.turned_away(now, now + 0.1, retry_after_s=None, named=None)
        assert silence_s is not None
        silences.append(silence_s)
        now += 0.1 + silence_s
    assert all(later > earlier for earlier, later in pairwise(silences))


def test_a_limit_that_is_raised_is_found_again() -> None:
    """A wave that was slowed down does not stay slow."""
    finder = _finder("auto")
    send_all(finder, Cloud(limit=PER_S), 300)
    for step in range(4000):
        finder.accepted(1000 + step * 0.1, 1000.05 + step * 0.1)
    assert finder.rate is not None
    assert finder.rate.per_s > 10.5


def test_a_longer_retry_after_of_one_that_was_under_way_is_kept() -> None:
    """Requests left together; the second answer asks for a minute, the third for less than is left of that."""
    finder = LimitFinder(None)
    short_s = finder.turned_away(0.0, 0.5, retry_after_s=None, named=None)
    assert short_s is not None
    assert short_s < 60.0
    assert finder.turned_away(0.1, 0.6, retry_after_s=60.0, named=None) == 60.0
    assert finder.turned_away(0.2, 0.7, retry_after_s=30.0, named=None) is None
