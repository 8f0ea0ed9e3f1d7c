"""The page of a service over a database, in a browser: who runs what, and that the database is away."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from batcher.journal.postgres.address import Address
from batcher.simulator.server import Simulator
from tests.chromium import chromium, looks_well, needs_chromium
from tests.journal.postgres.cluster import needed, prepared
from tests.machines.fleet.wire import FleetWire
from tests.service.serving import csv, serving

pytestmark = [needs_chromium, pytest.mark.slow]


async def test_the_page_shows_workers_and_says_that_the_database_is_away(cloud: Simulator, tmp_path: Path) -> None:
    cluster = needed()
    address = prepared(cluster)
    async with FleetWire(cluster.port) as wire, chromium() as browser:
        there = Address(cluster.url(port=wire.port), address.schema)
        async with (
            serving(tmp_path, database=address, workers=1) as two,
            serving(tmp_path, database=there, workers=0) as one,
        ):
            id = (await two.submit(csv(2000), "rate=20/s&name=night"))["id"]
            await two.created(id, 1)
            (worker,) = (await two.get("/v1/workers"))["workers"]
            page = await browser.new_page(viewport={"width": 1100, "height": 800})
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            await page.goto(f"{one.url}/#/scopes")
            table = page.locator("table.workers")
            await expect(table).to_contain_text(worker["id"])
            await expect(table).to_contain_text(cloud.url)
            await expect(page.locator("table.scopes")).to_contain_text(worker["id"])
            await looks_well(page, "scopes")
            await page.goto(f"{one.url}/")
            await expect(page.locator("body")).to_contain_text("night")
            wire.cut()
            await expect(page.locator(".freshness.old")).to_contain_text("cannot be used", timeout=90_000)
            await expect(page.locator("body")).to_contain_text("night")  # what was known stays
            await looks_well(page, "away")
            wire.mend()
            await expect(page.locator(".freshness.old")).to_have_count(0, timeout=90_000)
            assert errors == []
            await two.post(f"/v1/waves/{id}/stop")
