"""In a real browser: the report runs behind the service's headers, a login holds, and another page gets nowhere."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Error, Page

from batcher.service.models import State
from batcher.service.roles import Role
from batcher.simulator.server import Simulator
from tests.chromium import chromium, needs_chromium
from tests.service.serving import csv, serving
from tests.service.test_observed import metrics
from tests.service.tiny import made

pytestmark = needs_chromium

FETCH = """async ([url, method, headers, body, mode]) => {
    const answer = await fetch(url, {method, headers, body, mode, credentials: "include"});
    return [answer.status, answer.type === "opaque" ? null : await answer.json()];
}"""


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def fetch(
    page: Page, url: str, method: str = "GET", body: str | None = None, mode: str = "cors", **headers: str
) -> Any:
    """Status and JSON of what a script in *page* gets."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await page.evaluate(FETCH, [url, method, named, body, mode])


async def test_the_report_is_shown_and_runs(cloud: Simulator, tmp_path: Path, browser: Browser) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(12))
        await service.until(wave["id"], State.ENDED)
        page, said = await browser.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.goto(f"{service.url}/v1/waves/{wave['id']}/report?format=html")
        await page.get_by_text("job-11").first.wait_for()  # a script of the page writes the rows
        assert said == []


async def test_a_login_holds_and_another_page_gets_nowhere_with_it(
    cloud: Simulator, tmp_path: Path, browser: Browser
) -> None:
    """The other page is on this machine, so on the same site: its requests carry the cookie."""
    tokens = tmp_path / "tokens"
    token = made(tokens, "anna", Role.SUBMIT)["Authorization"].removeprefix("Bearer ")

    async def foreign(_: web.Request) -> web.Response:
        return web.Response(text="<p>another program's page", content_type="text/html")

    other = web.Application()
    other.router.add_get("/", foreign)
    runner = web.AppRunner(other, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with serving(tmp_path / "data", tokens=tokens) as service:
            context = await browser.new_context(bypass_csp=True)  # what answers may not do is no matter here
            ours, theirs = await context.new_page(), await context.new_page()
            await ours.goto(f"{service.url}/healthz")
            await theirs.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            waves = f"{service.url}/v1/waves"

            assert (await fetch(ours, waves))[0] == 401
            status, session = await fetch(
                ours, f"{service.url}/v1/session", "POST", f'{{"token":"{token}"}}', Content_Type="application/json"
            )
            assert (status, session["name"]) == (201, "anna")
            assert await ours.evaluate("document.cookie") == ""  # no script sees it
            assert (await fetch(ours, waves))[0] == 200
            manifest = csv(2).decode()
            assert (await fetch(ours, waves, "POST", manifest, Content_Type="text/csv"))[0] == 403
            word = {"X_Batcher_CSRF": session["csrf"]}
            assert (await fetch(ours, waves, "POST", manifest, Content_Type="text/csv", **word))[0] == 201

            for mode in ("no-cors", "cors"):
                for method, body in (("POST", manifest), ("GET", None)):
                    with pytest.raises(Error, match="Failed to fetch"):
                        await fetch(theirs, waves, method, body, mode, Content_Type="text/plain")
            told = await metrics(service, {"Authorization": f"Bearer {token}"})
            assert told["batcher_http_requests_total", "POST,/v1/waves,403"] == 1 + 2  # ours without the word, theirs
            assert told["batcher_http_requests_total", "GET,/v1/waves,403"] == 2
            assert len((await fetch(ours, waves))[1]["waves"]) == 1
    finally:
        await runner.cleanup()
