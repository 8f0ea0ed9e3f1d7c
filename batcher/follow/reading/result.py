"""The cloud's words for how something compares, and what they count as."""

from collections.abc import Sequence

from batcher.drs.results import ResultPage
from batcher.follow.verdict import CompareResult

TABLE = "TABLE"
_UNFINISHED = frozenset({CompareResult.COMPARING, CompareResult.WAITING_FOR_COMPARISON})
_FIELDS = {
    CompareResult.CONSISTENT: "consistent",
    CompareResult.INCONSISTENT: "inconsistent",
    CompareResult.TARGET_DB_NOT_EXIT: "inconsistent",
    "TARGET_DB_NOT_EXIST": "inconsistent",  # the newer API's spelling
    CompareResult.FAILED_TO_COMPARE: "failed_to_compare",
}


def field_of(result: str | None) -> str:
    """The field of `Counts` that *result* counts in; what is unfinished or unheard of was not compared."""
    return _FIELDS.get(result or "", "cannot_be_compared")


def problem_of(page: ResultPage | None) -> str | None:
    """Why *page* tells no results; None where it does."""
    if page is None:
        return "the answer holds no results of it"
    return (page.error_msg or page.error_code) if page.error_code else None


def share_done(results: Sequence[str | None]) -> float | None:
    """Which part of *results* is final, 0 to 1; None: there are none."""
    return sum([result not in _UNFINISHED for result in results]) / len(results) if results else None
