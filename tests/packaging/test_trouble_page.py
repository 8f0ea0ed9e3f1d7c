"""docs/trouble.md quotes what batcher says, and says of codes what the failure table says."""

import ast
import re

import pytest

from batcher import exits
from batcher.drs.failure_table import ROWS
from tests.packaging.checkout import ROOT

PAGE = (ROOT / "docs" / "trouble.md").read_text(encoding="utf-8")


def _section(title: str) -> str:
    return PAGE.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]


def _rows(section: str) -> list[list[str]]:
    """The cells of the table in *section*, without its head."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def _said() -> str:
    """Every text in batcher's code, one a line; what is put in stands there as an ellipsis."""
    texts = []
    for path in sorted((ROOT / "batcher").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                pieces = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                texts.append("".join(map(str, pieces)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                texts.append(node.value)
    return "\n".join(" ".join(text.split()) for text in texts).lower()


SAID = _said()
QUOTED = sorted(
    {text for cell in re.findall(r"^\|([^|]+)\|", PAGE, re.M) for text in re.findall(r"\"([^\"]+)\"", cell)}
)


@pytest.mark.parametrize("text", QUOTED)
def test_each_message_is_one_of_ours(text: str) -> None:
    pattern = ".*".join(re.escape(piece) for piece in text.lower().split("…"))
    assert re.search(pattern, SAID), text
    assert len(text.strip("… ")) >= 8, f"{text}: too little to be found"


def test_there_are_messages_to_hold() -> None:
    assert len(QUOTED) > 25


def test_codes_mean_what_the_failure_table_says() -> None:
    meanings = {row.code: row.meaning for row in ROWS}
    rows = _rows(_section("What the cloud says"))
    assert len(rows) > 15
    for codes, meaning, _ in rows:
        named = [meanings[code] for code in re.findall(r"`([^`]+)`", codes)]
        assert "; ".join(dict.fromkeys(named)) == meaning, codes


def test_every_exit_code_is_there() -> None:
    told = {int(code) for row in _rows(_section("Exit codes")) for code in re.findall(r"\d+", row[0])}
    ours = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert told - {137} == ours
