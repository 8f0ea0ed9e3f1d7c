"""The pages for people: no link leads nowhere, and each page is found from README."""

import re
from pathlib import Path

import pytest

from tests.packaging.checkout import ROOT, files

PAGES = [name for name in files() if name.endswith(".md")]
_CODE = re.compile(r"^( *)(```|~~~).*?^\1\2 *$", re.S | re.M)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_NAMED = re.compile(
    r"(?<![\w/.-])(?:docs|config|findings|scripts|tests|batcher)/[\w./-]*\w\.(?:md|toml|yml|py|sh|json)\b"
)


def _prose(name: str) -> str:
    return _CODE.sub("", (ROOT / name).read_text(encoding="utf-8"))


def _anchors(name: str) -> set[str]:
    """Where links into a page may lead: GitHub's names of its headings."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", _prose(name), re.M):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in anchors:
            number += 1
        anchors.add(anchor)
    return anchors


def _dead(name: str) -> list[str]:
    dead = []
    for target in _LINK.findall(_prose(name)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        known = page.exists() and (not anchor or anchor in _anchors(str(page.resolve().relative_to(ROOT))))
        if not known:
            dead.append(target)
    return dead


@pytest.mark.parametrize("name", PAGES)
def test_no_link_is_dead(name: str) -> None:
    assert _dead(name) == []


def test_no_page_or_file_is_named_that_is_not_there() -> None:
    """In pages, code, scripts, config: `docs/x.md` and its like lead somewhere."""
    readers = [name for name in files() if name.endswith((".md", ".py", ".toml", ".sh")) or "." not in Path(name).name]
    apart = {"CHANGELOG.md", "pyproject.toml"}  # tells of what was there; names places within the wheel
    missing = {
        (name, named)
        for name in readers
        if name not in apart and not name.startswith("tests/")
        for named in _NAMED.findall((ROOT / name).read_text(encoding="utf-8", errors="replace"))
        if not (ROOT / named).exists() and "NAME" not in named
    }
    assert missing == set()


def test_every_page_is_found_from_readme() -> None:
    found, todo = {"README.md"}, ["README.md"]
    while todo:
        name = todo.pop()
        for target in _LINK.findall(_prose(name)):
            path = target.partition("#")[0]
            page = ((ROOT / name).parent / path).resolve() if path and ":" not in path else ROOT
            led = str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else ""
            if led in PAGES and led not in found:
                found.add(led)
                todo.append(led)
    apart = {"CHANGELOG.md", "findings/README.md", "tests/journal/older/README.md"}  # for who looks into these folders
    assert set(PAGES) - found - apart == set()
