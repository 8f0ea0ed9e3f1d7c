"""A list without order or snapshot: jobs that move between its pages while it is walked are not lost in silence."""

import random
from collections.abc import Callable, Mapping
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from batcher.discover.reader import FleetReader
from batcher.discover.walk import ListedJobs, walk
from batcher.drs import guesses
from batcher.drs.fleet import JobKind, JobPage, ListedJob
from batcher.drs.outcome import ErrorKind, Fate, Trouble

SIZE = guesses.JOBS_PAGE_SIZE


class ShiftingFleet:
    """Stands for the cloud: *before* each page is told, the fleet may change."""

    def __init__(self, ids: list[str], before: Callable[[int, list[str]], None]) -> None:
        self.ids = ids
        self.asked = 0
        self._before = before

    async def job_page(
        self, kind: JobKind, page: int, *, enterprise_project_id: str | None, tags: Mapping[str, str]
    ) -> JobPage:
        self._before(self.asked, self.ids)
        self.asked += 1
        part = self.ids[(page - 1) * SIZE : page * SIZE]
        return JobPage(jobs=tuple(ListedJob(id=job_id) for job_id in part), total=len(self.ids))


async def walked(fleet: object) -> ListedJobs:
    found = await walk(cast(FleetReader, fleet), "sync", enterprise_project_id=None, tags={})
    assert isinstance(found, ListedJobs)
    return found


def ids(count: int) -> list[str]:
    return [f"jb{number}" for number in range(count)]


async def test_a_fleet_at_rest_is_walked_once() -> None:
    fleet = ShiftingFleet(ids(250), lambda _, __: None)
    found = await walked(fleet)
    assert (len(found.jobs), found.agreed, fleet.asked) == (250, True, 3)


async def test_a_job_that_slips_to_an_earlier_page_is_found_in_another_walk() -> None:
    def change(asked: int, ids: list[str]) -> None:
        if asked == 1:
            ids.pop(0)  # what stood first on page 2 stands on page 1 now, which has been read

    found = await walked(ShiftingFleet(ids(250), change))
    assert {job.id for job in found.jobs} == set(ids(250)[1:])
    assert found.agreed


async def test_a_fleet_that_never_rests_is_said_to_be_so() -> None:
    def change(asked: int, ids: list[str]) -> None:
        ids.insert(0, f"new{asked}")

    assert not (await walked(ShiftingFleet(ids(250), change))).agreed


async def test_trouble_is_handed_on() -> None:
    trouble = Trouble(fate=Fate.REFUSED, kind=ErrorKind.PERMISSION)

    class Refusing:
        async def job_page(self, *_: object, **__: object) -> Trouble:
            return trouble

    assert await walk(cast(FleetReader, Refusing()), "sync", enterprise_project_id=None, tags={}) is trouble


@given(st.integers(0, 350), st.integers(0, 2**32))
async def test_what_agrees_is_whole(count: int, seed: int) -> None:
    """Whatever comes and goes in the first walks: once it says that it agrees, nothing that was there all the time is
    missing, and nothing that went before the last walk is there."""
    rng = random.Random(seed)

    def change(asked: int, ids: list[str]) -> None:
        if asked < 8 and rng.random() < 0.4:
            if ids and rng.random() < 0.5:
                ids.pop(rng.randrange(len(ids)))
            else:
                ids.insert(rng.randrange(len(ids) + 1), f"new{asked}")

    fleet = ShiftingFleet(ids(count), change)
    found = await walked(fleet)
    if found.agreed:
        there = {job.id for job in found.jobs}
        assert len(there) == found.total
