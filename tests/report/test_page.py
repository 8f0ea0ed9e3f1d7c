"""The report's page, in a real browser: Debian's Chromium, where it is installed.

Through playwright's asynchronous face: the other one runs on greenlets, which CPython 3.11's `ast.parse` cannot bear.
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import orjson
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Route, expect

from batcher import zone
from batcher.follow.verdict import Verdict
from batcher.journal.files import WaveFiles
from batcher.life.result import Status
from batcher.report.gather import read_verdicts
from batcher.report.html import write_page
from batcher.report.page_data import PageData, gather_page
from batcher.report.state import ReviewState
from batcher.report.tables import write_entries
from tests.chromium import chromium, looks_well, needs_chromium
from tests.report.waves import write_wave


def in_browser(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Runs *test* where there is a browser, which takes a second to start: all share one, and so its event loop."""
    return cast(Callable[..., Awaitable[None]], needs_chromium(pytest.mark.asyncio(loop_scope="module")(test)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


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


async def show(opened: Page, path: Path, entries: int, view: str = "", *, beside: bool = True) -> PageData:
    results = path / "results.jsonl"
    write_wave(results, entries, journal=beside, verdicts=beside)
    return await show_these(opened, [results], view)


async def show_these(opened: Page, results: list[Path], view: str = "") -> PageData:
    data = gather_page(results)
    file = results[0].with_name("report.html")
    write_page(file, data)
    await opened.goto(file.as_uri() + view)
    return data


def shown(opened: Page) -> Locator:
    return opened.locator("#shown")


def count_of(data: PageData, state: ReviewState) -> int:
    return sum(count for (of, _), count in data.states.items() if of is state)


@in_browser
async def test_every_count_bar_and_bullet_filters_the_list_and_back_undoes_it(opened: Page, tmp_path: Path) -> None:
    data = await show(opened, tmp_path, 400)
    await expect(shown(opened)).to_have_text("400 of 400 entries")
    await expect(opened.locator("#rows tr").first).to_contain_text("unsettled")  # trouble comes first
    inconsistent = count_of(data, ReviewState.INCONSISTENT)
    await opened.locator(".reasons a", has_text="inconsistent").click()
    await expect(shown(opened)).to_have_text(f"{inconsistent} of 400 entries")
    await opened.locator(".counts a", has_text="unsettled").click()
    await expect(shown(opened)).to_have_text(f"{data.by_status[Status.UNSETTLED]} of 400 entries")
    await opened.locator(".step .count").first.click()
    await expect(shown(opened)).to_have_text(f"{count_of(data, ReviewState.UNSETTLED)} of 400 entries")
    await opened.locator(".share a.good").first.click()
    await expect(shown(opened)).to_have_text(f"{data.by_status[Status.CREATED]} of 400 entries")
    for _ in range(3):
        await opened.go_back()
    await expect(shown(opened)).to_have_text(f"{inconsistent} of 400 entries")
    assert opened.url.endswith("#state=inconsistent")
    await opened.go_back()
    await expect(shown(opened)).to_have_text("400 of 400 entries")


@in_browser
async def test_facets_search_and_sorting_narrow_the_list_together(opened: Page, tmp_path: Path) -> None:
    await show(opened, tmp_path, 400)
    await opened.locator(".chip[data-facet=status][data-value=failed]").click()
    await opened.locator(".chip[data-facet=status][data-value=partial]").click()
    for row in await opened.locator("#rows tr").all():
        await expect(row).to_contain_text(re.compile("failed|partial"))
    await opened.locator("#clear").click()
    await opened.select_option("select[data-facet='label.team']", "=orders")
    await opened.fill("#search", "MYSQL-03 wave-7/0001")
    await expect(opened.locator("#active .token")).to_have_count(2)
    for row in await opened.locator("#rows tr").all():
        await expect(row).to_contain_text("orders")
        await expect(row).to_contain_text("mysql-03")
    await opened.locator("#active .token", has_text="orders").click()
    await opened.fill("#search", "wave-7/000123")
    await expect(shown(opened)).to_have_text("1 of 400 entries")
    await opened.fill("#search", "")
    await opened.locator("th [data-sort=index]").click()
    await expect(opened.locator("#rows tr").first).to_contain_text("wave-7/000000")
    await opened.locator("th [data-sort=index]").click()
    await expect(opened.locator("#rows tr").first).to_contain_text("wave-7/000399")


@in_browser
async def test_an_address_opens_the_view_that_it_names(opened: Page, tmp_path: Path) -> None:
    await show(opened, tmp_path, 400, "#label.team=orders&q=mysql-07&sort=-index&entry=0.7")
    await expect(opened.locator("#entry")).to_contain_text("batcher explain")
    await expect(opened.locator("#which")).to_have_text("wave-7/000007")
    await opened.keyboard.press("Escape")
    await expect(opened.locator("#entry")).to_be_hidden()
    assert "entry=" not in opened.url
    for row in await opened.locator("#rows tr").all():
        await expect(row).to_contain_text("mysql-07")


@in_browser
async def test_an_entry_opens_by_keyboard_turns_and_closes_with_back(opened: Page, tmp_path: Path) -> None:
    await show(opened, tmp_path, 400, "#sort=index")
    await opened.locator("#rows a.key").nth(1).press("Enter")
    await expect(opened.locator("#which")).to_have_text("wave-7/000001")
    await opened.keyboard.press("ArrowRight")
    await expect(opened.locator("#which")).to_have_text("wave-7/000002")
    await expect(opened.locator("#entry")).to_contain_text("req-00000002")
    local = await opened.locator("#entry time").first.get_attribute("title")
    assert re.search(r"\(.+\)", local or "")  # the reader's own zone
    await opened.go_back()
    await expect(opened.locator("#entry")).to_be_hidden()


@in_browser
async def test_the_differences_follow_the_list_and_stand_with_their_entry(opened: Page, tmp_path: Path) -> None:
    data = await show(opened, tmp_path, 400)
    jobs = opened.locator("#differences details:visible")
    await expect(jobs).to_have_count(len(data.differing))
    key = await jobs.first.locator("summary .mono").first.inner_text()
    await opened.fill("#search", key)
    await expect(jobs).to_have_count(1)
    await jobs.locator("summary").click()
    await jobs.get_by_text("All about this entry").click()
    await expect(opened.locator("#entry table")).to_contain_text("orders")


@in_browser
async def test_whole_ids_are_copied(browser: Browser, tmp_path: Path) -> None:
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    opened = await context.new_page()
    await show(opened, tmp_path, 30, "#sort=index")
    row = opened.locator("#rows tr").nth(1)
    await row.locator("[data-copy]").nth(1).click()
    await expect(opened.locator("#told")).to_have_text("Copied.")
    assert await opened.evaluate("navigator.clipboard.readText()") == "9e3779b1-77aa-4bcd-9eef-000000jb101"
    await opened.locator("#copy-keys").click()
    await expect(opened.locator("#told")).to_have_text("30 keys copied.")
    keys = (await opened.evaluate("navigator.clipboard.readText()")).split("\n")
    assert keys == [f"wave-7/{index:06}" for index in range(30)]
    await context.close()


async def saved(opened: Page, button: str, path: Path) -> str:
    async with opened.expect_download() as waiting:
        await opened.locator(button).click()
    download = await waiting.value
    await download.save_as(path)
    return path.read_text(encoding="utf-8")


@in_browser
async def test_what_is_filtered_is_saved_as_the_report_writes_it(browser: Browser, tmp_path: Path) -> None:
    context = await browser.new_context(accept_downloads=True)
    opened = await context.new_page()
    results = tmp_path / "results.jsonl"
    write_wave(results, 100, journal=False)
    for path in (results, WaveFiles.of(results).verdicts):
        path.write_text(
            path.read_text().replace("wave-7/", '=1+1;"').replace('=1+1;"', '=1+1;\\"').replace("mysql-", "@x;-")
        )
    await show_these(opened, [results], "#sort=index")
    text = await saved(opened, "#save-csv", tmp_path / "page.csv")
    by_command = io.StringIO()
    write_entries(by_command, results, read_verdicts(results))
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    expected = {row["key"]: row for row in csv.DictReader(io.StringIO(by_command.getvalue()))}
    assert len(rows) == 100
    assert {row["key"]: row for row in rows} == expected
    team = "#label.team=orders"
    await opened.evaluate("hash => { location.hash = hash }", team)
    await expect(shown(opened)).not_to_have_text("100 of 100 entries")
    lines = [orjson.loads(line) for line in (await saved(opened, "#save-jsonl", tmp_path / "page.jsonl")).splitlines()]
    assert f"{len(lines)} of 100 entries" == await shown(opened).inner_text()
    assert {line["labels"]["team"] for line in lines} == {"orders"}
    assert all(line["key"].startswith('=1+1;"') for line in lines)  # as it is: no spreadsheet reads this
    await context.close()


@in_browser
async def test_several_waves_can_be_told_apart(opened: Page, tmp_path: Path) -> None:
    first, again = tmp_path / "first.jsonl", tmp_path / "again.jsonl"
    write_wave(first, 150)
    write_wave(again, 50, seed=5, after=timedelta(hours=1))
    await show_these(opened, [first, again])
    await expect(shown(opened)).to_have_text("150 of 150 entries")
    await opened.select_option("select[data-facet=wave]", f"={again}")
    await expect(shown(opened)).to_have_text("50 of 150 entries")
    await expect(opened.locator("#rows tr").first).to_contain_text("replaces first.jsonl: ")
    await looks_well(opened, "a report over two waves")
    await opened.set_viewport_size({"width": 390, "height": 844})
    await looks_well(opened, "the same on a phone")


@in_browser
async def test_a_long_list_has_pages(opened: Page, tmp_path: Path) -> None:
    await show(opened, tmp_path, 1005, "#sort=index", beside=False)
    assert await opened.locator("#rows tr").count() == 100
    await opened.locator("#pager a", has_text="Last").click()
    await expect(opened.locator("#rows tr")).to_have_count(5)
    await expect(opened.locator("#rows tr").last).to_contain_text("wave-7/001004")
    await opened.go_back()
    await expect(opened.locator("#rows tr").first).to_contain_text("wave-7/000000")


@in_browser
@pytest.mark.slow
async def test_a_hundred_thousand_entries_open_and_can_be_searched(opened: Page, tmp_path: Path) -> None:
    await show(opened, tmp_path, 100_000, beside=False)
    await expect(shown(opened)).to_have_text("100,000 of 100,000 entries")
    await opened.fill("#search", "wave-7/099998")
    await expect(shown(opened)).to_have_text("1 of 100,000 entries")


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_light_and_dark_follow_the_system(browser: Browser, tmp_path: Path, scheme: str) -> None:
    context = await browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    opened = await context.new_page()
    await show(opened, tmp_path, 50)
    paper = await opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(18, 22, 29)" if scheme == "dark" else "rgb(255, 255, 255)")
    await context.close()


@in_browser
async def test_printed_it_has_what_is_filtered_and_no_controls(opened: Page, tmp_path: Path) -> None:
    data = await show(opened, tmp_path, 300, "#verdict=consistent")
    consistent = data.by_verdict[Verdict.CONSISTENT]
    await opened.emulate_media(media="print")
    await expect(opened.locator("#facets")).to_be_hidden()
    await expect(opened.locator("#rows tr")).to_have_count(consistent)
    await opened.emulate_media(media="screen")
    await expect(opened.locator("#rows tr")).to_have_count(100)
    await opened.locator("#clear").click()
    await opened.emulate_media(media="print")
    await expect(opened.locator("#rows tr")).to_have_count(len(data.gate.blockers))
    await expect(opened.locator(".verdict h1")).to_contain_text("NO-GO")
    await expect(opened.locator("#first details")).to_have_attribute("open", "")  # nothing can be unfolded on paper
    await opened.emulate_media(media="screen")
    await expect(opened.locator("#first details")).not_to_have_attribute("open", "")


@in_browser
async def test_on_a_phone_entries_are_cards_and_nothing_sticks_out(browser: Browser, tmp_path: Path) -> None:
    context = await browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True)
    opened = await context.new_page()
    await show(opened, tmp_path, 200)
    assert await opened.evaluate("document.documentElement.scrollWidth") == 390
    await expect(opened.locator("#list thead")).to_be_hidden()
    card = opened.locator("#rows tr").first
    await expect(card.locator(".pill").first).to_be_visible()
    assert await card.evaluate("card => card.clientWidth") > 340
    await card.locator("a.key").click()
    await expect(opened.locator("#entry")).to_contain_text("Every attempt")
    assert await opened.evaluate("document.documentElement.scrollWidth") == 390
    await context.close()


@in_browser
async def test_without_scripts_it_has_all_that_needs_attention_and_its_links_lead_there(
    browser: Browser, tmp_path: Path
) -> None:
    context = await browser.new_context(java_script_enabled=False)
    opened = await context.new_page()
    data = await show(opened, tmp_path, 300)
    await expect(opened.locator(".verdict h1")).to_contain_text("NO-GO")
    await expect(opened.locator("#tools")).to_be_hidden()
    assert await opened.locator(".no-scripts tbody tr").count() == len(data.gate.blockers)
    for link in await opened.locator(".reasons a").all():
        target = (await link.get_attribute("href") or "")[1:]
        await expect(opened.locator(f'[id="{target}"]')).to_have_count(1)
    await context.close()


@in_browser
async def test_markup_in_labels_names_and_messages_is_shown_and_never_acts(opened: Page, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, 100, journal=False)
    for path in (results, WaveFiles.of(results).verdicts):
        text = (
            path.read_text().replace("wave-7/", "</script><i>key</i>").replace("mysql-0", "</script><i>label</i>&amp;")
        )
        path.write_text(text)
    await show_these(opened, [results], "#sort=index&entry=0.1")
    await expect(opened.locator("#which")).to_have_text("</script><i>key</i>000001")
    await expect(opened.locator("#facts .label").first).to_contain_text("</script><i>label</i>&amp;1")
    assert await opened.locator("i:not(.legend i)").count() == 0


@in_browser
async def test_no_script_but_the_page_s_own_can_run(browser: Browser, tmp_path: Path) -> None:
    """The policy, which would hold even where escaping did not: a script that was put into the file does nothing."""
    context = await browser.new_context()
    opened = await context.new_page()
    await show(opened, tmp_path, 20)
    file = tmp_path / "report.html"
    file.write_text(file.read_text().replace("<main>", "<main><script>document.title = 'changed'</script>"))
    refused: list[str] = []
    opened.on("console", lambda message: refused.append(message.text))
    await opened.reload()
    await expect(shown(opened)).to_have_text("20 of 20 entries")
    assert await opened.title() != "changed"
    assert any("Content Security Policy" in text for text in refused)
    await context.close()


@in_browser
async def test_times_stand_in_the_zone_that_was_named_whoever_made_their_text(opened: Page, tmp_path: Path) -> None:
    """Some are written with the page, others by its script: both say the same of a moment."""
    zone.choose("Europe/Berlin")
    try:
        await show(opened, tmp_path, 40, "#status=created")
    finally:
        zone.choose_by(lambda: zone.LOCAL)
    await opened.locator("#entries a.key").first.click()
    times = await opened.evaluate("[...document.querySelectorAll('time')].map((t) => [t.dateTime, t.textContent])")
    assert len(times) >= 3
    for moment, text in times:
        local = datetime.fromisoformat(moment).astimezone(ZoneInfo("Europe/Berlin"))
        assert text == f"{local:%Y-%m-%d %H:%M:%S} {zone.zone_text(local)}"
    assert "times are Europe/Berlin" in (await opened.locator("body").text_content() or "")
