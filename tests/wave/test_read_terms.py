"""What goes with a look-up, and what comes after one in trouble: for a wave's own, and for those who only look."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest

from batcher.channel.read_terms import LooksForWave, Next, OnlyLooks
from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs.answer import RequestStage
from batcher.drs.cloud import Cloud
from batcher.drs.outcome import ComparisonPage, ErrorKind, Fate, Foreign, ListOutcome, Trouble
from batcher.journal.errors import JournalFailed
from tests.pace.server import virtual_clock
from tests.virtual import run
from tests.wave.made import NOON, entered

NOBODY = cast("Any", None)


@pytest.mark.parametrize(
    ("fate", "kind", "foreign", "wave", "looks"),
    [
        (Fate.TURNED_AWAY, ErrorKind.THROTTLED, None, Next.AGAIN, Next.AGAIN),
        (Fate.NOT_LET_IN, ErrorKind.AUTH, None, Next.RENEW, Next.RENEW),
        (Fate.NOT_LET_IN, ErrorKind.PERMISSION, None, Next.RENEW, Next.ANSWER),
        (Fate.MAYBE, ErrorKind.SERVER, None, Next.ANSWER, Next.ANSWER),
        (Fate.MAYBE, ErrorKind.NETWORK, Foreign.BARRED, Next.ANSWER, Next.HALT),
    ],
)
def test_who_only_looks_lives_without_a_permission(
    fate: Fate, kind: ErrorKind, foreign: Foreign | None, wave: Next, looks: Next
) -> None:
    trouble = Trouble(fate=fate, kind=kind, foreign=foreign)
    assert LooksForWave(NOBODY, NOBODY, NOBODY).after(trouble) is wave
    assert OnlyLooks(NOBODY).after(trouble) is looks


class OnePage:
    """A cloud whose jobs have no comparisons; *told* keeps how often it had been told that a request leaves."""

    def __init__(self, signs: list[str]) -> None:
        self._signs = signs
        self.told: list[int] = []

    at_hand = False

    async def prepare(self) -> None:
        """Always ready."""

    async def list_comparisons(self, job_id: str, *, page: int, on_sent: object = None) -> ListOutcome:
        """The list, with a `Date`."""
        self.told.append(len(self._signs))
        return ListOutcome(
            trouble=None,
            page=ComparisonPage(comparisons=(), total=0),
            stage=RequestStage.SENT,
            sent_at=NOON,
            answered_at=NOON,
            http_status=200,
            server_time=NOON,
        )


class Looking:
    """A look by the terms of a wave, or by those of who only looks, through a channel that nothing has gone through."""

    def __init__(self, clock: Clock, *, wave: bool, sign: Callable[[], None] = lambda: None) -> None:
        self.signs: list[str] = []
        self.cloud = OnePage(self.signs)
        self.way = entered(cast("Cloud", self.cloud), clock)

        async def leave_sign() -> None:
            sign()
            self.signs.append("signed")

        terms = LooksForWave(self.way, clock, leave_sign) if wave else OnlyLooks(self.way)
        self.reader = ScopeReader(self.way, clock, terms)

    async def look(self) -> None:
        """Read the list of a job's comparisons, within ten seconds."""
        async with asyncio.timeout(10):
            assert await self.reader.comparisons("job-1") is not None


@pytest.mark.parametrize("wave", [True, False])
def test_the_next_run_is_let_know_before_a_look_of_a_wave_leaves(wave: bool) -> None:
    async def main() -> list[int]:
        looking = Looking(virtual_clock(), wave=wave)
        await looking.look()
        await looking.look()
        return looking.cloud.told

    assert run(main) == ([1, 2] if wave else [0, 0])


def test_a_look_that_cannot_be_let_know_of_does_not_leave() -> None:
    def full() -> None:
        raise JournalFailed("the disk is full")

    async def main() -> list[int]:
        looking = Looking(virtual_clock(), wave=True, sign=full)
        with pytest.raises(JournalFailed):
            await looking.look()
        return looking.cloud.told

    assert run(main) == []


@pytest.mark.parametrize("wave", [True, False])
def test_the_clouds_time_is_learnt_from_the_looks_of_a_wave(wave: bool) -> None:
    async def main() -> bool:
        clock = virtual_clock()
        looking = Looking(clock, wave=wave)
        await looking.look()
        return looking.way.cloud_clock.by_date(clock.monotonic()) is not None

    assert run(main) is wave


@pytest.mark.parametrize("wave", [True, False])
def test_a_look_of_a_wave_waits_for_a_place_in_flight(wave: bool) -> None:
    async def main() -> tuple[bool, list[int]]:
        looking = Looking(virtual_clock(), wave=wave)
        waited = False
        async with AsyncExitStack() as taken:
            for _ in range(looking.way.slots.size):
                slot = taken.enter_context(looking.way.slot())
                await slot.take()
            try:
                await looking.look()
            except TimeoutError:
                waited = True
        await looking.look()
        return waited, looking.cloud.told

    waited, told = run(main)
    assert waited is wave
    assert len(told) == (1 if wave else 2)
