"""What every keeper of journals must do: one test for all of them. A new keeper is one more fixture here.

`KEEPERS` names how each is opened, anew each time, on what an earlier one left; those that keep something are also
killed, and have their power cut.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from batcher.journal.errors import JournalFailed
from batcher.journal.memory import MemoryKeeper
from batcher.journal.ops import Happened, Noted, Settled
from batcher.journal.port import Keeper, Record
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.life.events import Answered
from batcher.life.result import Status
from tests.journal.made import INTENT, plan
from tests.wave.made import NOON

Open = Callable[[], Keeper]


@pytest.fixture(params=["memory", "sqlite"])
def open_keeper(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the keeper's database; in memory there is one for the whole test."""
    if request.param == "memory":
        kept = MemoryKeeper()
        return lambda: kept
    return lambda: SqliteKeeper(tmp_path / "journal")


async def test_a_read_sees_all_that_was_recorded_before(open_keeper: Open) -> None:
    keeper = open_keeper()
    plan(keeper.wave(), 10)
    journal = keeper.journal()
    recorded = [asyncio.ensure_future(journal.record(Happened(index=7, event=INTENT))) for _ in range(3)]
    await asyncio.sleep(0)
    assert await journal.ask(Record.events, 7) == [INTENT] * 3
    await asyncio.gather(*recorded)
    await keeper.aclose()


async def test_what_is_handed_over_is_written_though_the_caller_is_cancelled(open_keeper: Open) -> None:
    keeper = open_keeper()
    plan(keeper.wave(), 10)
    journal = keeper.journal()
    task = asyncio.ensure_future(journal.record(Happened(index=1, event=INTENT)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await journal.ask(Record.events, 1) == [INTENT]
    await keeper.aclose()


async def test_what_cannot_be_written_at_all_is_a_defect_that_nobody_waits_for(open_keeper: Open) -> None:
    """An op that no journal can hold ends in an error for those who asked, and the journal goes on."""
    keeper = open_keeper()
    plan(keeper.wave(), 10)
    journal = keeper.journal()
    unwritable = Answered(at=NOON, sent_at=NOON, halves={}, http_status=200, request_id="\udcff")
    with pytest.raises(UnicodeEncodeError, match="surrogates"):
        await asyncio.wait_for(journal.record(Happened(index=1, event=unwritable)), 5)
    await journal.record(Happened(index=2, event=INTENT))
    await keeper.aclose()


async def test_a_closed_journal_takes_nothing(open_keeper: Open) -> None:
    keeper = open_keeper()
    journal = keeper.journal()
    await keeper.aclose()
    with pytest.raises(JournalFailed, match="closed"):
        await journal.record(Noted(name="a", value=1))


def test_a_commit_is_all_or_nothing(open_keeper: Open) -> None:
    keeper = open_keeper()
    record = keeper.wave()
    plan(record, 10)
    line = Settled(index=1, seq=0, status=Status.FAILED, line=b"{}\n")
    record.commit([line])
    with pytest.raises(JournalFailed, match="cannot write the journal"):
        record.commit([Happened(index=2, event=INTENT)], [line])
    assert record.events(2) == []
    keeper.close()


def test_what_was_recorded_is_there_for_the_next_process(open_keeper: Open) -> None:
    keeper = open_keeper()
    record = keeper.wave()
    plan(record, 10)
    record.commit([Happened(index=3, event=INTENT), Settled(index=4, seq=0, status=Status.CREATED, line=b"{}\n")])
    keeper.close()
    again = open_keeper()
    record = again.wave()
    assert [item.index for item, _ in record.open_entries(0, -1, 500)] == [3]
    assert [item.index for item in record.planned(0, -1, 500)] == [0, 1, 2, 5, 6, 7, 8, 9]
    assert record.status_counts() == {Status.CREATED: 1}
    assert record.next_seq() == 1
    again.close()


def test_half_a_plan_leaves_nothing(open_keeper: Open) -> None:
    keeper = open_keeper()
    record = keeper.wave()
    with record.planning() as writes:
        writes.add_invalid(0, 1, "k", None, b"{}\n")
    assert not record.is_planned()
    assert (record.entry_count(), list(record.lines())) == (0, [])
    plan(record, 3)
    assert record.entry_count() == 3
    keeper.close()
