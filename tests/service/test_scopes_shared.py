"""What holds of a scope over all waves of the service: whatever profile they run with, and across its restarts."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientSession

from batcher.journal.port import EntryWithEvents
from batcher.journal.sqlite.record import SqliteRecord
from batcher.life.entry import PlannedEntry
from batcher.service.given import ServedProfiles
from batcher.service.models import State
from batcher.simulator.ledger import creations, doubles, most_in_window
from batcher.simulator.server import Simulator
from tests.service.serving import Serving, csv, process, serving

LIMIT = 4
PERIOD_S = 2.0
CREATES = frozenset({"create-compare-task"})
RATE = f"{LIMIT}/{PERIOD_S:g}s"


def most(cloud: Simulator) -> int:
    """The most create requests that the cloud got in any period."""
    return max(most_in_window(cloud.ledger, PERIOD_S, calls=CREATES).values())


def offering(path: Path, *profiles: str) -> ServedProfiles:
    """A service that offers *profiles*, which differ in nothing."""
    path.write_text("".join(f"[profiles.{name}]\nlanguage = 'en-us'\n" for name in profiles))
    return ServedProfiles(config=path, profiles=profiles)


async def test_the_limit_of_a_scope_holds_over_waves_of_two_profiles(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHER_RATE", RATE)
    async with serving(tmp_path / "data", service=offering(tmp_path / "batcher.toml", "one", "two")) as service:
        waves = [
            await service.submit(csv(LIMIT, first=LIMIT * nth), f"profile={profile}")
            for nth, profile in enumerate(("one", "two", "one"))
        ]
        for wave in waves:
            assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 0
    assert sum(1 for _ in creations(cloud.ledger)) == 3 * LIMIT
    assert most(cloud) <= LIMIT


async def test_a_journal_is_asked_of_other_entries_of_a_job_only_where_there_are_some(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question costs a tenth of all that an entry does."""
    asked: list[str] = []
    ask = SqliteRecord.others_of_job

    def counted(record: SqliteRecord, entry: PlannedEntry) -> list[EntryWithEvents]:
        asked.append(entry.job_id)
        return ask(record, entry)

    monkeypatch.setattr(SqliteRecord, "others_of_job", counted)
    twice = csv(20) + b"job-7,objects,again\n"
    async with serving(tmp_path / "data") as service:
        for manifest, query in ((csv(20, first=100), ""), (twice, "allow_duplicates=true")):
            wave = await service.submit(manifest, query)
            assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 0
    assert set(asked) == {"job-7"}


async def test_what_waves_sent_before_a_kill_counts_for_those_that_come_after_it(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the earlier wave has ended, and nobody goes on with it."""
    monkeypatch.setenv("BATCHER_RATE", f"{LIMIT}/10s")
    data = tmp_path / "data"
    with process(data) as served:
        async with ClientSession(served.url) as client:
            before = await Serving(served.url, client, data).submit(csv(LIMIT))
            await Serving(served.url, client, data).until(before["id"], State.ENDED)
        await asyncio.to_thread(served.kill)
    async with serving(data) as service:
        after = await service.submit(csv(LIMIT, first=100))
        await service.created(after["id"], 1)
    assert max(most_in_window(cloud.ledger, 10.0, calls=CREATES).values()) <= LIMIT
    assert doubles(cloud.ledger) == {}
