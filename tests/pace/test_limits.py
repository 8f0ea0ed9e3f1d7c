"""Which limit explains what was seen: the one that a cloud has always does, and strays are explained by none."""

import random

import pytest

from batcher.pace.limit_finding.credit import Credit
from batcher.pace.limit_finding.history import History, PacedRequest
from batcher.rates import Rate
from tests.pace.server import CountingServer


def _played(server: CountingServer, gaps_s: list[float], *, latency_s: tuple[float, float], seed: int) -> History:
    """What is seen of a cloud to which a request leaves after each of *gaps_s*; each travels for a time of its own."""
    rng = random.Random(seed)
    sent_at, requests = 0.0, []
    for gap_s in gaps_s:
        sent_at += gap_s
        there_s, back_s = rng.uniform(*latency_s), rng.uniform(*latency_s)
        requests.append((sent_at + there_s, sent_at, sent_at + there_s + back_s))
    answers = [(answered_at, left, server.arrive(at)) for at, left, answered_at in sorted(requests)]
    history = History()
    for answered_at, left, let_in in sorted(answers):
        history.add(PacedRequest(left, answered_at, let_in))
    return history


@pytest.mark.parametrize("limit", [Rate(10, 1.0), Rate(50, 5.0), Rate(10, 60.0)], ids=str)
@pytest.mark.parametrize("refused_count", [False, True])
def test_the_limit_that_there_is_explains_what_was_seen(limit: Rate, refused_count: bool) -> None:
    """However long requests travel, and after many were forgotten."""
    for seed in range(20):
        rng = random.Random(seed)
        gaps_s = [rng.uniform(0.5, 1.4) / limit.per_s for _ in range(700)]
        server = CountingServer(limit, refused_count=refused_count)
        history = _played(server, gaps_s, latency_s=(0.01, 0.3), seed=seed)
        assert server.turned_away
        assert history.explained(limit.period_s), f"seed {seed}"


def test_a_request_turned_away_where_many_more_are_let_in_is_explained_by_nothing() -> None:
    """Ten a second, with one turned away right after a silence: no limit does that."""
    history = History()
    for nth in range(100):
        history.add(PacedRequest(nth / 10, nth / 10 + 0.05, True))
    history.add(PacedRequest(20.0, 20.05, False))
    assert history.explained(1.0)  # it may have been the hundred before
    for nth in range(300):
        history.add(PacedRequest(21 + nth / 10, 21 + nth / 10 + 0.05, True))
    assert not history.explained(1.0)
    assert history.fit() is None


def test_what_is_excused_or_long_ago_counts_but_proves_nothing() -> None:
    """A stray no longer speaks of the limit, nor does anything before a change."""
    history = History()
    history.add(PacedRequest(0.0, 0.05, True))
    history.add(PacedRequest(1.0, 1.05, False))
    history.excuse(1.0)
    history.add(PacedRequest(2.0, 2.05, True))
    assert history.fit() is None
    history.add(PacedRequest(3.0, 3.05, False))
    history.begin(2.5)
    history.add(PacedRequest(4.0, 4.05, True))
    fit = history.fit()
    assert fit is not None
    assert fit.at_most <= 3


def test_more_is_counted_than_is_remembered() -> None:
    """A thousand an hour, let in within minutes: far more than the last requests."""
    history = History()
    for nth in range(1000):
        history.add(PacedRequest(nth / 5, nth / 5 + 0.05, True))
    for nth in range(3):
        history.add(PacedRequest(200.0 + nth * 900, 200.05 + nth * 900, False))
    history.add(PacedRequest(3700.0, 3700.05, True))
    fit = history.fit(1800.0)
    assert fit is not None
    assert (fit.rate.count, fit.rate.period_s) == (1000, 3600.0)


def test_credit_is_earned_slowly_and_spent_at_once() -> None:
    """One refusal for sixty requests, three at most."""
    credit = Credit()
    for _ in range(30):
        credit.earn()
    assert credit.left == pytest.approx(0.5)
    for _ in range(600):
        credit.earn()
    assert credit.left == pytest.approx(3.0)
    credit.spend(4)
    assert credit.left == pytest.approx(-1.0)
