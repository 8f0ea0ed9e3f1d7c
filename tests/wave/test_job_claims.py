"""Who has which job in hand: one at a time, first come first served, and doubts for as long as they can land."""

import asyncio
from functools import partial

import pytest

from batcher.channel.job_claims import MOST, JobClaims
from batcher.drs.outcome import Made
from batcher.life.events import Answered, Intended
from batcher.life.state import fold, fresh
from batcher.wave.agenda import HeldEntry
from tests.pace.server import virtual_clock
from tests.virtual import run
from tests.wave.made import DATA, NOON, entry

A, B, C = ("a", 0), ("b", 0), ("c", 0)


def work(*, policy: str = "cancel", made: str | None = None, sent: bool = True) -> HeldEntry:
    """An entry of one job that was not sent, is in doubt, or was answered with the id *made*."""
    planned = entry(job="job-1", halves="data", policy=policy)
    state = fresh(planned.asked)
    if sent:
        state = fold(state, Intended(at=NOON, asked=planned.asked, conflict_policy=policy))
    if made is not None:
        halves = {DATA: Made(made)}
        state = fold(state, Answered(at=NOON, sent_at=NOON, halves=halves, http_status=200, request_id=None))
    return HeldEntry(planned, state)


def test_a_job_goes_from_hand_to_hand_first_come_first_served() -> None:
    async def main() -> None:
        had: list[str] = []
        jobs, first = JobClaims(virtual_clock()), work(sent=False)
        assert jobs.take(A, first, lambda: had.append("a"))
        for who in (B, C):
            assert not jobs.take(who, work(sent=False), partial(had.append, who[0]))
        jobs.after(A, first)
        assert had == ["b"]
        assert not jobs.take(A, first, lambda: had.append("a"))
        jobs.leave("b", lambda _: 0.0)
        assert had == ["b", "c"]
        jobs.leave("c", lambda _: 0.0)
        assert had == ["b", "c", "a"]

    run(main)


def test_what_a_stopped_wave_left_in_doubt_holds_its_job_until_it_can_land_no_more() -> None:
    async def main() -> None:
        clock, had = virtual_clock(), []
        jobs, began = JobClaims(clock), clock.monotonic()
        doubt = work()
        assert jobs.take(A, doubt, lambda: None)
        assert not jobs.take(B, work(sent=False), lambda: had.append(clock.monotonic() - began))
        jobs.leave("a", lambda _: 100.0)
        await asyncio.sleep(1000.0)
        assert had == [pytest.approx(100.0, abs=0.1)]
        assert list(jobs.doubts("job-1", "b")) == [doubt]
        assert list(jobs.doubts("job-1", "a")) == []

    run(main)


def test_doubts_of_several_waves_do_not_wait_for_each_other() -> None:
    """Both were sent by earlier processes: each is looked up, and whoever is to be sent again waits for the other."""

    async def main() -> None:
        jobs, had = JobClaims(virtual_clock()), []
        one, other = work(), work()
        jobs.doubt(A, one)
        jobs.doubt(B, other)
        one.state = fresh(one.entry.asked)  # proven absent
        jobs.after(A, one)
        assert not jobs.take(A, one, lambda: had.append("a"))
        other.state = work(made="task-b").state
        jobs.after(B, other)
        assert had == ["a"]
        assert jobs.made("job-1", "a") == {"task-b"}

    run(main)


@pytest.mark.parametrize(("policy", "unsure"), [("cancel", set()), ("keep", {"task-a"})])
def test_what_keep_got_may_have_been_there(policy: str, unsure: set[str]) -> None:
    async def main() -> None:
        jobs = JobClaims(virtual_clock())
        created = work(policy=policy, made="task-a")
        assert jobs.take(A, created, lambda: None)
        jobs.after(A, created)
        assert jobs.made("job-1", "b") == {"task-a"}
        assert jobs.unsure("job-1", "b") == unsure
        assert jobs.made("job-1", "a") == set()

    run(main)


def test_what_is_remembered_is_bounded() -> None:
    async def main() -> None:
        jobs = JobClaims(virtual_clock())
        for number in range(MOST + 10):
            held = HeldEntry(entry(number, halves="data"), work(made=f"task-{number}").state)
            assert jobs.take(("a", number), held, lambda: None)
            jobs.after(("a", number), held)
        assert jobs.made("job-0", "b") == set()
        assert jobs.made(f"job-{MOST}", "b") == {f"task-{MOST}"}

    run(main)
