"""What comes next for an entry: the table of the design, row by row."""

from itertools import product

import pytest
from msgspec.structs import replace

from batcher.drs.outcome import Accepted, ErrorKind, Fate, Foreign, HalfOutcome, Made, Trouble
from batcher.life.decide import LookUp, Moment, Send, Settle, at_once, back_off, decide, decide_resumed
from batcher.life.events import Answered, Event, Intended, LookedUp, LookedUpHalf, Reopened, Retracted, Ruled, Sight
from batcher.life.policy import MaxFailures, Policy, Reconcile
from batcher.life.result import Status
from batcher.life.state import EntryState, HalfState, fold, history
from tests.wave.made import DATA, NOON, OBJECT, trouble

POLICY = Policy(attempts=3, landing_s=150.0, looks_s=(2.0, 15.0, 60.0), wait_ready_s=120.0)


def after(seconds: float, draw: float = 0.5) -> Moment:
    """So long after this process sent the request, its first."""
    return Moment(since_intent_s=seconds, since_taken_up_s=seconds, since_first_s=seconds, draw=draw)


NOW = after(1.0)
BOTH = frozenset({OBJECT, DATA})
INTENT = Intended(at=NOON, asked=BOTH)


def answered(object_level: HalfOutcome, data_level: HalfOutcome) -> Answered:
    halves = {OBJECT: object_level, DATA: data_level}
    return Answered(at=NOON, sent_at=NOON, halves=halves, http_status=200, request_id="r")


def state(*events: Event) -> EntryState:
    return history(BOTH, events)


MADE = Made("o"), Made("d")
REFUSED = trouble(Fate.REFUSED, ErrorKind.VALIDATION)
MAYBE = trouble(Fate.MAYBE)


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        (MADE, Status.CREATED),
        ((REFUSED, REFUSED), Status.FAILED),
        ((Made("o"), REFUSED), Status.PARTIAL),
        ((REFUSED, Made("d")), Status.PARTIAL),
    ],
)
def test_final_verdicts_settle(verdicts: tuple[Made | Trouble, Made | Trouble], status: Status) -> None:
    action = decide(state(INTENT, answered(*verdicts)), POLICY, NOW)
    assert isinstance(action, Settle)
    assert action.status is status
    assert (action.trouble is None) == (status is Status.CREATED)


HALVES = [
    HalfState(made=made, refused=refused, doubt=doubt, in_the_way=in_the_way, was_its_own=own, recovered=recovered)
    for made, refused, doubt, in_the_way, own, recovered in product(
        (None, "c-1"), (None, REFUSED), (False, True), (False, True), (False, True), (False, True)
    )
]


@pytest.mark.parametrize("reconcile", Reconcile)
def test_what_is_decided_at_once_is_what_is_decided(reconcile: Reconcile) -> None:
    policy, met = replace(POLICY, reconcile=reconcile), 0
    for halves in [{OBJECT: half} for half in HALVES] + [{OBJECT: o, DATA: d} for o in HALVES for d in HALVES]:
        after = replace(state(INTENT), halves=halves)
        if (found := at_once(after)) is not None:
            met += 1
            assert found == decide(after, policy, NOW)
    assert met > len(HALVES) / 20


@pytest.mark.parametrize("fate", [Fate.TURNED_AWAY, Fate.NOT_LET_IN])
def test_what_concerns_the_scope_is_no_used_up_attempt(fate: Fate) -> None:
    many = [event for _ in range(10) for event in (INTENT, answered(trouble(fate), trouble(fate)))]
    after = state(*many)
    assert after.charged == 0
    assert isinstance(decide(after, POLICY, NOW), Send)


def test_who_is_turned_away_and_told_when_to_come_again_waits_that_long() -> None:
    """The scope need not wait for a single one; without a word of the cloud's it alone says when."""
    told = trouble(Fate.TURNED_AWAY, ErrorKind.THROTTLED, retry_after_s=7.0)
    action = decide(state(INTENT, answered(told, told)), POLICY, NOW)
    assert isinstance(action, Send)
    assert action.after_s == 7.0
    untold = trouble(Fate.TURNED_AWAY, ErrorKind.THROTTLED)
    action = decide(state(INTENT, answered(untold, untold)), POLICY, NOW)
    assert isinstance(action, Send)
    assert action.after_s == 0.0


def test_attempts_are_bounded() -> None:
    refused = trouble(Fate.NOT_RECEIVED, ErrorKind.NETWORK)
    attempt: list[Event] = [INTENT, answered(refused, refused)]
    for several in range(1, POLICY.attempts):
        assert isinstance(decide(state(*attempt * several), POLICY, NOW), Send)
    action = decide(state(*attempt * POLICY.attempts), POLICY, NOW)
    assert isinstance(action, Settle)
    assert action.status is Status.FAILED


def test_only_the_half_that_failed_is_asked_for_again() -> None:
    after = state(INTENT, answered(Made("o"), trouble(Fate.NOT_RECEIVED)))
    assert after.to_ask == {DATA}
    assert isinstance(decide(after, POLICY, NOW), Send)


BUSY = trouble(Fate.BUSY, ErrorKind.STATE)
TOO_FREQUENT = replace(trouble(Fate.TURNED_AWAY, ErrorKind.THROTTLED), error_code="DRS.M01503")


def test_a_busy_job_is_asked_again_within_the_attempts_each_time_later() -> None:
    """Another operation on it passes by itself, also where nobody asked to wait for jobs."""
    policy = replace(POLICY, wait_ready_s=0.0)
    attempt: list[Event] = [INTENT, answered(BUSY, BUSY)]
    waits = []
    for several in range(1, POLICY.attempts):
        action = decide(state(*attempt * several), policy, NOW)
        assert isinstance(action, Send)
        waits.append(action.after_s)
    assert waits == [1.5, 3.0]
    settled = decide(state(*attempt * POLICY.attempts), policy, NOW)
    assert isinstance(settled, Settle)
    assert settled.status is Status.FAILED
    # Who waits for jobs waits for this one, too.
    assert isinstance(decide(state(*attempt * POLICY.attempts), POLICY, NOW), Send)
    late = decide(state(*attempt * POLICY.attempts), POLICY, replace(NOW, since_first_s=119.0))
    assert isinstance(late, Settle)


def test_a_job_that_is_told_too_frequent_backs_off_by_itself() -> None:
    """At no cost of attempts, each time for longer, and not for ever."""
    attempt: list[Event] = [INTENT, answered(TOO_FREQUENT, TOO_FREQUENT)]
    actions = [decide(state(*attempt * several), POLICY, NOW) for several in (1, 2, 3, 4, 10)]
    assert [action.after_s for action in actions if isinstance(action, Send)] == [1.5, 3.0, 6.0, 12.0, 45.0]
    told = answered(replace(TOO_FREQUENT, retry_after_s=30.0), replace(TOO_FREQUENT, retry_after_s=30.0))
    assert isinstance(later := decide(state(INTENT, told), POLICY, NOW), Send)
    assert later.after_s == 30.0
    settled = decide(state(*attempt * 10), POLICY, replace(NOW, since_first_s=POLICY.entry_deadline_s))
    assert isinstance(settled, Settle)
    assert settled.status is Status.FAILED


def test_a_job_that_is_not_ready_is_asked_again_as_long_as_allowed() -> None:
    not_yet = trouble(Fate.NOT_YET, ErrorKind.STATE)
    after = state(INTENT, answered(not_yet, not_yet))
    assert isinstance(decide(after, POLICY, NOW), Send)
    settled = decide(after, POLICY, replace(NOW, since_first_s=119.0))
    assert isinstance(settled, Settle)
    assert settled.status is Status.FAILED


def test_a_doubt_is_looked_up_and_never_sent_again() -> None:
    for events in ([INTENT], [INTENT, answered(MAYBE, MAYBE)], [INTENT, answered(Made("o"), MAYBE)]):
        assert isinstance(decide(state(*events), POLICY, NOW), LookUp)


@pytest.mark.parametrize(
    ("looks", "since_s", "after_s"),
    [
        (0, 0.0, 2.0),
        (0, 20.0, 0.0),
        (1, 3.0, 12.0),
        (2, 16.0, 44.0),
        (3, 61.0, 89.0),
        (9, 149.0, 1.0),
        (4, 150.0, 1.0),
    ],
)
def test_looks_come_rarer_and_one_when_nothing_can_land_any_more(looks: int, since_s: float, after_s: float) -> None:
    events = [LookedUp(at=NOON, since=NOON)] * looks
    action = decide(state(INTENT, *events), POLICY, after(since_s))
    assert isinstance(action, LookUp)
    assert action.after_s == pytest.approx(after_s)


@pytest.mark.parametrize(
    ("failed", "since_s", "after_s"), [(1, 2.0, 1.0), (2, 3.0, 2.0), (3, 5.0, 4.0), (9, 60.0, 20.0), (9, 140.0, 10.0)]
)
def test_a_look_that_failed_is_soon_made_again(failed: int, since_s: float, after_s: float) -> None:
    """After 1, 2, 4 s; never past the moment from which nothing can land."""
    events = [LookedUp(at=NOON), *[LookedUp(at=NOON, trouble=MAYBE)] * failed]
    moment = after(since_s, draw=1.0)
    action = decide(state(INTENT, *events), POLICY, moment)
    assert isinstance(action, LookUp)
    assert action.after_s == pytest.approx(after_s)


def test_what_only_the_clouds_time_can_tell_waits_for_it() -> None:
    """As long as something may still be created that tells it, and not for ever."""
    unclear = state(INTENT, look(Sight.UNCLEAR, Sight.ABSENT, "x"))
    landed = after(POLICY.landing_s)
    assert isinstance(decide(unclear, POLICY, NOW), LookUp)
    assert isinstance(decide(unclear, POLICY, replace(landed, time_may_be_told=True)), LookUp)
    late = replace(after(POLICY.landing_s + POLICY.learn_s), time_may_be_told=True)
    assert isinstance(decide(unclear, POLICY, replace(late, since_taken_up_s=1.0)), LookUp)  # another had sent it
    for moment in (landed, late):
        action = decide(unclear, POLICY, moment)
        assert isinstance(action, Settle)
        assert action.status is Status.UNSETTLED
    told = state(INTENT, look(Sight.UNCLEAR, Sight.ABSENT, "x"), look(Sight.FOUND, Sight.ABSENT, "x"))
    assert isinstance(decide(told, POLICY, NOW), LookUp)
    assert told.halves[OBJECT].made == "x"


IN_THE_WAY = trouble(Fate.NOT_YET, ErrorKind.STATE)


@pytest.mark.parametrize("policy", ["keep", "cancel"])
def test_what_is_in_the_way_of_a_request_is_looked_at_before_it_is_final(policy: str) -> None:
    """It may be what that very request made, if something on the way repeats requests. Under `cancel` nothing is."""
    intent = replace(INTENT, conflict_policy=policy)
    refused = state(intent, answered(Made("o"), IN_THE_WAY))
    now = replace(NOW, since_first_s=POLICY.wait_ready_s)
    action = decide(refused, POLICY, now)
    if policy == "cancel":
        assert isinstance(action, Settle)
        return
    assert isinstance(action, LookUp)
    seen = {DATA: LookedUpHalf(sight=Sight.FOUND, ids=("d",))}
    found = decide(fold(refused, LookedUp(at=NOON, halves=seen)), POLICY, now)
    assert isinstance(found, Settle)
    assert found.status is Status.CREATED
    absent = {DATA: LookedUpHalf(sight=Sight.ABSENT)}
    stands = decide(fold(refused, LookedUp(at=NOON, halves=absent)), POLICY, now)
    assert isinstance(stands, Settle)
    assert stands.status is Status.PARTIAL
    assert isinstance(decide(refused, replace(POLICY, reconcile=Reconcile.OFF), now), Settle)


def look(object_level: Sight, data_level: Sight, *ids: str, blocked: bool = False) -> LookedUp:
    halves = {
        OBJECT: LookedUpHalf(sight=object_level, ids=ids[:1]),
        DATA: LookedUpHalf(sight=data_level, ids=ids[1:] or ids[:1]),
    }
    return LookedUp(at=NOON, halves=halves, since=NOON, blocked=blocked)


def test_found_is_created_and_recovered() -> None:
    after = state(INTENT, look(Sight.FOUND, Sight.FOUND, "o", "d"))
    action = decide(after, POLICY, NOW)
    assert isinstance(action, Settle)
    assert action.status is Status.CREATED
    assert all(half.recovered for half in after.halves.values())


def test_proven_absent_is_sent_again_as_keep() -> None:
    after = state(INTENT, answered(MAYBE, MAYBE), look(Sight.PROVEN_ABSENT, Sight.PROVEN_ABSENT))
    assert isinstance(decide(after, POLICY, NOW), Send)
    assert after.keep
    assert not state(INTENT, look(Sight.PROVEN_ABSENT, Sight.PROVEN_ABSENT, blocked=True)).keep


@pytest.mark.parametrize("sight", [Sight.ABSENT, Sight.CANDIDATE])
def test_absent_but_it_may_still_land_is_looked_up_again(sight: Sight) -> None:
    assert isinstance(decide(state(INTENT, look(sight, sight, "x")), POLICY, NOW), LookUp)


def unsettled(events: list[Event], policy: Policy = POLICY, since_s: float = 1.0) -> str:
    action = decide(state(*events), policy, after(since_s))
    assert isinstance(action, Settle)
    assert action.status is Status.UNSETTLED
    assert action.trouble is not None
    assert action.trouble.error_msg is not None
    return action.trouble.error_msg


def test_what_cannot_be_told_is_left_to_the_operator() -> None:
    assert "x" in unsettled([INTENT, look(Sight.AMBIGUOUS, Sight.ABSENT, "x")])
    assert "--reconcile off" in unsettled([INTENT], replace(POLICY, reconcile=Reconcile.OFF))
    failed: list[Event] = [LookedUp(at=NOON, trouble=MAYBE)] * POLICY.failed_looks
    assert "look-ups failed" in unsettled([INTENT, *failed], since_s=200.0)
    assert "before the answer" in unsettled([INTENT, look(Sight.AMBIGUOUS, Sight.AMBIGUOUS, "x")])


def test_failed_looks_are_not_given_up_before_everything_has_landed() -> None:
    failed = [LookedUp(at=NOON, trouble=MAYBE)] * 50
    assert isinstance(decide(state(INTENT, *failed), POLICY, NOW), LookUp)


def test_unsettled_once_is_never_sent_again_on_its_own() -> None:
    again: list[Event] = [
        INTENT,
        Reopened(at=NOON, was="unsettled", why="run again", fresh=False),
        look(Sight.PROVEN_ABSENT, Sight.PROVEN_ABSENT),
    ]
    assert "never sent again" in unsettled(again) or "not sent again" in unsettled(again)


def test_a_retracted_intent_leaves_no_trace() -> None:
    before = state(INTENT, answered(trouble(Fate.NOT_RECEIVED), trouble(Fate.NOT_RECEIVED)))
    after = history(
        BOTH,
        [
            INTENT,
            answered(trouble(Fate.NOT_RECEIVED), trouble(Fate.NOT_RECEIVED)),
            INTENT,
            Retracted(at=NOON, why="stopped"),
        ],
    )
    assert not after.in_doubt
    assert (after.attempts, after.to_ask) == (before.attempts, before.to_ask)


def test_the_same_unknown_answer_twice_is_enough() -> None:
    odd = trouble(Fate.MAYBE, listed=False)
    once: list[Event] = [INTENT, answered(odd, odd), look(Sight.PROVEN_ABSENT, Sight.PROVEN_ABSENT)]
    assert isinstance(decide(state(*once), POLICY, NOW), Send)
    assert isinstance(decide(state(*once, *once), POLICY, NOW), Settle)


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_back_off_is_jittered_capped_and_honours_the_cloud(draw: float) -> None:
    policy = Policy(backoff_base_s=1.0, backoff_cap_s=60.0)
    for charged in range(1, 100):
        assert 0 <= back_off(charged, policy, draw, None) <= min(60.0, 2.0 ** (charged - 1))
    assert back_off(1, policy, draw, 90.0) == 90.0


def test_what_the_cloud_asked_for_is_waited_for_after_a_look_up_too() -> None:
    """A 503 with Retry-After: the request was not taken, and the time that has passed since counts."""
    busy = trouble(Fate.MAYBE, retry_after_s=300.0)
    absent = state(INTENT, answered(busy, busy), look(Sight.PROVEN_ABSENT, Sight.PROVEN_ABSENT))
    for since_s, after_s in ((160.0, 140.0), (301.0, 0.0)):
        action = decide(absent, POLICY, after(since_s))
        assert isinstance(action, Send)
        assert action.after_s == pytest.approx(after_s)


def test_a_job_that_is_not_ready_is_not_asked_before_the_cloud_wants_it() -> None:
    not_yet = trouble(Fate.NOT_YET, ErrorKind.STATE, retry_after_s=100.0)
    action = decide(state(INTENT, answered(not_yet, not_yet)), POLICY, NOW)
    assert isinstance(action, Send)
    assert action.after_s == 100.0


def test_no_attempt_begins_after_the_entrys_deadline() -> None:
    """The wait before it counts; what the scope's limit turned away has no deadline, since it was never tried."""
    policy = replace(POLICY, entry_deadline_s=100.0)
    refused = trouble(Fate.NOT_RECEIVED, ErrorKind.NETWORK, retry_after_s=30.0)
    after = state(INTENT, answered(refused, refused))
    assert isinstance(decide(after, policy, replace(NOW, since_first_s=69.0)), Send)
    late = decide(after, policy, replace(NOW, since_first_s=71.0))
    assert isinstance(late, Settle)
    assert (late.status, late.trouble) == (Status.FAILED, refused)
    turned_away = trouble(Fate.TURNED_AWAY, ErrorKind.THROTTLED)
    waiting = state(INTENT, answered(turned_away, turned_away))
    assert isinstance(decide(waiting, policy, replace(NOW, since_first_s=1000.0)), Send)


@pytest.mark.parametrize(
    ("most", "failures", "entries", "reached"),
    [
        (MaxFailures(), 10, 10, False),
        (MaxFailures(count=2), 1, 10, False),
        (MaxFailures(count=2), 2, 10, True),
        (MaxFailures(percent=5.0), 0, 10, False),
        (MaxFailures(percent=5.0), 4, 100, False),
        (MaxFailures(percent=5.0), 5, 100, True),
        (MaxFailures(percent=5.0), 1, 3, True),
        (MaxFailures(percent=0.5), 0, 1_000_000, False),
    ],
)
def test_when_too_many_have_failed(most: MaxFailures, failures: int, entries: int, reached: bool) -> None:
    assert most.reached(failures, entries) is reached


UNLISTED = trouble(Fate.MAYBE, listed=False)
DOUBTED: list[Event] = [INTENT, answered(UNLISTED, UNLISTED)]


@pytest.mark.parametrize("blocked", [False, True])
def test_the_operators_retry_is_sent_whatever_came_before_and_cancels_only_what_is_older(blocked: bool) -> None:
    seen = {half: LookedUpHalf(sight=Sight.AMBIGUOUS, ids=("a", "b")) for half in BOTH}
    after = state(
        *DOUBTED * 2, LookedUp(at=NOON, halves=seen, since=NOON, blocked=blocked), Ruled(at=NOON, ruling="retry")
    )
    assert isinstance(decide(after, POLICY, NOW), Send)
    assert after.to_ask == BOTH
    assert after.keep is not blocked
    assert after.since is None  # the two that could not be told apart are none of the next request's


def test_a_failed_entry_that_is_taken_up_again_begins_as_at_first() -> None:
    """What it made is known; what others made since then is not taken for its own."""
    absent = {half: LookedUpHalf(sight=Sight.PROVEN_ABSENT) for half in BOTH}
    look = LookedUp(at=NOON, halves=absent, since=NOON)
    failed = state(*DOUBTED, look)
    assert (failed.since, failed.keep, failed.snapshot_due) == (INTENT, True, False)
    again = state(
        *DOUBTED, LookedUp(at=NOON, halves=absent, since=NOON), Reopened(at=NOON, was="failed", why="", fresh=True)
    )
    assert (again.since, again.keep, again.snapshot_due) == (None, False, True)
    assert isinstance(decide(again, POLICY, NOW), Send)


def test_what_an_earlier_run_left_in_doubt_is_looked_up_at_once_and_all_else_is_decided_as_ever() -> None:
    assert decide_resumed(state(INTENT), POLICY, NOW) == LookUp(0.0, "may have been sent by an earlier run")
    others: list[list[Event]] = [[], [INTENT, answered(*MADE)], [INTENT, answered(REFUSED, TOO_FREQUENT)]]
    for events in others:
        assert decide_resumed(state(*events), POLICY, NOW) == decide(state(*events), POLICY, NOW)


# --- accepted, without an id ----------------------------------------------------------------------------------

ACCEPTED = Accepted("query-1")


def looked_up(sight: Sight, *ids: str, blocked: bool = False) -> LookedUp:
    return LookedUp(at=NOON, halves={DATA: LookedUpHalf(sight=sight, ids=ids)}, listed=len(ids), blocked=blocked)


def test_what_is_accepted_without_an_id_is_looked_up() -> None:
    """The answer is sound, so that nothing is wrong; but which comparison it made only a look-up can tell."""
    after = state(INTENT, answered(Made("o"), ACCEPTED))
    assert after.doubtful == {DATA}
    action = decide(after, POLICY, NOW)
    assert isinstance(action, LookUp)
    assert (action.after_s, action.why) == (1.0, "accepted without naming a comparison: looked up in 1.0 s")
    found = state(INTENT, answered(Made("o"), ACCEPTED), looked_up(Sight.FOUND, "d"))
    assert decide(found, POLICY, NOW) == Settle(Status.CREATED, None, "every comparison asked for exists")
    assert found.recovered


def test_what_was_accepted_and_is_proven_not_to_be_there_is_sent_again_within_the_attempts() -> None:
    gone = looked_up(Sight.PROVEN_ABSENT)
    attempt: list[Event] = [INTENT, answered(Made("o"), ACCEPTED), gone]
    for several in range(1, POLICY.attempts):
        assert isinstance(decide(state(*attempt * several), POLICY, replace(NOW, since_intent_s=200.0)), Send)
    settled = decide(state(*attempt * POLICY.attempts), POLICY, NOW)
    assert isinstance(settled, Settle)
    assert settled.status is Status.PARTIAL
    assert settled.trouble is not None
    assert settled.trouble.error_msg == "the cloud accepted the request and named no comparison"


def test_what_was_accepted_and_cannot_be_looked_up_is_left_to_the_operator() -> None:
    settled = decide(state(INTENT, answered(Made("o"), ACCEPTED)), replace(POLICY, reconcile=Reconcile.OFF), NOW)
    assert isinstance(settled, Settle)
    assert settled.status is Status.UNSETTLED
    assert "accepted the request" in ((settled.trouble and settled.trouble.error_msg) or "")


# --- the cause that counted --------------------------------------------------------------------------------


def _attempt(met: Trouble, *, proven: bool = False) -> list[Event]:
    attempt: list[Event] = [INTENT, answered(met, met)]
    if proven:
        absent = LookedUpHalf(sight=Sight.PROVEN_ABSENT)
        attempt.append(LookedUp(at=NOON, halves={OBJECT: absent, DATA: absent}))
    return attempt


UNFINISHED = replace(trouble(Fate.NOT_YET, ErrorKind.STATE), error_code="DRS.M00304", error_msg="unfinished")
SLOW = replace(trouble(Fate.MAYBE, ErrorKind.TIMEOUT), error_code=None, error_msg="no answer")
REFUSED_ONCE = replace(trouble(Fate.NOT_RECEIVED, ErrorKind.NETWORK), error_code=None, error_msg="no way")


@pytest.mark.parametrize(
    ("met", "kind", "said"),
    [
        ([UNFINISHED] * 4 + [SLOW], ErrorKind.STATE, "unfinished (4 of 5 attempts; the last one: no answer)"),
        ([SLOW] * 3, ErrorKind.TIMEOUT, "no answer"),
        ([UNFINISHED, SLOW, SLOW], ErrorKind.TIMEOUT, "no answer"),
        ([UNFINISHED, SLOW], ErrorKind.TIMEOUT, "no answer"),  # of equals the later one
        ([REFUSED_ONCE, UNFINISHED, UNFINISHED, REFUSED_ONCE, REFUSED_ONCE], ErrorKind.NETWORK, "no way"),
    ],
)
def test_the_cause_that_counted_is_told(met: list[Trouble], kind: ErrorKind, said: str) -> None:
    events = [event for each in met for event in _attempt(each, proven=each.fate is Fate.MAYBE)]
    action = decide(state(*events), replace(POLICY, attempts=len(met)), NOW)
    assert isinstance(action, Settle)
    assert action.trouble is not None
    assert (action.status, action.trouble.kind, action.trouble.error_msg) == (Status.FAILED, kind, said)


# --- a job that is not there --------------------------------------------------------------------------------

NO_JOB = replace(trouble(Fate.REFUSED, ErrorKind.NOT_FOUND), error_msg="no such job")
NO_LIST = LookedUp(at=NOON, trouble=NO_JOB)
LANDED = replace(NOW, since_intent_s=200.0)
DOUBT = (INTENT, answered(MAYBE, MAYBE))


def test_a_doubt_ends_where_there_is_no_such_job() -> None:
    action = decide(state(*DOUBT, NO_LIST, NO_LIST), POLICY, LANDED)
    assert isinstance(action, Settle)
    assert (action.status, action.trouble) == (Status.FAILED, NO_JOB)


@pytest.mark.parametrize(
    ("events", "moment"),
    [
        ((NO_LIST,), LANDED),  # once alone
        ((NO_LIST, NO_LIST), NOW),  # it may still land
        ((NO_LIST, LookedUp(at=NOON, halves={}), NO_LIST), LANDED),  # in between it was there
        ((LookedUp(at=NOON, trouble=replace(NO_JOB, foreign=Foreign.PAGE)),) * 2, LANDED),  # a proxy's word
        ((LookedUp(at=NOON, trouble=trouble(Fate.NOT_RECEIVED, ErrorKind.NETWORK)),) * 2, LANDED),
    ],
)
def test_it_takes_the_clouds_own_word_twice_and_nothing_under_way(events: tuple[Event, ...], moment: Moment) -> None:
    assert isinstance(decide(state(*DOUBT, *events), POLICY, moment), LookUp)


def test_what_was_made_before_stays() -> None:
    one = (INTENT, answered(Made("o"), MAYBE), NO_LIST, NO_LIST)
    action = decide(state(*one), POLICY, LANDED)
    assert isinstance(action, Settle)
    assert action.status is Status.PARTIAL
