"""Verdicts follow from what became of a comparison and its parts, and never flatter."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from batcher.follow.verdict import (
    Counts,
    Verdict,
    VerdictLine,
    verdict_of_entry,
    verdict_of_parts,
    verdict_of_task,
)
from tests.follow.make import difference, half, line

few = st.integers(0, 3)
counts = st.builds(
    lambda a, b, c, d: Counts(
        compared=a + b + c + d, consistent=a, inconsistent=b, failed_to_compare=c, cannot_be_compared=d
    ),
    few, few, few, few,
)  # fmt: skip
statuses = st.sampled_from([None, "SUCCESSFUL", "FAILED", "CANCELLED", "TIMEOUT_INTERRUPT", "RUNNING", "NEW_ONE"])


@given(counts)
def test_consistent_means_that_all_of_something_agrees(parts: Counts) -> None:
    all_agree = parts.compared > 0 and parts.consistent == parts.compared
    assert (verdict_of_parts(parts) is Verdict.CONSISTENT) == all_agree


@given(statuses, st.none() | counts)
def test_only_a_successful_comparison_can_be_consistent(status: str | None, parts: Counts | None) -> None:
    verdict = verdict_of_task(status, parts)
    if verdict is Verdict.CONSISTENT:
        assert status == "SUCCESSFUL"
        assert parts is not None


@given(statuses, counts)
def test_a_difference_counts_however_the_comparison_ended(status: str | None, parts: Counts) -> None:
    assert (verdict_of_task(status, parts) is Verdict.INCONSISTENT) == (parts.inconsistent > 0)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("FAILED", Verdict.FAILED),
        ("CANCELLED", Verdict.CANCELLED),
        ("TIMEOUT_INTERRUPT", Verdict.TIMEOUT),
        ("RUNNING", Verdict.UNKNOWN),
        ("SUCCESSFUL", Verdict.UNKNOWN),  # nothing could be read
        (None, Verdict.UNKNOWN),
    ],
)
def test_without_results_the_ending_speaks(status: str | None, verdict: Verdict) -> None:
    assert verdict_of_task(status, None) is verdict


@given(st.lists(st.sampled_from(list(Verdict)), min_size=1))
def test_an_entry_is_as_good_as_its_worst_half(verdicts: list[Verdict]) -> None:
    assert (verdict_of_entry(verdicts) is Verdict.CONSISTENT) == (set(verdicts) == {Verdict.CONSISTENT})
    assert verdict_of_entry([*verdicts, Verdict.INCONSISTENT]) is Verdict.INCONSISTENT


def test_nothing_compared_is_nothing_known() -> None:
    assert verdict_of_entry([]) is Verdict.UNKNOWN
    assert verdict_of_parts(Counts()) is Verdict.UNKNOWN


def test_a_line_fits_its_schema_and_reads_back() -> None:
    made = line(half(difference(), difference(None, message="gone")))
    schema = VerdictLine.model_json_schema(mode="serialization")
    Draft202012Validator(schema).validate(orjson.loads(made.to_line()))
    assert VerdictLine.model_validate_json(made.to_line()) == made
    assert made.to_line().count(b"\n") == 1
