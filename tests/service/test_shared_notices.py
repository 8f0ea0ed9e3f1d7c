"""Notifications of services over one database: each is told once, whichever service did it and whichever dies."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from batcher.clock import SystemClock
from batcher.journal.postgres.address import Address
from batcher.service.audit import AuditEntry
from batcher.service.given import ServedProfiles
from batcher.service.kept.folders import Folder
from batcher.service.kept.register import WaveRow
from batcher.service.models import State
from batcher.service.notices.desk import Desk
from batcher.service.notices.outbox import Message
from batcher.service.notices.targets import Event, Target
from batcher.service.shared.database import SharedServiceDatabase
from batcher.service.shared.outbox import SharedOutbox
from batcher.service.shared.register import SharedRegister
from batcher.simulator.server import Simulator
from tests.journal.postgres.cluster import needed, prepared
from tests.service.serving import csv, eventually, process, serving
from tests.service.test_notices import SECRET, Receiver
from tests.service.test_registers import deed, wave

PORTAL = Target(name="portal", events=frozenset(Event))
TEAM = Target(name="team", events=frozenset([Event.STOPPED]))


@pytest.fixture
def address() -> Address:
    return prepared(needed())


def config_of(tmp_path: Path, url: str) -> Path:
    """A config file that names a webhook."""
    (tmp_path / "secret").write_text(SECRET)
    config = tmp_path / "batcher.toml"
    config.write_text(f'[notifications.portal]\nurl = "{url}"\nsecret_file = "{tmp_path / "secret"}"\n')
    return config


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """What came, in order: the event, and the wave's id."""
    bodies = [orjson.loads(body) for _, body in receiver.came]
    return [(body["type"], body["data"]["wave"]["id"]) for body in bodies]


async def until_noted(address: Address) -> None:
    """Until a message was turned away, and that is noted."""
    database = SharedServiceDatabase(address, SystemClock(), name="looks on")

    async def is_noted() -> bool:
        return bool(await database.ask(lambda link: link.rows("SELECT 1 FROM service_outbox WHERE attempts = 1")))

    try:
        await eventually(is_noted)
    finally:
        database.close()


async def test_each_is_told_once_where_two_services_tell(cloud: Simulator, tmp_path: Path, address: Address) -> None:
    receiver = Receiver(200)
    async with receiver.serving(tmp_path) as who:
        own = ServedProfiles(config=config_of(tmp_path, str(who.url)))
        async with (
            serving(tmp_path, database=address, workers=0, service=own) as one,
            serving(tmp_path, database=address, workers=1, service=own) as two,
        ):
            waves = [(await service.submit(csv(2, first)))["id"] for first, service in ((0, one), (10, two), (20, one))]
            for id in waves:
                await two.until(id, State.ENDED)
            await eventually(lambda: len(receiver.came) >= 3)
            async with one.client.get("/metrics") as answer:
                counted = [line for line in (await answer.text()).splitlines() if 'target="portal"' in line]
    assert sorted(told(receiver)) == sorted(("wave.ended", id) for id in waves)
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 3
    assert any(line.startswith("batcher_notifications{") for line in counted)


async def test_what_a_killed_service_left_is_told_by_another(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    """The receiver is away while one service lives: what it noted comes from the other, once."""
    receiver = Receiver(503)
    async with receiver.serving(tmp_path) as who:
        config = config_of(tmp_path, str(who.url))
        with process(None, "--database", str(address), "--config", str(config)) as one:
            async with serving(tmp_path, database=address, workers=0, service=ServedProfiles(config=config)) as two:
                id = (await two.submit(csv(2)))["id"]
                await two.until(id, State.ENDED)
                await receiver.until(1)
                await until_noted(address)  # whoever dies before that has taken it for two minutes
                one.kill()
                receiver.statuses = [200]
                await receiver.until(2)
                await asyncio.sleep(0.3)
    assert told(receiver) == [("wave.ended", id)] * 2  # the first was turned away
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1


@pytest.fixture
def database(address: Address) -> Iterator[SharedServiceDatabase]:
    database = SharedServiceDatabase(address, SystemClock(), name="one")
    yield database
    database.close()


async def ended(database: SharedServiceDatabase, tmp_path: Path, id: str, targets: Sequence[Target] = ()) -> None:
    """A wave that ends at a service with these *targets*."""
    register = SharedRegister(database, Desk(targets, SystemClock()))
    folder = Folder(tmp_path / id, "csv")
    folder.path.mkdir()
    folder.manifest.write_bytes(b"job_id\n")
    added: AuditEntry = deed(id)
    row: WaveRow = wave(id)
    await register.add(row, None, added, folder)
    await register.change(id, lambda _: {"state": State.ENDED, "exit_code": 0})


async def taken(box: SharedOutbox, target: Target = PORTAL) -> Message | None:
    messages, _ = await box.due(target, 20)
    return messages[0] if messages else None


async def test_who_has_taken_a_message_has_it_alone_until_it_counts_as_dead(
    database: SharedServiceDatabase, tmp_path: Path
) -> None:
    one, two = (SharedOutbox(database, SystemClock(), name=name) for name in ("one", "two"))
    await ended(database, tmp_path, "w1", [PORTAL])
    first = await taken(one)
    assert first is not None
    assert await taken(two) is None
    assert await taken(one) is None
    _, wait_s = await two.due(PORTAL, 20)
    assert wait_s is not None
    assert 60 < wait_s <= 120
    await database.change(lambda c: c.execute("UPDATE service_outbox SET taken_until = clock_timestamp()"))
    second = await taken(two)
    assert second == first
    # The first comes late, with no success: it is the other's by now, and told; and a success is one, whoever has it.
    await one.failed(first, "away", for_good=True, asked_s=None)
    assert await one.counts() == {("portal", "waiting"): 1}
    await two.sent(first)
    assert await one.counts() == {("portal", "sent"): 1}
    await one.failed(first, "away", for_good=True, asked_s=None)
    assert await one.counts() == {("portal", "sent"): 1}
    assert await taken(one) is None


async def test_a_service_without_a_target_notes_for_those_of_others(
    database: SharedServiceDatabase, tmp_path: Path
) -> None:
    one, two = (SharedOutbox(database, SystemClock(), name=name) for name in ("one", "two"))
    await ended(database, tmp_path, "before", [])  # nobody has named a target yet
    await one.begin([PORTAL, TEAM])
    await ended(database, tmp_path, "w1", [])
    message = await taken(one)
    assert message is not None
    assert orjson.loads(message.body)["data"]["wave"]["id"] == "w1"
    assert await taken(one, TEAM) is None  # it wants to hear of other things
    await two.begin([])  # what is another's is not given up
    assert await one.counts() == {("portal", "waiting"): 1}
    await database.change(lambda c: c.execute("UPDATE service_targets SET seen_at = seen_at - interval '8 days'"))
    await ended(database, tmp_path, "w2", [])
    await two.begin([])
    assert await one.counts() == {("portal", "given_up"): 1}  # w2 was not noted for it


async def test_a_message_that_was_not_taken_is_tried_again_later_and_given_up_for_good(
    database: SharedServiceDatabase, tmp_path: Path
) -> None:
    box = SharedOutbox(database, SystemClock(), name="one")
    await ended(database, tmp_path, "w1", [PORTAL])
    message = await taken(box)
    assert message is not None
    assert await box.failed(message, "away", for_good=False, asked_s=3600) == "waiting"
    messages, wait_s = await box.due(PORTAL, 20)
    assert messages == []
    assert wait_s is not None
    assert 3500 < wait_s <= 3600
    await database.change(lambda c: c.execute("UPDATE service_outbox SET due_at = clock_timestamp()"))
    again = await taken(box)
    assert again is not None
    assert (again.id, again.attempts) == (message.id, 1)
    assert await box.failed(again, "gone", for_good=True, asked_s=None) == "given_up"
    assert await box.due(PORTAL, 20) == ([], None)
