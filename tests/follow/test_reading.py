"""However the cloud cuts its results into pages, what is read is what was there."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.results import ResultPage
from batcher.drs.v3.classify import classify_results
from batcher.follow.reading import Reading, reading_of
from batcher.follow.verdict import Counts, Verdict, verdict_of_task
from tests.drs.answers import answer as answer_of

RESULTS = ["CONSISTENT", "CONSISTENT", "INCONSISTENT", "FAILED_TO_COMPARE", "CAN_NOT_COMPARE", "COMPARING"]
fleets = st.dictionaries(
    st.sampled_from(["shop", "crm", "log", "hr", "wiki"]),
    st.lists(st.sampled_from(RESULTS), max_size=8),
    min_size=1,
)
sizes = st.integers(1, 6)


def page_in(answered: dict[str, Any]) -> ResultPage:
    """The one page of results in an answer of the API."""
    outcome = classify_results(answer_of(200, answered), job_id="job-1")
    (page,) = outcome.results.values()
    return page


def overall(results: list[str]) -> str:
    """What the cloud says of a database: that of its worst table."""
    worst = sorted(results, key=lambda result: (result != "INCONSISTENT", result == "CONSISTENT"))
    return worst[0] if worst else "CONSISTENT"


def line_page(fleet: dict[str, list[str]], page: int, size: int, *, lengths: bool = True) -> ResultPage:
    """Page *page* of a row comparison's results: every list cut, its length told where *lengths*."""
    cut = slice((page - 1) * size, page * size)
    return answer(
        "line",
        fleet,
        cut,
        lambda database, table, result: {
            "source_table_name": table,
            "target_table_name": table,
            "source_row_num": 10,
            "target_row_num": 10 if result == "CONSISTENT" else 9,
            "line_compare_result": result,
        },
        lengths=lengths,
    )


def answer(kind: str, fleet: dict[str, list[str]], cut: slice, row: Any, *, lengths: bool) -> ResultPage:
    overview = [
        {"source_db_name": name, "target_db_name": name, f"{kind}_compare_result": overall(results)}
        for name, results in fleet.items()
    ]
    block: dict[str, Any] = {
        f"{kind}_compare_overview": overview[cut],
        f"{kind}_compare_details": [
            {
                "source_db_name": name,
                f"{kind}_compare_detail": [row(name, f"t{n}", result) for n, result in enumerate(results)][cut],
                **({f"{kind}_compare_detail_count": len(results)} if lengths else {}),
            }
            for name, results in fleet.items()
        ],
    }
    if lengths:
        block[f"{kind}_compare_overview_count"] = len(overview)
    return page_in({f"{kind}_compare_results": block})


def read(reading: Reading, page_of: Any, size: int) -> int:
    """Read until there is no more; returns how many pages that took."""
    number = 1
    while reading.add(page_of(number), size):
        number += 1
        assert number < 100, "it never ends"
    return number


def truth(fleet: dict[str, list[str]]) -> dict[str, int]:
    fields = {"CONSISTENT": "consistent", "INCONSISTENT": "inconsistent", "FAILED_TO_COMPARE": "failed_to_compare"}
    counted: dict[str, int] = {}
    for results in fleet.values():
        for result in results:
            name = fields.get(result, "cannot_be_compared")
            counted[name] = counted.get(name, 0) + 1
    return counted


@given(fleets, sizes, st.booleans())
def test_row_comparisons_are_read_in_full(fleet: dict[str, list[str]], size: int, lengths: bool) -> None:
    reading = reading_of("lines")
    read(reading, lambda number: line_page(fleet, number, size, lengths=lengths), size)
    assert reading.complete
    expected = truth(fleet)
    counts = reading.counts()
    assert counts == Counts(compared=sum(expected.values()), **expected)
    differing = {(name, f"t{n}") for name, results in fleet.items() for n, r in enumerate(results) if r != "CONSISTENT"}
    assert {(one.database, one.table) for one in reading.differences()} == differing
    consistent = bool(sum(expected.values())) and set(expected) == {"consistent"}
    assert (verdict_of_task("SUCCESSFUL", counts) is Verdict.CONSISTENT) == consistent


def test_where_all_agrees_the_first_page_is_enough() -> None:
    fleet = {"shop": ["CONSISTENT"] * 95}
    reading = reading_of("lines")
    assert read(reading, lambda number: line_page(fleet, number, 10), 10) == 1
    assert reading.counts() == Counts(compared=95, consistent=95)
    assert reading.complete


def test_where_something_differs_every_page_is_read() -> None:
    fleet = {"shop": ["CONSISTENT"] * 94 + ["INCONSISTENT"]}
    reading = reading_of("lines")
    assert read(reading, lambda number: line_page(fleet, number, 10), 10) == 10
    assert [one.table for one in reading.differences()] == ["t94"]


def test_a_list_that_ends_before_its_length_is_not_complete() -> None:
    """The first page counts 12 tables and tells 10; the others tell nothing."""
    fleet = {"shop": ["INCONSISTENT"] * 12}
    reading = reading_of("lines")
    read(reading, lambda number: line_page(fleet if number == 1 else {"shop": []}, 1, 10), 10)
    assert not reading.complete


def test_a_database_that_differs_as_a_whole_is_a_difference_of_its_own() -> None:
    block = {
        "line_compare_overview": [
            {"source_db_name": "shop", "target_db_name": "shop2", "line_compare_result": "TARGET_DB_NOT_EXIT"}
        ],
        "line_compare_overview_count": 1,
    }
    reading = reading_of("lines")
    reading.add(page_in({"line_compare_results": block}), 10)
    (only,) = reading.differences()
    assert (only.object_type, only.database, only.table, only.result) == ("DB", "shop", None, "TARGET_DB_NOT_EXIT")
    assert reading.counts() == Counts(compared=1, inconsistent=1)


def test_tables_that_value_comparisons_leave_out_are_no_agreement() -> None:
    block = {
        "content_compare_overview": [{"source_db_name": "shop", "content_compare_result": "CONSISTENT"}],
        "content_compare_overview_count": 1,
        "content_compare_details": [
            {
                "source_db_name": "shop",
                "content_compare_detail": [{"source_table_name": "orders", "content_compare_result": "CONSISTENT"}],
                "content_compare_detail_count": 1,
                "content_uncompare_detail": [{"source_table_name": "log", "message": "It has no primary key."}],
                "content_uncompare_detail_count": 1,
            }
        ],
    }
    reading = reading_of("contents")
    reading.add(page_in({"content_compare_results": block}), 10)
    assert reading.counts() == Counts(compared=2, consistent=1, cannot_be_compared=1)
    (left_out,) = reading.differences()
    assert (left_out.table, left_out.result, left_out.message) == ("log", "CAN_NOT_COMPARE", "It has no primary key.")


def test_values_that_agree_in_tables_of_unequal_length_do_not() -> None:
    """A value comparison walks from the source: rows that only the target has show in the number of rows alone."""
    row = {"source_table_name": "t", "content_compare_result": "CONSISTENT", "line_compare_result": "INCONSISTENT"}
    block = {
        "content_compare_overview": [{"source_db_name": "shop", "content_compare_result": "CONSISTENT"}],
        "content_compare_details": [{"source_db_name": "shop", "content_compare_detail": [row]}],
    }
    reading = reading_of("contents")
    reading.add(page_in({"content_compare_results": block}), 10)
    assert reading.counts() == Counts(compared=1, inconsistent=1)


def object_page(page: int, size: int) -> ResultPage:
    """Three types; of the views, five of eleven are missing at the target."""
    cut = slice((page - 1) * size, page * size)
    views = [
        {"source_db_name": "shop", "target_db_name": "shop", "source_db_value": f"v{n}", "target_db_value": ""}
        for n in range(5)
    ]
    overview = [
        {"object_type": "TABLE", "object_compare_result": "CONSISTENT", "source_count": 7, "target_count": 7},
        {
            "object_type": "VIEW",
            "object_compare_result": "INCONSISTENT",
            "source_count": 11,
            "target_count": 6,
            "diff_count": 5,
        },
        {"object_type": "EVENT", "object_compare_result": "CAN_NOT_COMPARE"},
    ]
    block = {"object_compare_overview": overview[cut], "object_compare_details": {"VIEW": views[cut]}}
    return page_in({"object_level_compare_results": block})


@given(st.integers(1, 12))
def test_object_comparisons_are_read_in_full(size: int) -> None:
    reading = reading_of("object_comparison")
    read(reading, lambda number: object_page(number, size), size)
    assert reading.complete
    assert reading.counts() == Counts(compared=19, consistent=13, inconsistent=5, cannot_be_compared=1)
    named = [(one.object_type, one.source_value) for one in reading.differences()]
    assert named == [*(("VIEW", f"v{n}") for n in range(5)), ("EVENT", None)]


def test_progress_is_the_share_of_what_is_final() -> None:
    reading = reading_of("lines")
    fleet = {"shop": ["CONSISTENT", "CONSISTENT", "COMPARING", "WAITING_FOR_COMPARISON"]}
    reading.add(line_page(fleet, 1, 10), 10)
    assert reading.done == 0.5
    assert reading_of("object_comparison").done is None


def test_an_answer_without_the_block_tells_nothing() -> None:
    for compare_type in ("lines", "contents", "object_comparison"):
        reading = reading_of(compare_type)
        assert not reading.add(None, 10)
        assert reading.counts() is None
        assert not reading.complete
