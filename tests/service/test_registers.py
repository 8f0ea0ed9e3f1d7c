"""The waves that a service has accepted, whoever keeps them: one contract for SQLite's register and PostgreSQL's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batcher.clock import SystemClock
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.link import Connection, DatabaseLink
from batcher.journal.postgres.orders import order_wave
from batcher.service.audit import BEGUN, Audit, AuditEntry
from batcher.service.kept.database import ServiceDatabase
from batcher.service.kept.folders import Folder
from batcher.service.kept.port import WaveRegister
from batcher.service.kept.register import Register, WaveRow
from batcher.service.models import ReadAudit, State
from batcher.service.problem import Problem
from batcher.service.roles import Role, Who
from batcher.service.shared.database import SharedServiceDatabase
from batcher.service.shared.register import SharedRegister
from tests.journal.made import plan
from tests.journal.postgres.cluster import needed, prepared

ANNA = Who(name="anna", role=Role.SUBMIT, address="192.0.2.1")


def wave(id: str, **more: Any) -> WaveRow:
    return WaveRow(
        **{
            **{"id": id, "name": f"night {id}", "format": "csv", "digest": f"sha256:{id}", "entries": 3},
            **{"submitted_by": "anna", "created_at": 1_800_000_000.0, "state": State.QUEUED},
            **more,
        }
    )


def deed(id: str | None, action: str = "submit", **more: Any) -> AuditEntry:
    return AuditEntry(who=ANNA, action=action, wave=id, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "draft", "csv")
    made.path.mkdir()
    made.manifest.write_bytes(b"job_id\n" + b"job-1\n" * 200_000)  # more than a part of it
    return made


@pytest.fixture(params=["sqlite", "postgres"])
async def register(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[WaveRegister]:
    if request.param == "sqlite":
        database = ServiceDatabase(tmp_path / "service.sqlite", Audit(tmp_path / "audit.jsonl", SystemClock.now))
        yield Register(database)
        database.close()
        return
    shared = SharedServiceDatabase(prepared(needed()), SystemClock(), name="one")
    yield SharedRegister(shared)
    shared.close()


async def test_what_is_added_is_there_with_whose_deed_it_was(register: WaveRegister, folder: Folder) -> None:
    one = await register.add(wave("one"), None, deed("one", detail={"digest": "sha256:one"}), folder)
    two = await register.add(wave("two", state=State.HELD, given={"rate": "5/s"}), None, deed("two"), folder)
    assert await register.get("one") == one
    assert await register.get("two") == two
    assert two.number > one.number > 0
    assert await register.get("three") is None
    assert [row.id for row in await register.page(None, 10, None)] == ["two", "one"]
    assert [row.id for row in await register.page(None, 10, two.number)] == ["one"]
    assert [row.id for row in await register.page(State.HELD, 10, None)] == ["two"]
    assert [row.id for row in await register.in_states([State.HELD, State.QUEUED])] == ["one", "two"]
    assert await register.counts() == {State.HELD: 1, State.QUEUED: 1}
    lines, more = await register.audit_page(ReadAudit())
    assert [(line["who"], line["action"], line["wave"], line["outcome"]) for line in lines] == [
        ("anna", "submit", "one", "done"),
        ("anna", "submit", "two", "done"),
    ]
    assert lines[0]["detail"] == {"digest": "sha256:one"}
    assert lines[0]["at"].endswith("Z")
    assert more is None
    await register.probe()


async def test_a_key_is_one_wave_of_its_submitter_also_at_the_same_moment(
    register: WaveRegister, folder: Folder
) -> None:
    ids = [f"wave{number}" for number in range(6)]
    rows = await asyncio.gather(*(register.add(wave(id), "key", deed(id), folder) for id in ids))
    assert len({row.id for row in rows}) == 1
    assert sum((await register.counts()).values()) == 1
    found = await register.of_key("anna", "key")
    assert found == (rows[0].digest, rows[0])
    assert await register.of_key("berta", "key") is None
    lines, _ = await register.audit_page(ReadAudit())
    assert [line["wave"] for line in lines] == [rows[0].id]


async def test_a_change_is_decided_by_the_row_as_it_is_then(register: WaveRegister, folder: Folder) -> None:
    await register.add(wave("one"), None, deed("one"), folder)

    def more(row: WaveRow) -> Mapping[str, Any]:
        return {"priority": row.priority + 1}

    await asyncio.gather(*(register.change("one", more, deed("one", f"change {n}")) for n in range(20)))
    row = await register.get("one")
    assert row is not None
    assert row.priority == 20
    lines, _ = await register.audit_page(ReadAudit())
    assert [line["seq"] for line in lines] == list(range(1, 22))
    assert await register.change("none", more, deed("none")) is None
    assert len((await register.audit_page(ReadAudit()))[0]) == 21


async def test_what_is_refused_changes_nothing_and_is_nobodys_deed(register: WaveRegister, folder: Folder) -> None:
    added = await register.add(wave("one"), None, deed("one"), folder)

    def refuse(_: WaveRow) -> Mapping[str, Any]:
        raise Problem(409, "not now")

    with pytest.raises(Problem, match="not now"):
        await register.change("one", refuse, deed("one", "pause"))
    assert await register.get("one") == added
    assert [line["action"] for line in (await register.audit_page(ReadAudit()))[0]] == ["submit"]


async def test_deeds_are_read_in_pages_either_way(register: WaveRegister) -> None:
    for number in range(5):
        await register.record(deed(f"wave{number % 2}", f"deed {number}", outcome=BEGUN))
    first, after = await register.audit_page(ReadAudit(limit=2))
    assert [line["action"] for line in first] == ["deed 0", "deed 1"]
    assert after == 2
    newest, before = await register.audit_page(ReadAudit(limit=2, before=0))
    assert [line["action"] for line in newest] == ["deed 4", "deed 3"]
    rest, _ = await register.audit_page(ReadAudit(limit=9, before=before))
    assert [line["action"] for line in rest] == ["deed 2", "deed 1", "deed 0"]
    of_wave, _ = await register.audit_page(ReadAudit(wave="wave1"))
    assert [line["action"] for line in of_wave] == ["deed 1", "deed 3"]
    assert (await register.audit_page(ReadAudit(who="berta")))[0] == []


# --- in a database that machines share ----------------------------------------------------------------------


@pytest.fixture
async def shared() -> AsyncIterator[SharedServiceDatabase]:
    database = SharedServiceDatabase(prepared(needed()), SystemClock(), name="one")
    yield database
    database.close()


async def test_a_manifest_comes_back_as_it_was_handed_in(
    shared: SharedServiceDatabase, folder: Folder, tmp_path: Path
) -> None:
    register = SharedRegister(shared)
    row = await register.add(wave("one"), None, deed("one"), folder)
    await register.fetch_manifest(row, tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_bytes() == folder.manifest.read_bytes()


async def test_a_change_whose_answer_is_lost_is_done_once(
    shared: SharedServiceDatabase, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = SharedRegister(shared)
    await register.add(wave("one"), None, deed("one"), folder)
    done: Callable[..., Any] = DatabaseLink._done
    lost: list[bool] = []

    def losing(link: DatabaseLink, work: Callable[[Connection], Any]) -> Any:
        answer = done(link, work)
        if not lost:
            lost.append(True)
            link.connection.pgconn.finish()
            raise psycopg.OperationalError("the server closed the connection")
        return answer

    monkeypatch.setattr(DatabaseLink, "_done", losing)
    row = await register.change("one", lambda row: {"priority": row.priority + 1}, deed("one", "change"))
    assert lost
    assert row is not None
    assert row.priority == 1
    assert await register.get("one") == row
    assert [line["action"] for line in (await register.audit_page(ReadAudit()))[0]] == ["submit", "change"]


async def test_what_was_done_stays_on_record(shared: SharedServiceDatabase) -> None:
    register = SharedRegister(shared)
    await register.record(deed("one"))
    for statement in ("DELETE FROM service_audit", "UPDATE service_audit SET who = 'berta'"):
        with pytest.raises(psycopg.errors.RaiseException, match="stays on record"):
            shared.link.connection.execute(statement)


async def test_one_service_at_a_time_opens_a_wave(shared: SharedServiceDatabase, folder: Folder) -> None:
    register = SharedRegister(shared)
    await register.add(wave("one"), None, deed("one"), folder)
    assert await register.take_to_open("one", "service-1", 60.0) is not None
    assert await register.take_to_open("one", "service-2", 60.0) is None
    assert await register.take_to_open("one", "service-1", 0.0) is not None  # said again, and then it died
    assert await register.take_to_open("one", "service-2", 60.0) is not None
    opened = {"state": State.RUNNING, "is_open": True}
    late = await register.release("one", "service-1", lambda _: opened)
    assert late is not None
    assert not late.is_open
    await register.change("one", lambda _: {"state": State.STOPPED})
    stopped = await register.release("one", "service-2", lambda _: opened)
    assert stopped is not None
    assert stopped.state is State.STOPPED  # what somebody asked for meanwhile holds


@pytest.mark.parametrize(
    ("order", "goes_on"),
    [({}, True), ({"paused": "by hand"}, True), ({"deadline_in_s": -1.0}, False), ({"max_failures": 0}, False)],
)
async def test_a_wave_that_orders_have_ended_is_not_looked_into_for_ever(
    order: dict[str, Any], goes_on: bool, folder: Folder
) -> None:
    """One that nobody stopped, and that may go on, is found; else it would be asked for every few seconds."""
    address = prepared(needed())
    keeper = PostgresKeeper(address)
    record = keeper.new_wave("w1")
    plan(record, 3)
    order_wave(keeper.link, record.number, **order)
    keeper.close()
    database = SharedServiceDatabase(address, SystemClock(), name="tested")
    register = SharedRegister(database)
    try:
        await register.add(wave("w1", state=State.STOPPED), None, deed("w1"), folder)
        assert await register.gone_on_with() == (["w1"] if goes_on else [])
    finally:
        database.close()
