"""Older journals: put back from a backup, without their log, or copied. The simulated cloud is the judge."""

import json
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.api import Wave
from batcher.journal.errors import NotAJournal, WaveRefused
from batcher.journal.sign_of_life import sign_beside
from batcher.journal.sqlite.keeper import SqliteKeeper, SqliteReader
from batcher.journal.wave_lock import WaveLock
from batcher.simulator.ledger import creations, doubles
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.older import OlderJournal, behind_its_sign
from tests.wave.killing import SETTINGS, Nursery, entry_line, nursery

ENTRIES = 10


class Site:
    """A folder with a wave in it, and the cloud that it goes to."""

    def __init__(self, home: Nursery, cloud: Simulator, folder: Path) -> None:
        self._home, self.cloud, self.folder = home, cloud, folder
        folder.mkdir(exist_ok=True)
        (folder / "manifest.jsonl").write_bytes(b"".join(map(entry_line, range(ENTRIES))))

    @property
    def results(self) -> Path:
        return self.folder / "results.jsonl"

    @property
    def journal(self) -> Path:
        return self.folder / "results.jsonl.journal"

    @property
    def settings(self) -> dict[str, Any]:
        steady = {"concurrency": 1, "rate": "20/s", "read_rate": "off"}  # so that not all are sent before a kill
        return {**SETTINGS, "endpoint": self.cloud.url, **steady}

    async def run(self, **more: Any) -> dict[str, Any]:
        """Run the wave in a process of its own."""
        settings = {**self.settings, **more.pop("settings", {})}
        order = {"manifest": str(self.folder / "manifest.jsonl"), "results": str(self.results), "settings": settings}
        return await self._home.run({**order, **more})

    async def refused(self, **more: Any) -> str:
        """Why the wave does not begin; nothing is sent."""
        before = len(self.cloud.ledger)
        with pytest.raises((WaveRefused, NotAJournal)) as refused:
            async with Wave(self.folder / "manifest.jsonl", self.results, **{**self.settings, **more}):
                pass
        assert len(self.cloud.ledger) == before
        return str(refused.value)

    def copy(self, name: str, *files: str) -> "Site":
        """The folder as it is now, or those *files* of it, under another name."""
        other = self.folder.with_name(name)
        other.mkdir()
        for path in self.folder.iterdir():
            if path.is_file() and (not files or path.name in files):
                shutil.copy2(path, other / path.name)
        return Site(self._home, self.cloud, other)

    def statuses(self) -> Counter[str]:
        return Counter(json.loads(line)["status"] for line in self.results.read_text().splitlines())


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setenv("BATCHER_TOKEN", "t" * 20)
    async with nursery() as home, Simulator(ServiceConfig(seed=1)) as cloud:
        yield Site(home, cloud, tmp_path / "wave")


async def test_a_journal_from_a_backup_is_refused(site: Site) -> None:
    """The wave goes on and ends; then somebody puts yesterday's journal back, and runs the same command."""
    assert (await site.run(kill_at=["outcome durable", 3]))["signal"] == 9
    backup = site.copy("backup")
    assert (await site.run())["code"] == 0
    made = len(list(creations(site.cloud.ledger)))
    for name in ("results.jsonl.journal", "results.jsonl.journal-wal"):
        shutil.copy2(backup.folder / name, site.folder / name)
    lines = site.results.read_bytes()
    assert "older than what happened" in await site.refused()
    (site.folder / "results.jsonl.journal.lock").unlink()  # results alone tell it, too
    said = await site.refused()
    assert "results that the journal does not know, such as entry" in said
    assert "put the newest journal back" in said
    assert site.results.read_bytes() == lines
    assert (len(list(creations(site.cloud.ledger))), list(doubles(site.cloud.ledger))) == (made, [])


@pytest.mark.parametrize("at", [["intent durable", 1], ["outcome durable", 4]])
async def test_a_lost_log_is_noticed(site: Site, at: list[Any]) -> None:
    """What was recorded last lies in the -wal; a copy without it has forgotten that, and would send it again."""
    await site.run(kill_at=at)
    (site.folder / "results.jsonl.journal-wal").unlink()
    site.results.unlink(missing_ok=True)
    assert "results.jsonl.journal-wal, which has what was recorded last, is missing" in await site.refused()
    db = sqlite3.connect(site.journal)
    db.execute("UPDATE meta SET value = 0 WHERE name = 'in_use'")  # somebody says that nothing is missing
    db.commit()
    db.close()
    assert "lacks what was recorded last" in await site.refused()


async def test_a_log_that_another_program_folded_in_is_not_missed(site: Site) -> None:
    """`sqlite3` on the journal of a killed wave folds its log in, which then goes: nothing is lost by that."""
    await site.run(kill_at=["outcome durable", 4])
    db = sqlite3.connect(site.journal)
    db.execute("SELECT count(*) FROM events").fetchone()
    db.close()
    assert not (site.folder / "results.jsonl.journal-wal").exists()
    assert (await site.run())["code"] == 0
    assert site.statuses() == {"created": ENTRIES}
    assert list(doubles(site.cloud.ledger)) == []


async def test_the_log_is_missed_also_after_it_was_folded_in_meanwhile(tmp_path: Path) -> None:
    """Each time that the log is folded in the generation grows, before anything else is recorded."""
    journal = tmp_path / "j"
    lock, keeper = WaveLock(journal), SqliteKeeper(journal)
    with keeper.wave().planning() as plan:
        plan.finish({"wave": "w"})
    keeper.keep_sign(lock)
    first = sign_beside(journal)
    assert first is not None
    keeper.file.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    keeper.wave().commit([])
    second = sign_beside(journal)
    assert second is not None
    assert second.generation > first.generation
    copy = tmp_path / "copy"
    shutil.copy(journal, copy)
    with closing(sqlite3.connect(copy)) as db:
        db.execute("UPDATE meta SET value = 0 WHERE name = 'in_use'")
        db.commit()
    with closing(SqliteReader(copy)) as older:
        assert "lacks what was recorded last" in (behind_its_sign(older, copy, second) or "")
    keeper.close()
    lock.release()
    whole = SqliteReader(journal)
    assert behind_its_sign(whole, journal) is None
    whole.close()


async def test_verdicts_on_what_the_journal_does_not_know_are_noticed(site: Site) -> None:
    await site.run(kill_at=["outcome durable", 3])
    (site.folder / "results.jsonl.journal.lock").unlink()
    site.results.unlink()
    verdict = {"key": "k", "index": 9, "halves": [{"compare_task_id": "cmp-9"}]}
    (site.folder / "results.verdicts.jsonl").write_bytes(orjson.dumps(verdict) + b"\n")
    assert "a verdict that the journal knows no comparison of: entry 9 (cmp-9)" in await site.refused()


async def test_results_whose_journal_is_gone_are_not_taken_for_something_else(site: Site) -> None:
    assert (await site.run())["code"] == 0
    site.journal.unlink()
    said = await site.refused()
    assert "its wave had a journal, which is gone: put" in said
    site.results.unlink()
    (site.folder / "results.verdicts.jsonl").write_text("{}\n")
    assert "its wave had a journal, which is gone: put" in await site.refused()


async def test_settling_by_an_older_journal_is_refused(site: Site) -> None:
    """An older journal does not take the operator's word either: what it writes the newer one would never hear of."""
    from batcher.journals import deciding

    await site.run(kill_at=["outcome durable", 4])
    (site.folder / "results.jsonl.journal-wal").unlink()
    db = sqlite3.connect(site.journal)
    db.execute("UPDATE meta SET value = 0 WHERE name = 'in_use'")
    db.commit()
    db.close()
    with pytest.raises(OlderJournal), deciding(site.journal):
        pass


async def test_restart_refuses_another_waves_journal(site: Site) -> None:
    assert (await site.run())["code"] == 0
    made = len(site.cloud.ledger)
    for results in (site.folder / "other.jsonl", None):
        with pytest.raises(WaveRefused, match=r"is the journal of another wave, begun with .*manifest\.jsonl"):
            async with Wave(
                site.folder / "manifest.jsonl", results, journal=site.journal, **site.settings, restart=True
            ):
                pass
    manifest = site.folder / "manifest.jsonl"
    with pytest.raises((WaveRefused, NotAJournal), match="is not a batcher journal"):
        async with Wave(manifest, site.results, journal=manifest, **site.settings, restart=True):
            pass
    assert sorted(path.name for path in site.folder.iterdir() if "2" in path.name) == []
    assert len(site.cloud.ledger) == made


async def test_restart_puts_the_sign_and_the_verdicts_aside_as_well(site: Site) -> None:
    assert (await site.run())["code"] == 0
    (site.folder / "results.verdicts.jsonl").write_text("{}\n")
    async with Wave(site.folder / "manifest.jsonl", site.results, **site.settings, restart=True) as wave:
        assert wave.found is not None
        (aside,) = (path for path in site.folder.glob("results.jsonl.journal.2*Z"))
    old = SqliteReader(aside)
    assert behind_its_sign(old, aside) is None
    assert sign_beside(aside) is not None
    old.close()
    assert not (site.folder / "results.verdicts.jsonl").exists()
    assert (await site.run())["code"] == 0


@pytest.mark.parametrize("made", [False, True])
async def test_a_link_given_for_the_results_is_followed_and_stays(site: Site, made: bool) -> None:
    """The wave belongs to the file that the link leads to, so the same command again finds its journal there."""
    store = site.folder / "store"
    store.mkdir()
    target = store / "tonight.jsonl"
    if made:
        target.touch()
    site.results.symlink_to("store/tonight.jsonl")
    await site.run(kill_at=["outcome durable", 3])
    assert (await site.run())["code"] == 0
    assert site.results.is_symlink()
    assert (store / "tonight.jsonl.journal").is_file()
    assert not site.journal.exists()
    assert site.statuses() == {"created": ENTRIES}
    assert list(doubles(site.cloud.ledger)) == []
    async with Wave(site.folder / "manifest.jsonl", site.results, **site.settings, restart=True):
        pass
    assert site.results.is_symlink()
    assert len(list(store.glob("tonight.jsonl.2*Z"))) == 1


async def test_a_link_that_leads_in_a_circle_is_refused(site: Site) -> None:
    site.results.symlink_to("results.jsonl")
    assert "is a link that leads nowhere" in await site.refused()


def ledger_of(site: Site) -> tuple[int, list[Any]]:
    """How many comparisons there are, and which were made twice."""
    return len(list(creations(site.cloud.ledger))), list(doubles(site.cloud.ledger))


async def test_a_restored_snapshot_creates_nothing_again(site: Site) -> None:
    """All its files are of one moment: only the cloud's lists tell that the wave had gone on."""
    await site.run(kill_at=["outcome durable", 3])
    snapshot = site.copy("snapshot")
    assert (await site.run())["code"] == 0
    made = ledger_of(site)
    assert made[1] == []
    for path in snapshot.folder.iterdir():
        (site.folder / path.name).write_bytes(
            path.read_bytes()
        )  # into the files that are there, as a snapshot has them
    for name in ("results.jsonl.journal-wal", "results.jsonl"):
        if not (snapshot.folder / name).exists():
            (site.folder / name).unlink(missing_ok=True)
    assert (await site.run())["code"] == 0
    assert ledger_of(site) == made
    assert site.statuses()["created"] >= 3
    assert site.statuses()["created"] + site.statuses()["unsettled"] == ENTRIES
    suspected = [line for line in map(json.loads, site.results.read_text().splitlines()) if not line["attempts"]]
    assert suspected
    assert all("another run may have gone on" in line["error_msg"] for line in suspected)
    assert (await site.run())["code"] == 0  # and once more, with what is unsettled looked up again
    assert ledger_of(site) == made


async def test_two_continuations_of_a_copied_wave_recognise_each_other(site: Site) -> None:
    await site.run(kill_at=["outcome durable", 3])
    other = site.copy("copy")
    assert (await site.run())["code"] == 0
    made = ledger_of(site)
    async with Wave(other.folder / "manifest.jsonl", other.results, **other.settings) as wave:
        assert wave.found is not None
        assert any("the wave's files were copied or moved here" in said for said in wave.found.said)
        await wave.run()
    assert ledger_of(site) == made
    assert other.statuses()["created"] + other.statuses()["unsettled"] == ENTRIES


async def test_two_continuations_at_the_same_time_share_the_work(site: Site) -> None:
    """Neither makes what it sees that the other has made; what both look up before either sends nobody can tell."""
    await site.run(kill_at=["outcome durable", 2])
    other = site.copy("copy")
    assert (await site.run(kill_at=["outcome durable", 3]))["signal"] == 9
    assert (await other.run(kill_at=["outcome durable", 6]))["signal"] == 9
    assert (await site.run())["code"] == 0
    assert (await other.run())["code"] == 0
    assert ledger_of(site)[1] == []


async def test_a_wave_that_was_only_moved_goes_on(site: Site) -> None:
    """Each of its entries is looked up first, and none of them is in the cloud."""
    await site.run(kill_at=["outcome durable", 3])
    moved = site.copy("moved")
    assert (await moved.run())["code"] == 0
    assert moved.statuses() == {"created": ENTRIES}
    assert ledger_of(site)[1] == []


async def test_look_first_goes_on_with_an_older_journal(site: Site) -> None:
    """The newest journal is lost. What the results tell is taken over, and the rest is looked up before it is sent."""
    await site.run(kill_at=["outcome durable", 3])
    backup = site.copy("backup", "results.jsonl.journal", "results.jsonl.journal-wal")
    assert (await site.run(kill_at=["answer received", 2]))["signal"] == 9
    told = len(site.results.read_text().splitlines())
    made = ledger_of(site)
    for path in backup.folder.iterdir():
        if path.name != "manifest.jsonl":
            shutil.copy2(path, site.folder / path.name)
    assert "--look-first always" in await site.refused()
    before = site.results.read_bytes()
    assert (await site.run(settings={"look_first": "always"}))["code"] == 0
    assert site.results.read_bytes().startswith(before)
    assert site.statuses()["created"] >= told
    assert site.statuses()["created"] + site.statuses()["unsettled"] == ENTRIES
    after = ledger_of(site)
    assert after[1] == []
    assert after[0] > made[0]  # what nobody had sent yet


async def test_never_says_that_others_made_what_is_newer(site: Site) -> None:
    """Somebody makes comparisons in the console while the wave is stopped: one word of the operator's lets it go on."""
    await site.run(kill_at=["intent durable", 1])
    site.cloud.service.cloud.someone_creates(time.time(), "p", "job-3", "object_comparison")
    assert (await site.run())["code"] == 0
    assert site.statuses() == {"created": ENTRIES - 1, "unsettled": 1}
    assert (await site.run(settings={"look_first": "never"}))["code"] == 0
    assert site.statuses() == {"created": ENTRIES}
