"""Standing in line: who is next, and that nobody starves."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.pace.fair_semaphore import EVERY, FairSemaphore, Party, PartyClosed, PartyPaused
from tests.virtual import run

PARTIES = st.tuples(st.integers(-100, 100), st.integers(0, 3))
STEPS = st.lists(st.one_of(st.integers(0, 4), st.none()), min_size=1, max_size=80)  # who comes; None: a place is left


@given(kinds=st.lists(PARTIES, min_size=5, max_size=5), steps=STEPS, size=st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_nobody_starves(kinds: list[tuple[int, int]], steps: list[int | None], size: int) -> None:
    """However many of a higher priority come: of k who have waited longer, at most `EVERY` * (k + 1) places are given
    until it is one's turn. And at no time are more inside than there is room for, nor is there room while one waits."""

    async def main() -> None:
        line = FairSemaphore(size)
        parties = [Party(priority=priority, age=float(age)) for priority, age in kinds]
        waiting: dict[int, tuple[int, int]] = {}  # by number: places given when it came, and how many came before
        given_so_far = inside = 0

        async def come(number: int, party: Party) -> None:
            nonlocal given_so_far, inside
            await line.enter(party)
            given_so_far, inside = given_so_far + 1, inside + 1
            came_at, before = waiting.pop(number)
            assert given_so_far - came_at <= EVERY * (before + 1)

        tasks = []
        for number, step in enumerate([*steps, *[None] * len(steps)]):
            if step is not None:
                waiting[number] = (given_so_far, len(waiting))
                tasks.append(asyncio.create_task(come(number, parties[step])))
            elif inside:
                inside -= 1
                line.leave()
            for _ in range(3):
                await asyncio.sleep(0)
            assert inside == min(size, inside + len(waiting))
        await asyncio.gather(*tasks)

    run(main)


def order_of(*comers: tuple[str, Party]) -> list[str]:
    """In which order they get the one place."""

    async def main() -> list[str]:
        line, had = FairSemaphore(1), []

        async def work(name: str, party: Party) -> None:
            await line.enter(party)
            had.append(name)
            await asyncio.sleep(1.0)
            line.leave()

        async with asyncio.TaskGroup() as group:
            for name, party in comers:
                group.create_task(work(name, party))
        return had

    return run(main)


def test_priority_then_age_then_who_came_first() -> None:
    urgent, old, young = Party(priority=5, age=3.0), Party(age=1.0), Party(age=2.0)
    comers = [("first", young), ("y1", young), ("o1", old), ("o2", old), ("o3", old), ("u", urgent)]
    assert order_of(*comers) == ["first", "u", "o1", "o2", "y1", "o3"]  # each fourth is for who has waited longest


@pytest.mark.parametrize(("how", "why"), [("close", PartyClosed), ("hold", PartyPaused)])
def test_who_is_closed_or_held_waits_nowhere(how: str, why: type[Exception]) -> None:
    async def main() -> None:
        line, gone, other = FairSemaphore(1), Party(), Party()
        await line.enter(other)
        waiting = [asyncio.create_task(line.enter(party)) for party in (gone, other, gone)]
        await asyncio.sleep(0)
        gone.close() if how == "close" else gone.hold("by hand")
        ends = await asyncio.gather(waiting[0], waiting[2], return_exceptions=True)
        assert [type(end) for end in ends] == [why, why]
        assert not waiting[1].done()
        line.leave()
        await waiting[1]
        with pytest.raises(why):
            await line.enter(gone)

    run(main)
