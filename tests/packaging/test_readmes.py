"""README and its translations say the same: the same commands, links and headings, in the same order."""

import os
import re
from pathlib import Path

import pytest

from tests.packaging.checkout import ROOT

ENGLISH = ROOT / "README.md"
TRANSLATIONS = sorted((ROOT / "docs").glob("README.*.md"))
_COMMENT = re.compile(r" +# .*$", re.MULTILINE)


def _blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each block; comments are translated, commands are not."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [(language, _COMMENT.sub("", text)) for language, text in found]


def _prose(page: Path) -> str:
    return re.sub(r"^```.*?^```\n", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def _links(page: Path) -> list[str]:
    """Where its links lead, as seen from the top; but those from one language to the other."""
    links = re.findall(r"\]\(([^)]+)\)", _prose(page))
    led = [link if "://" in link else os.path.relpath(page.parent / link, ROOT) for link in links]
    return [link for link in led if link != "README.md" and "README." not in link.removesuffix(".md")]


def _code(page: Path) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", _prose(page)))


def test_there_is_a_translation_and_each_leads_to_the_other() -> None:
    assert [page.name for page in TRANSLATIONS] == ["README.zh-CN.md"]
    for page in TRANSLATIONS:
        assert f"](docs/{page.name})" in ENGLISH.read_text(encoding="utf-8")
        assert "](../README.md)" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)
def test_it_has_the_same_commands(page: Path) -> None:
    assert len(_blocks(ENGLISH)) >= 12
    assert _blocks(page) == _blocks(ENGLISH)


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.name)
def test_it_has_the_same_shape_links_and_names(page: Path) -> None:
    levels = [re.findall(r"^#+(?= )", _prose(one), re.MULTILINE) for one in (page, ENGLISH)]
    assert levels[0] == levels[1]
    assert _links(page) == _links(ENGLISH)
    assert _code(ENGLISH) - _code(page) == set()


def test_commands_and_comments_are_told_apart() -> None:
    assert _COMMENT.sub("", "batcher demo   # what it does\nsed '3s/#/x/' a") == "batcher demo\nsed '3s/#/x/' a"
