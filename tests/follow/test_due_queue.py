"""Entries that wait for their next look: none is lost, none comes too early, and each comes back as it was put."""

import errno
import os
from math import inf
from pathlib import Path
from tempfile import gettempdir

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.outcome import Half
from batcher.follow.due_queue import DueQueue, TimerWheel
from batcher.follow.followed_entry import FollowedComparison, FollowedEntry, packed, unpacked
from batcher.follow.new_verdict import ConcludedComparison
from batcher.follow.spill_file import SpillFailed, SpillFile
from batcher.life.result import Status
from tests.follow.make import difference, half

WIDTH = 0.25


@given(st.data())
def test_whoever_is_due_comes_once_in_turn_and_never_early(data: st.DataObject) -> None:
    wheel, now = TimerWheel(WIDTH), 0.0
    queue: dict[int, float] = {}
    for number in range(data.draw(st.integers(0, 40))):
        if data.draw(st.booleans()):
            due = now + data.draw(st.floats(0, 5))
            wheel.put(number, due)
            queue[number] = due
            continue
        now += data.draw(st.floats(0, 2))
        first = None if (taken := wheel.take(now)) is None else queue.pop(taken)
        if first is None:
            assert all(due + WIDTH >= now - 1e-9 for due in queue.values())
        else:
            assert first <= now
            assert first <= min(queue.values(), default=inf) + WIDTH + 1e-9
        assert set(wheel) == set(queue)
        assert len(wheel) == len(queue)
        assert (wheel.next_due is None) == (not queue)
    left = set()
    while (taken := wheel.take(now + 10)) is not None:
        left.add(taken)
    assert left == set(queue)


@given(st.data())
def test_a_record_is_what_was_put_last_wherever_it_stands(data: st.DataObject) -> None:
    spill = SpillFile(Path(gettempdir()))
    there: dict[int, bytes] = {}
    try:
        for _ in range(data.draw(st.integers(0, 20))):
            record = data.draw(st.binary(max_size=20)) * data.draw(st.sampled_from([1, 10, 1000]))
            old = data.draw(st.none() | st.sampled_from(sorted(there))) if there else None
            place = spill.put(record, old)
            if old is not None:
                del there[old]
            assert place not in there
            there[place] = record
            assert all(spill.get(place) == record for place, record in there.items())
    finally:
        spill.close()


_HALF = half(difference())
CONCLUDED = ConcludedComparison(
    **{name: getattr(_HALF, name) for name in ConcludedComparison.__struct_fields__}
    | {"started_at": "2026-03-01T01:30:00.000Z", "ended_at": None}
)


def entry(index: int = 0) -> FollowedEntry:
    comparisons = (
        FollowedComparison(half=Half.OBJECT, task_id="t", compare_type="object_comparison", verdict=CONCLUDED),
        FollowedComparison(half=Half.DATA, task_id="u", compare_type=None, status="RUNNING", absent=1, done=0.25),
    )
    return FollowedEntry(
        key="k",
        index=index,
        job_id="j",
        project_id="p",
        endpoint="https://drs",
        status=Status.CREATED,
        said=None,
        labels={"team": "ß"},
        submitted_at=1.5,
        comparisons=comparisons,
        began=-3.0,
        failures=2,
    )


def test_an_entry_comes_back_as_it_was() -> None:
    assert unpacked(packed(entry())) == entry()


def test_those_that_were_taken_still_count_until_they_are_done(tmp_path: Path) -> None:
    spill = SpillFile(tmp_path)
    queue = DueQueue(spill, WIDTH)
    for index in range(3):
        queue.put(entry(index), index)
    first = queue.take(10.0)
    assert first is not None
    first.failures = 7
    assert [(one.index, one.failures) for one in queue] == [(0, 7), (1, 2), (2, 2)]
    queue.put(first, 20.0)
    second = queue.take(10.0)
    assert second is not None
    queue.done(second)
    assert len(queue) == 2
    assert [(one.index, one.failures) for one in queue] == [(0, 7), (2, 2)]
    spill.close()


def test_nothing_is_seen_of_it_in_the_folder(tmp_path: Path) -> None:
    spill = SpillFile(tmp_path)
    spill.put(b"x" * 10_000)
    assert not list(tmp_path.iterdir())
    spill.close()


def test_a_full_disk_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spill = SpillFile(tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(SpillFailed, match=r"No space left on device\. Make room, and run the same") as told:
        spill.put(b"x")
    assert told.value.exit_code == 3
    spill.close()
