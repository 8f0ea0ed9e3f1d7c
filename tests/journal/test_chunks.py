"""A plan in chunks answers what one in memory does, however its entries lie, and takes little room on disk."""

import sqlite3
import tracemalloc
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from zlib import crc32

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batcher.journal.errors import JournalFailed
from batcher.journal.memory_record import MemoryRecord
from batcher.journal.ops import Happened, Settled
from batcher.journal.port import PlanWriter, Record
from batcher.journal.sqlite.chunk import MOST_BYTES, MOST_ENTRIES, Packer, unpacked
from batcher.journal.sqlite.hash_groups import HashGroups, hash_of, hashes_of, indexes_in
from batcher.journal.sqlite.keeper import SqliteKeeper, SqliteReader
from batcher.journal.sqlite.packing import checksum, plain_checksums
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.entry_columns import EntryColumns, in_columns
from batcher.life.result import Status
from batcher.rescue import check_journal
from tests.journal.made import ANSWER, INTENT, OTHER, in_rows
from tests.wave.made import SCOPE, entry

THIRD = Scope(2, "https://elsewhere.example", SCOPE.project_id)
SCOPES = [SCOPE, OTHER, THIRD]


def columns_of(entries: list[PlannedEntry]) -> EntryColumns:
    (columns,) = in_columns(entries)
    return columns


# --- what a chunk has -----------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
_ENTRY = st.builds(
    PlannedEntry,
    index=st.just(0),
    line=st.integers(1, 2**40),
    key=_TEXT,
    scope=st.just(SCOPE),
    job_id=_TEXT,
    body=st.one_of(st.binary(max_size=9), st.dictionaries(_TEXT, _TEXT).map(orjson.dumps)),
    x_language=st.sampled_from([None, "en-us", "zh-cn"]),
    labels=st.dictionaries(_TEXT, _TEXT, max_size=2),
)


@settings(max_examples=60)
@given(st.lists(_ENTRY, min_size=1, max_size=5), st.lists(st.integers(1, 3), min_size=5, max_size=5))
def test_what_is_packed_is_unpacked(drawn: list[PlannedEntry], steps: list[int]) -> None:
    entries = [replace(one, index=sum(steps[: number + 1])) for number, one in enumerate(drawn)]
    ((indexes, content),) = Packer().packed(columns_of(entries))
    chunk = unpacked(content, checksum(content, 1, 2), 1, 2)
    assert indexes == chunk.indexes == [one.index for one in entries] or isinstance(chunk.indexes, range)
    assert list(chunk.entries(range(len(entries)), SCOPE, frozenset(), None)) == entries


def test_it_is_compressed_where_that_halves_it() -> None:
    rng = Random(1)
    alike = [entry(index) for index in range(MOST_ENTRIES)]
    random = [replace(one, body=rng.randbytes(300)) for one in alike]
    packer = Packer()
    sizes = [
        len(content) / MOST_ENTRIES
        for chunk in (alike, random, alike)
        for _, content in packer.packed(columns_of(chunk))
    ]
    assert sizes[0] < 60
    assert sizes[1] > 300
    assert sizes[2] > 100  # a wave whose chunks do not shrink is not tried at each of them
    again = [len(content) / MOST_ENTRIES for _ in range(20) for _, content in packer.packed(columns_of(alike))]
    assert min(again) == sizes[0]


def test_large_entries_are_in_several_chunks() -> None:
    large = [replace(entry(index), labels={"why": f"{index}" * 300_000}) for index in range(8)]
    assert [indexes for indexes, _ in Packer().packed(columns_of(large))] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    (alone,) = Packer().packed(columns_of([replace(entry(0), body=b"x" * 3 * MOST_BYTES)]))
    assert unpacked(alone[1], checksum(alone[1])).bodies == [b"x" * 3 * MOST_BYTES]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[", b"[]\n", b"[0,1,[],[],[],[]]\n", b"x\x9c123", b"[0,1,2,3,4,5,6,0]\n", b"{}"),
        *(
            None,
            5,
            "text",
            b'[0,1,[],"j",null,null,null,false]\n',
            b'[[7,6],1,["a","b"],"j",null,null,null,false]\nx\ny',
        ),
        *(b'[%s,1,["a"],"j",null,null,null,false]\nx' % index for index in (b"null", b"0.5", b"-1", b'"a"', b"[null]")),
        *(b'[0,1,["a"],"j",null,null,[%d],false]\nx' % length for length in (0, 2)),
        b'[0,1,[7],"j",null,null,null,false]\nx',
    ],
)
def test_what_is_none_is_told(content: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpacked(content, checksum(content))


def test_hashes_lead_to_all_who_have_them() -> None:
    texts = [f"key-{index}" for index in range(3000)] + ["plumless", "buckeroo", "key-7", "two\nlines"]
    assert hash_of("plumless") == hash_of("buckeroo")  # so that whoever looks one up compares
    groups = HashGroups()
    groups.add(hashes_of(texts), range(len(texts)))
    assert hashes_of(["two\nlines", "b"]) == [hash_of("two\nlines"), hash_of("b")]
    found = sorted(groups.groups())
    assert len(found) == 3
    for index, text in enumerate(texts):
        hash_ = hash_of(text)
        group = next(pairs for first, pairs in reversed(found) if first <= hash_)
        assert index in indexes_in(group, hash_)
    assert groups.repeated() == [7, 3000, 3001, 3002]


# --- what is answered about a plan of many --------------------------------------------------------------


def planned(writes: PlanWriter, entries: int, rng: Random) -> None:
    """A plan whose scopes lie in stretches and far apart, with invalid entries, and with some jobs and keys twice."""
    for scope in SCOPES:
        writes.add_scope(scope)
    batch: list[PlannedEntry] = []
    scope = SCOPE
    for index in range(entries):
        if rng.random() < 0.01:
            scope = rng.choice(SCOPES)
        if rng.random() < 0.03:
            writes.add_invalid(index, index + 2, f"bad-{index}", None, b'{"wave_entries":null}\n')
            continue
        mine = OTHER if index % 400 == 13 else scope
        job = f"job-{rng.randrange(50) if rng.random() < 0.02 else index + 1000}"
        key = f"key-{index % 900}"
        batch.append(replace(entry(index, job=job), scope=mine, key=key, x_language=rng.choice([None, "en-us"])))
        if len(batch) == 700:
            writes.add_entries(batch)
            batch = []
    writes.add_entries(batch)
    writes.finish({"digest": "sha256:0"})


def history_of(entries: int, rng: Random) -> Iterator[Happened | Settled]:
    for index in range(0, entries, 1 + entries // 900):
        if rng.random() < 0.7:
            yield Happened(index=index, event=INTENT)
            if rng.random() < 0.7:
                yield Happened(index=index, event=ANSWER)
                if rng.random() < 0.7:
                    yield Settled(index=index, status=Status.CREATED, line=b"%d\n" % index)


def asked(record: Record, entries: int) -> dict[str, object]:
    """What is answered about the whole, and about a sample of the entries."""
    some = [*range(-1, entries + 2, entries // 8), entries - 1]
    return {
        "counts": [record.entry_count(), record.scope_sizes(), record.settled_counts(), record.is_settled()],
        "planned": [record.planned(one.number, after, 40) for one in SCOPES for after in some],
        "open_entries": [record.open_entries(one.number, after, 9) for one in SCOPES for after in some],
        "unfinished": [record.unfinished(after, 40) for after in some],
        "entry": [record.entry(index) for index in some],
        "line_of": [record.line_of(index) for index in some],
        "indexes_of_key": [record.indexes_of_key(f"{kind}-{index}") for index in some for kind in ("key", "bad")],
        "of_job": [sorted((e.index, v) for e, v in record.of_job(SCOPE, f"job-{number}")) for number in range(70)],
        "others": [
            sorted((e.index, v) for e, v in record.others_of_job(one))
            for index in some
            if (one := record.entry(index)) is not None
        ],
        "first_created": [record.first_created(one.number, 5) for one in SCOPES],
        "answered_around": [
            sorted(e.index for e, _ in record.answered_around(one))
            for index in some
            if (one := record.entry(index)) is not None
        ],
        "outline": list(record.outline()),
    }


@pytest.mark.parametrize(("entries", "seed"), [(300, 1), (4000, 2)])
def test_every_question_about_many_entries_is_answered_alike(tmp_path: Path, entries: int, seed: int) -> None:
    """By the record in memory, which takes its time for that, and by a journal in rows."""
    in_rows(tmp_path / "rows")
    keeper, rows = SqliteKeeper(tmp_path / "journal"), SqliteKeeper(tmp_path / "rows")
    expected = rows.wave() if entries > 300 else MemoryRecord()
    for record in (keeper.wave(), expected):
        with record.planning() as writes:
            planned(writes, entries, Random(seed))
    for record in (keeper.wave(), expected):
        record.commit([op for op in history_of(entries, Random(seed)) if expected.entry(op.index) is not None])
    told, known = asked(keeper.wave(), entries), asked(expected, entries)
    for name, answer in known.items():
        assert told[name] == answer, name
    keeper.close()
    rows.close()


def test_a_journal_takes_a_third_of_the_room_that_rows_take(tmp_path: Path) -> None:
    """Of rows of 300 bytes, whose jobs and databases are at random."""
    rng = Random(1)
    keeper = SqliteKeeper(tmp_path / "journal")
    with keeper.wave().planning() as writes:
        writes.add_scope(SCOPE)
        writes.add_entries(
            replace(
                entry(index, job=f"{rng.randrange(2**64):016x}"),
                key=f"{rng.randrange(2**80):020x}",
                body=b'{"job_id":"%016x","infos":"%s","db":"%012x"}' % (index, b"the same" * 20, rng.randrange(2**48)),
            )
            for index in range(20_000)
        )
        writes.finish({})
    keeper.close()
    assert (tmp_path / "journal").stat().st_size / 20_000 < 120


def test_chunks_are_whole_also_where_scopes_alternate(tmp_path: Path) -> None:
    """What is written by itself leaves room for what is still gathered: so only the last of each scope is smaller."""
    scopes = [Scope(number, SCOPE.endpoint, f"p{number}") for number in range(8)]
    keeper = SqliteKeeper(tmp_path / "journal")
    with keeper.wave().planning() as writes:
        for scope in scopes:
            writes.add_scope(scope)
        writes.add_entries(replace(entry(index), scope=scopes[index % 8]) for index in range(8 * 2000))
        writes.finish({})
    keeper.close()
    with closing(sqlite3.connect(tmp_path / "journal")) as database:
        sizes = Counter(size for (size,) in database.execute("SELECT entries FROM plan_chunks"))
    assert sizes == {MOST_ENTRIES: 8 * 7, 2000 - 7 * MOST_ENTRIES: 8}


def test_what_is_gathered_takes_the_memory_of_its_hashes() -> None:
    """While a manifest is checked, which takes its own: pairs are made after that."""
    groups = HashGroups()
    hashes = array("I", range(256))
    tracemalloc.start()
    try:
        for start in range(0, 256_000, 256):
            groups.add(hashes, range(start, start + 256))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 5 * 256_000


def test_groups_are_of_one_size_whatever_the_wave() -> None:
    """So that a look into one takes the same time."""
    rng = Random(1)
    groups = HashGroups()
    hashes = [rng.getrandbits(32) for _ in range(300_000)]
    for start in range(0, len(hashes), 1000):
        groups.add(hashes[start : start + 1000], range(start, start + 1000))
    found = list(groups.groups())
    assert max(len(pairs) for _, pairs in found[:-1]) < 8 * 1200
    assert sum(len(pairs) for _, pairs in found) == 8 * len(hashes)
    for index in range(0, len(hashes), 7919):
        group = next(pairs for first, pairs in reversed(found) if first <= hashes[index])
        assert index in indexes_in(group, hashes[index])
    times = Counter(hashes)
    assert groups.repeated() == [index for index, hash_ in enumerate(hashes) if times[hash_] > 1]


# One that seems to have other entries would have them sent again: under indexes whose entries have been sent.
DAMAGED = {
    "no chunk": "UPDATE plan_chunks SET content = x'5b5d' WHERE id = 2",
    "nothing": "UPDATE plan_chunks SET content = NULL WHERE id = 2",
    "another": (
        "UPDATE plan_chunks SET (content, crc) = (SELECT content, crc FROM plan_chunks WHERE id = 1) WHERE id = 2"
    ),
    "other indexes": "UPDATE plan_chunks SET first = first + 1, last = last + 1 WHERE id = 2",
}


def planned_whole(path: Path) -> None:
    keeper = SqliteKeeper(path)
    with keeper.wave().planning() as writes:
        writes.add_scope(SCOPE)
        writes.add_scope(OTHER)
        writes.add_entries(replace(entry(index), scope=OTHER if index >= 600 else SCOPE) for index in range(700))
        writes.finish({})
    keeper.close()


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_chunk_is_said_with_the_way_out(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "journal"
    planned_whole(path)
    change(path, DAMAGED[damage])
    reader = SqliteReader(path)
    record = reader.wave()
    assert [one.index for one in record.planned(0, -1, 256)] == list(range(256))
    with pytest.raises(
        JournalFailed, match=r"/journal: the entries 25[67] to 51[12] of its plan.*`batcher journal check"
    ):
        record.planned(0, 255, 256)
    assert record.entry(599) == replace(entry(599), wave_entries=700)
    reader.close()


ASKED: dict[str, Callable[[Record], object]] = {
    "plan_chunks": lambda record: [record.entry(index) for index in (0, 300, 650)],
    "plan_keys": lambda record: [record.indexes_of_key(f"key-{index}") for index in (0, 300, 650)],
    "plan_jobs": lambda record: record.of_job(SCOPE, "job-300"),
    "plan_scopes": lambda record: record.entry(300),
}


@pytest.mark.parametrize("table", ASKED)
def test_one_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path, table: str) -> None:
    """Also in a key, which is not compressed, so that nothing else would tell: it would only be another key."""
    path = tmp_path / "journal"
    planned_whole(path)
    with closing(sqlite3.connect(path)) as database:
        column = {"plan_chunks": "content", "plan_scopes": "numbers"}.get(table, "pairs")
        rows = database.execute(f"SELECT rowid, {column} FROM {table}").fetchall()  # noqa: S608
    rng = Random(1)
    for _ in range(12):
        content, places = bytearray(rows[0][1]), len(rows[0][1])
        content[rng.randrange(places)] ^= 1 << rng.randrange(8)
        change(path, f"UPDATE {table} SET {column} = ? WHERE rowid = ?", bytes(content), rows[0][0])  # noqa: S608
        reader = SqliteReader(path)
        with pytest.raises(
            JournalFailed, match=r"cannot read the journal .*/journal: .*checksum.*`batcher journal check"
        ):
            ASKED[table](reader.wave())
        reader.close()
    assert check_journal(path).wrong
    change(path, f"UPDATE {table} SET {column} = ? WHERE rowid = ?", rows[0][1], rows[0][0])  # noqa: S608
    assert check_journal(path).wrong == []


def test_the_checksum_of_plain_rows_is_the_same_in_every_python() -> None:
    """A key may have a character that only a later Python knows."""
    rows = {"plan_invalid": [(3, 4, "caf\u00e9 \U0001fae9", None)]}

    def ask(sql: str, values: tuple[int, int]) -> list[tuple[object, ...]]:
        return [
            row for table, all_of_it in rows.items() if f" {table} " in sql for row in all_of_it if row[0] > values[0]
        ]

    said = rb"[(3, 4, 'caf\xe9 \U0001fae9', None)]"
    assert plain_checksums(ask) == {"scopes": 0, "plan_invalid": crc32(said), "plan_shared": 0}


CHANGED = {
    "scopes": "UPDATE scopes SET project_id = replace(project_id, 'p', 'q') WHERE number = 0",
    "plan_invalid": "UPDATE plan_invalid SET idx = idx - 2",
    "plan_shared": "DELETE FROM plan_shared WHERE idx = 1",
}


@pytest.mark.parametrize("table", CHANGED)
def test_rows_that_are_not_packed_are_those_of_the_plan(tmp_path: Path, table: str) -> None:
    """They say where an entry goes, and which wait for each other: nothing is sent by others."""
    path = tmp_path / "journal"
    keeper = SqliteKeeper(path)
    with keeper.wave().planning() as writes:
        writes.add_scope(SCOPE)
        writes.add_entries(replace(entry(index), job_id="job", scope=SCOPE) for index in range(3))
        writes.add_invalid(3, 4, "invalid", None, b'{"wave_entries":null}\n')
        writes.finish({})
    keeper.close()
    assert "checksum" not in str(check_journal(path).wrong)
    change(path, CHANGED[table])
    keeper = SqliteKeeper(path)
    with pytest.raises(JournalFailed, match=f"its table {table} does not have its checksum.*`batcher journal check"):
        keeper.wave().scopes()
    with pytest.raises(JournalFailed, match="checksum"):
        keeper.wave().planned(0, -1, 10)
    keeper.close()
    if table == "scopes":
        with pytest.raises(JournalFailed, match="nobody knows where its entries would go"):
            check_journal(path)
    else:
        assert check_journal(path).wrong[0] == f"the table {table} does not have its checksum"
