"""Debian's Chromium, where it is installed, for tests that look at a page as people do."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium (on Debian: apt-get install chromium)")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without windows, which loads nothing on its own account."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=_CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        await browser.close()


_AXE = find_spec("axe_playwright_python")
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def looks_well(page: Page, name: str) -> None:
    """Nothing that axe-core calls serious, in light and in dark, and nothing wider than the page."""
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) <= 0, name
    if _AXE is None or _AXE.origin is None:
        return
    await page.evaluate((Path(_AXE.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    for scheme in _SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [
            (name, scheme, one["id"], one["nodes"][0]["html"][:200])
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ] == []
