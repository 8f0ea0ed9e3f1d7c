"""What is left of a large wave is found by statements that each end in good time."""

from collections.abc import Callable

import pytest

from batcher.journal.ops import Happened, Settled
from batcher.journal.port import EntryWithEvents
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
