"""Reading a job's list of comparisons: whole and sound, freshest readings kept, and never more than was asked for."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, cast

import orjson
import pytest

from batcher.channel.read_terms import LooksForWave
from batcher.channel.scope_reader import ScopeReader
from batcher.drs.answer import Answer, RequestStage
from batcher.drs.cloud import Cloud, HeldBack
from batcher.drs.guesses import LIST_PAGE_SIZE
from batcher.drs.outcome import Comparison, ListOutcome, Trouble
from batcher.drs.v3.classify import classify_list
from batcher.life.policy import Policy
from batcher.pace.fair_semaphore import PartyClosed
from batcher.wave.context import Context
from batcher.wave.look_sign import LookSign
from batcher.wave.status import WaveCounts
from batcher.wave.stop import Stopping
from tests.pace.server import virtual_clock
from tests.virtual import run
from tests.wave.made import entered

Page = Callable[[int], tuple[list[dict[str, Any]], Any]]
"""The rows and the count of a page, by the page's number."""


class ListCloud:
    """A cloud that answers with pages."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[int] = []

    at_hand = False

    async def prepare(self) -> None:
        """Always ready."""

    async def list_comparisons(self, job_id: str, *, page: int, on_sent: object = None) -> ListOutcome:
        """Page *page*."""
        self.asked.append(page)
        rows, count = self.page(page)
        listed = {"compare_task_list": rows, "compare_task_list_count": count}
        body = orjson.dumps({"job_id": job_id, "compare_task_list_results": listed})
        answer = Answer(stage=RequestStage.SENT, sent_at=0.0, answered_at=0.0, http_status=200, headers={}, body=body)
        return classify_list(answer, job_id=job_id, most=LIST_PAGE_SIZE)


class Deaf:
    """A journal that takes what it is told."""

    async def record(self, *ops: object) -> None:
        """Nothing is kept."""


def row(task_id: object, status: str = "RUNNING") -> dict[str, Any]:
    return {"compare_task_id": f"task-{task_id}", "compare_type": "lines", "compare_task_status": status}


def read(cloud: ListCloud) -> tuple[Comparison, ...] | Trouble:
    """What the reader makes of it."""

    async def main() -> tuple[Comparison, ...] | Trouble:
        clock, rng = virtual_clock(), random.Random(1)
        nobody, deaf = cast("Any", None), cast("Any", Deaf())
        context = Context(
            policy=Policy(), clock=clock, rng=rng, journal=deaf, collector=nobody, counts=WaveCounts(clock, 1, {}),
            stopping=Stopping(), on_result=nobody,
        )  # fmt: skip
        way = entered(cast("Cloud", cloud), clock)
        terms = LooksForWave(way, clock, LookSign(context).leave)
        listed = await ScopeReader(way, clock, terms).comparisons("job-1")
        assert listed is not None
        return listed.comparisons

    return run(main)


@pytest.mark.parametrize("total", [0, 1, 10, 11, 25, 1000])
def test_all_pages_are_read_and_the_first_once_more(total: int) -> None:
    cloud = ListCloud(lambda number: ([row(n) for n in range(total)][10 * (number - 1) : 10 * number], total))
    found = read(cloud)
    assert isinstance(found, tuple)
    assert len(found) == total
    pages = max(1, -(-total // 10))
    assert cloud.asked == [*range(1, pages + 1), *([1] if pages > 1 else [])]


def test_the_freshest_reading_is_kept() -> None:
    """A comparison that ended while the list was read has ended."""
    ended = iter(["RUNNING", "SUCCESSFUL"])

    def page(number: int) -> tuple[list[dict[str, Any]], int]:
        return ([row(0, next(ended)), *(row(n) for n in range(1, 10))], 11) if number == 1 else ([row(10)], 11)

    found = read(ListCloud(page))
    assert isinstance(found, tuple)
    assert found[0].compare_task_status == "SUCCESSFUL"


@pytest.mark.parametrize(
    ("page", "said", "requests"),
    [
        (lambda number: ([row(n) for n in range(20_000)], 20_000_000), "holds 20000 comparisons where at most 10", 1),
        (lambda number: ([row(f"{number}-{n}") for n in range(10)], 20_000_000), "holds 20,000,000, and at most", 1),
        (lambda number: ([row(f"{number}-{n}") for n in range(10)], str(2**64)), "do not agree", 1),
        (lambda number: ([row(f"{number}-{n}") for n in range(10)], "9" * 5000), "do not agree", 1),
        (lambda number: ([row(f"{number}-0")], 10_000), "could not be read in full", 1000),
    ],
)
def test_more_than_was_asked_for_is_not_sound(page: Page, said: str, requests: int) -> None:
    """Nor is a list without end: neither memory nor the loop is the cloud's to fill."""
    cloud = ListCloud(page)
    found = read(cloud)
    assert isinstance(found, Trouble)
    assert said in (found.error_msg or "")
    assert len(cloud.asked) == requests


def test_a_look_up_that_is_held_back_leaves_once_it_may() -> None:
    """As where the lease on the scope ran out, and is renewed. The pass is closed where it was lost."""

    async def main() -> tuple[int, int, list[float]]:
        clock = virtual_clock()
        left: list[float] = []
        cloud = LeavingCloud(lambda number: ([row(1)], 1), lambda: left.append(clock.monotonic()))
        way = entered(cast("Cloud", cloud), clock)
        reader, began = ScopeReader(way, clock), clock.monotonic()

        def may_look() -> None:
            if clock.monotonic() - began < 3.0:
                raise HeldBack("the lease on its scope is not to be relied on")

        way.may_look = may_look
        listed = await reader.comparisons("job-1")
        assert listed is not None
        first = reader.looks

        def never() -> None:
            raise HeldBack("the lease on its scope is lost")

        way.may_look = never
        asyncio.get_running_loop().call_later(5.0, way.close)
        with pytest.raises(PartyClosed):
            await reader.comparisons("job-1")
        return first, reader.looks, [moment - began for moment in left]

    first, in_all, left = run(main)
    assert first == in_all == len(left) == 1
    assert left[0] >= 3.0


class LeavingCloud(ListCloud):
    """One that says when a request leaves."""

    def __init__(self, page: Page, left: Callable[[], None]) -> None:
        super().__init__(page)
        self._left = left

    async def list_comparisons(self, job_id: str, *, page: int, on_sent: object = None) -> ListOutcome:
        """Page *page*, unless it is held back."""
        cast("Callable[[], None]", on_sent)()
        self._left()
        return await super().list_comparisons(job_id, page=page)
