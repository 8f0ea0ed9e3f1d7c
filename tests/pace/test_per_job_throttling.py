"""Whose word "too frequent" is: one job's says nothing of the pace, several jobs' do."""

import asyncio
import random
from statistics import median

import pytest
from structlog.testing import capture_logs

from batcher.channel.governor import Governor
from batcher.drs.outcome import ErrorKind, Fate, Made, Trouble
from batcher.pace.limit_finding.finder import LimitFinder
from batcher.pace.per_job_throttling import PerJobThrottling
from batcher.rates import Rate
from tests.pace.server import virtual_clock
from tests.pace.simulated import Cloud, send_all
from tests.virtual import run

TOO_FREQUENT = Trouble(fate=Fate.TURNED_AWAY, kind=ErrorKind.THROTTLED, error_code="DRS.M01503")


def test_one_job_speaks_of_itself_however_often() -> None:
    per_job = PerJobThrottling()
    assert [per_job.refused("job-1", float(at), at + 0.1) for at in range(100)] == [[]] * 100


def test_several_jobs_within_a_while_speak_of_the_limit_all_of_them() -> None:
    per_job = PerJobThrottling()
    assert per_job.refused("job-1", 1.0, 1.2) == []
    assert per_job.refused("job-2", 0.9, 1.3) == []
    assert per_job.refused("job-2", 2.0, 2.1) == []
    assert per_job.refused("job-3", 2.5, 2.6) == [0.9, 1.0, 2.0, 2.5]
    assert per_job.refused("job-3", 3.0, 3.1) == [3.0]  # and from now on at once


def test_what_is_long_past_is_no_company() -> None:
    """A few jobs in an hour, and hundreds of answers between them, are told it for reasons of their own."""
    per_job = PerJobThrottling()
    for nth in range(20):
        assert per_job.refused(f"job-{nth}", 100.0 * nth, 100.0 * nth) == []
        for _ in range(60):
            per_job.let_in()


def test_at_a_slow_pace_the_while_is_counted_in_answers() -> None:
    per_job = PerJobThrottling()
    assert [bool(per_job.refused(f"job-{nth}", 60.0 * nth, 60.0 * nth)) for nth in range(4)] == [
        False, False, True, True,
    ]  # fmt: skip


def test_a_limit_that_is_not_heard_of_for_long_is_doubted_again() -> None:
    per_job = PerJobThrottling()
    for nth in range(3):
        per_job.refused(f"job-{nth}", 0.0, 0.0)
    for _ in range(499):
        per_job.let_in()
    assert per_job.refused("job-8", 500.0, 500.0) == [500.0]
    for _ in range(500):
        per_job.let_in()
    assert per_job.refused("job-9", 1000.0, 1000.0) == []


@pytest.mark.parametrize(("limit", "entries"), [(Rate(10, 1.0), 1000), (Rate(10, 60.0), 120)])
@pytest.mark.parametrize("start", ["auto", "off", "50/s"])
def test_a_limit_that_is_told_so_is_found_as_well(limit: Rate, entries: int, start: str) -> None:
    """Within a few percent of a client that knew it, and hardly more is turned away than of one that is named."""
    cloud = Cloud(limit=limit, too_frequent=True)
    times, refused = [], []
    for seed in range(10):
        ceiling = Rate.parse(start) if start[0].isdigit() else None
        finder = LimitFinder(ceiling, search=start == "auto")
        found = send_all(finder, cloud, entries, seed=seed)
        times.append((found.seconds - limit.period_s) / send_all(LimitFinder(limit), cloud, entries, seed=seed).seconds)
        refused.append(found.refused_after(limit.period_s) / entries)
    assert median(times) <= 1.05
    assert max(refused) <= 0.03


def test_the_scope_slows_only_for_what_speaks_of_it() -> None:
    async def main() -> None:
        clock = virtual_clock()
        governor = Governor(
            clock,
            random.Random(1),
            limit=Rate(50, 1.0),
            read_limit=None,
            give_up_after_s=None,
            on_give_up=lambda _: None,
        )
        for nth in range(30):  # one half was made: the request was let in, whatever the other half was told
            governor.create_answered(f"job-{nth}", clock.monotonic(), [Made("task"), TOO_FREQUENT])
        for _ in range(30):
            governor.create_answered("job-0", clock.monotonic(), [TOO_FREQUENT])
        await asyncio.sleep(0)
        assert governor.reason is None
        assert governor.creates.rate_text == "50/s"
        for nth in range(3):
            governor.create_answered(f"job-{nth}", clock.monotonic(), [TOO_FREQUENT])
        assert governor.reason == "turned away by the cloud's limit"

    with capture_logs():
        run(main)
