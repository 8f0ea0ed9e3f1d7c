"""What of a job is compared, and how its tables are written: the rules, without a cloud."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batcher.discover.choice import ChosenComparisons, ComparisonOptions, Guess, barred, choose
from batcher.discover.objects import ObjectSource, ReplicatedObjects
from batcher.discover.selection import LeftOut, LeftOutReason
from batcher.drs.fleet import JobDetail, ListedJob, SelectedObject
from batcher.drs.v3.create_compare_task import CreateCompareTaskReq

JOB = ListedJob(id="jb1", name="n", status="INCRE_TRANSFER_STARTED", kind="migration", engine="mysql", direction="up")
DETAIL = JobDetail(id="jb1", source_instance="in01", target_instance="in02")


def objects(*tables: str) -> ReplicatedObjects:
    """Objects written `database.table`, or a database alone."""
    found = (text.split(".") for text in tables)
    return ReplicatedObjects(
        objects=tuple(SelectedObject(database=part[0], table=part[1] if len(part) > 1 else None) for part in found),
        source=ObjectSource.MAPPINGS,
    )


def chosen(
    given_objects: ReplicatedObjects | None, wanted: ComparisonOptions, job: ListedJob = JOB
) -> ChosenComparisons:
    found = choose(job, DETAIL, given_objects, wanted)
    assert isinstance(found, ChosenComparisons), found
    return found


def infos(body: Any) -> list[tuple[str, list[str] | None]]:
    return [
        (info["db_name"], info.get("table_name")) for info in body["data_level_compare_info"]["compare_object_infos"]
    ]


def test_auto_is_objects_and_lines() -> None:
    (body,) = chosen(objects("shop.orders", "shop.items"), ComparisonOptions()).bodies
    assert body["object_level_compare_type"] == "objects"
    assert body["data_level_compare_info"]["compare_type"] == "lines"
    assert infos(body) == [("shop", ["items", "orders"])]


def test_values_stand_alone() -> None:
    (body,) = chosen(objects("shop.orders"), ComparisonOptions(compare="contents")).bodies
    assert "object_level_compare_type" not in body
    assert body["data_level_compare_info"]["compare_type"] == "contents"


def test_a_link_without_values_bars_them_and_says_what_can_be_done() -> None:
    job = replace(JOB, kind="sync", engine="mysql-to-postgresql")
    left_out = barred(job, ComparisonOptions(compare="contents"))
    assert left_out is not None
    assert left_out.reason is LeftOutReason.NOT_SUPPORTED
    assert "--compare lines" in left_out.why
    assert barred(job, ComparisonOptions(compare="lines")) is None


def test_a_link_that_no_table_speaks_of_is_marked() -> None:
    job = replace(JOB, engine="oracle-to-dws", kind="sync")
    found = chosen(objects("a.b"), ComparisonOptions(), job)
    assert Guess.SUPPORT in found.guesses
    assert found.labels["support"] == "not documented"
    assert chosen(objects("a.b"), ComparisonOptions()).labels["support"] == "documented"


@pytest.mark.parametrize(
    ("schema_as", "expected"), [("database", [("public", ["t"])]), ("prefix", [("db", ["public.t"])])]
)
def test_a_schema_is_written_as_the_guess_or_the_option_has_it(schema_as: Any, expected: Any) -> None:
    item = SelectedObject(database="db", schema="public", table="t")
    found = chosen(
        ReplicatedObjects(objects=(item,), source=ObjectSource.MAPPINGS), ComparisonOptions(schema_as=schema_as)
    )
    assert infos(found.bodies[0]) == expected
    assert Guess.SCHEMA in found.guesses


@pytest.mark.parametrize(("names_of", "expected"), [("source", [("a", ["t"])]), ("target", [("b", ["u"])])])
def test_names_that_differ_are_the_sources_or_the_targets(names_of: Any, expected: Any) -> None:
    item = SelectedObject(database="a", table="t", target_database="b", target_table="u")
    found = chosen(
        ReplicatedObjects(objects=(item,), source=ObjectSource.MAPPINGS), ComparisonOptions(names_of=names_of)
    )
    assert infos(found.bodies[0]) == expected
    assert found.guesses == {Guess.NAMES}


def test_patterns_choose_tables() -> None:
    some = objects("shop.orders", "shop.log_1", "stock.log_2", "stock.items")
    assert infos(chosen(some, ComparisonOptions(without=("log_*",))).bodies[0]) == [
        ("shop", ["orders"]),
        ("stock", ["items"]),
    ]
    assert infos(chosen(some, ComparisonOptions(only=("shop.*",))).bodies[0]) == [("shop", ["log_1", "orders"])]
    left_out = choose(JOB, DETAIL, some, ComparisonOptions(only=("nothing",)))
    assert isinstance(left_out, LeftOut)
    assert left_out.reason is LeftOutReason.NO_OBJECTS


def test_databases_alone() -> None:
    found = chosen(objects("shop.orders", "stock.items"), ComparisonOptions(databases_only=True))
    assert infos(found.bodies[0]) == [("shop", None), ("stock", None)]
    assert found.guesses == {Guess.BARE_DATABASE}


def test_a_database_whose_tables_nobody_tells_is_a_guess_or_left_out() -> None:
    found = chosen(objects("shop"), ComparisonOptions())
    assert infos(found.bodies[0]) == [("shop", None)]
    assert found.guesses == {Guess.BARE_DATABASE}
    assert isinstance(choose(JOB, DETAIL, objects("shop"), ComparisonOptions(bare_databases="leave-out")), LeftOut)


def test_parts_need_a_file_each() -> None:
    left_out = choose(JOB, DETAIL, objects("a.b", "a.c"), ComparisonOptions(max_tables=1, may_split=False))
    assert isinstance(left_out, LeftOut)
    assert left_out.reason is LeftOutReason.TOO_MANY_TABLES


def test_nobody_tells_its_objects() -> None:
    everything = replace(DETAIL, takes_all=True)
    left_out = choose(JOB, everything, objects(), ComparisonOptions())
    assert isinstance(left_out, LeftOut)
    assert left_out.reason is LeftOutReason.NO_OBJECTS
    assert "replicates everything" in left_out.why


names = st.text("abc", min_size=1, max_size=3)


@given(st.sets(st.tuples(names, names), min_size=1, max_size=40), st.integers(1, 7))
def test_parts_hold_every_table_once_and_none_too_many(tables: set[tuple[str, str]], most: int) -> None:
    found = chosen(objects(*(".".join(pair) for pair in tables)), ComparisonOptions(max_tables=most))
    parts = [infos(body) for body in found.bodies]
    written = [(name, table) for part in parts for name, some in part for table in some or ()]
    assert sorted(written) == sorted(tables)
    assert all(sum(len(some or ()) for _, some in part) <= most for part in parts)
    assert len(parts) == -(-len(tables) // most)
    assert ["object_level_compare_type" in body for body in found.bodies] == [True] + [False] * (len(parts) - 1)
    for body in found.bodies:
        CreateCompareTaskReq.model_validate(body)


def schemas(*names: str) -> ReplicatedObjects:
    """Tables written `database.schema.table`."""
    found = (text.split(".") for text in names)
    return ReplicatedObjects(
        objects=tuple(SelectedObject(database=part[0], schema=part[1], table=part[2]) for part in found),
        source=ObjectSource.MAPPINGS,
    )


def test_schemas_of_one_name_in_two_databases_are_not_taken_for_one() -> None:
    both = schemas("one.public.t", "two.public.t", "two.audit.t")
    left_out = choose(JOB, DETAIL, both, ComparisonOptions())
    assert isinstance(left_out, LeftOut)
    assert left_out.reason is LeftOutReason.AMBIGUOUS
    assert "--schema-as prefix" in left_out.why
    (body,) = chosen(both, ComparisonOptions(schema_as="prefix")).bodies
    assert infos(body) == [("one", ["public.t"]), ("two", ["audit.t", "public.t"])]
    (body,) = chosen(both, ComparisonOptions(only=("audit.*",))).bodies  # what patterns leave out is in nobody's way
    assert infos(body) == [("audit", ["t"])]
