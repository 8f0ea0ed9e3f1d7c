"""The page's words: one table a language, each with the same keys, and none that is missing or left over."""

import re
from importlib.resources import files
from inspect import getsource
from typing import Any

import orjson
import pytest

from batcher.drs.outcome import ErrorKind
from batcher.follow.verdict import Verdict
from batcher.life.result import Status
from batcher.service.models import State
from batcher.service.page.files import page_files
from batcher.service.roles import WORDS
from batcher.wave import explain

TABLES: dict[str, dict[str, Any]] = {
    name.removesuffix(".json"): orjson.loads(body) for name, (body, _) in page_files().items() if name.endswith(".json")
}
SCRIPTS = {
    file.name: file.read_text(encoding="utf-8")
    for file in files("batcher.service").joinpath("page", "files").iterdir()
    if file.name.endswith(".js")
}


def places(text: Any) -> set[str]:
    """What is filled in; of a text with forms, in any of them."""
    forms = [text] if isinstance(text, str) else list(text.values())
    return {place for form in forms for place in re.findall(r"\{(\w+)\}", form)}


def test_every_language_says_the_same() -> None:
    assert set(TABLES) == {"en", "zh-CN"}
    english, chinese = TABLES["en"], TABLES["zh-CN"]
    assert list(english) == list(chinese)
    for key in english:
        assert places(english[key]) == places(chinese[key]), key
    untranslated = {key for key in english if english[key] == chinese[key]}
    assert untranslated == {"column.index"}


def test_every_word_of_the_product_has_a_text() -> None:
    wanted = {
        *(f"state.{state.value}" for state in State),
        *(f"status.{status.value}" for status in (*Status,)),
        *(f"verdict.{verdict.value}" for verdict in Verdict),
        *(f"kind.{kind.value}" for kind in ErrorKind),
        *(f"advice.{kind.value}" for kind in ErrorKind),
        *(f"role.{role}" for role in WORDS),
        *(f"step.what.{what.replace(' ', '-')}" for what in re.findall(r'what="([^"]+)"', getsource(explain))),
        "step.what.answer",
        "step.what.no-answer",
    }
    assert wanted <= set(TABLES["en"])


def test_what_scripts_say_is_in_the_table_and_nothing_else() -> None:
    keys = set(TABLES["en"])
    whole = "\n".join(SCRIPTS.values())
    asked = set(re.findall(r'\bt\("([^"]+)"', whole)) | set(
        re.findall(r'"((?:ask|advice|fact|waves)\.[\w.-]+)"', whole)
    )
    assert asked <= keys
    made = [re.sub(r"\\\$\\\{[^}]*\\\}", r".+", re.escape(one)) for one in re.findall(r"\bt\(`([^`]+)`", whole)]
    for one in made:
        assert any(re.fullmatch(one, key) for key in keys), one
    strings = set(re.findall(r'"([\w.-]+)"', whole))
    left = {key for key in keys if key not in strings and not any(re.fullmatch(one, key) for one in made)}
    assert left == set()


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_scripts_write_no_markup_and_reach_nobody_else(name: str) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", SCRIPTS[name])
    assert re.findall(r"https?://[^\"'` ]+", SCRIPTS[name]) in ([], ["http://www.w3.org/2000/svg"])
