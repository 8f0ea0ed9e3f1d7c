"""The one statement that records: what it holds up, what it is beside older processes, and that it is prepared."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from msgspec.structs import replace

from batcher.journal.errors import LaneLost
from batcher.journal.ops import Happened, Op, Settled
from batcher.journal.postgres.keeper import PostgresKeeper, PostgresWrittenRecord
from batcher.journal.postgres.orders import order_wave
from batcher.journal.postgres.writing import CommitWriter
from batcher.life.entry import Scope
from batcher.life.result import Status
from tests.journal.made import ANSWER, INTENT, plan
from tests.journal.postgres.cluster import needed, prepared
from tests.wave.made import SCOPE, entry


@pytest.fixture
def keeper() -> Iterator[PostgresKeeper]:
    with closing(PostgresKeeper(prepared(needed()))) as keeper:
        yield keeper


def planned(keeper: PostgresKeeper, scopes: int) -> PostgresWrittenRecord:
    """A wave that has one entry in each of so many scopes."""
    record = keeper.new_wave("tested")
    those = [Scope(number, SCOPE.endpoint, f"project {number}") for number in range(scopes)]
    plan(record, (replace(entry(scope.number), scope=scope) for scope in those), those)
    return record


def created(index: int) -> Settled:
    return Settled(index=index, status=Status.CREATED, line=b"%d\n" % index)


@pytest.mark.parametrize("scopes", [2, 16, 17, 40])
def test_who_has_no_lease_writes_about_what_nobody_has(keeper: PostgresKeeper, scopes: int) -> None:
    """However many scopes the wave has besides."""
    record = planned(keeper, scopes)
    keeper.link.do(
        lambda c: c.execute("UPDATE scopes SET owner = 'x', lease_until = now() WHERE project_id = 'project 1'")
    )
    record.commit([Happened(index=0, event=INTENT)], [Happened(index=0, event=ANSWER), created(0)])
    about: list[list[Op]] = [
        [Happened(index=1, event=INTENT)],
        [created(1)],
        [Happened(index=0, event=ANSWER), created(1)],
    ]
    for ops in about:
        with pytest.raises(LaneLost, match="another process has a lease on what this is about"):
            record.commit(ops)
    assert [record.events(index) for index in range(2)] == [[INTENT, ANSWER], []]
    assert record.settled_counts() == {0: 1}
    assert record.late_answers(0, 1) == []


def test_groups_of_several_leases_in_one_commit_keep_to_themselves(keeper: PostgresKeeper) -> None:
    """One is lost, one may not intend, one has no lease: the others are numbered as if these had not been there."""
    record = planned(keeper, 4)
    other = keeper.new_wave("other")
    plan(other, 3)
    keeper.link.do(lambda c: c.execute("UPDATE scopes SET epoch = 5, owner = 'x', lease_until = now() WHERE id <= 3"))
    order_wave(keeper.link, other.number, paused="by hand")
    here = [record.binding(Scope(n, SCOPE.endpoint, f"project {n}"), 5 if n else 4) for n in range(3)]
    free = record.binding()
    elsewhere = other.binding()
    writer = CommitWriter(keeper.link, uuid4())
    told = writer.write(
        [
            (here[0], [Happened(index=0, event=ANSWER), created(0)]),
            (here[1], [Happened(index=1, event=INTENT), Happened(index=1, event=ANSWER), created(1)]),
            (elsewhere, [Happened(index=0, event=INTENT)]),
            (elsewhere, [created(0)]),
            (free, [created(3)]),
            (free, [created(2)]),
            (elsewhere, [created(1)]),
            (here[2], [created(2)]),
        ]
    )
    seqs = [getattr(one, "seq", None) for one in told]
    assert seqs == [None, 0, None, 0, 1, None, 1, 2]
    assert [type(one).__name__ for one in (told[0], told[2], told[5])] == ["LaneLost", "IntentRefused", "LaneLost"]
    assert [*record.lines()] == [b"1\n", b"3\n", b"2\n"]
    assert [*other.lines()] == [b"0\n", b"1\n"]
    assert (record.next_seq(), record.status_counts(), record.settled_counts()) == (
        3, {Status.CREATED: 3}, {1: 1, 2: 1, 3: 1}
    )  # fmt: skip
    assert (record.events(0), record.events(1), other.events(0)) == ([], [INTENT, ANSWER], [])
    assert record.late_answers(0, 4) == [ANSWER]


_AS_BEFORE = """
SELECT lost, seqs, refused, whys FROM record_ops(
    2, %s, %s, false, ARRAY[%s::int, %s::int], ARRAY[%s::int, %s::int], ARRAY[%s::bigint, %s::bigint],
    '{1}', '{1}', '{0}', '{intended}', ARRAY[%s::bytea], '{2}', '{2}', ARRAY[%s::int], '{created}', '{line}',
    NULL, NULL, NULL, NULL, NULL, NULL)
"""


def test_a_process_of_an_older_version_goes_on_beside(keeper: PostgresKeeper) -> None:
    """The database is prepared for this version while it runs: it is counted, fenced and stopped as before."""
    record = keeper.new_wave("tested")
    plan(record, 4)
    keeper.link.do(lambda c: c.execute("UPDATE scopes SET epoch = 2, owner = 'x', lease_until = now()"))
    mine, writer = record.binding(SCOPE, 2), CommitWriter(keeper.link, uuid4())
    writer.write([(mine, [created(0)])])
    older, place = uuid4(), mine.scope

    def as_before(number: int, epoch: int, index: int) -> object:
        waves = (record.number, record.number, place, place, epoch, epoch)
        return keeper.link.row(_AS_BEFORE, (older, number, *waves, b"{}", index))

    assert as_before(1, 2, 1) == ([], [1], [], [])
    assert as_before(2, 1, 3) == ([1, 2], [None], [], [])
    (receipt,) = writer.write([(mine, [created(2)])])
    assert getattr(receipt, "seq", None) == 2
    order_wave(keeper.link, record.number, stop="by hand")
    assert as_before(3, 2, 3) == ([], [3], [1], ["stopped"])


def test_it_is_prepared_once_and_nothing_else_is(keeper: PostgresKeeper) -> None:
    record = planned(keeper, 1)
    for _ in range(3):
        record.commit([Happened(index=0, event=INTENT)])
        record.events(0)
    (row,) = keeper.link.rows(
        "SELECT position('record_commit(' IN statement) > 0, generic_plans + custom_plans FROM pg_prepared_statements"
    )
    assert row == (True, 3)
