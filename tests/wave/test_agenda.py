"""What a scope does next: in order, and nothing but fresh doubts once it is told to stop."""

import asyncio

import pytest

from batcher.clock import SystemClock
from batcher.drs.outcome import Fate
from batcher.life.decide import LookUp, Send
from batcher.life.events import Answered, Intended, LookedUp
from batcher.life.state import history
from batcher.wave.agenda import Agenda, HeldEntry
from tests.virtual import VirtualClock, VirtualLoop, run
from tests.wave.made import DATA, NOON, entry, trouble

DOUBT = (
    Intended(at=NOON, asked=frozenset({DATA})),
    Answered(at=NOON, sent_at=NOON, halves={DATA: trouble(Fate.MAYBE)}, http_status=None, request_id=None),
)


@pytest.mark.parametrize(("looked", "handed_out"), [(False, True), (True, False)])
async def test_a_doubt_that_arises_while_stopping_is_looked_up_once_and_at_once(looked: bool, handed_out: bool) -> None:
    agenda = Agenda(SystemClock())
    held = HeldEntry(entry(halves="data"), history([DATA], []))
    agenda.add(held)
    assert await agenda.next() is held
    agenda.stop()
    held.state = history([DATA], [*DOUBT, LookedUp(at=NOON)] if looked else DOUBT)
    held.action = LookUp(60.0, "may have been taken")
    agenda.again(held, 60.0)
    assert await agenda.next() is (held if handed_out else None)


async def test_nothing_is_sent_while_stopping() -> None:
    agenda = Agenda(SystemClock())
    agenda.add(HeldEntry(entry(), history([DATA], []), action=Send(0.0, "planned")))
    agenda.stop()
    assert await agenda.next() is None


async def test_a_doubt_goes_before_what_is_to_be_sent_for_its_job() -> None:
    """Nothing is sent for a job before its doubts are settled: each would wait for the other, for ever."""
    agenda = Agenda(SystemClock())
    first, second = (HeldEntry(entry(index, job="one"), history([DATA], [])) for index in (0, 1))
    doubt = HeldEntry(entry(2, job="one"), history([DATA], DOUBT), action=LookUp(0.0, "may have been sent"))
    for held in (first, second, doubt):
        agenda.add(held)
    agenda.complete()
    assert await agenda.next() is first
    assert agenda.doubt_first(first)
    assert await agenda.next(looks=True) is doubt
    agenda.release(doubt)
    assert await agenda.next() is first
    assert not agenda.doubt_first(first)
    agenda.release(first)
    assert await agenda.next() is second
    agenda.release(second)
    assert await agenda.next() is None


def test_waiting_for_the_scope_uses_up_no_entrys_time() -> None:
    """What was due at noon and left at one waited an hour; before its first request nothing counts."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        agenda, held = Agenda(loop.clock), HeldEntry(entry(), history([DATA], []))
        agenda.add(held)
        await asyncio.sleep(500.0)
        held.began(loop.clock.monotonic())
        assert held.waited_s == 0.0
        held.first_at = loop.clock.monotonic()
        agenda.again(held, 10.0)
        await asyncio.sleep(100.0)
        held.began(loop.clock.monotonic())
        assert held.waited_s == pytest.approx(90.0)

    run(main)


def test_a_look_up_is_made_when_it_is_due_however_many_wait_to_be_sent() -> None:
    """All workers may wait for their turn to send, for minutes; and hundreds of entries may be ready to be sent."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        agenda = Agenda(loop.clock)
        looked: list[float] = []

        async def work(*, looks: bool) -> None:
            while (held := await agenda.next(looks=looks)) is not None:
                if isinstance(held.action, LookUp):
                    looked.append(loop.time())
                    agenda.release(held)
                else:
                    await asyncio.sleep(1000.0)

        for number in range(300):
            agenda.add(HeldEntry(entry(job=f"job-{number}"), history([DATA], []), action=Send(0.0, "planned")))
        tasks = [asyncio.create_task(work(looks=looks)) for looks in (False, False, False, True)]
        began = loop.time()
        for number in (1, 2):
            agenda.add(
                HeldEntry(entry(job=f"doubt-{number}"), history([DATA], DOUBT), action=LookUp(2.0 * number, "doubt"))
            )
        await asyncio.sleep(10.0)
        assert looked == pytest.approx([began + 2.0, began + 4.0], abs=0.01)
        for task in tasks:
            task.cancel()

    run(main)


def test_a_timer_that_comes_too_early_is_set_again() -> None:
    """The loop rounds: by the clock, what the timer is for may not be due yet when it goes off."""

    class Slow(VirtualClock):
        def monotonic(self) -> float:
            return super().monotonic() * 0.999

    async def main() -> None:
        loop = asyncio.get_running_loop()
        agenda = Agenda(Slow(loop))
        agenda.add(HeldEntry(entry(), history([DATA], DOUBT), action=LookUp(2.0, "doubt")))
        async with asyncio.timeout(5.0):
            assert await agenda.next(looks=True) is not None

    run(main)


def test_each_due_entry_finds_an_idle_worker_however_long_the_others_take() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        agenda = Agenda(loop.clock)
        begun: list[float] = []

        async def work() -> None:
            while await agenda.next() is not None:
                begun.append(loop.time())
                await asyncio.sleep(1000.0)

        workers = [asyncio.create_task(work()) for _ in range(3)]
        began = loop.time()
        for after_s in (1.0, 2.0, 3.0):
            later = Send(after_s, "again")
            agenda.add(HeldEntry(entry(job=f"job-{after_s}"), history([DATA], []), action=later))
        await asyncio.sleep(10.0)
        assert begun == pytest.approx([began + 1.0, began + 2.0, began + 3.0], abs=0.01)
        for worker in workers:
            worker.cancel()

    run(main)
