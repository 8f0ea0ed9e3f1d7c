"""What every keeper of journals must do: one test for all of them. They stand in `keepers.py`.

What a keeper answers is compared with the one in memory, which is simple enough to be read; those that outlive their
process are killed at every boundary of durability, and have their power cut at every byte that was not synced.
"""

import asyncio
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batcher.journal.errors import JournalAbsent, JournalFailed, NotAJournal, WaveRefused
from batcher.journal.memory_record import MemoryRecord
from batcher.journal.ops import Happened, Noted, Op, Receipt, Settled
from batcher.journal.port import Keeper, MutableRecord, Record
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.life.entry import Scope
from batcher.life.events import Answered
from batcher.life.result import Status
from tests.journal.keepers import KEEPERS, Kind
from tests.journal.made import AGAIN, ANSWER, GROUPS, INTENT, OTHER, REFUSED, everything, plan
from tests.wave.made import NOON, SCOPE, entry

ENTRIES = 5
SURVIVE = [name for name, kind in KEEPERS.items() if kind.survives]
MANY = [name for name, kind in KEEPERS.items() if kind.many]


@pytest.fixture(params=KEEPERS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KEEPERS[request.param]


@pytest.fixture
def opened(kind: Kind, tmp_path: Path) -> Iterator[Keeper]:
    """A keeper, with another wave beside where it has many."""
    keeper = kind.open(tmp_path)
    if kind.many:
        disturb(keeper)
    yield keeper
    keeper.close()


def disturb(keeper: Keeper) -> None:
    """Another wave of the database, on other jobs."""
    beside = keeper.new_wave("beside")
    plan(beside, [replace(entry(index, job="elsewhere"), key=f"key-{index}") for index in range(3)])
    beside.commit([Happened(index=1, event=INTENT), Noted(name="told", value="beside")])
    beside.commit([Settled(index=0, status=Status.CREATED, line=b"beside\n")])


def reference(*groups: tuple[Op, ...], many: bool) -> MemoryRecord:
    """What a record has to answer after *groups*."""
    record = MemoryRecord(beside=[] if many else None)
    plan(record, ENTRIES)
    record.commit(*groups)
    return record


# --- questions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(len(GROUPS) + 1))
def test_every_question_is_answered_alike(kind: Kind, opened: Keeper, count: int) -> None:
    record = kind.wave(opened)
    plan(record, ENTRIES)
    for ops in GROUPS[:count]:
        record.commit(ops)
    assert everything(record) == everything(reference(*GROUPS[:count], many=kind.many))


_INDEXES = st.integers(0, ENTRIES - 1)
_OPS = st.one_of(
    st.builds(Happened, index=_INDEXES, event=st.sampled_from([INTENT, ANSWER, REFUSED, AGAIN])),
    st.builds(
        Settled,
        index=_INDEXES,
        status=st.sampled_from(list(Status)),
        line=st.binary(max_size=3).map(lambda b: b + b"\n"),
    ),
    st.builds(Noted, name=st.sampled_from(["a", "b"]), value=st.integers(0, 9)),
)
_SHAPE = st.tuples(st.sampled_from([SCOPE, OTHER]), st.sampled_from(["job-0", "job-1"]))


def test_whatever_is_recorded_is_answered_alike(kind: Kind, tmp_path: Path) -> None:
    """Also where a group is refused, which then leaves nothing."""

    @settings(max_examples=kind.examples)
    @given(
        shape=st.lists(_SHAPE, min_size=ENTRIES, max_size=ENTRIES),
        groups=st.lists(st.lists(_OPS, max_size=4), max_size=6),
    )
    def check(shape: list[tuple[Scope, str]], groups: list[list[Op]]) -> None:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        keeper = kind.open(folder)
        if kind.many:
            disturb(keeper)
        tested, expected = kind.wave(keeper), MemoryRecord(beside=[] if kind.many else None)
        entries = [replace(entry(index, job=job), scope=scope) for index, (scope, job) in enumerate(shape)]
        for record in (tested, expected):
            plan(record, entries, [SCOPE, OTHER])
        for ops in groups:
            assert _committed(tested, ops) == _committed(expected, ops)
        assert everything(tested) == everything(expected)
        keeper.close()

    check()


def _committed(record: MutableRecord, ops: list[Op]) -> object:
    try:
        (receipt,) = record.commit(ops)
    except JournalFailed:
        return "refused"
    return receipt


def test_a_batch_is_bounded_in_bytes_as_well(kind: Kind, opened: Keeper) -> None:
    record = kind.wave(opened)
    plan(record, (replace(entry(index), labels={"why": "x" * 1_000_000}) for index in range(7)))
    assert [item.index for item in record.planned(0, -1, 256)] == [0, 1, 2, 3, 4]
    assert [item.index for item in record.planned(0, 4, 256, 1)] == [5]  # one at least
    record.commit([Happened(index=index, event=INTENT) for index in range(7)])
    assert [item.index for item, _ in record.open_entries(0, 1, 256)] == [2, 3, 4, 5, 6]


# --- what is recorded -----------------------------------------------------------------------------------


async def test_the_answer_tells_number_and_counts(kind: Kind, opened: Keeper) -> None:
    """Of the wave alone, in the order in which results became durable, also beside what was there before."""
    plan(kind.wave(opened), ENTRIES)
    kind.wave(opened).commit([Settled(index=4, status=Status.FAILED, line=b"4\n")])
    journal = kind.journal(opened)
    told = [
        journal.record(Happened(index=0, event=INTENT)),
        journal.record(Happened(index=1, event=ANSWER), Settled(index=1, status=Status.CREATED, line=b"1\n")),
        journal.record(Settled(index=0, status=Status.FAILED, line=b"0\n")),
    ]
    nothing, one, other = await asyncio.gather(*told)
    assert nothing is None
    assert (one and one.seq, other and other.seq) == (1, 2)
    assert other is not None
    assert other.counts == Counter({Status.FAILED: 2, Status.CREATED: 1})
    again = await journal.record(Happened(index=0, event=AGAIN), Settled(index=0, status=Status.CREATED, line=b"new\n"))
    assert again == Receipt(2, Counter({Status.FAILED: 1, Status.CREATED: 2}))
    assert await journal.ask(Record.lines_from, 0) == [b"4\n", b"1\n", b"new\n"]
    await opened.aclose()


async def test_a_question_sees_all_that_was_recorded_before(kind: Kind, opened: Keeper) -> None:
    plan(kind.wave(opened), ENTRIES)
    journal = kind.journal(opened)
    recorded = [asyncio.ensure_future(journal.record(Happened(index=3, event=INTENT))) for _ in range(3)]
    await asyncio.sleep(0)
    assert await journal.ask(Record.events, 3) == [INTENT] * 3
    await asyncio.gather(*recorded)
    await opened.aclose()


async def test_what_is_handed_over_is_written_though_the_caller_is_cancelled(kind: Kind, opened: Keeper) -> None:
    plan(kind.wave(opened), ENTRIES)
    journal = kind.journal(opened)
    task = asyncio.ensure_future(journal.record(Happened(index=1, event=INTENT)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await journal.ask(Record.events, 1) == [INTENT]
    await opened.aclose()


async def test_what_cannot_be_written_at_all_is_a_defect_of_whoever_has_it(kind: Kind, opened: Keeper) -> None:
    """An op that no journal can hold ends in an error for those who asked; what shared its commit is written."""
    plan(kind.wave(opened), ENTRIES)
    journal = kind.journal(opened)
    unwritable = Answered(at=NOON, sent_at=NOON, halves={}, http_status=200, request_id="\udcff")
    told = await asyncio.gather(
        journal.record(Happened(index=0, event=INTENT)),
        journal.record(Happened(index=1, event=INTENT), Happened(index=1, event=unwritable)),
        journal.record(Settled(index=2, status=Status.CREATED, line=b"2\n")),
        return_exceptions=True,
    )
    assert [type(one) for one in told] == [type(None), UnicodeEncodeError, Receipt]
    assert [await journal.ask(Record.events, index) for index in range(2)] == [[INTENT], []]
    await opened.aclose()


async def test_nothing_can_be_recorded(kind: Kind, opened: Keeper) -> None:
    """By which whoever records sees to it that what failed comes too late from then on."""
    plan(kind.wave(opened), ENTRIES)
    journal = kind.journal(opened)
    told = tuple(
        await asyncio.gather(journal.record(), journal.record(Happened(index=1, event=INTENT)), journal.record())
    )
    assert told == (None, None, None)
    assert await journal.ask(Record.events, 1) == [INTENT]
    await opened.aclose()


async def test_a_closed_journal_takes_nothing(kind: Kind, opened: Keeper) -> None:
    journal = kind.journal(opened)
    await opened.aclose()
    with pytest.raises(JournalFailed, match="closed"):
        await journal.record(Noted(name="a", value=1))
    with pytest.raises(JournalFailed, match="closed"):
        await journal.ask(Record.facts)


def test_a_commit_is_all_or_nothing(kind: Kind, opened: Keeper) -> None:
    record = kind.wave(opened)
    plan(record, ENTRIES)
    line = Settled(index=1, status=Status.FAILED, line=b"{}\n")
    record.commit([line])
    before = everything(record)
    with pytest.raises(JournalFailed, match="cannot write the journal"):
        record.commit([Happened(index=2, event=INTENT), Settled(index=2, status=Status.CREATED, line=b"2\n")], [line])
    assert everything(record) == before
    assert record.commit() == []
    (receipt,) = record.commit([Settled(index=2, status=Status.CREATED, line=b"2\n")])
    assert receipt == Receipt(1, Counter({Status.FAILED: 1, Status.CREATED: 1}))


def test_half_a_plan_leaves_nothing(kind: Kind, opened: Keeper) -> None:
    record = kind.wave(opened)
    with record.planning() as writes:
        writes.add_scope(SCOPE)
        writes.add_entries(map(entry, range(3)))
        writes.add_invalid(3, 4, "k", None, b"{}\n")
    assert not record.is_planned()
    assert (record.entry_count(), list(record.lines()), record.scopes()) == (0, [], [])
    plan(record, ENTRIES)
    assert everything(record) == everything(reference(many=kind.many))


def test_an_invalid_entry_has_its_result_from_the_beginning(kind: Kind, opened: Keeper) -> None:
    """And its line says how many there are, which nobody knew when it was written."""
    record = kind.wave(opened)
    with record.planning() as writes:
        writes.add_scope(SCOPE)
        writes.add_entries([entry(0)])
        writes.add_invalid(1, 7, "bad", "job-9", b'{"key":"bad","wave_entries":null}\n')
        writes.finish({})
    assert record.result_of(1) == (0, Status.INVALID, b'{"key":"bad","wave_entries":2}\n')
    assert (record.entry(1), record.line_of(1), record.indexes_of_key("bad")) == (None, 7, [1])
    assert list(record.outline())[1] == (1, "bad", "job-9", None)
    assert [one.index for one in record.planned(0, -1, 9)] == [0]
    (receipt,) = record.commit([Settled(index=0, status=Status.CREATED, line=b"0\n")])
    assert receipt == Receipt(1, Counter({Status.INVALID: 1, Status.CREATED: 1}))


# --- waves beside each other ----------------------------------------------------------------------------


@pytest.fixture(params=MANY)
def many(request: pytest.FixtureRequest) -> Kind:
    return KEEPERS[request.param]


def test_waves_of_one_database_do_not_see_each_other(many: Kind, tmp_path: Path) -> None:
    """Each is like one that is alone, and knows the other only by the jobs that both name."""
    keeper = many.open(tmp_path)
    records = [keeper.new_wave(wave) for wave in ("one", "two")]
    for number, record in enumerate(records):
        plan(record, [entry(index, job=f"job-{number}-{index}") for index in range(ENTRIES)], facts={"n": number})
    for ops in GROUPS:
        for record in records:
            record.commit(ops)
    alone = MemoryRecord(beside=[])
    plan(alone, [entry(index, job=f"job-1-{index}") for index in range(ENTRIES)], facts={"n": 1})
    alone.commit(*GROUPS)
    seen, expected = everything(records[1]), everything(alone)
    known, waves = seen.pop("answered_around"), keeper.waves()
    keeper.close()
    own = expected.pop("answered_around")
    assert seen == expected
    assert waves == ["one", "two"]
    if isinstance(keeper, PostgresKeeper):
        # Answers tell the cloud's time: where machines share waves, those of every wave of the scope are known.
        assert all(answer in others for others, answers in zip(known, own, strict=True) for answer in answers)
        assert known != own
    else:
        assert known == own


def test_others_of_a_job_are_found_in_every_wave(many: Kind, tmp_path: Path) -> None:
    keeper = many.open(tmp_path)
    one, two = keeper.new_wave("one"), keeper.new_wave("two")
    theirs = replace(SCOPE, number=1)  # the same project has another number in another wave
    plan(one, [entry(0, job="shared"), entry(1)])
    plan(two, [entry(0), replace(entry(1, job="shared"), scope=theirs)], [OTHER_FIRST, theirs])
    two.commit([Happened(index=1, event=INTENT)])
    own = one.entry(0)
    assert own is not None
    assert own.shares_job
    ((other, events),) = one.others_of_job(own)
    assert (other.index, other.key, other.scope, events) == (1, "key-1", SCOPE, [INTENT])
    mine = two.entry(1)
    assert mine is not None
    assert [(one.index, events) for one, events in two.others_of_job(mine)] == [(0, [])]
    for record in (one, two):  # all of them, for whoever has a journal elsewhere
        told = sorted((each.key, each.index, each.scope, events) for each, events in record.of_job(SCOPE, "shared"))
        assert told == [("key-0", 0, SCOPE, []), ("key-1", 1, SCOPE, [INTENT])]
        assert record.of_job(SCOPE, "nobody's") == []
    keeper.close()


def test_what_may_still_land_is_found_from_the_newest_event_back(kind: Kind, tmp_path: Path) -> None:
    keeper = kind.open(tmp_path)
    record = keeper.new_wave("one") if kind.many else keeper.wave()
    plan(record, 6)
    record.commit([Happened(index=index, event=replace(INTENT, at=NOON + index)) for index in (0, 1, 2, 3)])
    record.commit([Settled(index=3, status=Status.CREATED, line=b"{}\n")], [Happened(index=2, event=LATER)])
    assert record.sent_since(NOON + 5) == []
    assert sorted(entry.index for entry, _ in record.sent_since(NOON + 1)) == [1, 2]
    ((one, events),) = record.sent_since(NOON + 2)
    assert (one.index, events) == (2, [replace(INTENT, at=NOON + 2), LATER])
    keeper.close()


LATER = replace(ANSWER, at=NOON + 3)


OTHER_FIRST = replace(OTHER, number=0)


async def test_waves_share_a_commit_and_each_has_its_receipt(many: Kind, tmp_path: Path) -> None:
    keeper = many.open(tmp_path)
    for wave in ("one", "two"):
        plan(keeper.new_wave(wave), ENTRIES)
    journals = [keeper.journal(wave) for wave in ("one", "two")]
    told = await asyncio.gather(
        *(
            journal.record(Settled(index=index, status=Status.CREATED, line=b"%d\n" % index))
            for index in range(ENTRIES)
            for journal in journals
        )
    )
    assert [receipt and receipt.seq for receipt in told] == [seq for seq in range(ENTRIES) for _ in journals]
    assert [await journal.ask(Record.status_counts) for journal in journals] == [{Status.CREATED: ENTRIES}] * 2
    await keeper.aclose()


def test_a_wave_is_asked_for_by_its_id(kind: Kind, opened: Keeper) -> None:
    record = kind.wave(opened)
    plan(record, ENTRIES, facts={"wave": "tested"})
    assert opened.wave("tested").facts() == record.facts()
    with pytest.raises(JournalAbsent, match="there is no wave another in"):
        opened.wave("another")
    with pytest.raises(WaveRefused):
        opened.new_wave("tested")
    if kind.many:
        with pytest.raises(NotAJournal, match="many waves, and none of them is named"):
            opened.wave()


# --- deaths ---------------------------------------------------------------------------------------------


@pytest.fixture(params=SURVIVE)
def surviving(request: pytest.FixtureRequest) -> Kind:
    return KEEPERS[request.param]


def live(kind: Kind, folder: Path, say: Callable[[str], None]) -> None:
    """A process that plans a wave and records `GROUPS`, and says each step."""

    async def record_all() -> None:
        journal = kind.journal(keeper)
        for ops in GROUPS:
            say("recording")
            await journal.record(*ops)
            say("durable")

    say("begun")
    keeper = kind.open(folder)
    say("planning")
    plan(kind.wave(keeper), ENTRIES)
    say("durable")
    asyncio.run(record_all())


def killed_at(step: int, kind: Kind, folder: Path) -> int:
    """Kill such a process at that step; how often it had said that something is durable.

    It waits after each. Where it is about to do something it is let go on, and killed while it does.
    """
    heard_by_us, told_by_it = os.pipe()
    heard_by_it, told_by_us = os.pipe()
    if (child := os.fork()) == 0:

        def say(said: str) -> None:
            os.write(told_by_it, said.encode() + b"\n")
            os.read(heard_by_it, 1)

        live(kind, folder, say)
        os._exit(0)
    os.close(told_by_it)
    heard: list[str] = []
    with os.fdopen(heard_by_us) as said:
        for _ in range(step):
            if heard:
                os.write(told_by_us, b".")
            heard.append(said.readline())
        if heard[-1] != "durable\n":
            os.write(told_by_us, b".")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for end in (heard_by_it, told_by_us):
        os.close(end)
    return heard.count("durable\n")


STEPS = 3 + 2 * len(GROUPS)


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_kill_leaves_all_that_was_durable_and_nothing_by_half(surviving: Kind, tmp_path: Path, step: int) -> None:
    durable = killed_at(step, surviving, tmp_path)
    assert everything_kept(surviving, tmp_path) in possible(durable, durable + 1, many=surviving.many)


def everything_kept(kind: Kind, folder: Path) -> object:
    keeper = kind.open(folder)
    try:
        return everything(kind.wave(keeper))
    finally:
        keeper.close()


def possible(*durable: int, many: bool) -> list[object]:
    """What may be there after so much was durable: no plan, the plan, the first group, …"""
    return [
        {"planned": False} if not count else everything(reference(*GROUPS[: count - 1], many=many)) for count in durable
    ]


@pytest.fixture(params=[name for name, kind in KEEPERS.items() if kind.in_files])
def in_files(request: pytest.FixtureRequest) -> Kind:
    return KEEPERS[request.param]


def test_a_power_cut_leaves_all_that_was_synced_and_nothing_by_half(in_files: Kind, tmp_path: Path) -> None:
    """The files as they were at each sync, and with any part of what was being written after it."""
    kept: list[Path] = []
    folder = tmp_path / "folder"
    folder.mkdir()
    if (child := os.fork()) == 0:

        def keep(said: str) -> None:
            if said == "durable":
                shutil.copytree(folder, tmp_path / f"{len(kept)}")
                kept.append(folder)

        live(in_files, folder, keep)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    for number in range(len(GROUPS) + 1):
        before, after = tmp_path / f"{number - 1}", tmp_path / f"{number}"
        assert [after_a_cut(in_files, after, {})] == possible(number + 1, many=in_files.many)
        for sizes in _cuts(before, after) if number else ():
            assert after_a_cut(in_files, after, sizes) in possible(number, number + 1, many=in_files.many)


def after_a_cut(kind: Kind, files: Path, sizes: dict[str, int]) -> object:
    """What is there of a copy of *files*, some of them cut to these *sizes*."""
    torn = files.with_name("torn")
    shutil.copytree(files, torn)
    for name, size in sizes.items():
        os.truncate(torn / name, size)
    kept = everything_kept(kind, torn)
    shutil.rmtree(torn)
    return kept


def _cuts(before: Path, after: Path) -> Iterator[dict[str, int]]:
    """Sizes to which what grew since the last sync may be cut."""
    for path in after.iterdir():
        old = (before / path.name).stat().st_size if (before / path.name).exists() else 0
        new = path.stat().st_size
        if new > old and not path.name.endswith("-shm"):
            yield from ({path.name: size} for size in (old, old + 1, (old + new) // 2, new - 1))


def test_what_was_recorded_is_there_for_the_next_process(kind: Kind, tmp_path: Path) -> None:
    keeper = kind.open(tmp_path)
    plan(kind.wave(keeper), ENTRIES)
    kind.wave(keeper).commit(*GROUPS)
    keeper.close()
    assert [everything_kept(kind, tmp_path)] == possible(len(GROUPS) + 1, many=kind.many)
