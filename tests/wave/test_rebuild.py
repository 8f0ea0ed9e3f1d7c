"""What is said of entries without a result, and how many there are, where a wave stops."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.outcome import ErrorKind, Fate, Half, Trouble
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.life.decide import unfinished
from batcher.life.result import Result, Status
from batcher.life.result_line import is_untouched, result_line
from batcher.life.state import fresh, history
from batcher.wave.rebuild import count_open, open_lines, provisional_line
from tests.journal.made import GROUPS, INTENT, plan
from tests.wave.made import NOON, entry

STOPPED = Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.STOPPED, error_msg="SIGINT received")
ENTRIES = 5


@pytest.mark.parametrize("groups", range(len(GROUPS) + 1))
def test_they_are_counted_as_their_lines_tell(groups: int, tmp_path: Path) -> None:
    keeper = SqliteKeeper(tmp_path / "journal")
    record = keeper.wave()
    plan(record, ENTRIES)
    record.commit(*GROUPS[:groups])
    lines = [(status, Result.model_validate_json(line)) for status, line in open_lines(record, NOON)]
    told = {result.index: result.status for _, result in lines}
    settled = {index for index in range(ENTRIES) if record.result_of(index) is not None}
    assert [*told] == sorted(set(range(ENTRIES)) - settled)
    assert all(status is result.status for status, result in lines)
    doubts = {index for index in told if history(entry(index).asked, record.events(index)).in_doubt}
    assert {index for index, status in told.items() if status is Status.UNSETTLED} == doubts
    assert count_open(record) == Counter(told.values())
    keeper.close()


@given(st.sets(st.sampled_from(Half)), st.none() | st.just(STOPPED))
def test_what_an_entry_asks_for_shows_in_no_line_until_something_happens_to_it(
    asked: set[Half], stopped: Trouble | None
) -> None:
    state = fresh(asked)
    stands = unfinished(state, stopped)
    whole = result_line(entry(3), state, stands.status, stands.trouble, NOON)
    assert provisional_line(entry(3), [], NOON, stopped) == (Status.NOT_SUBMITTED, whole)
    assert is_untouched(whole)


def test_a_line_that_tells_of_anything_sent_is_not_one_of_nothing() -> None:
    status, doubtful = provisional_line(entry(0), [INTENT], NOON)
    assert (status, is_untouched(doubtful)) == (Status.UNSETTLED, False)
    untouched = provisional_line(entry(0), [], NOON)[1]
    for was, now in (
        (b'"attempts":0', b'"attempts":1'),
        (b'"status":"not_submitted"', b'"status":"created"'),
        (b'"object_level_compare_create_result":null', b'"object_level_compare_create_result":{"compare_task_id":"t"}'),
        (b'"data_level_compare_create_result":null', b'"data_level_compare_create_result":{"compare_task_id":"t"}'),
        (b'"data_level_compare_create_result":null,', b""),
        (b'{"key"', b'["key"'),
    ):
        assert was in untouched
        assert not is_untouched(untouched.replace(was, now)), now
