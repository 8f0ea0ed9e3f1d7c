"""The report's page, in a real browser: Debian's Chromium, where it is installed.

Through playwright's asynchronous face: the other one runs on greenlets, which CPython 3.11's `ast.parse` cannot bear.
"""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, async_playwright, expect

from batcher.report.gather import gather
from batcher.report.html import page, write_page
from tests.report.waves import write_wave

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def in_browser(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Runs *test* where there is a browser, which takes a second to start: all share one, and so its event loop."""
    there = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (on Debian: apt-get install chromium)")
    return cast(Callable[..., Awaitable[None]], there(pytest.mark.asyncio(loop_scope="module")(test)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def opened(browser: Browser) -> AsyncIterator[Page]:
    """A page that fails the test on any script error and on any request but for the file itself."""
    context = await browser.new_context()
    troubles: list[str] = []

    async def only_the_file(route: Route) -> None:
        if route.request.url.startswith("file://") and route.request.is_navigation_request():
            await route.continue_()
        else:
            troubles.append(f"asked for {route.request.url}")
            await route.abort()

    await context.route("**/*", only_the_file)
    opened = await context.new_page()
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    yield opened
    await context.close()
    assert troubles == []


async def show(opened: Page, path: Path, entries: int, **kinds: bool) -> None:
    results = path / "results.jsonl"
    write_wave(results, entries, **kinds)
    write_page(path / "report.html", gather(results))
    await opened.goto((path / "report.html").as_uri())


@in_browser
async def test_the_list_filters_sorts_and_opens(opened: Page, tmp_path: Path) -> None:
    await show(opened, tmp_path, 400)
    await expect(opened.locator("#shown")).to_have_text("400 of 400 entries")
    await opened.locator("button[data-status=failed]").click()
    await expect(opened.locator("#shown")).not_to_have_text("400 of 400 entries")
    for row in await opened.locator(".row").all():
        await expect(row).to_contain_text("failed")
    await opened.locator("button[data-status=failed]").click()
    await opened.fill("#search", "wave-7/000123 MYSQL-03")
    await expect(opened.locator("#shown")).to_have_text("1 of 400 entries")
    await opened.fill("#search", "")
    await expect(opened.locator("#shown")).to_have_text("400 of 400 entries")
    await opened.locator(".head button[data-sort=index]").click()
    await expect(opened.locator(".row").first).to_contain_text("wave-7/000399")
    await opened.locator(".row").first.press("Enter")
    await expect(opened.locator("#entry")).to_contain_text("batcher explain")
    await expect(opened.locator("#entry")).to_contain_text("req-0000018f")
    await opened.keyboard.press("Escape")
    await expect(opened.locator("#entry")).to_be_hidden()


@in_browser
async def test_only_rows_in_view_exist_and_scrolling_brings_the_others(opened: Page, tmp_path: Path) -> None:
    await show(opened, tmp_path, 5000, journal=False, verdicts=False)
    assert await opened.locator(".row").count() < 100
    await opened.locator("#window").evaluate("rows => { rows.scrollTop = 30 * 4000 }")  # a wheel may turn too early
    await expect(opened.locator("#rows").get_by_text("wave-7/004001", exact=True)).to_be_visible()


@in_browser
@pytest.mark.slow
async def test_a_hundred_thousand_entries_open_and_can_be_searched(opened: Page, tmp_path: Path) -> None:
    await show(opened, tmp_path, 100_000, journal=False, verdicts=False)
    await expect(opened.locator("#shown")).to_have_text("100,000 of 100,000 entries")
    await opened.fill("#search", "wave-7/099998")
    await expect(opened.locator("#shown")).to_have_text("1 of 100,000 entries")


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_light_and_dark_follow_the_system(browser: Browser, tmp_path: Path, scheme: str) -> None:
    context = await browser.new_context(color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True)
    opened = await context.new_page()
    await show(opened, tmp_path, 50)
    paper = await opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(18, 22, 29)" if scheme == "dark" else "rgb(255, 255, 255)")
    await context.close()


@in_browser
async def test_printed_it_has_the_entries_with_trouble_and_no_controls(opened: Page, tmp_path: Path) -> None:
    await show(opened, tmp_path, 300)
    await opened.emulate_media(media="print")
    await expect(opened.locator("#entries")).to_be_hidden()
    await expect(opened.locator(".printed")).to_contain_text("unsettled")
    await expect(opened.locator(".verdict strong")).to_contain_text("NO-GO")


@in_browser
async def test_on_a_phone_nothing_sticks_out_and_the_verdicts_show(browser: Browser, tmp_path: Path) -> None:
    context = await browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True)
    opened = await context.new_page()
    await show(opened, tmp_path, 200)
    assert await opened.evaluate("document.documentElement.scrollWidth") == 390
    await expect(opened.locator(".row > :nth-child(5)").first).to_be_visible()
    await context.close()


def test_what_came_from_outside_stays_text(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, 300, verdicts=False)
    text = results.read_text().replace("wave-7/000007", "</script><img src=x onerror=alert(1)>")
    results.write_text(text)
    html = page(gather(results))
    assert "<img src=x" not in html
    assert html.count("</script>") == 2  # the data's and the code's own


def test_a_wave_without_journal_and_verdicts_says_what_is_missing(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, 20, journal=False, verdicts=False)
    html = page(gather(results))
    assert "There is no journal beside it" in html
    assert "batcher watch follows them" in html or "created" in html


def test_entries_with_trouble_are_never_left_out_for_room(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, 400, journal=False, verdicts=False)
    report = gather(results, most_rows=50)
    assert len(report.lines) == 50
    assert report.omitted == 350
    grave = sum(line["status"] != "created" for line in report.lines)
    assert grave == 400 - report.tally.by_status["created"]  # type: ignore[index] # a StrEnum's value serves
