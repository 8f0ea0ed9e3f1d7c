"""What is left of a large wave is found by statements that each end in good time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from batcher.journal.ops import Happened, Settled
from batcher.journal.port import EntryWithEvents, Record
from batcher.journal.postgres import record
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.life.result import Status
from tests.journal.made import INTENT, plan
from tests.journal.postgres.cluster import needed, prepared

ENTRIES, LEFT, OPEN = 100, (3, 61, 62, 99), (61, 99)


def test_what_is_left_is_looked_for_in_a_part_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_PART", 4)
    monkeypatch.setattr(record, "_LARGEST_PART", 16)
    keeper = PostgresKeeper(prepared(needed()))
    try:
        wave = keeper.new_wave("tested")
        plan(wave, ENTRIES)
        settled = [index for index in range(ENTRIES) if index not in LEFT]
        wave.commit([Settled(index=index, status=Status.CREATED, line=b"{}\n") for index in settled])
        wave.commit([Happened(index=index, event=INTENT) for index in OPEN])
        looked_at: list[int] = []
        between = record.PostgresRecord._entries_between

        def seen(self: record.PostgresRecord, having: str, place: int, after: int, last: int, *more: int) -> object:
            looked_at.append(last - after)
            return between(self, having, place, after, last, *more)

        monkeypatch.setattr(record.PostgresRecord, "_entries_between", seen)

        def all_of(question: Callable[[int], list[EntryWithEvents]]) -> list[int]:
            found: list[int] = []
            while batch := question(found[-1] if found else -1):
                found += [entry.index for entry, _ in batch]
            return found

        assert all_of(lambda after: [(one, []) for one in wave.planned(0, after, 2)]) == [3, 62]
        assert all_of(lambda after: wave.open_entries(0, after, 2)) == [61, 99]
        assert all_of(lambda after: wave.unfinished(after, 2)) == [3, 61, 62, 99]
        assert max(looked_at) == 16
        assert len(looked_at) > ENTRIES / 16
    finally:
        keeper.close()


async def test_while_it_is_looked_for_something_else_is_asked_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease is renewed by the thread that answers: in a wave that is large enough it would run out meanwhile."""
    monkeypatch.setattr(record, "_PART", 2)
    monkeypatch.setattr(record, "_LARGEST_PART", 2)
    keeper = PostgresKeeper(prepared(needed()))
    try:
        wave = keeper.new_wave("tested")
        plan(wave, ENTRIES)
        wave.commit([Settled(index=index, status=Status.CREATED, line=b"{}\n") for index in range(ENTRIES - 1)])
        done: list[str] = []
        between = record.PostgresRecord._entries_between

        def seen(*args: Any) -> object:
            done.append("part")
            return between(*args)

        monkeypatch.setattr(record.PostgresRecord, "_entries_between", seen)
        journal = keeper.journal("tested")

        async def others() -> None:
            while "all" not in done:
                await journal.ask(Record.entry_count)
                done.append("other")

        asking = asyncio.create_task(others())
        assert [entry.index for entry in await journal.ask(Record.planned, 0, -1, 5)] == [ENTRIES - 1]
        done.append("all")
        await asking
        assert done.count("part") == ENTRIES / 2
        assert done[: done.index("all")].count("other") > ENTRIES / 8
    finally:
        await keeper.aclose()
