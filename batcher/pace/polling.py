"""When to look at a comparison again: soon while it is young, seldom once it has shown to be long. Pure."""

from dataclasses import dataclass

from batcher.settings import RunSettings

# Of the time that progress says is left. `scripts/bench follow` plays it: where progress is off by up to 15%,
# 0.8 takes a look more for every fifth verdict, and 0.95 finds verdicts two seconds later.
_BEFORE_ITS_END = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How often to look, and when to believe what is missing. Times are seconds."""

    soonest_s: float = 5.0  # between two looks at one job, at least
    longest_s: float = 120.0  # and at most
    gone_looks: int = 3  # looks in a row that miss a comparison or its results, before that is believed
    odd_answers: int = 6  # answers in a row that mean nothing to us, before we stop asking
    stubborn_failures: int = 60  # for one job only, while others are answered: about two hours


def poll_policy_of(settings: RunSettings) -> PollPolicy:
    """How often to look, as *settings* have it."""
    return PollPolicy(soonest_s=settings.poll, longest_s=24 * settings.poll)


def next_look_s(age_s: float, done: float | None, polling: PollPolicy, draw: float) -> float:
    """Seconds until the next look at a comparison that began *age_s* ago.

    *done* is the part of it that is done, 0 to 1 (None: not known). Where progress foretells the end, the look is a
    little before it: progress is no clock. What shows none runs on for a while where it has run for a while: a quarter
    of its age. *draw* in [0, 1) spreads the looks, so that jobs created together are not looked at together for ever.
    """
    wait_s = age_s / 4
    if done is not None and 0 < done < 1:
        wait_s = _BEFORE_ITS_END * age_s * (1 - done) / done
    return _within(wait_s, polling) * (0.9 + 0.2 * draw)


def after_failure_s(failures: int, polling: PollPolicy, draw: float) -> float:
    """Seconds until the next look after *failures* in a row that brought no answer."""
    return _within(polling.soonest_s * 2.0 ** min(failures - 1, 30), polling) * (0.5 + 0.5 * draw)


def _within(wait_s: float, polling: PollPolicy) -> float:
    return min(max(wait_s, polling.soonest_s), polling.longest_s)
