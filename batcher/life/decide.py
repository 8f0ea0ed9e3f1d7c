"""What comes next for an entry, and how each entry ends: pure functions of its state, the policy and the time.

Every `Settle` is made here, or in `ruling` where it is the operator's. What holds:

- While a half is in doubt nothing is sent for its entry: the doubt is looked up, or the entry is `unsettled`.
- `failed` is said only of what is known not to exist: refused for good, proven absent, or never sent.
- What an answer says of the scope (its limit, its credential) is charged to no entry.
- An entry that ended `unsettled` is looked up again, and never sent again on its own.
"""

from functools import lru_cache
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from batcher.drs import guesses
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.life.policy import Policy, Reconcile
from batcher.life.result import Status
from batcher.life.state import EntryState, is_unclear

_GONE_LOOKS = 2  # that say that there is no such job, one after the other: one alone may have come by a bad moment
_LOOK_ANEW_S = 1.0  # once nothing can land any more


class Send(Struct, frozen=True):
    """Ask for the open halves, *after_s* seconds from now."""

    after_s: float
    why: str


class LookUp(Struct, frozen=True):
    """List the job's comparisons, *after_s* seconds from now."""

    after_s: float
    why: str


class Settle(Struct, frozen=True):
    """The entry's outcome is final; *trouble* says what went wrong, None where nothing did."""

    status: Status
    trouble: Trouble | None
    why: str


Action = Send | LookUp | Settle

_ALL_MADE = Settle(Status.CREATED, None, "every comparison asked for exists")


class Moment(Struct, frozen=True, kw_only=True):
    """The time, as far as decisions need it. Seconds.

    *since_intent_s* has passed, at least, since the last request left; *since_taken_up_s* since this process sent it,
    or took up what another had sent; *since_first_s* since it first sent the entry, without the time in which it only
    waited for its scope. *draw* is a random number in [0, 1) for jitter. *time_may_be_told*: something of the scope may
    still be created that tells the cloud's time.
    """

    since_intent_s: float
    since_taken_up_s: float
    since_first_s: float
    draw: float
    time_may_be_told: bool = False


def at_once(state: EntryState) -> Settle | None:
    """The end of an entry of which every half was made, as `decide` has it: whenever that is. None: ask `decide`."""
    for half in state.halves.values():
        if half.made is None or half.doubt or half.refused is not None or half.in_the_way or half.was_its_own:
            return None
    return _ALL_MADE


def decide(state: EntryState, policy: Policy, moment: Moment) -> Action:
    """The next step for an entry whose last step has ended."""
    if state.in_doubt:
        return _in_doubt(state, policy, moment)
    action = _again(state, policy, moment) if state.is_open else _settled(state)
    if isinstance(action, Settle) and state.is_in_the_way and policy.reconcile is not Reconcile.OFF:
        return _look_at_what_is_in_the_way(state, policy, action)
    return action


def decide_resumed(state: EntryState, policy: Policy, moment: Moment) -> Action:
    """As `decide`, for an entry that an earlier process left open: what may have been sent is looked up at once."""
    action = decide(state, policy, moment)
    return LookUp(0.0, "may have been sent by an earlier run") if isinstance(action, LookUp) else action


def _look_at_what_is_in_the_way(state: EntryState, policy: Policy, refused: Settle) -> LookUp | Settle:
    """A comparison that is unfinished may be this entry's own, if something on the way repeats requests."""
    made = state.looks + state.failed_looks
    if made > len(policy.own_looks_s) - 1:
        return refused
    after_s = policy.own_looks_s[made]
    return LookUp(after_s, f"looked up in {after_s:g} s whether what is in its way is its own")


def _settled(state: EntryState) -> Settle:
    refused = [half.refused for half in state.halves.values() if half.refused]
    if not refused and any(half.was_its_own for half in state.halves.values()):
        why = (
            "something on the way repeats requests" if state.attempts == 1 else "an earlier request was taken after all"
        )
        return Settle(Status.CREATED, None, f"what was in its way is its own: {why}")
    if not refused:
        return _ALL_MADE
    if len(refused) < len(state.halves):
        return Settle(Status.PARTIAL, refused[0], "one comparison exists, the other was refused for good")
    return Settle(Status.FAILED, refused[0], "refused for good")


def not_admitted(state: EntryState, trouble: Trouble) -> Settle:
    """The end of an entry that the admission refuses: it is not sent (again)."""
    return _give_up(state, trouble, "not admitted")


def too_late(state: EntryState, start_time: int | None, now: float) -> Settle | None:
    """The end of an entry whose *start_time* (milliseconds since the epoch) has passed: how the cloud would take it is
    not known, so it is not sent. None: it may be. *now* is the latest that it can be by the cloud's clock, in seconds.
    """
    if start_time is None or now * 1000 < start_time:
        return None
    trouble = Trouble(
        fate=Fate.REFUSED,
        kind=ErrorKind.VALIDATION,
        error_msg=f"start_time {start_time} passed before the request could be sent. Give a later one, or none",
    )
    return _give_up(state, trouble, "its start time has passed")


def unfinished(state: EntryState, stopped: Trouble | None) -> Settle:
    """How an entry stands that its run did not settle: not final, a run that goes on takes it up. *stopped* is why the
    run ended before, where that is known."""
    return _unfinished(state.in_doubt, stopped)


@lru_cache(maxsize=16)  # of a million entries that stay open, all but a few stand alike
def _unfinished(in_doubt: bool, stopped: Trouble | None) -> Settle:
    cause = stopped or Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.STOPPED, error_msg="not submitted yet")
    said = cause.error_msg
    if in_doubt:
        said = "the request may have been taken, and was not looked up yet" + (f" ({said})" if stopped else "")
    status = Status.UNSETTLED if in_doubt else Status.NOT_SUBMITTED
    return Settle(status, replace(cause, error_msg=f"{said}. Run the same command again to go on"), "its run ended")


def _give_up(state: EntryState, trouble: Trouble, why: str) -> Settle:
    """Ask no more for what is still open: it is known not to have been created."""
    made = any(half.made is not None for half in state.halves.values())
    return Settle(Status.PARTIAL if made else Status.FAILED, trouble, why)


def _counting(state: EntryState, last: Trouble) -> Trouble:
    """The cause that counted: what most requests came to, not what the *last* one did; of equals the later one."""
    if not state.causes:
        return last
    most = max(reversed(state.causes), key=lambda cause: cause.times)
    if (most.trouble.kind, most.trouble.error_code) == (last.kind, last.error_code):
        return last
    said = most.trouble.error_msg or most.trouble.error_code or most.trouble.kind.value
    ended = last.error_msg or last.error_code or last.kind.value
    attempts = sum(cause.times for cause in state.causes)
    return replace(most.trouble, error_msg=f"{said} ({most.times} of {attempts} attempts; the last one: {ended})")


def _again(state: EntryState, policy: Policy, moment: Moment) -> Action:
    """What comes next where some halves are open, and it is known that nothing of them was created."""
    trouble = next((state.halves[half].trouble for half in sorted(state.to_ask)), None)
    if trouble is None:
        return Send(0.0, "not sent yet")
    match trouble.fate:
        case Fate.TURNED_AWAY:
            return _turned_away(state, trouble, policy, moment)
        case Fate.NOT_LET_IN:
            return Send(0.0, "the credential was refused: sent again with a renewed one")
        case Fate.BUSY:
            return _busy(state, trouble, policy, moment)
        case Fate.NOT_YET:
            return _not_ready(state, trouble, policy, moment)
        case Fate.NOT_RECEIVED | Fate.MAYBE | Fate.REFUSED:
            return _within_attempts(state, trouble, policy, moment)
        case _:
            assert_never(trouble.fate)


def _busy(state: EntryState, trouble: Trouble, policy: Policy, moment: Moment) -> Action:
    """Another operation on the job passes by itself."""
    if state.charged < policy.attempts:
        after_s = max(_patient(state.charged, policy, moment.draw), trouble.retry_after_s or 0.0)
        if moment.since_first_s + after_s <= policy.entry_deadline_s:
            return Send(after_s, f"another operation is running on the job: again in {after_s:.1f} s")
    again = _not_ready if policy.wait_ready_s else _within_attempts
    return again(state, trouble, policy, moment)


def _not_ready(state: EntryState, trouble: Trouble, policy: Policy, moment: Moment) -> Action:
    after_s = max(policy.wait_ready_poll_s * (0.75 + moment.draw / 2), trouble.retry_after_s or 0.0)
    if moment.since_first_s + after_s > policy.wait_ready_s:
        waited = f" within {policy.wait_ready_s:g} s" if policy.wait_ready_s else ""
        return _give_up(state, trouble, f"the job was not ready{waited}")
    return Send(after_s, f"the job is not ready: again in {after_s:.1f} s")


def _within_attempts(state: EntryState, trouble: Trouble, policy: Policy, moment: Moment) -> Action:
    if not trouble.listed and state.unlisted_times >= 2:
        return _give_up(state, trouble, "the same unknown answer twice, and proven not taken both times")
    counting = _counting(state, trouble)
    if state.charged >= policy.attempts:
        return _give_up(state, counting, f"all {policy.attempts} attempts used up, and known not to be created")
    after_s = back_off(state.charged, policy, moment.draw, trouble.retry_after_s)
    if moment.since_first_s + after_s > policy.entry_deadline_s:
        return _give_up(state, counting, f"not done within {policy.entry_deadline_s:g} s of its first attempt")
    if trouble.fate is Fate.MAYBE:
        left_s = (trouble.retry_after_s or 0.0) - moment.since_intent_s  # of what the cloud asked for
        when = f" in {left_s:.1f} s" if left_s > 0 else ""
        return Send(max(0.0, left_s), f"proven not taken: sent again{when}")
    return Send(after_s, f"{trouble.fate.value}: again in {after_s:.1f} s")


def _turned_away(state: EntryState, trouble: Trouble, policy: Policy, moment: Moment) -> Action:
    if trouble.error_code != guesses.TOO_FREQUENT:
        # the scope may go on after a single one: what the answer asks for, this entry waits itself
        told_s = trouble.retry_after_s or 0.0
        when = f"in {told_s:.1f} s, as told" if told_s > 0 else "when the scope may send"
        return Send(max(0.0, told_s), f"turned away by the cloud's limit: sent again {when}")
    after_s = max(_patient(state.attempts - state.charged, policy, moment.draw), trouble.retry_after_s or 0.0)
    if moment.since_first_s + after_s > policy.entry_deadline_s:
        return _give_up(state, trouble, f"told for {policy.entry_deadline_s:g} s that it is asked too frequently")
    return Send(after_s, f"too frequent for the job, or for the scope: again in {after_s:.1f} s")


def _patient(times: int, policy: Policy, draw: float) -> float:
    """Seconds until the next attempt after *times* of them that only came at a bad moment: each wait twice as long as
    the one before, give or take."""
    ceiling = min(policy.backoff_cap_s, 2 * policy.backoff_base_s * 2.0 ** min(times - 1, 30))
    return ceiling * (0.5 + draw / 2)


def back_off(charged: int, policy: Policy, draw: float, retry_after_s: float | None) -> float:
    """Seconds until the next attempt after *charged* of them: exponential with full jitter, or what the
    cloud asked for where that is longer."""
    ceiling = min(policy.backoff_cap_s, policy.backoff_base_s * 2.0 ** min(charged - 1, 30))
    return max(ceiling * draw, retry_after_s or 0.0)


def _in_doubt(state: EntryState, policy: Policy, moment: Moment) -> Action:
    if state.suspicion and not state.given_up:
        cause = Trouble(fate=Fate.MAYBE, kind=ErrorKind.STOPPED, error_msg=state.suspicion)
        return Settle(Status.UNSETTLED, cause, "another run may have sent it: left to the operator")
    ambiguous = [task_id for half in state.halves.values() for task_id in half.ambiguous or ()]
    if ambiguous:
        those = f"comparison {ambiguous[0]} could" if len(ambiguous) == 1 else f"{', '.join(ambiguous)} could each"
        return _unsettled(
            state,
            f"{those} be what this entry made, but others may have made it as well. Look in the console, then record "
            "what is true with `batcher settle`",
        )
    if state.not_found:
        return _unsettled(
            state,
            "it is not in the job's list of comparisons, and an unsettled entry is not sent again on its own. Look at "
            "the job's comparisons in the console, then record what is true with `batcher settle`",
        )
    if policy.reconcile is Reconcile.OFF:
        return _unsettled(
            state,
            "--reconcile off forbids looking it up. Look at the job's comparisons in the console, then record what is "
            "true with `batcher settle`",
        )
    unclear = [task_id for half in state.halves.values() for task_id in half.unclear or ()]
    left_s = policy.landing_s - moment.since_intent_s
    if moment.time_may_be_told:  # by what this process sees created, however long ago the request was
        left_s = max(left_s, policy.landing_s + policy.learn_s - moment.since_taken_up_s)
    if unclear and left_s <= 0:
        return _unsettled(
            state,
            f"comparison {unclear[0]} could be what this entry made, or an older one: nothing of this project was "
            "created by which the cloud's time could be told. Look in the console, then record what is true with "
            "`batcher settle`",
        )
    if state.gone is not None and state.gone_looks >= _GONE_LOOKS and moment.since_intent_s >= policy.landing_s:
        return _give_up(state, state.gone, "there is no such job: what was sent made nothing that is there")
    if state.failed_looks >= policy.failed_looks and moment.since_intent_s >= policy.landing_s:
        return _unsettled(
            state,
            f"{state.failed_looks} look-ups failed. Run the same command again once look-ups work, or look at the "
            "job's comparisons in the console and record what is true with `batcher settle`",
        )
    after_s = _next_look(state, policy, moment)
    accepted = any(half.doubt and half.accepted for half in state.halves.values())
    taken = "accepted without naming a comparison" if accepted else "may have been taken"
    return LookUp(after_s, f"{taken}: looked up in {after_s:.1f} s")


def _next_look(state: EntryState, policy: Policy, moment: Moment) -> float:
    """Seconds until the next look: soon, ever rarer, then once nothing can land any more; one that failed, again soon.
    None of this passes over the moment from which nothing can land."""
    since_s, landing_s = moment.since_intent_s, policy.landing_s
    if state.failed_looks:
        after_s = min(policy.look_again_s, 2.0 ** min(state.failed_looks - 1, 30)) * (0.75 + moment.draw / 4)
        return min(after_s, landing_s - since_s) if since_s < landing_s else after_s
    plan = [*(after_s for after_s in policy.looks_s if after_s < landing_s), landing_s]
    if state.looks + state.failed_looks == 0:
        return max(0.0, plan[0] - since_s)
    if since_s < landing_s:
        return next(after_s for after_s in plan if after_s > since_s) - since_s
    if not is_unclear(state):  # the last look left too early to tell
        return _LOOK_ANEW_S
    return policy.look_again_s * (0.5 + moment.draw / 2)


def _unsettled(state: EntryState, msg: str) -> Settle:
    cause = next((half.trouble for half in state.halves.values() if half.doubt or half.open), None)
    if cause is None or cause.fate is not Fate.MAYBE:  # it is from an attempt before the one in doubt
        cause = Trouble(
            fate=Fate.MAYBE,
            kind=ErrorKind.STOPPED,
            error_msg="batcher was ended before the answer to the request was recorded",
        )
    said = f"{cause.error_msg or cause.error_code or cause.kind.value}; the request may have been taken: {msg}"
    return Settle(Status.UNSETTLED, replace(cause, error_msg=said), "cannot be told: left to the operator")
