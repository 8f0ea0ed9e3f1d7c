"""However entries come and comparisons end, no more run than allowed, and nobody waits for ever."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.holding.admission import Admitted, Waits
from batcher.holding.running_limit import RunningLimit
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.result import Status
from tests.follow.make import result

SCOPE = Scope(0, "https://drs.example.com", "p")


def entry(index: int, source: str | None = None, *, halves: int = 1, start_time: str | None = None) -> PlannedEntry:
    body: dict[str, Any] = {"job_id": f"job-{index}"}
    body["data_level_compare_info"] = {"conflict_policy": "keep", "compare_type": "lines", "start_time": start_time}
    if halves == 2:
        body["object_level_compare_type"] = "objects"
    return PlannedEntry(
        index=index,
        line=index,
        key=f"k{index}",
        scope=SCOPE,
        job_id=f"job-{index}",
        body=orjson.dumps(body),
        x_language=None,
        labels={} if source is None else {"source": source},
    )


class Wave:
    """Asks for entries as a lane does, and knows who has been admitted."""

    def __init__(self, limit: RunningLimit) -> None:
        self.limit = limit
        self.admitted: dict[int, PlannedEntry] = {}

    def ask(self, one: PlannedEntry) -> None:
        match self.limit.ask(one, self._again(one)):
            case Admitted():
                self.admitted[one.index] = one
            case Waits():
                pass

    def _again(self, one: PlannedEntry) -> Callable[[], None]:
        return lambda: self.ask(one)

    def created(self, index: int) -> None:
        self.limit.settled(result(index, labels=dict(self.admitted[index].labels)))

    def ended(self, index: int) -> None:
        self.limit.running_still(index, 0)
        del self.admitted[index]


def test_no_more_than_allowed_and_the_next_when_one_ends() -> None:
    wave = Wave(RunningLimit(2, ()))
    for index in range(4):
        wave.ask(entry(index))
    assert set(wave.admitted) == {0, 1}
    wave.created(0)
    wave.created(1)
    assert set(wave.admitted) == {0, 1}
    wave.ended(0)
    assert set(wave.admitted) == {1, 2}


def test_one_that_failed_makes_room() -> None:
    wave = Wave(RunningLimit(1, ()))
    wave.ask(entry(0))
    wave.ask(entry(1))
    wave.limit.settled(result(0, data_id=None, status=Status.FAILED))
    assert 1 in wave.admitted


def test_a_full_source_does_not_hold_up_the_others() -> None:
    wave = Wave(RunningLimit(None, (("source", 1),)))
    for index, source in enumerate(["a", "a", "b", None, "b"]):
        wave.ask(entry(index, source))
    assert set(wave.admitted) == {0, 2, 3}
    wave.created(2)
    wave.ended(2)
    assert set(wave.admitted) == {0, 3, 4}


def test_first_come_first_served_whatever_they_wait_for() -> None:
    wave = Wave(RunningLimit(2, (("source", 1),)))
    for index, source in enumerate(["a", "b", "b", "a", None, "a"]):
        wave.ask(entry(index, source))
    assert set(wave.admitted) == {0, 1}
    wave.ended(0)
    assert set(wave.admitted) == {1, 3}
    wave.ended(1)
    assert set(wave.admitted) == {3, 2}
    wave.ended(2)
    assert set(wave.admitted) == {3, 4}
    wave.ended(3)
    assert set(wave.admitted) == {4, 5}


def test_an_entry_counts_each_of_its_comparisons() -> None:
    wave = Wave(RunningLimit(3, ()))
    for index in range(2):
        wave.ask(entry(index, halves=2))
    assert set(wave.admitted) == {0}
    assert wave.limit.running == 2


def test_each_comparison_makes_room_as_it_ends() -> None:
    wave = Wave(RunningLimit(2, ()))
    wave.ask(entry(0, halves=2))
    wave.ask(entry(1))
    wave.limit.running_still(0, 1)
    assert set(wave.admitted) == {0, 1}
    assert wave.limit.running == 2


def test_two_comparisons_go_where_only_one_fits_if_nothing_else_runs() -> None:
    wave = Wave(RunningLimit(1, ()))
    wave.ask(entry(0, halves=2))
    assert set(wave.admitted) == {0}


def test_a_retry_is_admitted_again() -> None:
    wave = Wave(RunningLimit(1, ()))
    wave.ask(entry(0))
    assert isinstance(wave.limit.ask(entry(0), lambda: None), Admitted)
    assert wave.limit.running == 1


def test_comparisons_of_an_earlier_run_count() -> None:
    wave = Wave(RunningLimit(1, ()))
    wave.limit.taken_up(result(7), 1)
    wave.ask(entry(0))
    assert not wave.admitted
    wave.limit.running_still(7, 0)
    assert set(wave.admitted) == {0}


def test_a_start_of_its_own_neither_waits_nor_counts() -> None:
    wave = Wave(RunningLimit(1, ()))
    wave.ask(entry(0))
    wave.ask(entry(1, start_time="1795572000000"))
    assert set(wave.admitted) == {0, 1}
    assert wave.limit.running == 1


@pytest.mark.parametrize("most", [None, 1, 3])
@settings(max_examples=30)
@given(data=st.data())
def test_in_any_course_limits_hold_and_all_are_admitted_in_the_end(most: int | None, data: st.DataObject) -> None:
    limit = RunningLimit(most, (("source", 2),))
    wave = Wave(limit)
    entries = [
        entry(n, data.draw(st.sampled_from(["a", "b", None])), halves=data.draw(st.integers(1, 2)))
        for n in range(data.draw(st.integers(1, 12)))
    ]
    seen: set[int] = set()
    to_come = list(entries)
    while to_come or wave.admitted:
        if to_come and (not wave.admitted or data.draw(st.booleans())):
            wave.ask(to_come.pop(0))
        else:
            wave.ended(data.draw(st.sampled_from(sorted(wave.admitted))))
        seen |= set(wave.admitted)
        running = sum(len(one.asked) for one in wave.admitted.values())
        assert most is None or running <= most or len(wave.admitted) == 1
        sources = Counter[str]()
        alone = Counter[str]()
        for one in wave.admitted.values():
            sources[one.labels.get("source", "")] += len(one.asked)
            alone[one.labels.get("source", "")] += 1
        assert all(count <= 2 or alone[name] == 1 for name, count in sources.items() if name)
    assert seen == {one.index for one in entries}
    assert not limit.waits


def test_what_an_earlier_run_had_begun_counts_until_it_failed_or_ended() -> None:
    """It may be running, so nobody takes its place; but it goes on itself without waiting."""
    limit = RunningLimit(most=2, per=())
    limit.begun(entry(0, halves=2))
    wave = Wave(limit)
    wave.ask(entry(1))
    assert limit.waits
    wave.ask(entry(0, halves=2))
    assert wave.admitted.keys() == {0}
    limit.settled(result(0, status=Status.FAILED, data_level_compare_create_result=None))
    assert wave.admitted.keys() == {0, 1}
    limit.begun(entry(5, start_time="1790000000000"))
    assert limit.running == 1
