"""In a real browser, behind the service's headers: what is to run runs, and nothing of it is blocked."""

import shutil
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from batcher.service.models import State
from batcher.simulator.server import Simulator
from tests.service.serving import csv, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (on Debian: apt-get install chromium)")
async def test_the_report_is_shown_and_runs(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service, async_playwright() as playwright:
        wave = await service.submit(csv(12))
        await service.until(wave["id"], State.ENDED)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page, said = await browser.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.goto(f"{service.url}/v1/waves/{wave['id']}/report?format=html")
        await page.get_by_text("job-11").first.wait_for()  # a script of the page writes the rows
        await browser.close()
        assert said == []
