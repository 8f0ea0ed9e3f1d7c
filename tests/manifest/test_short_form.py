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


MEANT = [
    # full-width signs
    ("shop：orders，items；hr", "has full-width signs between its names", "shop: orders, items; hr"),  # noqa: RUF001
    ("shop: orders、items", "has full-width signs between its names", "shop: orders, items"),
    ("“shop：orders，items”", "has full-width signs between its names", "shop: orders, items"),  # noqa: RUF001
    # quotes, backticks and brackets
    ('"shop": "orders", items', 'has the database ""shop"", which stands in quotes of its own', "shop: orders, items"),
    ("shop: 'orders'", "has the table \"'orders'\", which stands in quotes of its own", "shop: orders"),
    ("`shop`: `orders`", 'has the database "`shop`", which stands in quotes of its own', "shop: orders"),
    ("“shop”: orders", 'has the database "“shop”", which stands in quotes of its own', "shop: orders"),
    ("[shop]: [orders]", 'has the database "[shop]", which stands in quotes of its own', "shop: orders"),
    ('"shop: orders"', 'has the database ""shop", with a quote or bracket that has no other half', "shop: orders"),
    (
        "shop: [orders, items]; hr",
        'has the table "[orders", with a quote or bracket that has no other half',
        "shop: orders, items; hr",
    ),
    (
        "hr; shop: (orders, items)",
        'has the table "(orders", with a quote or bracket that has no other half',
        "hr; shop: orders, items",
    ),
    ('shop: "a, b"', 'has the table ""a", with a quote or bracket that has no other half', None),
    ("shop: orders”", 'has the table "orders”", with a quote or bracket that has no other half', None),
    (
        "shop: [dbo].[orders]",
        'has the table "[dbo].[orders]", of which a part stands in quotes of its own',
        "shop: dbo.orders",
    ),
    # stars
    ("shop: *", "has a *, and there are no patterns: a database alone stands for all its tables", "shop"),
    ("shop.*; hr", "has a *, and there are no patterns: a database alone stands for all its tables", "shop; hr"),
    ("shop: orders, *", "has a *, and there are no patterns: a database alone stands for all its tables", "shop"),
    ("*", "has a *, and there are no patterns: a database alone stands for all its tables", None),
    ("shop: ord*", "has a *, and there are no patterns: a database alone stands for all its tables", None),
    # the database before its table
    ("shop.orders", 'has the database "shop.orders" with a point in it, and no table', "shop: orders"),
    ("`shop`.`orders`", 'has the database "`shop`.`orders`" with a point in it, and no table', "shop: orders"),
    ("shop.dbo.orders", 'has the database "shop.dbo.orders" with a point in it, and no table', "shop: dbo.orders"),
    (
        "shop.orders, shop.items; hr.pay",
        "has a comma, but no database before a colon, in part 1",
        "shop: orders, items; hr: pay",
    ),
    ("shop: shop.orders, items", 'names the database again in the table "shop.orders"', "shop: orders, items"),
    # named twice
    ("shop: orders, items, orders", 'names the table "orders" of shop twice', "shop: orders, items"),
    ("shop: orders; shop: orders", 'names the table "orders" of shop twice', "shop: orders"),
    ("shop; hr; shop", "names shop twice", "shop; hr"),
    ("shop; shop: orders", "names shop as a whole, and tables of it as well", "shop"),
]


@pytest.mark.parametrize(("text", "problem", "form"), MEANT)
def test_what_other_tools_write_shows_the_form_that_was_meant(text: str, problem: str, form: str | None) -> None:
    """And that form is taken, so that the mend works; where it cannot be told, the form is explained."""
    with pytest.raises(BadCell) as caught:
        parse_cell(text)
    assert caught.value.problem == problem
    shown = form or "db: table1, table2; db2: table3; db3"
    assert caught.value.mend == f"Write {shown}. A name that is really so needs the JSON form"
    assert parse_cell(shown)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("NULL", 'has the database "NULL", a word for nothing: databases and DBeaver write it'),
        ("shop: orders, None", 'has the table "None", a word for nothing: Python writes it'),
        (r"shop: \N", r'has the table "\N", a word for nothing: MySQL and PostgreSQL write it'),
    ],
)
def test_a_word_for_nothing_is_left_out(text: str, problem: str) -> None:
    """What was meant is nothing, and that is written with nothing."""
    with pytest.raises(BadCell) as caught:
        parse_cell(text)
    assert caught.value.problem == problem
    assert caught.value.mend == "Leave it out, or leave the cell empty. A name that is really so needs the JSON form"


@pytest.mark.parametrize(
    "text", ["shop: dbo.orders", "shop: o'neil, f(x)", "shop: orders; shop: items", "my-shop: $orders, a#b", "店: 订单"]
)
def test_what_only_looks_odd_is_taken(text: str) -> None:
    """A schema before a table, signs inside of a name, one database in two parts."""
    assert parse_cell(text)


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
