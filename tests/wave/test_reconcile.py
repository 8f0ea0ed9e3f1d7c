"""Which of a job's comparisons is ours: by type, by the cloud's clock, and not somebody else's."""

from typing import Any

import pytest
from msgspec.structs import replace

from batcher.drs.outcome import Comparison, ErrorKind, Fate, Made, Trouble
from batcher.life.entry import PlannedEntry
from batcher.life.events import Answered, Intended, LookedUpHalf, Sight
from batcher.life.reconcile import Bounds, Look, Others, judge, rivals, without_anothers
from batcher.life.state import EntryState, history
from tests.wave.made import DATA, NOON, OBJECT, comparison, entry

BOTH = frozenset({OBJECT, DATA})
INTENT = Intended(at=NOON, asked=BOTH)
KNOWN = Bounds(NOON, NOON)


def in_doubt(**changes: Any) -> EntryState:
    return history(BOTH, [replace(INTENT, **changes)])


def look(*comparisons: Comparison, **changes: Any) -> Look:
    base = Look(comparisons=comparisons, since=KNOWN, cloud_now=NOON + 60, others=Others(), landed=False, slack_s=5.0)
    return replace(base, **changes)


def data_sight(made: Look, state: EntryState | None = None) -> LookedUpHalf:
    return judge(entry(), state or in_doubt(), made)[0][DATA]


@pytest.mark.parametrize(
    ("made", "sight"),
    [
        (look(comparison("a")), Sight.FOUND),
        (
            look(comparison("a", at=NOON - 4)),
            Sight.AMBIGUOUS,
        ),  # another's of a moment before, or two clocks of the cloud's
        (look(comparison("a", at=NOON - 6)), Sight.ABSENT),  # older than the intent
        (look(comparison("a", kind="contents")), Sight.ABSENT),  # of another type
        (look(comparison("a", kind="object_comparison")), Sight.ABSENT),
        (look(comparison("a"), comparison("b")), Sight.AMBIGUOUS),
        (look(comparison("a", at=None)), Sight.AMBIGUOUS),  # nobody knows when
        (look(comparison("a"), since=None), Sight.UNCLEAR),  # ours or an older one
        (look(comparison("a"), since=None, landed=True), Sight.UNCLEAR),  # and never absent
        (look(since=None, landed=True), Sight.PROVEN_ABSENT),  # an empty list needs no clock
        (look(comparison("a"), since=None, ancient=NOON + 1), Sight.ABSENT),
        (
            look(comparison("a"), since=None, appeared=frozenset({"a"})),
            Sight.FOUND,
        ),  # a list lacked it
        (look(comparison("a"), comparison("b"), since=None), Sight.UNCLEAR),
        (look(comparison("a"), patient=True), Sight.CANDIDATE),
        (look(comparison("a"), patient=True, landed=True), Sight.FOUND),
        (look(comparison("a", at=NOON - 60), since=Bounds(NOON - 90, NOON)), Sight.UNCLEAR),  # within what is known
        (look(comparison("a", at=NOON - 96), since=Bounds(NOON - 90, NOON)), Sight.ABSENT),
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
    assert data_sight(look(comparison("a"), comparison("b"), others=others)) == LookedUpHalf(
        sight=Sight.FOUND, ids=("b",)
    )


def test_what_a_snapshot_did_not_show_is_younger_whatever_its_clock_says() -> None:
    """A service whose clock lags behind its gateway's stamps ours as older than the intent: no proof that it is not."""
    lagging = look(comparison("a", at=NOON - 60), landed=True)
    assert data_sight(lagging, in_doubt(snapshot=True)).sight is Sight.AMBIGUOUS
    assert data_sight(lagging, in_doubt(snapshot=True, known=frozenset({"a"}))).sight is Sight.PROVEN_ABSENT
    assert data_sight(look(comparison("a"), since=None), in_doubt(snapshot=True)).sight is Sight.FOUND


def test_each_half_by_itself() -> None:
    halves, _ = judge(entry(), in_doubt(), look(comparison("o", kind="object_comparison"), landed=True))
    assert halves == {
        OBJECT: LookedUpHalf(sight=Sight.FOUND, ids=("o",)),
        DATA: LookedUpHalf(sight=Sight.PROVEN_ABSENT),
    }


def test_only_halves_in_doubt_are_judged() -> None:
    answer = Answered(at=NOON, sent_at=NOON, halves={OBJECT: Made("o")}, http_status=200, request_id=None)
    state = history(BOTH, [INTENT, answer])
    assert judge(entry(), state, look())[0].keys() == {DATA}


def test_two_doubts_of_one_job_are_not_told_apart() -> None:
    """Another entry of the job that is in doubt may have made what would else be ours, while it could still land."""
    other = entry(1, job="job-0", halves="data")
    doubt = history(frozenset({DATA}), [Intended(at=NOON, asked=frozenset({DATA}))])
    then = Bounds(NOON - 100, NOON - 100)
    near = tuple(rivals(other, doubt, lambda _: then, lands_within_s=200.0))
    far = tuple(rivals(other, doubt, lambda _: then, lands_within_s=50.0))
    unknown = tuple(rivals(other, doubt, lambda _: None, lands_within_s=50.0))
    assert data_sight(look(comparison("a"), others=Others(rivals=unknown))).sight is Sight.AMBIGUOUS
    assert data_sight(look(comparison("a"), others=Others(rivals=near))).sight is Sight.AMBIGUOUS
    assert data_sight(look(comparison("a"), others=Others(rivals=far))).sight is Sight.FOUND
    object_level = look(comparison("o", kind="object_comparison"), others=Others(rivals=near))
    assert judge(entry(), in_doubt(), object_level)[0][OBJECT].sight is Sight.FOUND


def test_two_doubts_about_one_planned_start_are_not_told_apart() -> None:
    """A comparison that is to start later may be listed under its start: when it was created nobody sees then."""

    def starts(index: int, after_s: float) -> PlannedEntry:
        plain = entry(index, job="job-0")
        start = f'"start_time":"{int((NOON + after_s) * 1000)}"'
        return replace(plain, body=plain.body.replace(b'"start_time":null', start.encode()))

    mine, doubt = starts(0, 7200), in_doubt()
    long_ago = Bounds(NOON - 900, NOON - 900)
    planned = look(comparison("a", at=NOON + 7200, status="WAITING_FOR_RUNNING"))
    assert judge(mine, doubt, planned)[0][DATA].sight is Sight.FOUND
    for rival, sight in ((starts(1, 7200), Sight.AMBIGUOUS), (starts(1, 7260), Sight.FOUND)):
        others = Others(rivals=tuple(rivals(rival, doubt, lambda _: long_ago, lands_within_s=180.0)))
        assert judge(mine, doubt, replace(planned, others=others))[0][DATA].sight is sight


def test_an_older_unfinished_comparison_is_noticed() -> None:
    """A repeat under `cancel` then does what the operator asked for."""
    assert judge(entry(), in_doubt(), look(comparison("old", at=NOON - 900)))[1]
    assert not judge(entry(), in_doubt(), look(comparison("old", at=NOON - 900, status="SUCCESSFUL")))[1]
    assert not judge(entry(), in_doubt(), look(comparison("ours")))[1]
    unknown = look(comparison("old", at=NOON - 900), since=None)
    assert not judge(entry(), in_doubt(), unknown)[1]  # as far as we know it may be ours
    assert judge(entry(), in_doubt(known=frozenset({"old"})), unknown)[1]


def test_an_id_that_is_anothers_is_a_conflict_and_nothing_new() -> None:
    """A cloud that keeps an unfinished comparison may answer with that one's id."""
    halves = {OBJECT: Made("ours"), DATA: Made("theirs")}
    assert without_anothers(halves, frozenset()) is halves
    assert without_anothers(halves, frozenset({"another"})) is halves
    told = without_anothers(halves, frozenset({"theirs"}))
    assert told[OBJECT] == Made("ours")
    conflict = told[DATA]
    assert isinstance(conflict, Trouble)
    assert (conflict.fate, conflict.kind) == (Fate.REFUSED, ErrorKind.CONFLICT)
    assert "theirs" in (conflict.error_msg or "")
