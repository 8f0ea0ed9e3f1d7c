"""How many requests are in flight at once, how many get ready ahead of them, and changing that meanwhile."""

import asyncio

import pytest

from batcher.wave.pace import Closed
from batcher.wave.width import Width
from tests.virtual import VirtualClock, run


class Scene:
    """Requests of a width: each takes *intent_s* to get ready and *answer_s* to be answered."""

    def __init__(self, size: int, *, intent_s: float = 0.0, answer_s: float = 1.0) -> None:
        self.width = Width(size, VirtualClock(asyncio.get_running_loop()))
        self.intent_s, self.answer_s = intent_s, answer_s
        self.in_flight = self.ready = self.most_ready = self.done = 0
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self, callers: int, requests: int = 100) -> None:
        """So many callers send so many requests each."""
        self.tasks += [asyncio.create_task(self._send(requests)) for _ in range(callers)]

    async def _send(self, requests: int) -> None:
        for _ in range(requests):
            async with self.width.berth() as berth:
                berth.begins()
                self.ready += 1
                self.most_ready = max(self.most_ready, self.ready)
                try:
                    await asyncio.sleep(self.intent_s)
                    await berth.take()
                finally:
                    self.ready -= 1
                self.in_flight += 1
                await asyncio.sleep(self.answer_s)
                self.in_flight -= 1
            self.done += 1

    async def end(self) -> list[BaseException | None]:
        """Cancel what still goes on."""
        for task in self.tasks:
            task.cancel()
        return await asyncio.gather(*self.tasks, return_exceptions=True)


def test_growing_and_shrinking() -> None:
    """Both take effect within the time of one request."""

    async def main() -> list[int]:
        scene, seen = Scene(2), []
        scene.begin(10)
        for moment, size in {0.1: 5, 1.1: 1, 1.2: 10, 1.3: 3}.items():
            await asyncio.sleep(moment)
            scene.width.resize(size)
            await asyncio.sleep(1.5)
            seen.append(scene.in_flight)
        await scene.end()
        return seen

    assert run(main) == [5, 1, 10, 3]


@pytest.mark.parametrize(
    ("intent_s", "answer_s", "ahead"),
    [
        pytest.param(0.01, 0.021, 4, id="half as long as an answer: half as many"),
        pytest.param(0.01, 5.0, 1, id="answers take long: one"),
        pytest.param(0.01, 0.001, 8, id="answers come at once: as many as there are places, no more"),
    ],
)
def test_as_many_get_ready_as_fill_the_places(intent_s: float, answer_s: float, ahead: int) -> None:
    async def main() -> None:
        scene = Scene(8, intent_s=intent_s, answer_s=answer_s)
        scene.begin(40)
        await asyncio.sleep(50 * (intent_s + answer_s))
        scene.most_ready = 0
        done = scene.done
        await asyncio.sleep(50 * max(answer_s, intent_s))
        assert scene.width.ahead == ahead
        assert ahead <= scene.most_ready <= 8 + ahead
        if intent_s < answer_s:  # then no place ever stands empty
            assert scene.done - done == pytest.approx(50 * 8, rel=0.05)
        await scene.end()

    run(main)


def test_nobody_gets_ready_ahead_before_anything_is_known() -> None:
    async def main() -> None:
        scene = Scene(4, intent_s=1.0)
        scene.begin(20)
        await asyncio.sleep(0.5)
        assert scene.ready == 4
        await scene.end()

    run(main)


def test_closing_sends_away_who_waits_and_lets_look_ups_pass() -> None:
    async def main() -> None:
        scene = Scene(1, intent_s=0.5, answer_s=3.0)
        scene.begin(5, requests=1)
        await asyncio.sleep(2.0)
        scene.width.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert scene.ready == 0
        async with scene.width.place() as place:
            await asyncio.wait_for(place.take(), 10)
            assert scene.in_flight == 0
        ended = await asyncio.gather(*scene.tasks, return_exceptions=True)
        assert sum(isinstance(end, Closed) for end in ended) == 4

    run(main)


def test_look_ups_and_requests_share_the_places() -> None:
    async def main() -> None:
        scene = Scene(1)
        async with scene.width.place() as place:
            await place.take()
            scene.begin(1)
            await asyncio.sleep(5.0)
            assert scene.in_flight == 0
        await asyncio.sleep(0.5)
        assert scene.in_flight == 1
        await scene.end()

    run(main)


def test_who_is_cancelled_takes_no_place_along() -> None:
    """A caller cancelled while it is being woken passes its place on."""

    async def main() -> None:
        scene = Scene(1)
        scene.begin(3, requests=1)
        first, second, third = scene.tasks
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait_for(third, 5)

    run(main)
