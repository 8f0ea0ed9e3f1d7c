"""How many workers are busy at once, and changing that while they are."""

import asyncio

from batcher.wave.width import Width
from tests.virtual import run


async def _busiest(width: Width, callers: int, resize_at: dict[float, int]) -> list[int]:
    """The number inside after each change."""
    inside, seen = 0, []

    async def work() -> None:
        nonlocal inside
        for _ in range(100):
            async with width:
                inside += 1
                await asyncio.sleep(1.0)
                inside -= 1

    tasks = [asyncio.create_task(work()) for _ in range(callers)]
    for moment, size in resize_at.items():
        await asyncio.sleep(moment)
        width.resize(size)
        await asyncio.sleep(1.5)
        seen.append(inside)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seen


def test_growing_and_shrinking() -> None:
    """Both take effect within the time of one piece of work."""
    assert run(lambda: _busiest(Width(2), 10, {0.1: 5, 1.1: 1, 1.2: 10, 1.3: 3})) == [5, 1, 10, 3]


def test_who_is_cancelled_takes_no_place_along() -> None:
    """A caller cancelled while it is being woken passes its place on."""

    async def main() -> None:
        width = Width(1)
        entered = []

        async def work(name: str) -> None:
            async with width:
                entered.append(name)
                await asyncio.sleep(1.0)

        first, second, third = (asyncio.create_task(work(name)) for name in ("first", "second", "third"))
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait_for(third, 5)
        assert entered[-1] == "third"

    run(main)
