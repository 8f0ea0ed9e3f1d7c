"""What is compared again: no less than what is not known to agree."""

import pytest

from batcher.follow.recheck import objects_again
from batcher.follow.verdict import HalfVerdict
from tests.follow.make import difference, half


def test_only_the_tables_that_differ_are_compared_again() -> None:
    found = objects_again(half(difference("orders"), difference("items"), difference("log", "audit")))
    assert found == [
        {"db_name": "shop", "table_name": ["orders", "items"]},
        {"db_name": "audit", "table_name": ["log"]},
    ]


def test_a_database_that_differs_as_a_whole_is_compared_as_a_whole() -> None:
    found = objects_again(half(difference("orders"), difference(None, object_type="DB")))
    assert found == [{"db_name": "shop"}]


@pytest.mark.parametrize(
    "data",
    [
        half(difference(), complete=False),
        half(difference(), compare_task_status="CANCELLED"),
        half(difference(), compare_task_status="TIMEOUT_INTERRUPT"),
        half(difference(None, None)),
        half(),
    ],
)
def test_where_tables_may_be_missing_all_of_it_is_compared_again(data: HalfVerdict) -> None:
    assert objects_again(data) is None
