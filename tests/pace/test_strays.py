"""Refusals that say nothing about our pace: strays, a neighbour's burst, and limits that change while a wave runs."""

from statistics import mean

import pytest

from batcher.pace.limit_finding.evidence import CERTAIN, Evidence
from batcher.pace.limit_finding.finder import LimitFinder
from batcher.pace.limit_finding.history import PacedRequest
from batcher.rates import Rate
from tests.pace.simulated import Cloud, Course, send_all

SEEDS = range(40)
FIVE, TEN, TEN_A_MINUTE = Rate(5, 1.0), Rate(10, 1.0), Rate(10, 60.0)
ENTRIES = 600
CLEAN_S = ENTRIES / FIVE.per_s


def _courses(cloud: Cloud, *, rate: Rate = FIVE, requests: int = ENTRIES) -> list[Course]:
    return [send_all(LimitFinder(rate), cloud, requests, seed=seed) for seed in SEEDS]


@pytest.mark.parametrize("limit", [None, FIVE], ids=["no limit", "our limit"])
@pytest.mark.parametrize("says_s", [None, 1.0])
def test_strays_cost_little(limit: Rate | None, says_s: float | None) -> None:
    """Every fiftieth request turned away for no reason of ours: at most 1.3 times the time without, on average."""
    took_s = [course.seconds for course in _courses(Cloud(limit=limit, strays=0.02, stray_says_s=says_s))]
    assert mean(took_s) <= 1.3 * CLEAN_S
    assert max(took_s) <= 1.7 * CLEAN_S


@pytest.mark.parametrize(
    ("share", "says_s", "at_most", "one_at_most"),
    [(0.05, None, 1.2, 1.6), (0.05, 1.0, 1.5, 3), (0.1, None, 1.45, 2.7), (0.1, 1.0, 2.0, 5)],
)
def test_many_strays_are_believed_in(share: float, says_s: float | None, at_most: float, one_at_most: float) -> None:
    """Where cuts are of no help they are taken back: a tenth of all requests does not cost several times the time."""
    took_s = [course.seconds for course in _courses(Cloud(limit=None, strays=share, stray_says_s=says_s))]
    assert mean(took_s) <= at_most * CLEAN_S
    assert max(took_s) <= one_at_most * CLEAN_S


@pytest.mark.parametrize(("share", "says_s", "at_most"), [(0.05, None, 0.02), (0.05, 1.0, 0.025), (0.1, 1.0, 0.05)])
def test_strays_do_not_hide_that_the_way_pushes_requests_together(
    share: float, says_s: float | None, at_most: float
) -> None:
    """Ours is the cloud's limit, and the way jitters: six arrive within a second now and then. What is counted from its
    answer does not, which is gone on with though strays are turned away all the same."""
    courses = _courses(Cloud(limit=FIVE, strays=share, stray_says_s=says_s))
    assert mean(course.by_limit for course in courses) <= at_most * ENTRIES


@pytest.mark.parametrize(("rate", "requests"), [(Rate(50, 1.0), 600), (Rate(200, 1.0), 1000)], ids=str)
@pytest.mark.parametrize("says_s", [None, 1.0])
def test_strays_cost_little_at_a_quick_pace(rate: Rate, requests: int, says_s: float | None) -> None:
    """One in twenty: a wave of seconds does not take minutes because two were turned away at its start."""
    clean_s = requests / rate.per_s
    courses = _courses(Cloud(limit=None, strays=0.05, stray_says_s=says_s), rate=rate, requests=requests)
    assert mean(course.seconds for course in courses) <= 1.8 * clean_s
    assert max(course.seconds for course in courses) <= 10 * clean_s  # one of the forty; the next takes 4


def test_strays_that_name_our_own_limit_cost_no_more() -> None:
    """The text of the answer equals our limit: it is the account's, and others use it too."""
    took_s = [course.seconds for course in _courses(Cloud(limit=FIVE, strays=0.02, says_limit=True))]
    assert mean(took_s) <= 1.3 * CLEAN_S


def test_one_stray_costs_seconds() -> None:
    """Wherever it comes in the wave, also right at the start, or right after another."""
    for strays in ({1}, {3}, {10}, {100}, {100, 101}, {100, 110, 120}):
        finder, now, nth, to_do = LimitFinder(FIVE), 0.0, 0, 300
        while to_do:
            nth += 1
            if nth in strays:
                now += finder.turned_away(now, now + 0.1, retry_after_s=1.0, named=None) or 0.0
            else:
                finder.accepted(now, now + 0.1)
                to_do -= 1
            assert finder.rate is not None
            now += 0.1 if finder.alone else 1 / finder.rate.per_s
        assert finder.rate == FIVE
        assert now <= 300 / 5 + 5 * len(strays), strays


def test_many_strays_slow_it_down_but_it_recovers() -> None:
    """One in twenty for minutes; once they are over, the pace climbs back to our limit."""
    for seed in SEEDS:
        finder = LimitFinder(FIVE)
        send_all(finder, Cloud(limit=None, strays=0.05), 400, seed=seed)
        then = send_all(finder, Cloud(limit=None), 1000, seed=seed)
        assert finder.rate == FIVE
        assert then.seconds <= 200 + 240  # some begin at a third of it


def test_where_slowing_down_is_of_no_help_it_is_not_gone_on_with() -> None:
    """A fifth of all requests is turned away whatever we do: that takes long, not for ever."""
    for course in _courses(Cloud(limit=None, strays=0.2, stray_says_s=1.0)):
        assert course.seconds <= 20 * CLEAN_S


@pytest.mark.parametrize("start", ["auto", "10/s"])
def test_a_limit_that_is_halved_is_no_stray(start: str) -> None:
    """10/s, then 5/s, then 10/s again: kept within seconds, taken back within a minute, and few are turned away."""
    cloud = Cloud(limit=TEN, changes=((60.0, FIVE), (160.0, TEN)))
    for seed in SEEDS:
        finder = LimitFinder(None, search=True) if start == "auto" else LimitFinder(TEN)
        course = send_all(finder, cloud, 2000, seed=seed)
        assert course.let_in_between(70, 160) >= 0.8 * 5 * 90
        assert course.let_in_between(200, 230) >= 0.8 * 10 * 30
        assert len(course.refused) < 0.03 * 2000


@pytest.mark.parametrize("says_limit", [False, True])
def test_a_limit_that_changes_is_followed_both_ways(says_limit: bool) -> None:
    """10/s, then 3/s, then 10/s again."""
    cloud = Cloud(limit=TEN, changes=((60.0, Rate(3, 1.0)), (160.0, TEN)), says_limit=says_limit)
    clean_s = 60 + 100 + (2000 - 900) / 10
    courses = _courses(cloud, rate=TEN, requests=2000)
    assert mean(course.seconds for course in courses) <= 1.4 * clean_s
    for course in courses:
        assert course.let_in_between(70, 160) >= 0.7 * 3 * 90
        assert course.let_in_between(300, 330) >= 0.8 * 10 * 30 or course.seconds < 330
        assert len(course.refused) < 0.03 * 2000
    assert mean(len(course.refused) for course in courses) < 0.025 * 2000


@pytest.mark.parametrize("refused_count", [False, True])
def test_a_neighbour_is_given_way_and_the_pace_taken_back(refused_count: bool) -> None:
    """Somebody else takes half of the limit for a minute: we use the rest, and the whole soon after."""
    cloud = Cloud(limit=TEN, neighbour=(60.0, 120.0, 5.0), refused_count=refused_count)
    for course in _courses(cloud, rate=TEN, requests=2000):
        assert course.let_in_between(70, 120) >= 0.6 * 5 * 50
        assert course.let_in_between(150, 180) >= 0.6 * 10 * 30
        assert course.let_in_between(180, 220) >= 0.85 * 10 * 40
        assert len(course.refused) < 0.03 * 2000


def test_a_slow_pace_does_not_ratchet_down() -> None:
    """10/min with strays: a minute is not lost for each, and the pace comes back."""
    courses = _courses(Cloud(limit=TEN_A_MINUTE, strays=0.02), rate=TEN_A_MINUTE, requests=200)
    assert mean(course.seconds for course in courses) <= 1.15 * 1200
    assert max(course.seconds for course in courses) <= 1.3 * 1200


def test_without_a_limit_of_ours() -> None:
    """With --rate off a stray does not bring a limit into being that was never there, for long."""
    finder = LimitFinder(None)
    for step in range(2000):
        if step in {500, 900}:
            finder.turned_away(step / 100, step / 100 + 0.005, retry_after_s=None, named=None)
        else:
            finder.accepted(step / 100, step / 100 + 0.005)
    assert finder.rate is None


def test_a_small_wave_is_not_slowed_down_by_what_its_first_requests_were_told() -> None:
    """Twenty entries at 200/s, ten of them told once that they are too frequent: seconds, not a minute and a half."""
    cloud = Cloud(limit=None, too_frequent=True, told_once=10)
    courses = _courses(cloud, rate=Rate(200, 1.0), requests=20)
    assert max(course.seconds for course in courses) <= 10


def test_what_a_look_up_is_told_holds_for_the_scope() -> None:
    """A look-up does not wait by itself: its scope waits, also for one that may well be a stray."""
    waits = {}
    for each_waits in (True, False):
        finder = LimitFinder(Rate(5, 1.0), each_waits=each_waits)
        for nth in range(100):
            finder.accepted(nth / 5, nth / 5 + 0.1)
        waits[each_waits] = finder.turned_away(20.0, 20.1, retry_after_s=30.0, named=None) or 0.0
    assert waits[False] == 30.0
    assert 0 < waits[True] < 1.0


@pytest.mark.parametrize("start", [None, Rate(50, 1.0)], ids=["off", "50/s"])
def test_a_window_by_the_minute_that_starts_afresh_is_no_stray(start: Rate | None) -> None:
    """Those that felt for room in the first minute were turned away again and again: that is not forgotten by the time
    one more is."""
    refused = []
    for seed in range(10):
        course = send_all(LimitFinder(start), Cloud(limit=TEN_A_MINUTE, slides=False), 120, seed=seed)
        refused.append(course.refused_after(60.0) / 120)
    assert max(refused) <= 0.05


def test_a_bucket_is_found_soon_where_we_have_no_limit_of_our_own() -> None:
    """`--rate off`: the pace is cut again within a second, as nobody believed in the first one."""
    refused = [
        send_all(LimitFinder(None), Cloud(limit=TEN, bucket=True), 1000, seed=seed).refused_after(1.0) / 1000
        for seed in range(10)
    ]
    assert mean(refused) <= 0.03


@pytest.mark.parametrize(("start", "most"), [(None, 0.10), (Rate(50, 1.0), 0.15)])
def test_an_empty_bucket_is_no_stray(start: Rate | None, most: float) -> None:
    """Ten a minute, bit by bit: after a first burst every other request is turned away, whatever is sent, until the
    pace is as slow as that."""
    refused = []
    for seed in range(10):
        finder = LimitFinder(start, search=start is None)
        course = send_all(finder, Cloud(limit=Rate(10, 60.0), bucket=True), 120, seed=seed)
        refused.append(course.refused_after(60.0) / 120)
    assert max(refused) <= most


def test_at_a_quick_pace_who_is_told_to_wait_waits_alone_unless_several_are() -> None:
    """50/s and `Retry-After: 30` for one: the scope goes on within a second. For three at once, it is the scope's."""
    alone, together = LimitFinder(Rate(50, 1.0)), LimitFinder(Rate(50, 1.0))
    for finder in (alone, together):
        for nth in range(200):
            finder.accepted(nth / 50, nth / 50 + 0.1)
    first_s = alone.turned_away(4.0, 4.1, retry_after_s=30.0, named=None)
    assert first_s is not None
    assert first_s < 1.0
    alone.accepted(4.1 + first_s, 4.2 + first_s)
    assert not alone.alone
    assert alone.rate == Rate(50, 1.0)
    waits = [together.turned_away(4.0 + nth / 50, 4.1 + nth / 50, retry_after_s=30.0, named=None) for nth in range(3)]
    assert max(wait_s or 0.0 for wait_s in waits) >= 30.0
    assert waits[0] is not None
    assert waits[0] < 1.0


@pytest.mark.parametrize(("rate", "answer_s", "in_flight"), [(50, 5.0, 64), (200, 1.0, 16), (10, 5.0, 16)])
def test_where_few_may_be_in_flight_a_wait_that_most_of_them_are_told_is_the_scopes(
    rate: int, answer_s: float, in_flight: int
) -> None:
    """Answers are slow, so that fewer are under way than the pace allows, and all of them are told to wait a minute."""
    finder, gap_s = LimitFinder(Rate(rate, 1.0)), answer_s / in_flight
    for nth in range(200):
        finder.accepted(nth * gap_s, nth * gap_s + answer_s)
    began_s = 200 * gap_s
    silences = [
        finder.turned_away(began_s + nth * gap_s, began_s + nth * gap_s + answer_s, retry_after_s=60.0, named=None)
        for nth in range(in_flight)
    ]
    assert max(told for told in silences if told is not None) >= 60.0


def _with_strays_for_certain() -> tuple[LimitFinder, float]:
    """One that was shown them at many paces, and when the next request leaves."""
    finder, now = LimitFinder(Rate(50, 1.0)), 0.0
    for gap_s in (0.02, 0.2, 0.05, 0.1, 0.02):
        for nth in range(60):
            now += gap_s
            if nth % 20 == 10:
                finder.turned_away(now, now + 0.01, retry_after_s=None, named=None)
            else:
                finder.accepted(now, now + 0.01)
    return finder, now


def test_where_strays_are_certain_one_does_not_close_the_scope() -> None:
    """Those under way go on, and are asked: one is let in, and nothing was lost; all are turned away, and it closes."""
    finder, now = _with_strays_for_certain()
    pace = finder.rate
    assert finder.turned_away(now + 0.02, now + 0.1, retry_after_s=1.0, named=None) is None
    assert not finder.alone
    finder.accepted(now + 0.08, now + 0.12)
    assert not finder.alone
    assert finder.rate == pace
    waits = [finder.turned_away(now + 0.2 + nth / 50, now + 0.3, retry_after_s=None, named=None) for nth in range(5)]
    assert any(wait_s is not None for wait_s in waits)
    assert finder.alone


def test_a_limit_that_is_named_or_a_wait_that_nobody_else_keeps_closes_the_scope_all_the_same() -> None:
    """Strays are certain; but this answer speaks of the scope."""
    finder, now = _with_strays_for_certain()
    assert finder.turned_away(now + 0.02, now + 0.1, retry_after_s=None, named=(1, 1.0)) is not None
    assert finder.rate == Rate(1, 1.0)


def test_what_left_before_a_cut_is_no_reason_for_another() -> None:
    """Strays right at the start: within a second the pace is not cut to a quarter."""
    cloud = Cloud(limit=None, strays=0.05)
    for seed in SEEDS:
        course = send_all(LimitFinder(Rate(50, 1.0)), cloud, 100, seed=seed)
        assert min(per_s for moment, per_s in course.paces if moment < 1.0) > 50 / 4, f"seed {seed}"


def test_what_felt_for_room_is_not_counted_twice_among_too_many() -> None:
    """Three of ten are turned away at paces that are far apart, and half of those that felt for room: strays are a
    third at most, and here they are no more."""
    evidence, now, requests = Evidence(), 0.0, 0
    for gap_s in (0.2, 2.0, 0.4, 1.0):
        for _ in range(20):
            now += gap_s
            requests += 1
            evidence.add(PacedRequest(now, now + 0.1, requests % 10 not in {2, 5, 8}))
            if requests % 4 == 0:
                evidence.probe(now, refused=requests % 8 == 0)
    assert evidence.weigh(1.0, 6.0).odds > CERTAIN


def test_what_was_let_in_before_is_no_reason_to_go_over_a_limit_that_is_named_now() -> None:
    """10/s for half a minute is what holds a pace up: at 3/s, which an answer names, it does not."""
    finder, now = LimitFinder(TEN), 0.0
    for _ in range(10 * 40):
        now += 0.1
        finder.accepted(now, now + 0.01)
    assert finder.turned_away(now + 0.1, now + 0.11, retry_after_s=None, named=(3, 1.0)) is not None
    finder.accepted(now + 1.0, now + 1.01)
    assert finder.rate == Rate(3, 1.0)
