"""A verdict that was just reached says what its `VerdictLine` says, byte for byte."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batcher.clock import utc
from batcher.follow.fast_lines import decoder_of
from batcher.follow.followed_entry import packed, unpacked
from batcher.follow.new_verdict import ConcludedComparison, NewVerdict
from batcher.follow.verdict import Counts, Difference, HalfVerdict, Verdict, VerdictLine
from batcher.life.result import Status, rfc3339, rfc3339_of, rfc3339_of_ms
from tests.follow.test_due_queue import entry

TEXT = st.text(max_size=8)
MAYBE = st.none() | TEXT
COUNT = st.none() | st.integers(-(10**15), 10**15)
TIME = st.floats(0, 253402300799, allow_nan=False).map(rfc3339_of)
COUNTS = st.lists(st.integers(0, 10**15), min_size=4, max_size=4).map(
    lambda told: Counts(
        compared=sum(told),
        consistent=told[0],
        inconsistent=told[1],
        failed_to_compare=told[2],
        cannot_be_compared=told[3],
    )
)
IN_DIFFERENCE: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(Difference.model_fields, MAYBE)
IN_DIFFERENCE |= dict.fromkeys(("object_type", "result"), TEXT)
IN_DIFFERENCE |= dict.fromkeys(("source_count", "target_count", "diff_count"), COUNT)
HALF = st.builds(
    ConcludedComparison,
    compare_task_id=MAYBE,
    compare_type=MAYBE,
    compare_task_status=MAYBE,
    verdict=st.sampled_from(Verdict),
    counts=st.none() | COUNTS,
    differences=st.lists(st.fixed_dictionaries(IN_DIFFERENCE), max_size=2).map(
        lambda found: tuple(Difference(**one) for one in found)
    ),
    complete=st.booleans(),
    reason=MAYBE,
    started_at=st.none() | TIME,
    ended_at=st.none() | TIME,
)
MADE = st.builds(
    NewVerdict,
    key=TEXT,
    index=st.integers(0, 10**9),
    job_id=MAYBE,
    project_id=MAYBE,
    endpoint=MAYBE,
    status=st.sampled_from(Status),
    verdict=st.sampled_from(Verdict),
    final=st.booleans(),
    object_level_compare_result=st.none() | HALF,
    data_level_compare_result=st.none() | HALF,
    reason=MAYBE,
    decided_at=TIME,
    labels=st.dictionaries(TEXT, TEXT, max_size=2),
)


@given(MADE)
def test_its_line_is_what_the_model_writes(made: NewVerdict) -> None:
    line = made.to_line()
    told = VerdictLine.model_validate_json(line)
    assert told.to_line() == line
    assert (told.index, told.verdict) == (made.index, made.verdict)
    assert decoder_of(VerdictLine).decode(line).key == made.key  # which readers go by


@given(HALF)
def test_it_waits_on_disk_as_it_is(half: ConcludedComparison) -> None:
    waiting = entry()
    waiting.comparisons[0].verdict = half
    assert unpacked(packed(waiting)) == waiting


def test_it_has_the_fields_of_the_model() -> None:
    assert NewVerdict.__struct_fields__ == tuple(VerdictLine.model_fields)
    assert ConcludedComparison.__struct_fields__ == tuple(HalfVerdict.model_fields)


@given(st.integers(-62135596800000, 253402300799999))
def test_milliseconds_are_written_as_their_moment_is(moment: int) -> None:
    assert rfc3339_of_ms(moment) == rfc3339(utc(0.0) + timedelta(milliseconds=moment))
