"""The pacer against a server that counts: nothing turned away, and the limit used."""

import asyncio
import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.pace.fair_semaphore import Party, PartyClosed, PartyPaused
from batcher.pace.pacer import Pacer
from batcher.rates import Rate
from tests.pace.server import CountingServer, Delay, drive, most_in, virtual_clock
from tests.virtual import run


async def _used(rate: Rate, *, workers: int = 32, back: Delay | None = None, connect_s: float = 0.0) -> float:
    """Sends for twenty periods or more; returns the share of the limit used. Nothing may be turned away."""
    server = CountingServer(rate)
    periods = 20 if rate.count <= 20 else 6 if rate.count <= 200 else 2
    requests = max(periods * rate.count, 100)
    await drive(
        Pacer(rate, asyncio.get_running_loop().clock),  # type: ignore[attr-defined]
        server,
        requests,
        workers=workers,
        before=lambda rng: rng.uniform(0, 0.001),
        back=back or (lambda _: 0.001),
        connect_s=connect_s,
    )
    assert server.turned_away == 0
    assert server.most_in(rate.period_s) <= rate.count
    # What fits into the first period, and into the time of connecting, does not have to wait for the limit.
    begin = server.arrivals[0] + 2 * connect_s
    arrivals = [moment for moment in server.arrivals[rate.count - 1 :] if moment >= begin]
    return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) / rate.per_s


@pytest.mark.parametrize("rate", ["5/s", "20/s", "200/s", "10/min", "1000/h", "2.5/s"])
def test_exact_at_the_server(rate: str) -> None:
    """No request is turned away, and at least 98% of the limit is used."""
    assert run(lambda: _used(Rate.parse(rate))) >= 0.98


@pytest.mark.parametrize("rate", ["5/s", "20/s", "200/s", "10/min"])
def test_exact_while_answers_jitter(rate: str) -> None:
    """Answers that take up to 100 ms longer change nothing."""
    assert run(lambda: _used(Rate.parse(rate), workers=64, back=lambda rng: rng.uniform(0.001, 0.1))) >= 0.98


@pytest.mark.parametrize("rate", ["5/s", "20/s", "200/s", "10/min"])
def test_exact_after_slow_first_connections(rate: str) -> None:
    """Connections take seconds to open: what they delay never lands together with what comes next."""
    assert run(lambda: _used(Rate.parse(rate), workers=64, back=lambda _: 0.05, connect_s=1.5)) >= 0.98


@pytest.mark.parametrize("workers", [2, 8, 300])
def test_accuracy_does_not_depend_on_concurrency(workers: int) -> None:
    """As many workers as there may be: the same pace."""
    assert run(lambda: _used(Rate(20, 1.0), workers=workers)) >= 0.98


@given(
    rate=st.builds(Rate, st.integers(1, 30), st.sampled_from([0.2, 1.0, 3.0, 60.0])),
    workers=st.integers(1, 40),
    lag_s=st.sampled_from([0.0, 0.01, 2.0]),
    latency_s=st.sampled_from([0.0, 0.05, 5.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_departures_keep_the_limit(rate: Rate, workers: int, lag_s: float, latency_s: float, seed: int) -> None:
    """At any rate, connecting time, latency and concurrency, no window has more departures than the limit."""

    async def main() -> None:
        server = CountingServer(None)
        server.arrivals = await drive(
            Pacer(rate, asyncio.get_running_loop().clock),  # type: ignore[attr-defined]
            server,
            min(4 * rate.count, 80),
            workers=workers,
            before=lambda rng: rng.random() * lag_s,
            back=lambda rng: rng.random() * latency_s,
            rng=random.Random(seed),
        )
        assert server.most_in(rate.period_s) <= rate.count

    run(main)


@pytest.mark.parametrize("rate", ["10/s", "100/min"])
def test_a_process_that_stands_still_as_it_sends_keeps_the_limit(rate: str) -> None:
    """A busy machine takes the processor away between the look at the clock and the write; a frozen one for seconds."""

    def writing(rng: random.Random) -> float:
        return rng.choice([0.0, 0.0, 0.03, 0.1, 2.0])

    async def main() -> None:
        limit = Rate.parse(rate)
        departures = await drive(Pacer(limit, virtual_clock()), CountingServer(None), 300, workers=8, writing=writing)
        assert most_in(departures, limit.period_s) <= limit.count

    run(main)


def test_only_where_there_is_nothing_to_wait_for_a_turn_is_had_at_once() -> None:
    async def main() -> None:
        free = Pacer(None, virtual_clock())
        turn = free.turn()
        assert turn.enters()
        assert turn.is_due()
        turn.leave()
        turn.sent()
        turn.ended(sent=True, answered=True)
        held = Party()
        held.hold("by the operator")
        with pytest.raises(PartyPaused):
            free.turn(held).enters()
        limited, narrowed, alone, paused, closed = (Pacer(None, virtual_clock()) for _ in range(5))
        limited.set_rate(Rate(5, 1.0))
        narrowed.narrow(Rate(5, 1.0))
        alone.alone(True)
        paused.pause(1.0, "an outage")
        closed.close()
        for pacer in (limited, narrowed, alone, paused, closed):
            assert not pacer.turn().enters()
            assert not pacer.turn().is_due()

    run(main)


@pytest.mark.parametrize("workers", [8, 32])
@pytest.mark.parametrize("stall_s", [0.1, 0.5, 1.0, 3.0])
def test_a_way_that_stands_still_and_goes_on_keeps_the_limit(stall_s: float, workers: int) -> None:
    """What left into it arrives at once when it goes on: with what leaves then that is no more than the limit."""

    async def main() -> None:
        clock, limit, server = virtual_clock(), Rate(10, 1.0), CountingServer(None)
        began = clock.monotonic() + 5.0

        def there(rng: random.Random) -> float:
            since = clock.monotonic() - began
            return rng.uniform(0.005, 0.007) + (stall_s - since if 0 <= since < stall_s else 0.0)

        await drive(Pacer(limit, clock), server, 200, workers=workers, there=there, back=lambda _: 0.02)
        assert server.most_in(limit.period_s) <= limit.count

    run(main)


def test_answers_that_never_come_hardly_slow_it_down() -> None:
    """One of fifty is silent for a minute; as others are answered, it is not waited for."""

    async def main() -> None:
        clock, limit = virtual_clock(), Rate(10, 1.0)
        began = clock.monotonic()
        departures = await drive(
            Pacer(limit, clock), CountingServer(None), 400, workers=32,
            back=lambda rng: 60.0 if rng.random() < 0.02 else 0.02,
        )  # fmt: skip
        assert (len(departures) - limit.count) / (max(departures) - began) >= 0.95 * limit.per_s

    run(main)


def test_the_intent_is_made_right_before_the_slot() -> None:
    """At a slow pace a caller enters its turn a moment before its slot, so that few intents are open."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        pacer = Pacer(Rate(10, 60.0), virtual_clock())
        waits = []

        async def work() -> None:
            async with pacer.turn() as turn:
                entered = loop.time()
                await turn.due()
                waits.append(loop.time() - entered)
            turn.sent()
            turn.ended(sent=True, answered=True)

        await asyncio.gather(*(work() for _ in range(30)))
        assert max(waits) < 1.0

    run(main)


def test_a_pause_holds_everyone() -> None:
    """Nothing leaves before the pause is over, a longer pause stays, and the pace goes on after it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        pacer = Pacer(Rate(10, 1.0), virtual_clock())
        began = loop.time()
        pacer.pause(30.0, "told to")
        pacer.pause(5.0, "told again")
        assert pacer.pause_reason == "told to"
        departures = await drive(pacer, CountingServer(None), 20)
        assert departures[0] - began >= 30.0
        assert departures[-1] - began < 33.0
        assert pacer.pause_reason is None
        assert pacer.paused_s is None

    run(main)


def test_who_is_paused_has_no_place_and_holds_up_nobody() -> None:
    """A party that is held is sent away at once, wherever it waits; another goes on as if it were not there."""

    async def main() -> None:
        pacer, held, other = Pacer(Rate(1, 10.0), virtual_clock()), Party(), Party()
        refused: list[str] = []
        left: list[float] = []

        async def send(party: Party, name: str) -> None:
            try:
                async with pacer.turn(party) as turn:
                    await turn.due()
            except PartyPaused:
                refused.append(name)
                return
            left.append(pacer.clock.monotonic() - began)
            turn.sent()
            turn.ended(sent=True, answered=True)

        began = pacer.clock.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(send(held, "first"))
            for nth in range(3):
                group.create_task(send(held, f"held {nth}"))
            group.create_task(send(other, "other"))
            await asyncio.sleep(1.0)
            held.hold("by hand")
            pacer.ring()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert refused == ["held 1", "held 2", "held 0"]
        assert len(left) == 2
        assert 10.0 <= left[1] <= 10.5
        waiting = asyncio.create_task(held.until_free())
        await asyncio.sleep(1000)
        assert not waiting.done()
        held.hold(None)
        await waiting

    run(main)


def test_alone_means_one_at_a_time() -> None:
    """While the scope feels its way, a request has ended before the next leaves."""

    async def main() -> None:
        pacer = Pacer(None, virtual_clock())
        pacer.alone(True)
        departures = await drive(pacer, CountingServer(None), 6, there=lambda _: 1.0, back=lambda _: 1.0)
        gaps = [later - earlier for earlier, later in pairwise(departures)]
        assert min(gaps) >= 2.0

    run(main)


def test_a_change_of_rate_takes_effect_at_once() -> None:
    """Whoever waits for a slot at the old rate gets it at the new one."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        pacer = Pacer(Rate(1, 3600.0), virtual_clock())
        task = asyncio.create_task(drive(pacer, CountingServer(None), 11))
        await asyncio.sleep(10)
        pacer.set_rate(Rate(10, 1.0))
        before = loop.time()
        await task
        assert loop.time() - before < 2.0

    run(main)


def test_a_slower_rate_counts_what_has_left() -> None:
    """Across a change the new limit holds for the requests before it too."""

    async def main() -> None:
        pacer = Pacer(Rate(50, 1.0), virtual_clock())
        server = CountingServer(None)
        task = asyncio.create_task(drive(pacer, server, 60))
        await asyncio.sleep(0.5)
        early = len(server.arrivals)
        pacer.set_rate(Rate(30, 60.0))
        await task
        assert early < 30
        assert server.most_in(60.0) <= 30

    run(main)


def test_closing_ends_every_wait() -> None:
    """Whoever waits for a turn or a slot gets `PartyClosed`, at once."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        pacer = Pacer(Rate(1, 3600.0), virtual_clock())
        tasks = [asyncio.create_task(drive(pacer, CountingServer(None), 1)) for _ in range(5)]
        await asyncio.sleep(1)
        began = loop.time()
        pacer.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert loop.time() - began < 1.0
        failed = [result for result in results if isinstance(result, ExceptionGroup)]
        assert len(failed) == 4
        assert all(isinstance(group.exceptions[0], PartyClosed) for group in failed)

    run(main)


def test_who_is_cancelled_in_the_queue_loses_nobody_a_slot() -> None:
    """A cancelled caller leaves the others' pace as it was."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        pacer = Pacer(Rate(10, 1.0), virtual_clock())
        server = CountingServer(Rate(10, 1.0))
        others = [asyncio.create_task(drive(pacer, server, 5, workers=1)) for _ in range(10)]
        await asyncio.sleep(0.35)
        for task in others[5:]:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert loop.time() - 1000 < 3.6
        assert server.turned_away == 0

    run(main)
