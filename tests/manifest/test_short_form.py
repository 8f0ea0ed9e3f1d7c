"""`compare_object_infos` in one cell."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.manifest.short_form import BadCell, format_cell, parse_cell


@pytest.mark.parametrize(
    ("text", "infos"),
    [
        ("db", [{"db_name": "db"}]),
        ("db: a", [{"db_name": "db", "table_name": ["a"]}]),
        (
            "db: a, b ;db2:c; db3",
            [{"db_name": "db", "table_name": ["a", "b"]}, {"db_name": "db2", "table_name": ["c"]}, {"db_name": "db3"}],
        ),
        ("db: a;", [{"db_name": "db", "table_name": ["a"]}]),
        ("my db: my table, ünï", [{"db_name": "my db", "table_name": ["my table", "ünï"]}]),
        ('[{"db_name": "a:b", "table_name": ["x;y"]}]', [{"db_name": "a:b", "table_name": ["x;y"]}]),
        ("[]", []),
        ('{"db_name": "a"}', {"db_name": "a"}),
    ],
)
def test_both_forms(text: str, infos: Any) -> None:
    """The short one, and the API's JSON."""
    assert parse_cell(text) == infos


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a, b", "has a comma, but no database before a colon, in part 1"),
        ("a; : b", "names tables, but no database before the colon in part 2"),
        ("a;; b", "names no database in part 2"),
        (";", "names no database in part 1"),
        ("a: b: c", "has two colons in part 1"),
        ("a: b,", "has an empty table name in part 1"),
        ("a:", "has an empty table name in part 1"),
        ("[", "is not JSON at character 2: a value is expected here"),
        ('[{"db_name": "a", "db_name": "b"}]', 'has the key "db_name" twice in one object'),
        ("[NaN]", "is not JSON: NaN is no JSON value"),
        ("[" * 5000, "is not JSON: the value is nested too deep"),
    ],
)
def test_what_is_neither(text: str, problem: str) -> None:
    """The part or the character is named."""
    with pytest.raises(BadCell) as caught:
        parse_cell(text)
    assert caught.value.problem == problem


NAMES = st.text(min_size=1, max_size=6)


@given(
    st.lists(
        st.builds(
            lambda db, tables: {"db_name": db} | ({"table_name": tables} if tables else {}),
            NAMES,
            st.lists(NAMES, max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_written_in_the_short_form_reads_back(infos: list[dict[str, Any]]) -> None:
    """Or it is not written so."""
    text = format_cell(infos)
    if text is not None:
        assert parse_cell(text) == infos
