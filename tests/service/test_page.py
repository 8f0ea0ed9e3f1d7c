"""The service's page, in a real browser, over a live service and the simulated cloud."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from batcher.service.models import State
from batcher.service.roles import Role
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import parse_profile
from batcher.simulator.jobs import JobRule
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.chromium import chromium, looks_well, needs_chromium
from tests.service.serving import PROJECT, Serving, csv, serving
from tests.service.tiny import made

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="module"),
]
CLOUD = CloudConfig(
    speed=2000.0,
    jobs=(JobRule(pattern="job-*7", status="FULL_TRANSFER_FAILED"), JobRule(pattern="job-*99", exists=False)),
)
BORIS: dict[str, Any] = {
    "locale": "zh-CN",
    "timezone_id": "Asia/Shanghai",
    "viewport": {"width": 390, "height": 844},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
def settings(elsewhere: None, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("BATCHER_PROJECT_ID", PROJECT)
    for name, value in (("RATE", "200/s"), ("LANDING_TIME", "0.5s"), ("POLL", "0.1s"), ("MAX_ATTEMPTS", "2")):
        monkeypatch.setenv(f"BATCHER_{name}", value)
    return monkeypatch


@asynccontextmanager
async def served(settings: pytest.MonkeyPatch, data: Path, faults: str = "none", **more: Any) -> AsyncIterator[Serving]:
    """A service over a simulated cloud with *faults*."""
    config = ServiceConfig(cloud=CLOUD, faults=parse_profile(faults), latency_s=(0.0, 0.01))
    async with Simulator(config) as cloud:
        settings.setenv("BATCHER_ENDPOINT", cloud.url)
        async with serving(data, **more) as service:
            yield service


@asynccontextmanager
async def someone(browser: Browser, url: str, **more: Any) -> AsyncIterator[Page]:
    """A page that fails the test on a script's error, on what the policy forbids, and on a request to anybody else."""
    context = await browser.new_context(**more)
    page, troubles = await context.new_page(), []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        lambda said: troubles.append(said.text) if said.type == "error" and "resource" not in said.text else None,
    )
    page.on("request", lambda asked: None if asked.url.startswith((url, "data:")) else troubles.append(asked.url))
    yield page
    await context.close()
    assert troubles == []


async def answer(page: Page, said: str | re.Pattern[str], with_: str) -> None:
    """The question that is asked names the consequence, as *said*; say yes."""
    await expect(page.locator("#question")).to_contain_text(said)
    await page.locator("#question").get_by_role("button", name=with_, exact=True).click()
    await expect(page.locator("#question")).to_be_hidden()


async def choose(page: Page, manifest: bytes, name: str = "cutover.csv") -> None:
    await page.locator("#file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": manifest})


def tab(page: Page, name: str) -> Any:
    return page.locator(".tabs a", has_text=name)


@pytest.mark.slow
async def test_five_thousand_entries_are_handed_in_watched_and_understood(
    settings: pytest.MonkeyPatch, tmp_path: Path, browser: Browser
) -> None:
    settings.setenv("BATCHER_RATE", "off")
    faults = "reset-after=1%,500-before=1%"
    async with served(settings, tmp_path / "data", faults) as service, someone(browser, service.url) as page:
        await page.goto(service.url)
        await expect(page.get_by_text("There is no wave yet.")).to_be_visible()
        await looks_well(page, "no waves")
        await page.locator("h1 + a.button").click()
        await choose(page, csv(5000))
        await expect(page.locator(".ruling")).to_have_text("5,000 entries, all of them sound")
        await expect(page.locator(".request pre").first).to_contain_text('"job_id": "job-0"')
        await looks_well(page, "a sound manifest")
        await page.locator("[data-do=hand-in]").click()
        await answer(page, re.compile("5,000 comparisons are created in the cloud"), "Hand in")
        await expect(page.locator("h1")).to_have_text("cutover")
        await expect(page.locator(".title .pill")).to_have_text("ended", timeout=90_000)
        id = page.url.rpartition("/")[2]
        wave = await service.get(f"/v1/waves/{id}")
        counts = wave["counts"]
        assert counts["created"] + counts["failed"] == 5000
        assert counts["failed"] >= 500  # the jobs that are not well
        await expect(page.locator(".counts")).to_contain_text(f"{counts['failed']:,} failed")
        await expect(page.locator("svg.chart rect").first).to_be_attached()
        await looks_well(page, "a wave")

        await tab(page, "Trouble").click()
        causes = (await service.get(f"/v1/waves/{id}/causes"))["causes"]
        assert sum(cause["count"] for cause in causes) == counts["failed"]
        await expect(page.locator(".step")).to_have_count(len(causes))
        await expect(page.locator(".step").first).to_contain_text("INCRE_TRANSFER_STARTED")  # what to do
        await looks_well(page, "trouble")
        await page.locator(".step .count").first.click()
        await expect(page.locator("#shown")).to_have_text(f"{causes[0]['count']:,} of 5,000 entries")
        await page.locator("#rows a.key").nth(2).click()
        await expect(page.locator("#entry")).to_contain_text("Attempt 1")
        await looks_well(page, "an entry")
        third = await page.locator("#which").inner_text()
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("#which")).not_to_have_text(third)
        await page.keyboard.press("Escape")
        await expect(page.locator("#entry")).to_be_hidden()
        assert "entry=" not in page.url

        await page.locator("#active .token", has_text="Clear all").click()
        await expect(page.locator("#shown")).to_have_text("5,000 of 5,000 entries")
        await page.locator("th [data-go]", has_text="#").click()
        await expect(page.locator("#rows tr").first).to_contain_text("job-4999")
        await page.locator("#pager a", has_text="Next page").click()
        await expect(page.locator("#rows tr").first).to_contain_text("job-4899")
        await page.reload()
        await expect(page.locator("#rows tr").first).to_contain_text("job-4899")  # the address holds the view
        await page.go_back()
        await expect(page.locator("#rows tr").first).to_contain_text("job-4999")
        await page.keyboard.press("/")
        await page.keyboard.type("k123")
        await expect(page.locator("#shown")).to_have_text("11 of 5,000 entries")
        await looks_well(page, "entries")

        await tab(page, "Requests").click()
        await expect(page.locator(".request").first).to_contain_text("/jobs/create-compare-task")
        await page.locator(".brand").click()
        await expect(page.locator("#waves tbody tr")).to_contain_text(f"{counts['failed']:,} failed")
        await looks_well(page, "waves")


async def test_findings_stand_at_their_lines(settings: pytest.MonkeyPatch, tmp_path: Path, browser: Browser) -> None:
    async with served(settings, tmp_path / "data") as service, someone(browser, service.url) as page:
        await page.goto(f"{service.url}/#/new")
        await choose(page, csv(40).replace(b"job-30,objects", b"job-30,tables").replace(b"job-31,", b"job-3,"))
        finding = page.locator(".findings .step").first
        await expect(finding.locator(".count")).to_contain_text("32")
        await expect(finding.locator("pre")).to_contain_text("job-30,tables,k30")
        await expect(finding.locator("mark")).to_have_text("tables")
        await expect(page.locator("[data-do=hand-in]")).to_have_count(0)
        await looks_well(page, "findings")
        assert (await service.get("/v1/waves"))["waves"] == []
        await choose(page, b"PK", "cutover.xlsx")
        await expect(page.locator("[role=alert]")).to_contain_text("save a spreadsheet as CSV")
        await choose(page, csv(3))
        await expect(page.locator(".ruling")).to_have_text("3 entries, all of them sound")
        await page.locator("#new-rate").fill("900/s")  # above what the service allows: what was checked counts no more
        await page.locator("[data-do=check]").click()
        await expect(page.locator("#findings ~ .problem")).to_contain_text("above what this service allows")
        assert [path.name for path in (tmp_path / "data" / "incoming").iterdir()] == []


async def test_steering_asks_and_names_the_consequence(
    settings: pytest.MonkeyPatch, tmp_path: Path, browser: Browser
) -> None:
    async with served(settings, tmp_path / "data") as service, someone(browser, service.url) as page:
        wave = await service.submit(csv(400), "name=slow&rate=20/s")
        await service.created(wave["id"], 5)
        await page.goto(f"{service.url}/#/waves/{wave['id']}")
        await page.get_by_role("button", name="Pause").click()
        await page.locator("#question").get_by_role("button", name="Cancel").click()
        await expect(page.locator(".title .pill")).to_have_text("running")
        await page.get_by_role("button", name="Pause").click()
        await looks_well(page, "a question")
        await answer(page, "Nothing new is created until somebody resumes it", "Pause")
        await expect(page.locator(".title .pill")).to_have_text("paused")
        await page.get_by_role("button", name="Change rate").click()
        await page.locator("#field-rate").fill("lots")
        await page.locator("#question [type=submit]").click()
        await expect(page.locator("#question [role=alert]")).to_contain_text("rate")
        await page.locator("#field-rate").fill("150/s")
        await answer(page, "A change holds at once", "Change rate")
        await page.get_by_role("button", name="Resume").click()
        await answer(page, re.compile(r"\d+ entries have no result yet"), "Resume")
        await expect(page.locator(".scopes")).to_contain_text("150/s")
        await page.get_by_role("button", name="Stop").click()
        await answer(page, re.compile(r"entries stay without a result until"), "Stop")
        await expect(page.locator(".title .pill")).to_have_text("stopped")
        await page.get_by_role("button", name="Start").click()
        await answer(page, "nothing is created twice", "Start")
        ended = await service.until(wave["id"], State.ENDED)
        assert sum(ended["counts"].values()) == 400


async def test_what_is_shown_is_said_to_be_old_and_it_connects_again(
    settings: pytest.MonkeyPatch, tmp_path: Path, browser: Browser
) -> None:
    async with Simulator(ServiceConfig(cloud=CLOUD, latency_s=(0.0, 0.01))) as cloud:
        settings.setenv("BATCHER_ENDPOINT", cloud.url)
        async with serving(tmp_path / "data") as service:
            wave = await service.submit(csv(600), "name=long&rate=50/s")
            url, port = service.url, int(service.url.rpartition(":")[2])
        async with someone(browser, url) as page:
            async with serving(tmp_path / "data", port=port):
                await page.goto(f"{url}/#/waves/{wave['id']}")
                await expect(page.locator(".title .pill")).to_have_text("running")
                await expect(page.locator(".freshness")).to_have_text("Live")
            await expect(page.locator(".freshness.old")).to_contain_text("What you see is as of", timeout=90_000)
            await expect(page.locator("h1")).to_have_text("long")  # it stays, and says that it is old
            await looks_well(page, "old")
            async with serving(tmp_path / "data", port=port) as service:
                await expect(page.locator(".freshness")).to_have_text("Live", timeout=90_000)
                await service.post(f"/v1/waves/{wave['id']}/pause")
                await expect(page.locator(".title .pill")).to_have_text("paused")


async def tabs_to(page: Page, selector: str) -> None:
    """Press Tab until *selector* has the focus."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no Tab leads to {selector}")


async def test_a_keyboard_is_enough(settings: pytest.MonkeyPatch, tmp_path: Path, browser: Browser) -> None:
    async with served(settings, tmp_path / "data") as service, someone(browser, service.url) as page:
        wave = await service.submit(csv(300), "name=slow&rate=20/s")
        await page.goto(service.url)
        await expect(page.locator("#waves a.key")).to_be_visible()
        await page.locator(".skip").focus()
        await page.keyboard.press("Enter")  # past what stands on every page
        await expect(page.locator("#main")).to_be_focused()
        await tabs_to(page, "#waves a.key")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_be_focused()
        await tabs_to(page, "[data-do=pause]")
        await page.keyboard.press("Enter")
        await expect(page.locator("#question")).to_be_visible()
        await page.keyboard.press("Escape")  # no
        await expect(page.locator("[data-do=pause]")).to_be_focused()
        await page.keyboard.press("Enter")
        await tabs_to(page, "#question [type=submit]")
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-do=resume]")).to_be_visible()
        assert await page.evaluate("document.activeElement.matches('.actions *, h1, main')")  # one's place is kept
        await service.post(f"/v1/waves/{wave['id']}/stop")
        await tabs_to(page, ".tabs a[href*=entries]")
        await page.keyboard.press("Enter")
        await tabs_to(page, "#rows a.key")
        key = await page.evaluate("document.activeElement.textContent")
        await page.keyboard.press("Enter")
        await expect(page.locator("#which")).to_have_text(key)
        await page.keyboard.press("Escape")
        await expect(page.locator("#entry")).to_be_hidden()
        assert await page.evaluate("document.activeElement.textContent") == key


async def test_two_people_and_one_wave(settings: pytest.MonkeyPatch, tmp_path: Path, browser: Browser) -> None:
    tokens = tmp_path / "tokens"
    anna = made(tokens, "anna", Role.SUBMIT)["Authorization"].removeprefix("Bearer ")
    boris = made(tokens, "boris", Role.APPROVE)["Authorization"].removeprefix("Bearer ")
    async with (
        served(settings, tmp_path / "data", tokens=tokens, approval=True) as service,
        someone(browser, service.url) as hers,
        someone(
            browser, service.url, locale="zh-CN", timezone_id="Asia/Shanghai", viewport={"width": 390, "height": 844}
        ) as his,
    ):
        for page, token in ((hers, anna), (his, boris)):
            await page.goto(service.url)
            await page.locator("#token").fill("batcher_wrong")
            await page.keyboard.press("Enter")
            await expect(page.locator("[role=alert]")).to_contain_text("none of this service's")
            await looks_well(page, "login")
            await page.locator("#token").fill(token)
            await page.keyboard.press("Enter")
            await expect(page.locator(".empty")).to_be_visible()
        await hers.goto(f"{service.url}/#/new")
        await choose(hers, csv(30))
        await hers.locator("[data-do=hand-in]").click()
        await answer(hers, "once somebody else has approved", "Hand in")
        await expect(hers.locator(".title .pill")).to_have_text("held")
        approve = hers.get_by_role("button", name="Approve")
        await expect(approve).to_have_attribute("aria-disabled", "true")

        await expect(his.locator("html")).to_have_attribute("lang", "zh-CN")
        await his.locator("#waves .key").click()  # it came by itself
        await expect(his.locator("p.problem")).to_contain_text("由 anna 提交")
        await looks_well(his, "a held wave on a phone")
        await tab(his, "请求").click()
        await expect(his.locator(".request").first).to_contain_text('"job_id": "job-0"')  # what is approved
        await his.locator("[data-do=approve]").click()
        await expect(his.locator("#question")).to_contain_text("sha256:")
        await answer(his, "30 个对比", "批准")
        await expect(hers.locator(".title .pill")).to_have_text("ended", timeout=90_000)
        await tab(hers, "Overview").click()
        await expect(hers.locator("dl")).to_contain_text("boris")
        await his.locator("[data-change=language]").select_option("en")
        await expect(tab(his, "Overview")).to_be_visible()
        await expect(his.locator("[data-change=zone]")).to_contain_text("Asia/Shanghai")
        await his.locator("[data-change=zone]").select_option("utc")
        await tab(his, "Entries").click()
        await expect(his.locator("#rows tr").first).to_contain_text("job-0")
        await looks_well(his, "entries on a phone")
        await hers.locator("[data-do=log-out]").click()
        await expect(hers.locator("#token")).to_be_visible()


async def logs_in(page: Page, url: str, header: dict[str, str]) -> None:
    await page.goto(url)
    await page.locator("#token").fill(header["Authorization"].removeprefix("Bearer "))
    await page.keyboard.press("Enter")
    await expect(page.locator("#waves, .empty").first).to_be_visible()


async def test_the_audit_log_is_shown_to_whom_may_read_it(
    settings: pytest.MonkeyPatch, tmp_path: Path, browser: Browser
) -> None:
    tokens = tmp_path / "tokens"
    anna, boris = made(tokens, "anna", Role.ADMIN), made(tokens, "boris", Role.SUBMIT)
    async with served(settings, tmp_path / "data", tokens=tokens) as service:
        async with service.client.post(
            "/v1/waves?start=false", data=csv(3), headers={"Content-Type": "text/csv", **boris}
        ) as accepted:
            wave = (await accepted.json())["id"]
        async with someone(browser, service.url) as page, someone(browser, service.url, **BORIS) as reader:
            await logs_in(page, service.url, anna)
            await page.get_by_role("link", name="Audit log").click()
            rows = page.locator("#audit tbody tr")
            await expect(rows.first).to_contain_text("handed in")
            await expect(rows.first).to_contain_text("boris")
            await page.goto(f"{service.url}/#/waves/{wave}")
            await page.locator("[data-do=start]").click()
            await answer(page, "3 entries are sent", "Start")
            await page.goto(f"{service.url}/#/waves/{wave}/files")
            await page.get_by_role("link", name="Who did what to this wave").click()
            await expect(rows.first).to_contain_text("started")
            await expect(rows.first).to_contain_text("anna")
            await rows.nth(1).get_by_role("link", name="boris").click()
            await expect(rows).to_have_count(1)
            await looks_well(page, "the audit log")
            await logs_in(reader, service.url, boris)
            await expect(reader.get_by_role("link", name="审计日志")).to_have_count(0)
            await reader.goto(f"{service.url}/#/audit")
            await expect(reader.locator(".problem")).to_be_visible()


FOREIGN = """(() => {
    // What is said in English words, but for names, data, commands, and what is marked as English.
    const skipped = ["[lang=en]", "code", "pre", ".mono", ".key", ".who", ".label", ".brand", "h1", "option", "time",
        "script", "style", "noscript"].join(", ");
    const plain = (text) => (text ?? "").replace(/https?:\\S+|batcher [a-z]+/g, "").trim();
    const words = /[A-Za-z][a-z]+ [A-Za-z][a-z]|^(?!local$)[A-Za-z][a-z]{3,}$/;
    const latin = (text) => words.test(plain(text));
    const found = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode;
        if (!node.parentElement.closest(skipped) && latin(node.data)) found.add(node.data.trim());
    }
    for (const name of ["aria-label", "title", "placeholder"]) {
        for (const one of document.querySelectorAll(`[${name}]:not([lang=en], [lang=en] *)`)) {
            if (latin(one.getAttribute(name))) found.add(`${name}: ${one.getAttribute(name)}`);
        }
    }
    return [...found];
})()"""


async def test_in_chinese_no_english_is_left(settings: pytest.MonkeyPatch, tmp_path: Path, browser: Browser) -> None:
    """In no view, and in no question: what the cloud and the service say in English is marked as that."""
    async with (
        served(settings, tmp_path / "data") as service,
        someone(browser, service.url, locale="zh-CN", viewport={"width": 1280, "height": 900}) as page,
    ):
        ended = await service.submit(csv(120), "wait=true&name=夜")
        held = await service.submit(csv(3, first=900), "start=false&name=晨")
        await service.until(ended["id"], State.ENDED)
        left: dict[str, list[str]] = {}

        async def look(name: str) -> None:
            await page.wait_for_timeout(150)
            await expect(page.locator("[aria-busy=true]")).to_have_count(0)
            if found := await page.evaluate(FOREIGN):
                left[name] = found

        for place in ("", "scopes", "new", "audit"):
            await page.goto(f"{service.url}/#/{place}")
            await look(place or "waves")
        for id, chapters in (
            (ended["id"], ("overview", "entries?entry=7", "trouble", "verdicts", "requests", "files")),
            (held["id"], ("overview", "verdicts")),
        ):
            for chapter in chapters:
                await page.goto(f"{service.url}/#/waves/{id}/{chapter}")
                await look(f"{id == held['id']} {chapter}")
            for verb in await page.locator(".actions [data-do]").evaluate_all(
                "all => all.map((one) => one.dataset.do)"
            ):
                await page.locator(f".actions [data-do={verb}]").click()
                await look(verb)
                await page.keyboard.press("Escape")
        await page.goto(f"{service.url}/#/new")
        await choose(page, b"job_id,object_level_compare_type\n,objekts\n")
        await expect(page.locator("#findings, .findings, table").first).to_be_visible()
        await look("findings")
        await choose(page, csv(2, first=500))
        await page.locator("[data-do=hand-in]").click()
        await look("hand in")
        assert left == {}
