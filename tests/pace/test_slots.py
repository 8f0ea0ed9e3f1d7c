"""How many requests are in flight at once, how many get ready ahead of them, and changing that meanwhile."""

import asyncio

import pytest

from batcher.channel.slots import Slots
from batcher.pace.fair_semaphore import Party, PartyClosed
from tests.virtual import VirtualClock, run


class Scene:
    """Requests that share slots, each of which takes *intent_s* to get ready, *answer_s* to be answered and as long as
    an intent to be recorded, by as many callers as the slots want, up to *callers*."""

    def __init__(self, size: int, *, callers: int, intent_s: float = 0.0, answer_s: float = 1.0) -> None:
        self.slots = Slots(size, VirtualClock(asyncio.get_running_loop()))
        self.sends, self.looks = Party(), Party()
        self.intent_s, self.answer_s = intent_s, answer_s
        self.in_flight = self.ready = self.done = 0
        self.tasks = [asyncio.create_task(self._send(nth)) for nth in range(callers)]

    async def _send(self, nth: int) -> None:
        while True:
            if nth >= self.slots.workers:
                await asyncio.sleep(self.answer_s)
                continue
            with self.slots.slot(self.sends) as slot:
                self.ready += 1
                try:
                    await asyncio.sleep(self.intent_s)
                    self.slots.intended(self.intent_s)
                    await slot.take()
                finally:
                    self.ready -= 1
                self.in_flight += 1
                try:
                    await asyncio.sleep(self.answer_s)
                finally:
                    self.in_flight -= 1
            self.done += 1
            await asyncio.sleep(self.intent_s)

    async def end(self) -> list[BaseException | None]:
        """Cancel what still goes on."""
        for task in self.tasks:
            task.cancel()
        return await asyncio.gather(*self.tasks, return_exceptions=True)


def test_growing_and_shrinking() -> None:
    """Both take effect within the time of one request."""

    async def main() -> list[int]:
        scene, seen = Scene(2, callers=20), []
        for moment, size in {0.1: 5, 1.1: 1, 1.2: 10, 1.3: 3}.items():
            await asyncio.sleep(moment)
            scene.slots.resize(size)
            await asyncio.sleep(2.5)
            seen.append(scene.in_flight)
        await scene.end()
        return seen

    assert run(main) == [5, 1, 10, 3]


@pytest.mark.parametrize(
    ("intent_s", "answer_s", "ahead"),
    [
        pytest.param(0.01, 0.021, 4, id="half as long as an answer: half as many"),
        pytest.param(0.01, 5.0, 1, id="answers take long: one"),
        pytest.param(0.01, 0.001, 16, id="answers come at once: two for each slot, no more"),
    ],
)
def test_as_many_work_as_fill_the_slots(intent_s: float, answer_s: float, ahead: int) -> None:
    async def main() -> None:
        scene = Scene(8, callers=40, intent_s=intent_s, answer_s=answer_s)
        await asyncio.sleep(50 * (intent_s + answer_s))
        assert scene.slots.ahead == ahead
        assert scene.slots.workers == 8 + 2 * ahead
        done = scene.done
        await asyncio.sleep(50 * answer_s)
        if intent_s < answer_s:  # then no slot ever stands empty
            assert scene.done - done == pytest.approx(50 * 8, rel=0.05)
        await scene.end()

    run(main)


def test_nobody_works_ahead_before_anything_is_known() -> None:
    async def main() -> None:
        scene = Scene(4, callers=20, intent_s=1.0)
        await asyncio.sleep(0.5)
        assert scene.ready == 4
        await scene.end()

    run(main)


def test_closing_sends_away_who_waits_and_lets_look_ups_pass() -> None:
    async def main() -> None:
        scene = Scene(3, callers=3, intent_s=0.5, answer_s=3.0)
        await asyncio.sleep(0.1)
        scene.slots.resize(1)
        await asyncio.sleep(1.9)
        assert (scene.in_flight, scene.ready) == (1, 2)
        scene.sends.close()
        await asyncio.sleep(0.1)
        assert scene.ready == 0
        with scene.slots.slot(scene.looks) as slot:
            await asyncio.wait_for(slot.take(), 10)
            assert scene.in_flight == 0
        assert [type(end) for end in await scene.end()].count(PartyClosed) >= 2

    run(main)


def test_look_ups_and_requests_share_the_slots() -> None:
    async def main() -> None:
        scene = Scene(1, callers=0)
        with scene.slots.slot(scene.looks) as slot:
            await slot.take()
            scene.tasks.append(asyncio.create_task(scene._send(0)))
            await asyncio.sleep(5.0)
            assert scene.in_flight == 0
        await asyncio.sleep(0.5)
        assert scene.in_flight == 1
        await scene.end()

    run(main)


def test_who_is_cancelled_takes_no_slot_along() -> None:
    """A caller cancelled while it is being woken passes its place on."""

    async def main() -> None:
        slots, party = Slots(1, VirtualClock(asyncio.get_running_loop())), Party()
        had = []

        async def work(name: str) -> None:
            with slots.slot(party) as slot:
                await slot.take()
                had.append(name)
                await asyncio.sleep(1.0)

        first, second, third = (asyncio.create_task(work(name)) for name in ("first", "second", "third"))
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait_for(third, 5)
        assert had[-1] == "third"

    run(main)


def test_who_waits_longest_has_the_next_slot() -> None:
    """A newcomer does not get in before them, not even in the moment in which the place falls free."""

    async def main() -> list[str]:
        slots, party = Slots(1, VirtualClock(asyncio.get_running_loop())), Party()
        had: list[str] = []

        async def work(name: str, times: int) -> None:
            for _ in range(times):
                with slots.slot(party) as slot:
                    await slot.take()
                    had.append(name)
                    await asyncio.sleep(1.0)

        async with asyncio.TaskGroup() as group:
            for name, times in (("greedy", 3), ("first", 1), ("second", 1)):
                group.create_task(work(name, times))
        return had

    assert run(main) == ["greedy", "first", "second", "greedy", "greedy"]
