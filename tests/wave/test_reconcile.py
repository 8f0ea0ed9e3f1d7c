"""Which of a job's comparisons is ours: by type, by the cloud's clock, and not somebody else's."""

from typing import Any

import pytest
from msgspec.structs import replace

from batcher.drs.outcome import Comparison, Made
from batcher.wave.clocks import CloudClock
from batcher.wave.events import Answered, Intended, Seen, Sight
from batcher.wave.life import EntryState, history
from batcher.wave.reconcile import Look, Others, judge, rivals, since
from tests.wave.made import DATA, NOON, OBJECT, comparison, entry

BOTH = frozenset({OBJECT, DATA})
INTENT = Intended(at=NOON, cloud_at=NOON, asked=BOTH)


def in_doubt(**changes: Any) -> EntryState:
    return history(BOTH, [replace(INTENT, **changes)])


def look(*comparisons: Comparison, **changes: Any) -> Look:
    base = Look(comparisons=comparisons, since=NOON, cloud_now=NOON + 60, others=Others(), landed=False, slack_s=5.0)
    return replace(base, **changes)


def data_sight(made: Look, state: EntryState | None = None) -> Seen:
    return judge(entry(), state or in_doubt(), made)[0][DATA]


@pytest.mark.parametrize(
    ("made", "sight"),
    [
        (look(comparison("a")), Sight.FOUND),
        (look(comparison("a", at=NOON - 4)), Sight.FOUND),  # two clocks of the cloud's differ a little
        (look(comparison("a", at=NOON - 6)), Sight.ABSENT),  # older than the intent
        (look(comparison("a", kind="contents")), Sight.ABSENT),  # of another type
        (look(comparison("a", kind="object_comparison")), Sight.ABSENT),
        (look(comparison("a"), comparison("b")), Sight.AMBIGUOUS),
        (look(comparison("a", at=None)), Sight.AMBIGUOUS),  # nobody knows when
        (look(comparison("a"), since=None), Sight.AMBIGUOUS),
        (look(comparison("a"), patient=True), Sight.CANDIDATE),
        (look(comparison("a"), patient=True, landed=True), Sight.FOUND),
        (look(comparison("a", at=NOON - 60), set_back_s=90.0), Sight.AMBIGUOUS),  # before, or by a clock set back
        (look(), Sight.ABSENT),
        (look(landed=True), Sight.PROVEN_ABSENT),
        (look(comparison("a", status="CANCELLED")), Sight.FOUND),  # ours, whatever became of it
        (look(comparison("a", at=NOON + 3600)), Sight.AMBIGUOUS),  # somebody's plan, or a clock that runs ahead
    ],
)
def test_one_look(made: Look, sight: Sight) -> None:
    assert data_sight(made).sight is sight


def test_what_is_known_to_be_anothers_is_not_ours() -> None:
    assert data_sight(look(comparison("a")), in_doubt(known=frozenset({"a"}))).sight is Sight.ABSENT
    others = Others(made=frozenset({"a"}))
    assert data_sight(look(comparison("a"), comparison("b"), others=others)) == Seen(sight=Sight.FOUND, ids=("b",))


def test_what_a_snapshot_did_not_show_is_younger_whatever_its_clock_says() -> None:
    """A service whose clock lags behind its gateway's stamps ours as older than the intent: no proof that it is not."""
    lagging = look(comparison("a", at=NOON - 60), landed=True)
    assert data_sight(lagging, in_doubt(snapshot=True)).sight is Sight.AMBIGUOUS
    assert data_sight(lagging, in_doubt(snapshot=True, known=frozenset({"a"}))).sight is Sight.PROVEN_ABSENT


def test_each_half_by_itself() -> None:
    halves, _ = judge(entry(), in_doubt(), look(comparison("o", kind="object_comparison"), landed=True))
    assert halves == {OBJECT: Seen(sight=Sight.FOUND, ids=("o",)), DATA: Seen(sight=Sight.PROVEN_ABSENT)}


def test_only_halves_in_doubt_are_judged() -> None:
    answer = Answered(at=NOON, sent_at=NOON, halves={OBJECT: Made("o")}, http_status=200, request_id=None)
    state = history(BOTH, [INTENT, answer])
    assert judge(entry(), state, look())[0].keys() == {DATA}


def test_two_doubts_of_one_job_are_not_told_apart() -> None:
    """Another entry of the job that is in doubt may have made what would else be ours, while it could still land."""
    other = entry(1, job="job-0", halves="data")
    doubt = history(frozenset({DATA}), [Intended(at=NOON, cloud_at=NOON - 100, asked=frozenset({DATA}))])
    near = tuple(rivals(other, doubt, lands_within_s=200.0))
    far = tuple(rivals(other, doubt, lands_within_s=50.0))
    assert data_sight(look(comparison("a"), others=Others(rivals=near))).sight is Sight.AMBIGUOUS
    assert data_sight(look(comparison("a"), others=Others(rivals=far))).sight is Sight.FOUND
    object_level = look(comparison("o", kind="object_comparison"), others=Others(rivals=near))
    assert judge(entry(), in_doubt(), object_level)[0][OBJECT].sight is Sight.FOUND


def test_an_older_unfinished_comparison_is_noticed() -> None:
    """A repeat under `cancel` then does what the operator asked for."""
    assert judge(entry(), in_doubt(), look(comparison("old", at=NOON - 900)))[1]
    assert not judge(entry(), in_doubt(), look(comparison("old", at=NOON - 900, status="SUCCESSFUL")))[1]
    assert not judge(entry(), in_doubt(), look(comparison("ours")))[1]


def test_from_when_a_comparison_may_be_ours() -> None:
    assert since(in_doubt()) == NOON
    assert since(in_doubt(cloud_at=None)) is None


def test_the_clouds_clock_is_an_interval_that_narrows() -> None:
    clock = CloudClock()
    assert clock.earliest(0.0) is None
    clock.learn(None, 10.0, 10.1)
    assert clock.latest(0.0) is None
    clock.learn(1000.0, 10.0, 10.2)  # the cloud showed [1000, 1001) somewhere in [10.0, 10.2]
    assert (clock.earliest(10.2), clock.latest(10.0)) == (1000.0, 1001.0)
    clock.learn(1001.0, 10.9, 11.0)
    assert clock.earliest(11.0) == pytest.approx(1001.0)
    assert clock.latest(10.0) == pytest.approx(1001.0)
    clock.learn(900.0, 12.0, 12.1)  # it was set back
    assert clock.earliest(12.1) == 900.0
